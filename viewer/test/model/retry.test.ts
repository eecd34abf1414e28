import { describe, expect, it } from "vitest";
import { Outage, Patience, retryDelay } from "../../src/model/retry";

describe("a failed tile", () => {
  it("is asked for again sooner at first, never later than ten seconds, not all at once", () => {
    const delays = Array.from({ length: 12 }, (_, failures) => retryDelay(failures + 1, () => 0.5));
    expect(delays.slice(0, 4)).toEqual([400, 800, 1600, 3200]);
    expect(delays.at(-1)).toBe(8000);
    expect(retryDelay(40, () => 1)).toBeLessThanOrEqual(10_000);
    expect(retryDelay(1, () => 0)).not.toBe(retryDelay(1, () => 1));
  });
});

describe("an outage", () => {
  it("begins at the third failure in a row, is told once, and ends with the first tile that comes", () => {
    const outage = new Outage();
    expect([outage.note(false), outage.note(false), outage.note(false), outage.note(false)]).toEqual([
      false,
      false,
      true,
      false,
    ]);
    expect(outage.lasts).toBe(true);
    expect(outage.note(true)).toBe(true);
    expect(outage.lasts).toBe(false);
  });

  it("is not made of single losses", () => {
    const outage = new Outage();
    for (let i = 0; i < 10; i++) {
      outage.note(false);
      outage.note(false);
      outage.note(true);
    }
    expect(outage.lasts).toBe(false);
  });
});

describe("patience", () => {
  it("is short on a fast line, and as long as a slow one needs", () => {
    const patience = new Patience();
    const first = patience.ms;
    expect(first).toBeLessThanOrEqual(3000);
    patience.arrived(20);
    expect(patience.ms).toBe(first);
    patience.arrived(2000);
    expect(patience.ms).toBe(16_000);
    for (let i = 0; i < 20; i++) patience.arrived(30);
    expect(patience.ms).toBe(first);
  });

  it("grows when it ran out, once for all that ran out together, and never beyond half a minute", () => {
    const patience = new Patience();
    const first = patience.ms;
    for (let i = 0; i < 6; i++) patience.ranOut(first);
    expect(patience.ms).toBe(2 * first);
    for (let i = 0; i < 6; i++) patience.ranOut(patience.ms);
    expect(patience.ms).toBe(30_000);
  });
});
