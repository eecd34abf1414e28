/**
 * The panel beside the slide in which an opinion is asked for and given, and a guest link made. It also follows the
 * consultation about the slide while it is closed, so that an answer is told where the reader looks.
 */

import { html, nothing, type PropertyValues, type TemplateResult } from "lit";
import { property, state } from "lit/decorators.js";
import { repeat } from "lit/directives/repeat.js";
import { move } from "../api/sharing";
import { contextOf, type SlideDescription } from "../api/slides";
import { type Consultation, isOver, undoMs } from "../model/consultation";
import { EMPTY_REQUEST, formatRequest, parseRequest, type RequestDraft } from "../model/draft";
import "./consultation";
import { Follow } from "./follow";
import { FormElement } from "./form";
import type { Going, Pin } from "./going";
import "./guest-link";
import type { ShownLink } from "./guest-link";
import { icons } from "./icons";
import { Keeper, type Kept } from "./keeper";
import "./request";
import { problemLine } from "./fields";
import { keptInWords } from "./standing";

type Tab = "consultation" | "ask" | "link";

/** A request just sent, with what it was written from, in case it is taken back. */
interface Sent {
  readonly id: string;
  readonly draft: RequestDraft;
  /** By `performance.now()`. */
  readonly until: number;
}

export class SharingPanel extends FormElement {
  @property({ attribute: false }) slide!: SlideDescription;
  @property({ type: Boolean }) open = false;
  /** Whether opening it takes the keyboard along. */
  @property({ type: Boolean }) takesFocus = true;
  @property({ attribute: false }) pinNow!: () => Pin;
  @property({ attribute: false }) goTo!: (slideId: string, view: string) => void;
  @property({ attribute: false }) close!: () => void;
  /** Tells how the consultation about this slide stands. */
  @property({ attribute: false }) told!: (consultation: Consultation | null) => void;

  @state() private tab: Tab = "ask";
  @state() private consultation: Consultation | null = null;
  /** The slide is under a consultation that has not been heard yet: its tab has its place before it comes. */
  @state() private awaited = false;
  @state() private draft: RequestDraft = EMPTY_REQUEST;
  @state() private pin: Pin | null = null;
  @state() private kept: Kept = "nothing";
  @state() private keptAt = 0;
  @state() private link: ShownLink | null = null;
  @state() private sent: Sent | null = null;
  @state() private secondsLeft = 0;
  #keeper: Keeper | null = null;
  #keeping: string | null = null;
  #written = false;
  /** A tab was chosen by hand, and no news turns the page. */
  #turned = false;
  #undoTimer = 0;
  readonly #follow = new Follow((consultation) => this.#heard(consultation));

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.#follow.stop();
    this.#keeper?.disconnect();
    window.clearInterval(this.#undoTimer);
  }

  protected override willUpdate(changed: PropertyValues<this>): void {
    if (changed.has("slide")) this.#followSlide();
    if (changed.has("open") && this.open) this.#opened();
    if (!this.#tabs.includes(this.tab)) this.tab = this.#tabs[0] ?? "consultation";
  }

  protected override updated(changed: PropertyValues<this>): void {
    // The forms within have drawn themselves by the next frame.
    if (changed.has("open") && this.open && this.takesFocus) requestAnimationFrame(() => this.takeFocus());
  }

  /** Brings the keyboard to the first thing to do here; the form of a request brings it when its names have come. */
  takeFocus(): void {
    if (this.tab === "ask" && !this.querySelector("[name=to]")) return;
    const field = this.querySelector<HTMLElement>(".iv-body :is(input, textarea)");
    (field ?? this.querySelector<HTMLElement>("[aria-selected=true], .iv-close"))?.focus();
  }

  get #tabs(): readonly Tab[] {
    const { may_ask, may_link } = contextOf(this.slide);
    const tabs: Tab[] = this.consultation || this.awaited ? ["consultation"] : [];
    if (may_ask) tabs.push("ask");
    if (may_link) tabs.push("link");
    return tabs;
  }

