import { describe, expect, it } from "vitest";
import { Speech } from "../../src/i18n";
import { folded } from "../../src/model/fold";
import { dayOf } from "../../src/model/moment";

const at = (day: number, hours: number, minutes = 0): number => new Date(2026, 10, day, hours, minutes).getTime();

describe("the day of a moment", () => {
  it.each([
    [at(21, 0), "today"],
    [at(21, 23, 59), "today"],
    [at(20, 23, 59), "yesterday"],
    [at(22, 0), "tomorrow"],
    [at(19, 23, 59), "other"],
    [at(23, 0), "other"],
  ] as const)("%d is %s", (ms, day) => expect(dayOf(ms, at(21, 12))).toBe(day));

  it("is a day of the calendar, also when the clocks change that night", () => {
    const before = new Date(2026, 9, 24, 23, 30).getTime();
    const after = new Date(2026, 9, 25, 23, 30).getTime();
    expect(dayOf(before, after)).toBe("yesterday");
    expect(dayOf(after, before)).toBe("tomorrow");
  });
});

it("says a moment as one says it", () => {
  const [fr, en] = [new Speech("fr"), new Speech("en")];
  const us = at(20, 16, 5) * 1000;
  expect(fr.moment(us, at(20, 18))).toBe("16\u00a0h\u00a005");
  expect(fr.moment(us, at(21, 9))).toBe("hier 16\u00a0h\u00a005");
  expect(en.moment(us, at(21, 9))).toBe("yesterday 16:05");
  expect(fr.moment(us, at(27, 9))).toMatch(/^20 nov\. 16\u00a0h\u00a005$/);
  expect(fr.near(us, at(21, 9))).toBe("hier");
  expect(fr.near(us, at(20, 18))).toBe("16\u00a0h\u00a005");
});

it("says how large a file is in the unit that keeps it short", () => {
  const [fr, en] = [new Speech("fr"), new Speech("en")];
  expect(fr.words.download(fr.bytes(1_938_955))).toMatch(/^Télécharger le fichier du scanner \(1,94\sMo\)$/);
  expect(en.words.download(en.bytes(4_210_000_000))).toBe("Download the scanner’s file (4.21 GB)");
  expect(fr.bytes(0)).toMatch(/^0\so/);
});

it("finds a name without its accents and capitals", () => {
  expect(folded(" MÉDARD-Çelik ")).toBe("medard-celik");
  expect(folded("Inès Caron Lille")).toContain(folded("INES"));
});
