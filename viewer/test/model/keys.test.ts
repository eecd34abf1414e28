import { describe, expect, it } from "vitest";
import { arrowOf, commandOf, type KeyPress } from "../../src/model/keys";

function press(key: string, code: string, held: Partial<KeyPress> = {}): KeyPress {
  return { key, code, shiftKey: false, ctrlKey: false, altKey: false, metaKey: false, ...held };
}

describe("a key", () => {
  it.each([
    [press("4", "Digit4"), "preset-4"],
    [press("'", "Digit4"), "preset-4"], // a French keyboard without Shift
    [press("4", "Digit4", { shiftKey: true }), "preset-4"], // and with it
    [press("-", "Digit6"), "preset-6"],
    [press("6", "Numpad6"), "preset-6"],
    [press("à", "Digit0"), "fit"],
    [press("Home", "Home"), "fit"],
    [press("+", "Equal", { shiftKey: true }), "zoom-in"],
    [press("=", "Equal"), "zoom-in"],
    [press(")", "Minus"), "zoom-out"], // the key left of it on a French keyboard
    [press("-", "NumpadSubtract"), "zoom-out"],
    [press("-", "Slash"), "zoom-out"], // a German keyboard
    [press("e", "KeyE"), "label"],
    [press("E", "KeyE"), "label"],
    [press("l", "KeyL"), "label"],
    [press("r", "KeyR"), "rotate-right"],
    [press("R", "KeyR", { shiftKey: true }), "rotate-left"],
    [press("?", "Comma", { shiftKey: true }), "keys"], // a French keyboard
    [press("?", "Minus", { shiftKey: true }), "keys"], // a German one, where it is not "minus"
    [press("PageDown", "PageDown"), "next"],
    [press("[", "BracketLeft"), "previous"],
    [press("[", "Digit5", { ctrlKey: true, altKey: true }), "previous"], // AltGr on a French keyboard
    [press("Tab", "Tab"), "frame"],
    [press("Escape", "Escape"), "dismiss"],
  ])("%o", (key, command) => expect(commandOf(key)).toBe(command));

  it.each([
    press("r", "KeyR", { ctrlKey: true }),
    press("l", "KeyL", { metaKey: true }),
    press("0", "Digit0", { ctrlKey: true }),
    press("Tab", "Tab", { shiftKey: true }),
    press("Tab", "Tab", { altKey: true }),
    press("x", "KeyX"),
    press("7", "Digit7"),
    press("Dead", "Quote"),
    press("constructor", ""),
    press("toString", "toString"),
  ])("leaves to the browser: %o", (key) => expect(commandOf(key)).toBeNull());

  it("with an arrow looks that way", () => {
    expect(arrowOf("ArrowLeft")).toEqual({ x: -1, y: 0 });
    expect(arrowOf("ArrowDown")).toEqual({ x: 0, y: 1 });
    expect(arrowOf("a")).toBeNull();
  });
});
