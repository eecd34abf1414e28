import { describe, expect, it } from "vitest";
import {
  asksForNote,
  type Consultation,
  checkConsultation,
  isOver,
  otherSide,
  STATES,
  siteOfBall,
  turnOf,
  undoMs,
} from "../../src/model/consultation";

const ASKED: Consultation = {
  id: "c",
  reference: "A-7K2MP",
  state: "requested",
  ball: "consultant",
  role: "requester",
  urgency: "routine",
  purpose: "care",
  question: "?",
  requester: { name: "Dr A", site: "Caen" },
  consultant: { name: null, site: "Rouen" },
  asked_us: 1,
  changed_us: 1,
  slide_id: "s",
  view: "c=1,2&m=20&r=0",
  undo_until_us: null,
  moves: [],
  may_answer: false,
  thread: [],
  opinions: [],
};

describe("whose turn it is", () => {
  it.each([
    ["requester", "requester", "yours"],
    ["requester", "consultant", "theirs"],
    ["consultant", "consultant", "yours"],
    ["consultant", "requester", "theirs"],
    ["consultant", "watcher", "theirs"],
    ["requester", "watcher", "theirs"],
    [null, "requester", "nobody"],
    [null, "consultant", "nobody"],
  ] as const)("with the ball at %s, for the %s: %s", (ball, role, turn) => {
    expect(turnOf({ ball, role })).toBe(turn);
  });

  it("is told by the site that has the ball", () => {
    expect(siteOfBall(ASKED)).toBe("Rouen");
    expect(siteOfBall({ ...ASKED, ball: "requester" })).toBe("Caen");
  });

  it("sends what the reader writes to the other site", () => {
    expect(otherSide(ASKED).site).toBe("Rouen");
    expect(otherSide({ ...ASKED, role: "consultant" }).site).toBe("Caen");
  });
});

it("is over when nobody can do anything more", () => {
  const over = STATES.filter((state) => isOver({ state }));
  expect(over).toEqual(["declined", "closed", "cancelled"]);
});

describe("taking a request back", () => {
  it("is possible for as long as the server says, whatever the clock here says", () => {
    expect(undoMs({ undo_until_us: 1_700_000_010_000_000, changed_us: 1_700_000_000_000_000 })).toBe(10_000);
    expect(undoMs({ undo_until_us: 4_000_000, changed_us: 1_500_000 })).toBe(2500);
  });

  it.each([
    [null, 5_000_000, 0],
    [4_000_000, 5_000_000, 0],
    [900_000_000, 0, 10_000],
  ] as const)("until %s, seen at %s: %s ms", (undo_until_us, changed_us, ms) => {
    expect(undoMs({ undo_until_us, changed_us })).toBe(ms);
  });
});

it("asks for a sentence where a bare word would leave the other side helpless", () => {
  expect(["accept", "decline", "ask", "reply", "close", "cancel"].filter(asksForNote)).toEqual([
    "decline",
    "ask",
    "reply",
  ]);
});

describe("an answer of the server", () => {
  it("is taken when it is a consultation", () => expect(checkConsultation(ASKED)).toBe(ASKED));

  it.each([
    null,
    "c",
    {},
    { ...ASKED, state: "lost" },
    { ...ASKED, question: null },
    { ...ASKED, requester: null },
    { ...ASKED, moves: "close" },
    { ...ASKED, opinions: undefined },
  ])("is refused otherwise: %j", (value) => expect(() => checkConsultation(value)).toThrow(TypeError));
});
