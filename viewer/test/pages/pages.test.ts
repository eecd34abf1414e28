import { describe, expect, it } from "vitest";
import { ageInWords } from "../../src/pages/ago";
import { positionOf } from "../../src/pages/banner";
import { emptyFields } from "../../src/pages/filters";
import { withFragment } from "../../src/pages/fragment";
import { nextIndex } from "../../src/pages/rows";

describe("the age of a moment", () => {
  const words = { now: "à l’instant", minutes: "il y a {n} min", later: "16 h 40" };
  const minute = 60_000;

  it.each([
    [-5, "à l’instant"],
    [0.9, "à l’instant"],
    [1, "il y a 1 min"],
    [59.9, "il y a 59 min"],
    [60, "16 h 40"],
  ])("after %d minutes", (minutes, told) => {
    expect(ageInWords(1_000_000, 1_000_000 + minutes * minute, words)).toBe(told);
  });
});

describe("moving through rows", () => {
  it("begins at the near end and stays within the list", () => {
    expect(nextIndex(-1, 1, 3)).toBe(0);
    expect(nextIndex(-1, -1, 3)).toBe(2);
    expect(nextIndex(0, 1, 3)).toBe(1);
    expect(nextIndex(2, 1, 3)).toBe(2);
    expect(nextIndex(0, -1, 3)).toBe(0);
  });
});

describe("a deep link through the login", () => {
  it("puts the fragment behind the action, once", () => {
    expect(withFragment("/login", "#c=1,2&m=20")).toBe("/login#c=1,2&m=20");
    expect(withFragment("/login#old", "#c=1,2")).toBe("/login#c=1,2");
  });
});

describe("filters", () => {
  it("leave what is empty out of the address", () => {
    const data = new FormData();
    for (const [name, value] of [
      ["q", "26H"],
      ["organ", ""],
      ["state", ""],
    ] as const) {
      data.append(name, value);
    }
    expect(emptyFields(data)).toEqual(["organ", "state"]);
  });
});

describe("the position in the banner", () => {
  const slides = ["a", "b", "c"].map((id) => ({ id, stain: null, block: null, thumbnail_url: null, state: "ready" }));

  it("counts from one, and is never 0/0", () => {
    expect(positionOf({ id: "b", slides_of_case: slides })).toBe("2/3");
    expect(positionOf({ id: "x", slides_of_case: [] })).toBe("1/1");
  });
});
