/** The slides that somebody has dropped, one row each, and the one button that sends them. */

import { html, nothing, type TemplateResult } from "lit";
import { property, state } from "lit/decorators.js";
import { live } from "lit/directives/live.js";
import { repeat } from "lit/directives/repeat.js";
import { LightElement } from "../components/light";
import { type CaseHint, caseIn, caseOf, LEAST_TYPED, suggest } from "./cases";
import type { Depot } from "./depot";
import type { Entry } from "./entry";
import type { Glass } from "./tus";
import type { Speech } from "./words";

const QUIET_MS = 200;
const LONGEST_LABEL = 64;

export class DepositList extends LightElement {
  @property({ attribute: false }) depot!: Depot;
  @property({ attribute: false }) speech!: Speech;
  /** Paths of dropped files that belong to no slide. */
  @property({ attribute: false }) left: readonly string[] = [];
  /** Why the last drop could not be looked at. */
  @property() problem = "";
  /** Whether the reader may see Reception. */
  @property({ type: Boolean }) reception = false;
  @state() private said = "";
  #forAll = "";
  readonly #hints = new Map<string, readonly CaseHint[]>();
  readonly #cases = new Map<string, CaseHint | null>();
  readonly #phases = new Map<string, string>();
  readonly #typing = new Map<string, number>();

  override connectedCallback(): void {
    super.connectedCallback();
    this.depot.addEventListener("change", () => {
      this.#announce();
      this.requestUpdate();
    });
  }

  /** Fills in what can be known of slides that were just added. */
  async greet(entries: readonly Entry[]): Promise<void> {
    for (const entry of entries) {
      if (entry.glass.accession) await this.#look(entry.glass.accession);
      else if (this.#forAll) this.#write(entry, { accession: this.#forAll });
      else {
        const found = await caseIn(entry.parcel.name);
        if (!found || entry.glass.accession || entry.source === "typed") continue;
        this.#cases.set(found.accession, found);
        entry.source = "name";
        this.#write(entry, { accession: found.accession });
      }
    }
    this.requestUpdate();
  }

  protected override render(): TemplateResult {
    const { entries } = this.depot;
    const open = entries.filter((entry) => entry.open && entry.phase !== "failed" && entry.phase !== "stopped");
    return html`
      ${this.problem ? html`<p class="notice refused" role="alert">${icon("refused")}<span>${this.problem}</span></p>` : nothing}
      ${this.left.length > 0 ? this.#leftOver() : nothing}
      ${open.length > 1 ? this.#forAllFields(open) : nothing}
      <ol class="deposit-rows" aria-label=${this.speech.say("slides")} ?hidden=${entries.length === 0}>
        ${repeat(
          entries,
          ({ key }) => key,
          (entry) => this.#row(entry),
        )}
      </ol>
      ${entries.length > 0 ? this.#foot(open) : nothing}
      <p class="unseen" role="status">${this.said}</p>`;
  }

  #leftOver(): TemplateResult {
    const said = this.speech.count("left_over", this.left.length);
    return html`<p class="notice waits">${icon("unmatched")}<span>${said} ${listed(this.left)}</span></p>`;
  }