  #opened(): void {
    this.problem = "";
    this.#turned = false;
    this.#turnToFirst();
    // The key is pressed over what the question is about: that view goes with it.
    this.pin = this.pinNow();
    const caseId = this.slide.case?.id;
    if (caseId && contextOf(this.slide).may_ask && this.#keeping !== caseId) this.#keep(caseId);
  }

  #followSlide(): void {
    const { consultation_id } = contextOf(this.slide);
    if (consultation_id !== this.#follow.id) this.awaited = consultation_id !== null;
    this.#follow.start(consultation_id);
  }

  #turnToFirst(): void {
    const over = this.consultation && isOver(this.consultation) && this.#tabs.includes("ask");
    this.tab = over ? "ask" : (this.#tabs[0] ?? "consultation");
  }

  #keep(caseId: string): void {
    this.#keeping = caseId;
    this.#keeper?.disconnect();
    const keeper = new Keeper(`ask.${caseId}`, (kept) => {
      this.kept = kept;
      if (kept === "saved") this.keptAt = Date.now();
    });
    this.#keeper = keeper;
    this.#written = false;
    this.draft = EMPTY_REQUEST;
    void keeper.read().then((found) => {
      if (found && !this.#written && this.#keeper === keeper) this.draft = parseRequest(found);
    });
  }

  #heard(consultation: Consultation | null): void {
    const first = this.awaited;
    this.awaited = false;
    this.consultation = consultation;
    if (first && this.open && !this.#turned) this.#turnToFirst();
    this.told(consultation);
  }

  protected override render(): TemplateResult | typeof nothing {
    if (!this.open || this.#tabs.length === 0) return nothing;
    const { words } = this.speech;
    const several = this.#tabs.length > 1;
    return html`<section class="iv-sharing iv-panel" role="dialog" aria-labelledby="sharing-title" @keydown=${this.#key}>
      <header>
        <h2 id="sharing-title" class=${several ? "iv-spoken" : ""}>${several ? this.#title(this.tab) : this.#soleTitle}</h2>
        ${
          several
            ? html`<div class="iv-tabs" role="tablist" aria-label=${words.panelTitle} @keydown=${this.#tabKey}>
                ${repeat(
                  this.#tabs,
                  (tab) => tab,
                  (tab) => this.#tabButton(tab),
                )}
              </div>`
            : nothing
        }
        <button type="button" class="iv-close" aria-label=${words.close} @click=${this.close}>${icons.close}</button>
      </header>
      ${this.#page()}
    </section>`;
  }

  #title(tab: Tab): string {
    const { words } = this.speech;
    return { consultation: words.tabConsultation, ask: words.tabAsk, link: words.tabLink }[tab];
  }

  get #soleTitle(): string {
    return this.tab === "consultation" ? this.speech.words.panelTitle : this.#title(this.tab);
  }

