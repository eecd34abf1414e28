/** One consultation beside the slide: what is asked, whose turn it is, what was answered; and the answer to write. */

import { html, nothing, type PropertyValues, type TemplateResult } from "lit";
import { property, state } from "lit/decorators.js";
import { answer, move } from "../api/sharing";
import { AGREEMENTS, asksForNote, type Consultation, type Opinion, otherSide, turnOf } from "../model/consultation";
import {
  type AnswerDraft,
  EMPTY_ANSWER,
  formatAnswer,
  LONGEST_TEXT,
  missingInAnswer,
  parseAnswer,
} from "../model/draft";
import { choice, problemLine, text } from "./fields";
import { FormElement } from "./form";
import { icons } from "./icons";
import { Keeper, type Kept } from "./keeper";
import { keptInWords, standingInWords, standingShape } from "./standing";

/** Moves that are offered here; the others come by themselves or have a form of their own. */
const OFFERED = ["accept", "ask", "decline", "reply", "close", "cancel"];

export class ConsultationView extends FormElement {
  @property({ attribute: false }) consultation!: Consultation;
  @property({ attribute: false }) goTo!: (slideId: string, view: string) => void;
  /** Tells how the consultation stands after something was done here. */
  @property({ attribute: false }) did!: (consultation: Consultation) => void;
  @state() private draft: AnswerDraft = EMPTY_ANSWER;
  @state() private kept: Kept = "nothing";
  @state() private keptAt = 0;
  @state() private moving: string | null = null;
  @state() private note = "";
  #keeper: Keeper | null = null;
  #written = false;

  override connectedCallback(): void {
    super.connectedCallback();
    if (this.hasUpdated) this.#keep();
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.#keeper?.disconnect();
    this.#keeper = null;
  }

  protected override willUpdate(changed: PropertyValues<this>): void {
    if (!changed.has("consultation")) return;
    if (changed.get("consultation")?.id !== this.consultation.id) {
      Object.assign(this, { draft: EMPTY_ANSWER, kept: "nothing", moving: null, note: "", problem: "" });
      this.#written = false;
      this.#keeper?.disconnect();
      this.#keeper = null;
    }
    this.#keep();
  }

  #keep(): void {
    if (this.#keeper || !this.consultation.may_answer) return;
    const keeper = new Keeper(`answer.${this.consultation.id}`, (kept) => {
      this.kept = kept;
      if (kept === "saved") this.keptAt = Date.now();
    });
    this.#keeper = keeper;
    void keeper.read().then((found) => {
      if (found && !this.#written && this.#keeper === keeper) this.draft = parseAnswer(found);
    });
  }

  /** What Ctrl + Enter does. */
  submit(): void {
    if (this.moving) void this.#move(this.moving);
    else if (this.consultation.may_answer) void this.#answer();
  }

  protected override render(): TemplateResult {
    const { consultation } = this;
    return html`
      <div class="iv-body">
        ${this.#head()}
        <blockquote class="iv-question">${consultation.question}</blockquote>
        ${this.#opinions()}
        ${this.moving ? this.#noteForm(this.moving) : consultation.may_answer ? this.#answerForm() : nothing}
        ${consultation.may_answer && !this.moving ? this.#moves() : nothing} ${this.#thread()}
      </div>
      ${this.#foot()}
    `;
  }

  #head(): TemplateResult {
    const { words } = this.speech;
    const { consultation } = this;
    const { requester, consultant } = consultation;
    const who =
      consultation.role === "consultant"
        ? words.asks(requester.name ?? words.someone, requester.site)
        : words.asked(consultant.name ?? words.anyPathologist.toLowerCase(), consultant.site);
    const purpose = (words.purpose as Record<string, string>)[consultation.purpose];
    return html`<header>
      <p class="iv-standing" data-ball=${consultation.ball ?? "none"} data-state=${consultation.state} data-turn=${turnOf(consultation)} role="status">
        ${standingShape(consultation)}<strong>${standingInWords(consultation, this.speech)}</strong>
        <button
          type="button"
          class="iv-quiet-button"
          data-act="go-to-view"
          title=${words.goToView}
          @click=${() => this.goTo(consultation.slide_id, consultation.view)}
        >
          ${icons.pin}<span>${words.pinned}</span>
        </button>
      </p>
      <p class="iv-who-asks">${who}</p>
      <p class="iv-facts">
        ${consultation.urgency === "urgent" ? html`<strong class="iv-urgent">${icons.alert}${words.urgency.urgent}</strong>` : html`<span>${words.urgency.routine}</span>`}
        ${purpose ? html`<span>${purpose}</span>` : nothing}
        <span>${this.speech.moment(consultation.asked_us)}</span>
        <span>${consultation.reference}</span>
      </p>
    </header>`;
  }

