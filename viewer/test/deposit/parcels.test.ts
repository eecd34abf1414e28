import { describe, expect, it } from "vitest";
import { instanceIn, WHOLE_SLIDE } from "../../src/deposit/dicom";
import type { Named } from "../../src/deposit/files";
import { namedIn } from "../../src/deposit/mirax";
import { find } from "../../src/deposit/parcels";

const INI = [
  "\uFEFF[HIERARCHICAL]",
  "INDEXFILE = Index.dat",
  "[DATAFILE]",
  "FILE_COUNT = 2",
  "FILE_0 = Data0000.dat",
  "FILE_1 = Data0001.dat",
].join("\r\n");
const PICTURE = "\xff\xd8\xff";

function named(path: string, content: string | Uint8Array<ArrayBuffer> = "?"): Named {
  const bytes = typeof content === "string" ? Uint8Array.from(content, (letter) => letter.charCodeAt(0)) : content;
  return { path, file: new File([bytes], path.split("/").at(-1)!) };
}

async function found(...files: readonly Named[]): Promise<Record<string, readonly string[]>> {
  const { parcels, left } = await find(files);
  const said = parcels.map(({ name, parts, missing }): [string, string[]] => [
    name,
    [...parts.map((part) => part.name), ...missing.map((each) => `! ${each}`)],
  ]);
  return Object.fromEntries([...said, ...(left.length > 0 ? [["left", left] as const] : [])]);
}

describe("a file by itself", () => {
  it("is a slide when it begins as one, or when it was named by itself", async () => {
    expect(await found(named("a.svs", "II*\0"), named("b.czi", "ZISRAWFILE"), named("notes.txt"))).toEqual({
      "a.svs": ["a.svs"],
      "b.czi": ["b.czi"],
      "notes.txt": ["notes.txt"],
    });
  });

  it("of a folder that begins as no slide is left", async () => {
    expect(await found(named("disk/a.svs", "II+\0"), named("disk/notes.txt"))).toEqual({
      "a.svs": ["a.svs"],
      left: ["disk/notes.txt"],
    });
  });
});

describe("a MIRAX slide", () => {
  const whole = [
    named("disk/A.mrxs", PICTURE),
    named("disk/A/Slidedat.ini", new TextEncoder().encode(INI)),
    named("disk/A/Index.dat"),
    named("disk/A/DATA0000.dat"),
    named("disk/A/Data0001.dat"),
  ];

  it("has the files that its Slidedat.ini names, under names that do not depend on where they lay", async () => {
    const names = ["slide.mrxs", "slide/Slidedat.ini", "slide/Index.dat", "slide/Data0000.dat", "slide/Data0001.dat"];
    expect(await found(...whole, named("disk/A/Thumbs.db"))).toEqual({ "A.mrxs": names, left: ["disk/A/Thumbs.db"] });
  });

  it("says what is missing", async () => {
    expect((await found(...whole.slice(1, 4)))["A.mrxs"]).toEqual([
      "slide/Slidedat.ini",
      "slide/Index.dat",
      "slide/Data0000.dat",
      "! A.mrxs",
      "! A/Data0001.dat",
    ]);
    expect((await found(whole[0]!))["A.mrxs"]).toEqual(["slide.mrxs", "! A/Slidedat.ini"]);
  });

  it("believes no number of files that makes no sense", () => {
    expect(namedIn("[DATAFILE]\nFILE_COUNT = 999999999\nFILE_3 = x")).toEqual(["x"]);
    expect(namedIn("[DATAFILE]\nFILE_COUNT = -1\nFILE_0 = x")).toEqual([]);
  });
});

describe("a Trestle scan", () => {
  const scan = named("a.tif", trestle("MedScan 1.0"));

  it("takes along the picture of the whole glass", async () => {
    expect(await found(named("a.Full", "II*\0"), scan)).toEqual({ "a.tif": ["slide.tif", "slide.Full"] });
  });

  it("is told from a TIFF that has such a file beside it by chance", async () => {
    const other = named("a.tif", trestle("Paint 4"));
    expect(await found(other, named("a.Full", "II*\0"))).toEqual({ "a.tif": ["a.tif"], "a.Full": ["a.Full"] });
  });
});