  #forAllFields(open: readonly Entry[]): TemplateResult {
    const fill = (accession: string): void => {
      this.#forAll = accession;
      for (const entry of open) if (entry.source === "") this.#write(entry, { accession });
    };
    return html`<div class="deposit-all">
      ${this.#accession("all", this.speech.say("for_all"), this.#forAll, fill)}
    </div>`;
  }

  #row(entry: Entry): TemplateResult {
    const { speech } = this;
    const { parcel, key } = entry;
    const parts = parcel.parts.length;
    return html`<li class="deposit-row ${entry.phase}" id=${key} aria-labelledby="${key}-name">
      <div class="about">
        <h2 id="${key}-name">${parcel.name}</h2>
        <span class="quiet small figures">${speech.bytes(entry.size)}${parts > 1 ? ` · ${speech.count("files", parts)}` : ""}</span>
      </div>
      ${entry.phase === "incomplete" ? nothing : this.#glass(entry)}
      <div class="how">${this.#how(entry)}</div>
      <div class="acts">${this.#acts(entry)}</div>
    </li>`;
  }

  #glass(entry: Entry): TemplateResult {
    const { speech } = this;
    const { glass, key } = entry;
    if (!entry.open) {
      const words = [
        glass.accession || speech.say("no_number"),
        glass.stain,
        glass.block && speech.say("block_of", { block: glass.block }),
      ];
      return html`<div class="glass-words"><strong>${words[0]}</strong>${this.#cases.get(numberOf(glass.accession)) ? this.#caseLine(glass.accession) : nothing}
        <span class="quiet small">${words.slice(1).filter(Boolean).join(" · ")}</span></div>`;
    }
    const typed = (accession: string): void => {
      entry.source = accession ? "typed" : "";
      this.#write(entry, { accession });
    };
    return html`<div class="glass-fields">
      ${this.#accession(key, speech.say("accession"), glass.accession, typed, entry.source === "name")}
      ${this.#field(`${key}-stain`, speech.say("stain"), glass.stain, (stain) => this.#write(entry, { stain }))}
      ${this.#field(`${key}-block`, speech.say("block"), glass.block, (block) => this.#write(entry, { block }))}
    </div>`;
  }

  #accession(
    key: string,
    label: string,
    value: string,
    write: (accession: string) => void,
    fromName = false,
  ): TemplateResult {
    const input = (event: Event): void => {
      const typed = (event.target as HTMLInputElement).value;
      write(typed);
      window.clearTimeout(this.#typing.get(key));
      this.#typing.set(
        key,
        window.setTimeout(() => void this.#look(typed, key), QUIET_MS),
      );
    };
    return html`<div class="field accession">
      <label for="${key}-accession">${label}</label>
      <input class="input" id="${key}-accession" list="${key}-cases" maxlength=${LONGEST_LABEL} autocomplete="off"
        spellcheck="false" aria-describedby="${key}-case" .value=${live(value)} @input=${input} />
      <datalist id="${key}-cases">${(this.#hints.get(key) ?? []).map(
        ({ accession, patient, organ }) =>
          html`<option value=${accession}>${[patient, organ].filter(Boolean).join(" · ")}</option>`,
      )}</datalist>
      <span class="hint" id="${key}-case">${this.#caseLine(value)}${fromName ? html` <span>${this.speech.say("from_name")}</span>` : nothing}</span>
    </div>`;
  }

  #field(id: string, label: string, value: string, write: (text: string) => void): TemplateResult {
    return html`<div class="field">
      <label for=${id}>${label}</label>
      <input class="input" id=${id} maxlength=${LONGEST_LABEL} autocomplete="off" .value=${live(value)}
        @input=${(event: Event) => write((event.target as HTMLInputElement).value)} />
    </div>`;
  }

  /** Whose case it is, so that a wrong number is seen. */
  #caseLine(accession: string): TemplateResult | typeof nothing {
    const number = numberOf(accession);
    if (number === "") return nothing;
    const found = this.#cases.get(number);
    if (found) return html`<span class="whose">${[found.patient, found.organ].filter(Boolean).join(" · ")}</span>`;
    return found === null && number.length >= LEAST_TYPED
      ? html`<span class="nobody">${this.speech.say("no_such_case")}</span>`
      : nothing;
  }

  #how(entry: Entry): TemplateResult {
    const { speech } = this;
    const { phase, size, done, held, parcel, pace } = entry;
    switch (phase) {
      case "incomplete":
        return this.#state(
          "unmatched",
          speech.say("incomplete"),
          speech.say("missing", { names: listed(parcel.missing) }),
        );
      case "reading":
        return this.#bar(entry, speech.say("reading"), speech.percent(done / size));
      case "read":
        return this.#state("received", speech.say(entry.wanted ? "queued" : "to_send"));
      case "sending": {
        if (entry.hindrance) return this.#bar(entry, speech.say("hindered"), speech.problem(entry.hindrance, ""));
        const { rate } = pace;
        const rest = pace.remaining(size);
        const told = [
          speech.say("of", { done: speech.bytes(done), total: speech.bytes(size) }),
          rate === null ? "" : speech.bytes(rate, true),
          rest === null ? "" : speech.left(rest),
        ];
        const word = held > 0 ? speech.say("resumed", { share: speech.percent(held / size) }) : speech.say("sending");
        return this.#bar(entry, word, told.filter(Boolean).join(" · "));
      }
      case "preparing":
        return this.#state("indexing", speech.say("preparing"), speech.say(entry.hindrance ? "hindered" : "safe"));
      case "settled":
        return this.#outcome(entry);
      case "stopped":
        return this.#state(
          "ended",
          speech.say("stopped"),
          entry.upload ? speech.say("kept", { share: speech.percent(done / size) }) : "",
        );
      case "failed":
        return this.#state("refused", speech.say("failed"), speech.problem(entry.problem!.code, entry.problem!.detail));
      default:
        return this.#state("received", speech.say("queued"));
    }
  }

  #outcome(entry: Entry): TemplateResult {
    const { speech } = this;
    const status = entry.status!;
    const given = numberOf(entry.glass.accession);
    if (status.state === "refused") {
      const why = [speech.refusal(status.refusal_code), status.refusal_reason];
      return this.#state("refused", speech.say("refused"), why.filter(Boolean).join(" "));
    }
    if (status.state !== "ready") return this.#state("indexing", speech.say("preparing"), speech.say("later"));
    if (given && status.accession && status.accession.toUpperCase() !== given) {
      return this.#state(
        "unmatched",
        speech.say("claimed"),
        speech.say(status.claimed ? "claim" : "other_case", { there: status.accession, given }),
      );
    }
    if (!status.matched) {
      return this.#state(
        "unmatched",
        speech.say("ready_unmatched"),
        speech.say(given ? "unmatched" : "unnamed", { given }),
      );
    }
    return this.#state("ready", speech.say("ready"), entry.known ? speech.say("known") : "");
  }

  #state(name: string, word: string, sentence = ""): TemplateResult {
    return html`<span class="state ${name}">${icon(name)}<span>${word}</span></span>
      ${sentence ? html`<span class="small quiet">${sentence}</span>` : nothing}`;
  }

  #bar({ parcel, size, done }: Entry, word: string, sentence: string): TemplateResult {
    return html`<span class="small bar-words"><strong>${word}</strong> <span class="quiet figures">${sentence}</span></span>
      <progress max=${size} .value=${done} aria-label=${parcel.name}></progress>`;
  }

  #acts(entry: Entry): TemplateResult {
    const { speech, depot } = this;
    const { status, phase, slide } = entry;
    const button = (word: string, act: () => void, kind = ""): TemplateResult =>
      html`<button type="button" class="button ${kind}" @click=${act}>${speech.say(word)}<span class="unseen"> ${entry.parcel.name}</span></button>`;
    if (phase === "settled") {
      const link = (path: string, word: string): TemplateResult =>
        html`<a class="button" href="${path}/${slide}" target="_blank" rel="noopener">${speech.say(word)}<span class="unseen"> ${entry.parcel.name}</span></a>`;
      const next = status!.matched || !this.reception ? link("/slides", "open") : link("/intake", "attach");
      return html`${status!.state === "ready" ? next : nothing} ${button("remove", () => depot.remove(entry), "plain")}`;
    }
    if (entry.underway) return button("stop", () => depot.stop(entry));
    if (phase === "stopped" || (phase === "failed" && entry.size > 0)) {
      return html`${button("go_on", () => depot.send([entry]))} ${button("remove", () => depot.remove(entry), "plain")}`;
    }
    return phase === "preparing" ? html`` : button("remove", () => depot.remove(entry), "plain");
  }

  #foot(open: readonly Entry[]): TemplateResult {
    const { speech, depot } = this;
    const send = (): void => depot.send(open);
    return html`<div class="deposit-foot">
      <p class="figures quiet">${this.#overall(open)}</p>
      ${open.length > 0 ? html`<button type="button" class="button primary" @click=${send}>${speech.count("send", open.length)}</button>` : nothing}
    </div>`;
  }

  /** How far all of them together are; whether the disk is still needed. */
  #overall(open: readonly Entry[]): string {
    const { speech } = this;
    const { entries } = this.depot;
    const sent = entries.filter((entry) => !open.includes(entry) && entry.phase !== "incomplete");
    if (sent.length === 0) return "";
    const arrived = sent.filter(({ phase, status }) => phase === "preparing" || (status && status.state !== "refused"));
    const sending = sent.filter(({ phase }) => phase === "sending");
    const underway = sent.some((entry) => entry.underway);
    if (arrived.length === entries.length) return speech.count("all_arrived", arrived.length);
    const total = sent.reduce((sum, { size }) => sum + size, 0);
    const done = [...arrived.map(({ size }) => size), ...sending.map((entry) => entry.done)].reduce((a, b) => a + b, 0);
    const rate = sending.reduce((sum, { hindrance, pace }) => sum + (hindrance ? 0 : (pace.rate ?? 0)), 0);
    const told = [
      speech.say("arrived_of", { n: arrived.length, all: sent.length }),
      underway ? speech.say("of", { done: speech.bytes(done), total: speech.bytes(total) }) : "",
      underway && rate > 0 ? speech.left((total - done) / rate) : "",
      underway ? "" : speech.say("keep_disk"),
    ];
    return told.filter(Boolean).join(" · ");
  }

  #write(entry: Entry, part: Partial<Glass>): void {
    entry.glass = { ...entry.glass, ...part };
    this.requestUpdate();
  }

  /** Asks whose number this is, and which numbers begin so. */
  async #look(typed: string, key = ""): Promise<void> {
    const [hints, found] = [await suggest(typed), await caseOf(typed)];
    if (key) this.#hints.set(key, hints);
    this.#cases.set(numberOf(typed), found);
    this.requestUpdate();
  }

  /** Tells who cannot see it that a slide is decided. */
  #announce(): void {
    for (const entry of this.depot.entries) {
      const before = this.#phases.get(entry.key);
      this.#phases.set(entry.key, entry.phase);
      if (before === entry.phase || !["settled", "failed"].includes(entry.phase)) continue;
      const word = entry.phase === "failed" ? "failed" : entry.status?.state === "refused" ? "refused" : "ready";
      this.said = `${entry.parcel.name} : ${this.speech.say(word)}`;
    }
  }
}

/** An icon that the server has drawn into the page. */
function icon(name: string): TemplateResult {
  return html`<svg class="icon" aria-hidden="true" focusable="false"><use href="#icon-${name}"></use></svg>`;
}

/** As the server compares it. */
function numberOf(accession: string): string {
  return accession.trim().toUpperCase();
}

function listed(names: readonly string[]): string {
  return names
    .slice(0, 5)
    .join(", ")
    .concat(names.length > 5 ? " …" : "");
}
