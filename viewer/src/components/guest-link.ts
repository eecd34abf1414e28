/** A link for somebody without an account: how long, how often, what for, why. Its address is shown once. */

import { html, nothing, type TemplateResult } from "lit";
import { property, state } from "lit/decorators.js";
import { type MadeLink, makeLink, revokeLink } from "../api/sharing";
import { DAYS, EMPTY_REQUEST, type RequestDraft, USES } from "../model/draft";
import { choice, problemLine, text } from "./fields";
import { FormElement } from "./form";
import { type Going, pinned, purposeChoice, scopeChoice } from "./going";
import { icons } from "./icons";

const COPIED_MS = 2000;
const LONGEST_REASON = 500;
const LONGEST_MAIL = 254;
const SECONDS_OF_A_DAY = 86_400;

/** A link as it was made here: its address is nowhere else. */
export interface ShownLink extends MadeLink {
  /** Where a code goes before it opens; empty = nowhere. */
  readonly mail: string;
  readonly revoked: boolean;
}

export class GuestLinkForm extends FormElement {
  @property({ attribute: false }) draft: RequestDraft = EMPTY_REQUEST;
  @property({ attribute: false }) change!: (part: Partial<RequestDraft>) => void;
  @property({ attribute: false }) going!: Going;
  @property({ attribute: false }) link: ShownLink | null = null;
  @property({ attribute: false }) show!: (link: ShownLink | null) => void;
  @state() private copied = false;

  submit(): void {
    if (!this.link) void this.#make();
  }

  async #make(): Promise<void> {
    const { draft, going } = this;
    if (!draft.reason.trim()) return this.lacks(this.speech.words.missingReason, "[name=reason]");
    await this.attempt(async () => {
      const made = await makeLink({
        case_id: going.caseId,
        slides: going.slides,
        slide_id: going.pin.slideId,
        view: going.pin.view,
        purpose: draft.purpose,
        reason: draft.reason.trim(),
        expires_in_s: draft.days * SECONDS_OF_A_DAY,
        max_uses: draft.uses || null,
        recipient: draft.mail.trim() || null,
      });
      this.show({ ...made, mail: draft.mail.trim(), revoked: false });
      this.change({ reason: "", mail: "" });
      await this.updateComplete;
      this.querySelector<HTMLElement>("[data-act=copy-link]")?.focus();
    });
  }

  async #revoke(link: ShownLink): Promise<void> {
    await this.attempt(async () => {
      await revokeLink(link.id);
      this.show({ ...link, revoked: true });
    });
  }

  protected override render(): TemplateResult {
    return this.link ? this.#made(this.link) : this.#form();
  }

  #form(): TemplateResult {
    const { words } = this.speech;
    const { draft, going } = this;
    const change = (part: Partial<RequestDraft>): void => {
      this.problem = "";
      this.change(part);
    };
    return html`
      <div class="iv-body">
        ${text({
          name: "reason",
          title: words.reason,
          hint: words.reasonHint,
          value: draft.reason,
          longest: LONGEST_REASON,
          write: (reason) => change({ reason }),
        })}
        ${text({
          name: "mail",
          title: words.recipientMail,
          hint: words.recipientMailHint,
          value: draft.mail,
          longest: LONGEST_MAIL,
          type: "email",
          write: (mail) => change({ mail }),
        })}
        ${choice(
          "expires",
          words.linkFor,
          DAYS.map((value) => ({ value, word: words.days(value) })),
          draft.days,
          (days) => change({ days }),
        )}
        ${choice(
          "uses",
          words.usesTitle,
          USES.map((value) => ({ value, word: words.uses(value) })),
          draft.uses,
          (uses) => change({ uses }),
        )}
        ${purposeChoice(going, draft.purpose, this.speech, (purpose) => change({ purpose }))}
        ${scopeChoice(going, draft.scope, this.speech, (scope) => change({ scope }))} ${pinned(going, this.speech)}
      </div>
      <div class="iv-foot">
        ${problemLine(this.problem, words.veiled)}
        <button
          type="button"
          class="iv-do"
          data-act="make-link"
          aria-keyshortcuts="Control+Enter"
          ?disabled=${this.busy}
          @click=${this.submit}
        >
          ${words.makeLink(going.slides.length, words.days(draft.days))}
        </button>
      </div>
    `;
  }

  #made(link: ShownLink): TemplateResult {
    const { words } = this.speech;
    const again = html`<button type="button" class="iv-quiet-button" data-act="another-link" @click=${() => this.show(null)}>
      ${words.anotherLink}
    </button>`;
    const address = html`
      <p class="iv-outcome" role="status">${icons.check}<strong>${words.linkReady}</strong></p>
      <p>${words.linkOnce}</p>
      <input
        type="text"
        class="iv-address"
        data-link-url
        readonly
        aria-label=${words.linkAddress}
        .value=${link.url}
        @focus=${(event: Event) => (event.target as HTMLInputElement).select()}
      />
      <button type="button" class="iv-do" data-act="copy-link" @click=${() => void this.#copy(link.url)}>
        ${this.copied ? icons.check : icons.link}<span>${this.copied ? words.copied : words.copyLink}</span>
      </button>
      ${link.mail ? html`<p data-code-goes>${words.codeGoes(link.mail)}</p>` : nothing}
      <p class="iv-quiet">${words.linkUntil(this.speech.moment(link.expires_us))}</p>
    `;
    return html`
      <div class="iv-body">
        ${link.revoked ? html`<p class="iv-outcome" role="status">${icons.lock}<strong>${words.linkRevoked}</strong></p>` : address}
      </div>
      <div class="iv-foot">
        ${problemLine(this.problem, html`<a href="/links">${words.allLinks}</a>`)}
        <div class="iv-moves">
          ${again}
          ${
            link.revoked
              ? nothing
              : html`<button
                  type="button"
                  class="iv-quiet-button"
                  data-act="revoke-link"
                  ?disabled=${this.busy}
                  @click=${() => void this.#revoke(link)}
                >
                  ${words.revokeLink}
                </button>`
          }
        </div>
      </div>
    `;
  }

  async #copy(url: string): Promise<void> {
    try {
      await navigator.clipboard.writeText(url);
    } catch {
      // Without TLS a browser keeps the clipboard from scripts: it is selected, ready for the hand.
      this.querySelector<HTMLInputElement>("[data-link-url]")?.select();
      return;
    }
    this.copied = true;
    window.setTimeout(() => {
      this.copied = false;
    }, COPIED_MS);
  }
}
customElements.define("iain-guest-link", GuestLinkForm);
