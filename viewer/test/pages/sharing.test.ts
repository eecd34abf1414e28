import { describe, expect, it } from "vitest";
import { draftOf } from "../../src/pages/draft";
import { keyOf } from "../../src/pages/linkkey";
import { titleWith } from "../../src/pages/title";

describe("the bell", () => {
  it("stands in the title only while something is unread", () => {
    expect(titleWith(0, "Avis · IAIN")).toBe("Avis · IAIN");
    expect(titleWith(3, "Avis · IAIN")).toBe("(3) Avis · IAIN");
  });
});

describe("a draft", () => {
  const form = (fields: Record<string, string>) => {
    const data = new FormData();
    for (const [name, value] of Object.entries(fields)) data.append(name, value);
    return data;
  };

  it("is what the panel beside the slide keeps too", () => {
    expect(JSON.parse(draftOf(form({ agreement: "minor", text: "Plutôt…" })))).toEqual({
      agreement: "minor",
      text: "Plutôt…",
      amends: null,
    });
  });

  it("is none when nothing was written or chosen", () => {
    expect(draftOf(form({ text: " \n" }))).toBe("");
    expect(draftOf(form({ agreement: "agree", text: "" }))).not.toBe("");
  });
});

describe("the key of a link", () => {
  it("is what follows the #, if it can be one", () => {
    expect(keyOf(`#${"a-Z_9".repeat(8)}`)).toBe("a-Z_9".repeat(8));
    for (const hash of ["", "#", "#short", "#c=1,2&m=20", `#${"x".repeat(300)}`, `#${"é".repeat(30)}`]) {
      expect(keyOf(hash)).toBe("");
    }
  });
});
