import { describe, expect, it } from "vitest";
import { formatView, parseView } from "../../src/model/link";
import { random } from "../random";

const SLIDE = { width: 24_000, height: 18_000 };
const OPTICS = { native: 20, mpp: 0.5 };
const UNKNOWN = { native: null, mpp: null };

describe("a link", () => {
  it("reads as people write it", () => {
    expect(formatView({ x: 3412, y: 12884, zoom: 1, rotation: 0 }, OPTICS)).toBe("#c=3412,12884&m=20&r=0");
  });

  it("leads back to the view it was made from", () => {
    const next = random(5);
    for (let i = 0; i < 300; i++) {
      const view = {
        x: Number((next() * SLIDE.width).toFixed(2)),
        y: Number((next() * SLIDE.height).toFixed(2)),
        zoom: Number((0.01 + next() * 2).toFixed(4)),
        rotation: Number((next() * 359).toFixed(1)),
      };
      for (const optics of [OPTICS, UNKNOWN]) {
        const back = parseView(formatView(view, optics), SLIDE, optics)!;
        expect(back.x).toBe(view.x);
        expect(back.y).toBe(view.y);
        expect(back.zoom).toBeCloseTo(view.zoom, 5);
        expect(back.rotation).toBe(view.rotation);
      }
    }
  });

  it("says the zoom itself when the magnification is not known", () => {
    expect(formatView({ x: 1, y: 2, zoom: 0.25, rotation: 0 }, UNKNOWN)).toBe("#c=1,2&z=0.25&r=0");
    expect(parseView("#c=1,2&m=20", SLIDE, UNKNOWN)).toEqual({ x: 1, y: 2 });
  });

  it("may say only a part", () => {
    expect(parseView("#m=10", SLIDE, OPTICS)).toEqual({ zoom: 0.5 });
    expect(parseView("c=5,6", SLIDE, OPTICS)).toEqual({ x: 5, y: 6 });
  });

  it("outside the slide is moved to its edge", () => {
    expect(parseView("#c=-50,99999", SLIDE, OPTICS)).toEqual({ x: 0, y: 18_000 });
  });

  it("turns by whole turns at will", () => {
    expect(parseView("#r=-90", SLIDE, OPTICS)).toEqual({ rotation: 270 });
    expect(parseView("#r=725", SLIDE, OPTICS)).toEqual({ rotation: 5 });
  });

  it.each([
    "",
    "#",
    "#c=",
    "#c=1",
    "#c=1,",
    "#c=,1",
    "#c=1,2,3",
    "#c=1e3,5",
    "#c=NaN,NaN",
    "#c=Infinity,0",
    "#c=0x10,0x10",
    "#c=1 ,2",
    "#c=<script>alert(1)</script>,2",
    "#c=99999999999,1",
    "#m=0",
    "#m=-5",
    "#m=1e9",
    "#m=20;DROP",
    "#z=",
    "#r=north",
    "#__proto__=1&constructor=2",
    "#%",
    "#%E0%A4%A",
    `#${"c=1,1&".repeat(10_000)}`.replace(/c=1,1/g, "x=1,1"),
  ])("that is not ours changes nothing: %.40s", (fragment) => {
    expect(parseView(fragment, SLIDE, OPTICS)).toBeNull();
  });
});
