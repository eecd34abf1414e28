import { describe, expect, it } from "vitest";
import {
  EMPTY_ANSWER,
  EMPTY_REQUEST,
  formatAnswer,
  formatRequest,
  LONGEST_TEXT,
  missingInAnswer,
  missingInRequest,
  parseAnswer,
  parseRequest,
  type Recipient,
  recipientKey,
} from "../../src/model/draft";

const RENARD: Recipient = { to_site: "rouen", to_member: "m1", name: "Dr Renard", site: "Rouen", asked_us: null };
const ANYBODY: Recipient = { ...RENARD, to_member: null, name: null };

describe("a draft", () => {
  const request = {
    ...EMPTY_REQUEST,
    to: recipientKey(RENARD),
    question: "Infiltration ?\nÀ droite.",
    urgency: "urgent",
    purpose: "tumour_board",
    scope: "slide",
    reason: "avis du Pr X",
    days: 30,
    uses: 0,
  } as const;

  it("comes back as it was kept", () => {
    expect(parseRequest(formatRequest(request))).toEqual(request);
    const answer = { agreement: "major", text: "Non.\n" } as const;
    expect(parseAnswer(formatAnswer(answer))).toEqual(answer);
  });

  it("is nothing to keep while nothing was written or chosen that would be missed", () => {
    expect(formatRequest({ ...EMPTY_REQUEST, question: " \n", urgency: "urgent" })).toBe("");
    expect(formatAnswer(EMPTY_ANSWER)).toBe("");
    expect(formatAnswer({ agreement: "agree", text: "" })).not.toBe("");
    expect(formatRequest({ ...EMPTY_REQUEST, to: "site:lille" })).not.toBe("");
  });

  it.each(["", "null", "7", "[]", "{", '"x"', '{"question":3,"urgency":"now","days":9999,"uses":-1,"scope":{}}'])(
    "that was damaged gives an empty form: %s",
    (text) => {
      expect(parseRequest(text)).toEqual(EMPTY_REQUEST);
      expect(parseAnswer(text)).toEqual(EMPTY_ANSWER);
    },
  );

  it("keeps what is sound beside what is damaged, and no more than fits", () => {
    const found = parseRequest(
      JSON.stringify({ question: "x".repeat(LONGEST_TEXT + 5), urgency: "urgent", purpose: 1 }),
    );
    expect(found.question).toHaveLength(LONGEST_TEXT);
    expect(found).toMatchObject({ urgency: "urgent", purpose: "care" });
  });
});

describe("what is missing", () => {
  const draft = { ...EMPTY_REQUEST, to: recipientKey(ANYBODY), question: "?" };

  it("is told in the order of the form", () => {
    expect(missingInRequest(EMPTY_REQUEST, [RENARD, ANYBODY])).toBe("to");
    expect(missingInRequest({ ...draft, question: "  " }, [RENARD, ANYBODY])).toBe("question");
    expect(missingInRequest(draft, [RENARD, ANYBODY])).toBeNull();
  });

  it("is the recipient, when the one of an old draft can no longer be asked", () => {
    expect(missingInRequest(draft, [RENARD])).toBe("to");
  });

  it("is the class, then the sentence, of an answer", () => {
    expect(missingInAnswer(EMPTY_ANSWER)).toBe("agreement");
    expect(missingInAnswer({ agreement: "agree", text: " " })).toBe("text");
    expect(missingInAnswer({ agreement: "undecided", text: "Il faut une desmine." })).toBeNull();
  });
});
