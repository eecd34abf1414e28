import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { tokensOf } from "../../src/deposit/cases";
import { encode } from "../../src/deposit/manifest";
import { Pace } from "../../src/deposit/pace";
import { hash } from "../../src/deposit/push";
import { metadata } from "../../src/deposit/tus";
import { Speech } from "../../src/deposit/words";

describe("the manifest", () => {
  it("is the one that the server writes", () => {
    const files = [
      { name: "slide.mrxs", length: 3, sha256: "b".repeat(64) },
      { name: "slide/é\u{1f600}.dat", length: 0, sha256: "a".repeat(64) },
      { name: "slide/\uff5e.dat", length: 1, sha256: "c".repeat(64) },
    ];
    const sha256 = (name: string) => files.find((file) => file.name === name)!.sha256;
    const one = (name: string, length: number) => `{"length":${length},"name":"${name}","sha256":"${sha256(name)}"}`;
    const ordered = [one("slide.mrxs", 3), one("slide/é\u{1f600}.dat", 0), one("slide/\uff5e.dat", 1)];
    expect(encode([...files].reverse())).toBe(`{"files":[${ordered.join(",")}],"form":"iain-set-1"}`);
  });

  it("sorts by code points, where JavaScript would sort by halves of them", () => {
    const names = ["\u{1f600}", "\uff5e"].map((name) => ({ name, length: 1, sha256: "" }));
    expect(JSON.parse(encode(names)).files.map(({ name }: { name: string }) => name)).toEqual(["\uff5e", "\u{1f600}"]);
  });
});

it("hashes files in slices, and tells how far it is", async () => {
  const bytes = new Uint8Array(9 * 1024 * 1024).map((_, at) => at % 251);
  const parts = [bytes, bytes.subarray(0, 5)].map((each, at) => ({ name: `${at}`, file: new File([each], "f") }));
  const told: number[] = [];
  const nothing = (): void => undefined;
  const report = { announced: nothing, sending: nothing, preparing: nothing, retrying: nothing };
  const digests = await hash(parts, { ...report, hashing: (done) => told.push(done) }, new AbortController().signal);
  expect(digests).toEqual([bytes, bytes.subarray(0, 5)].map((each) => createHash("sha256").update(each).digest("hex")));
  expect(told.at(-1)).toBe(bytes.length + 5);
  expect(told.length).toBe(4);
});

it("announces what is known of the glass, in UTF-8 and base64", () => {
  const file = { fileName: "é.svs", length: 1, sha256: "ab", accession: " 26H1 ", stain: "", block: "A", ofSet: true };
  expect(metadata(file)).toBe("filename w6kuc3Zz,sha256 YWI=,accession MjZIMQ==,block QQ==,set");
});

describe("the pace", () => {
  it("is that of the last seconds, and says nothing at first", () => {
    const pace = new Pace();
    pace.note(0, 0);
    expect([pace.rate, pace.remaining(100)]).toEqual([null, null]);
    for (let second = 1; second <= 60; second++)
      pace.note(second <= 30 ? second : 30 + (second - 30) * 10, second * 1000);
    expect(pace.rate).toBe(10);
    expect(pace.remaining(430)).toBe(10);
  });

  it("begins anew when less has arrived than it seemed", () => {
    const pace = new Pace();
    pace.note(1000, 0);
    pace.note(2000, 2000);
    pace.note(0, 3000);
    expect(pace.rate).toBeNull();
  });
});

describe("words", () => {
  const speech = new Speech({
    language: "fr",
    say: {
      left_seconds: "bientôt",
      left_minutes: "{n} min",
      left_hours: "{h} h {min}",
      a_one: "{n} lame",
      a_many: "{n} lames",
    },
    problems: { other: "Dit : {detail}", busy: "Occupé" },
    refusals: { damaged: "Abîmée", other: "Refusée" },
  });

  it("tell bytes, rates and what is left as one says them", () => {
    expect(speech.bytes(12_400_000)).toMatch(/^12,4\sMo$/);
    expect(speech.bytes(999)).toMatch(/^999\s(octets|o)$/);
    expect(speech.bytes(3_400_000, true)).toMatch(/^3,4\sMo\/s$/);
    expect([59, 150, 4200].map((seconds) => speech.left(seconds))).toEqual(["bientôt", "3 min", "1 h 10"]);
    expect([1, 2].map((n) => speech.count("a", n))).toEqual(["1 lame", "2 lames"]);
  });

  it("never call complete what is not", () => {
    expect(speech.percent(0.999)).toMatch(/^99\s%$/);
  });

  it("have something to say of what nobody foresaw", () => {
    expect(speech.problem("new-code", "Why.")).toBe("Dit : Why.");
    expect([speech.refusal("damaged"), speech.refusal(null)]).toEqual(["Abîmée", "Refusée"]);
  });
});

it("looks for a number between whatever parts the name of a file", () => {
  expect(tokensOf("26H01234-A2_HES.svs")).toEqual(["26H01234", "26H01234-A2"]);
  expect(tokensOf("2026-001234 lame.ndpi")).toEqual(["001234", "2026-001234"]);
  expect(tokensOf("scan.svs")).toEqual([]);
});
