import { expect, test } from "vitest";
import { newId, Sending } from "../../src/model/id";

test("an id is base32 of 128 bits, as the server writes it", () => {
  const counting = Uint8Array.from({ length: 16 }, (_, number) => number * 17);
  expect(newId(counting)).toBe("aaisem2ekvthpcezvk54zxpo74");
  expect(newId(new Uint8Array(16))).toBe("a".repeat(26));
  expect(newId(new Uint8Array(16).fill(255))).toBe(`${"7".repeat(25)}4`);
  expect(newId()).toMatch(/^[a-z2-7]{25}[aeimquy4]$/);
  expect(newId()).not.toBe(newId());
});

test("the same words are sent under the same id, others under another", () => {
  const sending = new Sending();
  const first = sending.id({ question: "Grade ?" });
  expect(sending.id({ question: "Grade ?" })).toBe(first);
  const second = sending.id({ question: "Grade II ?" });
  expect(second).not.toBe(first);
  expect(sending.id({ question: "Grade II ?" })).toBe(second);
});
