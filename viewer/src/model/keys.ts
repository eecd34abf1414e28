/**
 * Which key does what. Pure.
 *
 * Digits, plus, minus and brackets go by their place on the keyboard, because a French one gives `&é"'(-` where the
 * digits are; letters go by what is printed on them.
 */

export type CommandId =
  | "fit"
  | "zoom-in"
  | "zoom-out"
  | "rotate-right"
  | "rotate-left"
  | "upright"
  | "label"
  | "overview"
  | "link"
  | "ask"
  | "keys"
  | "frame"
  | "tools"
  | "previous"
  | "next"
  | "dismiss"
  | "slides"
  | "more"
  | `preset-${1 | 2 | 3 | 4 | 5 | 6}`;

export interface KeyPress {
  readonly key: string;
  readonly code: string;
  readonly shiftKey: boolean;
  readonly ctrlKey: boolean;
  readonly altKey: boolean;
  readonly metaKey: boolean;
}

const BY_PLACE = new Map<string, CommandId>(
  Object.entries({
    Digit0: "fit",
    Numpad0: "fit",
    Equal: "zoom-in",
    NumpadAdd: "zoom-in",
    Minus: "zoom-out",
    NumpadSubtract: "zoom-out",
    BracketLeft: "previous",
    BracketRight: "next",
  }),
);

const BY_NAME = new Map<string, CommandId>(
  Object.entries({
    Home: "fit",
    "+": "zoom-in",
    "=": "zoom-in",
    "-": "zoom-out",
    _: "zoom-out",
    "?": "keys",
    F1: "keys",
    F6: "tools",
    Tab: "frame",
    Escape: "dismiss",
    PageUp: "previous",
    PageDown: "next",
    "[": "previous",
    "]": "next",
    e: "label",
    l: "label",
    v: "overview",
    u: "link",
    c: "ask",
  }),
);

/** What to print on a key cap, where it is the same in every language. */
export const CAPS: Readonly<Partial<Record<CommandId, string>>> = {
  fit: "0",
  "zoom-in": "+",
  "zoom-out": "−",
  "rotate-right": "R",
  label: "E",
  overview: "V",
  link: "U",
  ask: "C",
  keys: "?",
  previous: "[",
  next: "]",
  "preset-1": "1",
  "preset-2": "2",
  "preset-3": "3",
  "preset-4": "4",
  "preset-5": "5",
  "preset-6": "6",
};

export function commandOf(press: KeyPress): CommandId | null {
  const altGraph = press.ctrlKey && press.altKey;
  if ((press.ctrlKey || press.altKey || press.metaKey) && !altGraph) return null;
  const key = press.key.length === 1 ? press.key.toLowerCase() : press.key;
  if (key === "?") return "keys";
  if (key === "Tab" && press.shiftKey) return null;
  if (key === "r") return press.shiftKey ? "rotate-left" : "rotate-right";
  const digit = /^(?:Digit|Numpad)([1-6])$/.exec(press.code)?.[1];
  if (digit && !altGraph) return `preset-${Number(digit) as 1 | 2 | 3 | 4 | 5 | 6}`;
  return (altGraph ? undefined : BY_PLACE.get(press.code)) ?? BY_NAME.get(key) ?? null;
}

export interface Direction {
  readonly x: number;
  readonly y: number;
}

/** The direction of an arrow key, as the eye moves: right looks further right. */
export function arrowOf(key: string): Direction | null {
  switch (key) {
    case "ArrowLeft":
      return { x: -1, y: 0 };
    case "ArrowRight":
      return { x: 1, y: 0 };
    case "ArrowUp":
      return { x: 0, y: -1 };
    case "ArrowDown":
      return { x: 0, y: 1 };
    default:
      return null;
  }
}