  #tabButton(tab: Tab): TemplateResult {
    return html`<button
      type="button"
      role="tab"
      data-tab=${tab}
      aria-selected=${tab === this.tab}
      tabindex=${tab === this.tab ? 0 : -1}
      @click=${() => this.#turnTo(tab)}
    >
      ${this.#title(tab)}
    </button>`;
  }

  #page(): TemplateResult | typeof nothing {
    const going = this.#going;
    if (this.tab === "consultation") {
      if (!this.consultation) return html`<div class="iv-body" aria-busy="true"></div>`;
      return html`${this.#sentBar()}
        <iain-consultation
          .speech=${this.speech}
          .consultation=${this.consultation}
          .goTo=${this.goTo}
          .did=${(consultation: Consultation) => this.#follow.start(consultation.id, consultation)}
        ></iain-consultation>`;
    }
    if (!going) return nothing;
    if (this.tab === "ask") {
      return html`<iain-request
        .speech=${this.speech}
        .draft=${this.draft}
        .going=${going}
        .kept=${keptInWords(this.kept, this.keptAt, this.speech)}
        .change=${this.#change}
        .sent=${this.#wasSent}
      ></iain-request>`;
    }
    return html`<iain-guest-link
      .speech=${this.speech}
      .draft=${this.draft}
      .going=${going}
      .link=${this.link}
      .change=${this.#change}
      .show=${(link: ShownLink | null) => {
        this.link = link;
      }}
    ></iain-guest-link>`;
  }

  get #going(): Going | null {
    const { pin } = this;
    const caseId = this.slide.case?.id;
    if (!pin || !caseId) return null;
    const ready = this.slide.slides_of_case.filter((slide) => slide.state === "ready").map((slide) => slide.id);
    return {
      caseId,
      pin,
      slides: this.draft.scope === "slide" || ready.length < 2 ? [pin.slideId] : ready,
      ready: ready.length,
      objections: contextOf(this.slide).objections ?? [],
      goToPin: () => this.goTo(pin.slideId, pin.view),
      pinAgain: () => {
        this.pin = this.pinNow();
      },
    };
  }

  /** In the place where it was written it says that it has gone, and for ten seconds that it can be had back. */
  #sentBar(): TemplateResult | typeof nothing {
    const { words } = this.speech;
    if (!this.sent || !this.consultation || this.sent.id !== this.consultation.id) return nothing;
    const left = this.secondsLeft;
    if (left === 0 && this.consultation.state !== "requested") return nothing;
    const { site } = this.consultation.consultant;
    return html`<div class="iv-sent" data-sent>
      ${icons.check}<strong role="status">${left > 0 ? words.sentTo(site) : words.leftFor(site)}</strong>
      ${
        left > 0
          ? html`<button
              type="button"
              class="iv-quiet-button"
              data-act="undo"
              title=${words.undoTip}
              ?disabled=${this.busy}
              @click=${this.submit}
            >
              ${words.undo(left)}
            </button>`
          : nothing
      }
      ${this.problem ? problemLine(this.problem) : nothing}
    </div>`;
  }

  readonly #change = (part: Partial<RequestDraft>): void => {
    this.draft = { ...this.draft, ...part };
    this.#written = true;
    this.#keeper?.write(formatRequest(this.draft));
  };

  #turnTo(tab: Tab): void {
    this.#turned = true;
    this.tab = tab;
    this.problem = "";
    void this.updateComplete.then(() => this.querySelector<HTMLElement>(`[data-tab=${tab}]`)?.focus());
  }

  readonly #tabKey = (event: KeyboardEvent): void => {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (by === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    const tabs = this.#tabs;
    this.#turnTo(tabs[(tabs.indexOf(this.tab) + by + tabs.length) % tabs.length]!);
  };

  readonly #key = (event: KeyboardEvent): void => {
    if (event.key === "Escape") {
      event.preventDefault();
      this.close();
    } else if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      this.querySelector<FormElement>("iain-consultation, iain-request, iain-guest-link")?.submit();
    }
  };

  readonly #wasSent = (consultation: Consultation, draft: RequestDraft): void => {
    this.draft = EMPTY_REQUEST;
    this.#keeper?.write("");
    const left = undoMs(consultation);
    this.sent = { id: consultation.id, draft, until: performance.now() + left };
    window.clearInterval(this.#undoTimer);
    this.#undoTimer = window.setInterval(this.#countDown, 200);
    this.#countDown();
    this.#follow.start(consultation.id, consultation);
    this.tab = "consultation";
    void this.updateComplete.then(() => this.querySelector<HTMLElement>("[data-act=undo]")?.focus());
  };

  readonly #countDown = (): void => {
    this.secondsLeft = Math.max(0, Math.ceil(((this.sent?.until ?? 0) - performance.now()) / 1000));
    if (this.secondsLeft === 0) window.clearInterval(this.#undoTimer);
  };

  /** Takes back what was just sent, before any mail of it leaves; what was written comes back. */
  override readonly submit = (): void => {
    const { sent } = this;
    if (!sent) return;
    void this.attempt(async () => {
      await move(sent.id, "cancel");
      this.sent = null;
      const { consultation_id } = contextOf(this.slide);
      this.#follow.start(consultation_id === sent.id ? null : consultation_id);
      this.tab = "ask";
      this.#change(sent.draft);
      await this.updateComplete;
      this.querySelector<HTMLElement>("[name=question]")?.focus();
    });
  };
}
customElements.define("iain-sharing", SharingPanel);