  #opinions(): TemplateResult | typeof nothing {
    const { opinions } = this.consultation;
    return opinions.length === 0 ? nothing : html`${opinions.map((opinion) => this.#opinion(opinion))}`;
  }

  #opinion({ id, author, site, agreement, text: said, signed_us, amends }: Opinion): TemplateResult {
    const { words } = this.speech;
    return html`<section class="iv-opinion" data-opinion=${id}>
      <h3>${amends ? words.amendment : words.theOpinion}</h3>
      <p class="iv-agreement" data-agreement=${agreement}>${icons[agreement]}<strong>${words.agreement[agreement]}</strong></p>
      <p class="iv-said">${said}</p>
      <p class="iv-quiet">${words.signed(author, site, this.speech.moment(signed_us))}</p>
    </section>`;
  }

  #answerForm(): TemplateResult {
    const { words } = this.speech;
    return html`
      ${choice(
        "agreement",
        words.agreementTitle,
        AGREEMENTS.map((value) => ({ value, word: words.agreement[value] })),
        this.draft.agreement,
        (agreement) => this.#write({ agreement }),
      )}
      ${text({
        name: "answer",
        title: words.answerText,
        hint: words.answerHint,
        value: this.draft.text,
        longest: LONGEST_TEXT,
        rows: 5,
        write: (said) => this.#write({ text: said }),
      })}
    `;
  }

  #noteForm(name: string): TemplateResult {
    const { words } = this.speech;
    return text({
      name: "note",
      title: words.moves[name]?.(otherSide(this.consultation).site) ?? name,
      hint: words.noteFor[name] ?? "",
      value: this.note,
      longest: LONGEST_TEXT,
      rows: 4,
      write: (note) => {
        this.note = note;
        this.problem = "";
      },
    });
  }

  #thread(): TemplateResult {
    const { words } = this.speech;
    const { consultation } = this;
    return html`<details class="iv-thread">
      <summary>${words.thread}</summary>
      <ol>
        ${consultation.thread.map(
          (step) => html`<li>
            <span class="iv-when">${this.speech.moment(step.when_us)}</span>
            <span><strong>${words.moved[step.move] ?? step.move}</strong> · ${step.who}, ${step.site}
              ${step.note ? html`<q>${step.note}</q>` : nothing}</span>
          </li>`,
        )}
      </ol>
      <a href="/consultations/${consultation.id}">${words.wholeConsultation}</a>
    </details>`;
  }

  #foot(): TemplateResult | typeof nothing {
    const { words } = this.speech;
    const { consultation, busy } = this;
    const to = otherSide(consultation).site;
    if (this.moving) {
      const name = this.moving;
      return html`<div class="iv-foot">
        ${problemLine(this.problem)}
        <div class="iv-acts">
          <button type="button" class="iv-do" data-act="confirm" ?disabled=${busy} @click=${() => void this.#move(name)}>
            ${words.send}
          </button>
          <button type="button" class="iv-quiet-button" @click=${() => this.#choose(null)}>${words.back}</button>
        </div>
      </div>`;
    }
    if (consultation.may_answer) {
      return html`<div class="iv-foot">
        ${problemLine(this.problem, keptInWords(this.kept, this.keptAt, this.speech) || words.signedForGood)}
        <button
          type="button"
          class="iv-do"
          data-act="answer"
          aria-keyshortcuts="Control+Enter"
          ?disabled=${busy}
          @click=${() => void this.#answer()}
        >
          ${words.sign(to)}
        </button>
      </div>`;
    }
    if (this.#offered.length === 0) return nothing;
    return html`<div class="iv-foot">${this.problem ? problemLine(this.problem) : nothing}${this.#moves()}</div>`;
  }

  get #offered(): readonly string[] {
    return OFFERED.filter((name) => this.consultation.moves.includes(name));
  }

  #moves(): TemplateResult | typeof nothing {
    const { words } = this.speech;
    const { site } = otherSide(this.consultation);
    const offered = this.#offered;
    if (offered.length === 0) return nothing;
    return html`<div class="iv-moves">
      ${offered.map(
        (name) =>
          html`<button
            type="button"
            class="iv-quiet-button"
            data-move=${name}
            ?disabled=${this.busy}
            @click=${() => this.#choose(name)}
          >
            ${words.moves[name]?.(site)}
          </button>`,
      )}
    </div>`;
  }

  #write(part: Partial<AnswerDraft>): void {
    this.draft = { ...this.draft, ...part };
    this.#written = true;
    this.problem = "";
    this.#keeper?.write(formatAnswer(this.draft));
  }

  #choose(name: string | null): void {
    this.problem = "";
    if (name !== null && !asksForNote(name)) return void this.#move(name);
    this.moving = name;
    this.note = "";
    void this.updateComplete.then(() => this.querySelector<HTMLElement>("[name=note], [name=agreement]")?.focus());
  }

  async #answer(): Promise<void> {
    const { words } = this.speech;
    const { agreement, text: said } = this.draft;
    const missing = missingInAnswer(this.draft);
    if (missing === "text") return this.lacks(words.missingAnswer, "[name=answer]");
    if (agreement === null) return this.lacks(words.missingAgreement, "[name=agreement]");
    await this.attempt(async () => {
      const consultation = await answer(this.consultation.id, agreement, said.trim());
      this.draft = EMPTY_ANSWER;
      this.#keeper?.write("");
      this.did(consultation);
    });
  }

  async #move(name: string): Promise<void> {
    const note = this.note.trim();
    if (asksForNote(name) && !note) return this.lacks(this.speech.words.missingNote, "[name=note]");
    await this.attempt(async () => {
      const consultation = await move(this.consultation.id, name, note);
      this.moving = null;
      this.note = "";
      this.did(consultation);
    });
  }
}
customElements.define("iain-consultation", ConsultationView);
