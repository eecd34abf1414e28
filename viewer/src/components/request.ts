/** Asking a colleague of another centre: whom, what, how urgent, what for. */

import { html, nothing, type PropertyValues, type TemplateResult } from "lit";
import { property, state } from "lit/decorators.js";
import { live } from "lit/directives/live.js";
import { repeat } from "lit/directives/repeat.js";
import { fetchColleagues, requestOpinion } from "../api/sharing";
import { type Consultation, URGENCIES } from "../model/consultation";
import {
  EMPTY_REQUEST,
  LONGEST_TEXT,
  missingInRequest,
  type Recipient,
  type RequestDraft,
  recipientKey,
} from "../model/draft";
import { folded } from "../model/fold";
import { Sending } from "../model/id";
import { choice, problemLine, text } from "./fields";
import { FormElement } from "./form";
import { type Going, pinned, purposeChoice, scopeChoice } from "./going";

/** With more, a field to look for a name stands above them. */
const EASILY_SEEN = 6;

export class RequestForm extends FormElement {
  @property({ attribute: false }) draft: RequestDraft = EMPTY_REQUEST;
  @property({ attribute: false }) change!: (part: Partial<RequestDraft>) => void;
  @property({ attribute: false }) going!: Going;
  /** How the draft is kept, in words. */
  @property() kept = "";
  /** Tells what was sent, and from which draft. */
  @property({ attribute: false }) sent!: (consultation: Consultation, draft: RequestDraft) => void;
  @state() private recipients: readonly Recipient[] | null = null;
  @state() private away = false;
  @state() private looking = "";
  #sending = new Sending();

  protected override firstUpdated(_changed: PropertyValues): void {
    void this.#read();
  }

  async #read(): Promise<void> {
    try {
      this.recipients = await fetchColleagues();
    } catch {
      this.away = true;
      return;
    }
    await this.updateComplete;
    const first = this.querySelector<HTMLElement>("input[type=search], [name=to]:checked, [name=to]");
    // Who has gone on already, to a tab or into a field, is left there.
    if (this.closest("iain-sharing")?.contains(document.activeElement)) return;
    first?.focus({ preventScroll: true });
  }

  submit(): void {
    void this.#send();
  }

  async #send(): Promise<void> {
    const { draft, going } = this;
    const { words } = this.speech;
    const to = this.#to;
    const missing = missingInRequest(draft, this.recipients ?? []);
    if (missing === "question") return this.lacks(words.missingQuestion, "[name=question]");
    if (!to) return this.lacks(words.missingTo, "[name=looking], [name=to]");
    await this.attempt(async () => {
      const request = {
        case_id: going.caseId,
        to_site: to.to_member === null ? to.to_site : null,
        to_member: to.to_member,
        question: draft.question.trim(),
        urgency: draft.urgency,
        purpose: draft.purpose,
        slide_id: going.pin.slideId,
        view: going.pin.view,
        slides: draft.scope === "case" ? null : going.slides,
      };
      const consultation = await requestOpinion({ id: this.#sending.id(request), ...request });
      this.#sending = new Sending();
      this.sent(consultation, draft);
    });
  }

  get #to(): Recipient | undefined {
    return this.recipients?.find((recipient) => recipientKey(recipient) === this.draft.to);
  }

  protected override render(): TemplateResult {
    const { words } = this.speech;
    const { draft, going } = this;
    const to = this.#to;
    return html`
      <div class="iv-body">
        ${this.#who()}
        ${text({
          name: "question",
          title: words.question,
          hint: words.questionHint,
          value: draft.question,
          longest: LONGEST_TEXT,
          rows: 4,
          write: (question) => this.#change({ question }),
        })}
        <div class="iv-pair">
          ${choice(
            "urgency",
            words.urgencyTitle,
            URGENCIES.map((value) => ({ value, word: words.urgency[value] })),
            draft.urgency,
            (urgency) => this.#change({ urgency }),
          )}
          ${scopeChoice(going, draft.scope, this.speech, (scope) => this.#change({ scope }))}
        </div>
        ${purposeChoice(going, draft.purpose, this.speech, (purpose) => this.#change({ purpose }))}
        ${pinned(going, this.speech)}
      </div>
      <div class="iv-foot">
        ${problemLine(this.problem, this.kept || words.veiled)}
        <button
          type="button"
          class="iv-do"
          data-act="send"
          aria-keyshortcuts="Control+Enter"
          ?disabled=${this.busy}
          @click=${this.submit}
        >
          ${to ? words.sendTo(going.slides.length, to.site) : words.sendNowhere}
        </button>
      </div>
    `;
  }

  #change(part: Partial<RequestDraft>): void {
    this.problem = "";
    this.change(part);
  }

  #who(): TemplateResult {
    const { words } = this.speech;
    const all = this.recipients ?? [];
    const wanted = folded(this.looking);
    const shown = all.filter(({ name, site }) => folded(`${name ?? words.anyPathologist} ${site}`).includes(wanted));
    return html`<fieldset class="iv-who">
      <legend>${words.to}</legend>
      ${
        all.length > EASILY_SEEN
          ? html`<input
              type="search"
              name="looking"
              aria-label=${words.filterColleagues}
              placeholder=${words.filterColleagues}
              .value=${live(this.looking)}
              @input=${(event: Event) => {
                this.looking = (event.target as HTMLInputElement).value;
              }}
              @keydown=${this.#chooseOnly}
            />`
          : nothing
      }
      <div class="iv-colleagues">
        ${repeat(shown, recipientKey, (recipient) => this.#colleague(recipient))}
        ${this.away ? html`<p>${words.colleaguesAway}</p>` : nothing}
        ${this.recipients && shown.length === 0 ? html`<p>${words.noColleague}</p>` : nothing}
      </div>
    </fieldset>`;
  }

  #colleague(recipient: Recipient): TemplateResult {
    const { words } = this.speech;
    const key = recipientKey(recipient);
    return html`<label class="iv-colleague">
      <input
        type="radio"
        name="to"
        .value=${key}
        .checked=${live(this.draft.to === key)}
        @change=${() => this.#change({ to: key })}
      />
      <span class="iv-name">${recipient.name ?? words.anyPathologist}${
        recipient.asked_us === null
          ? nothing
          : html`<span class="iv-asked">${words.askedLast(this.speech.near(recipient.asked_us))}</span>`
      }</span>
      <span class="iv-site">${recipient.site}</span>
    </label>`;
  }

  /** Enter in the search takes the first name that is left. */
  #chooseOnly(event: KeyboardEvent): void {
    if (event.key !== "Enter" || event.ctrlKey) return;
    event.preventDefault();
    const first = this.querySelector<HTMLInputElement>("[name=to]");
    if (!first) return;
    this.#change({ to: first.value });
    this.querySelector<HTMLElement>("[name=question]")?.focus();
  }
}
customElements.define("iain-request", RequestForm);