describe("DICOM files", () => {
  it("of a series are one slide, each under its UID, copies once", async () => {
    const files = [dicom("1.2.3", "9.1"), dicom("1.2.4", "9.1"), dicom("1.2.5", "9.2"), dicom("1.2.3", "9.1")];
    expect(await found(...files.map((bytes, at) => named(`exam/${at}`, bytes)))).toEqual({
      exam: ["1.2.3.dcm", "1.2.4.dcm"],
      "2": ["2"],
    });
  });

  it("that are no slide are left", async () => {
    const other = dicom("1.2.3", "9.1", "1.2.840.10008.5.1.4.1.1.2");
    expect(await found(named("exam/ct", other))).toEqual({ left: ["exam/ct"] });
  });

  it("say which parts of an image are missing", async () => {
    const part = dicom("1.2.3", "9.1", WHOLE_SLIDE, { uid: "7.7", number: 2, total: 3 });
    expect((await found(named("exam/a", part), named("exam/b", dicom("1.2.4", "9.1")))).exam).toEqual([
      "1.2.3.dcm",
      "1.2.4.dcm",
      "! 1/3 (7.7)",
      "! 3/3 (7.7)",
    ]);
  });

  it("are read as far as they go, wherever they end and whatever they claim", () => {
    const bytes = dicom("1.2.3", "9.1");
    for (let length = 132; length <= bytes.length; length++) {
      expect(["", "1.2.3"]).toContain(instanceIn(bytes.subarray(0, length))!.uid);
    }
    for (let at = 132; at < bytes.length; at++) {
      const spoilt = bytes.slice();
      spoilt[at] = 0xff;
      expect(instanceIn(spoilt)).not.toBeNull();
    }
    expect(instanceIn(bytes.subarray(0, 100))).toBeNull();
  });
});

/** A TIFF of one directory with its Software, little endian. */
function trestle(program: string): string {
  const short = (value: number): string => String.fromCharCode(value & 255, value >> 8);
  return `II*\0${short(8)}\0\0${short(1)}${short(305)}${short(2)}${short(program.length)}\0\0${short(26)}\0\0\0\0\0\0${program}`;
}

/** The first elements of a DICOM file, with a sequence of undefined length among them. */
function dicom(
  uid: string,
  series: string,
  sopClass = WHOLE_SLIDE,
  part?: { uid: string; number: number; total: number },
): Uint8Array<ArrayBuffer> {
  const bytes: number[] = [...Array(128).fill(0), ...codes("DICM")];
  const u16 = (value: number): number[] => [value & 255, value >> 8];
  const add = (tag: number, kind: string, value: number[]): void => {
    const even = value.length % 2 ? [...value, 0] : value;
    bytes.push(...u16(tag >>> 16), ...u16(tag & 0xffff), ...codes(kind), ...u16(even.length), ...even);
  };
  add(0x00020010, "UI", codes("1.2.840.10008.1.2.4.50"));
  add(0x00080016, "UI", codes(sopClass));
  add(0x00080018, "UI", codes(uid));
  const unknown = [0xff, 0xff, 0xff, 0xff];
  const item = [0xfe, 0xff, 0x00, 0xe0, ...unknown];
  const ends = [0xfe, 0xff, 0x0d, 0xe0, 0, 0, 0, 0, 0xfe, 0xff, 0xdd, 0xe0, 0, 0, 0, 0];
  bytes.push(0x08, 0x00, 0x11, 0x11, ...codes("SQ"), 0, 0, ...unknown, ...item);
  add(0x00081150, "UI", codes("1.2"));
  bytes.push(...ends);
  add(0x0020000e, "UI", codes(series));
  if (part) {
    add(0x00209161, "UI", codes(part.uid));
    add(0x00209162, "US", u16(part.number));
    add(0x00209163, "US", u16(part.total));
  }
  return Uint8Array.from(bytes);
}

function codes(text: string): number[] {
  return [...text].map((letter) => letter.charCodeAt(0));
}
