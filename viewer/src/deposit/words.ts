/** What the page says, in the reader's language: sentences from the server, figures by the browser. */

import { inBytes } from "../model/size";

export interface Words {
  readonly language: string;
  readonly say: Readonly<Record<string, string>>;
  /** By the code of what went wrong on the way, and by the code for which a slide was refused. */
  readonly problems: Readonly<Record<string, string>>;
  readonly refusals: Readonly<Record<string, string>>;
}

export class Speech {
  constructor(private readonly words: Words) {}

  get language(): string {
    return this.words.language;
  }

  /** A sentence with `{name}` filled in. */
  say(key: string, values: Readonly<Record<string, string | number>> = {}): string {
    const sentence = this.words.say[key] ?? key;
    return sentence.replace(/\{(\w+)\}/g, (_, name: string) => String(values[name] ?? ""));
  }

  /** The sentence for one, or for several. */
  count(key: string, n: number): string {
    return this.say(n === 1 ? `${key}_one` : `${key}_many`, { n });
  }

  problem(code: string, detail: string): string {
    return (this.words.problems[code] ?? this.words.problems.other ?? "{detail}").replace("{detail}", detail);
  }

  refusal(code: string | null): string {
    return this.words.refusals[code ?? ""] ?? this.words.refusals.other ?? "";
  }

  /** "12,4 Mo"; with three figures, as far as they say anything. */
  bytes(count: number, perSecond = false): string {
    return inBytes(count, this.language, perSecond);
  }

  percent(share: number): string {
    // Not complete until it is: 99.7 % is no 100 %.
    return new Intl.NumberFormat(this.language, { style: "percent" }).format(Math.floor(share * 100) / 100);
  }

  /** "3 min left", roughly. */
  left(seconds: number): string {
    if (seconds < 60) return this.say("left_seconds");
    const minutes = Math.round(seconds / 60);
    if (minutes < 60) return this.say("left_minutes", { n: minutes });
    return this.say("left_hours", { h: Math.floor(minutes / 60), min: String(minutes % 60).padStart(2, "0") });
  }
}

/** What the server has written into the page. */
export function read<T>(page: Document, id: string): T {
  return JSON.parse(page.getElementById(id)?.textContent ?? "{}") as T;
}
