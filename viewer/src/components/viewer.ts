/**
 * `<iain-viewer>`: the stage and its frame. It knows which slide is shown, what hinders it and what each key does; how
 * the slide moves is the stage's affair, how things look that of the elements around it.
 *
 * Shown to the outside: `data-state` (loading, ready, away, ended, revoked, expired, broken), `data-ready` once the first view
 * is drawn, `data-sharp` while nothing of the view is missing, `data-slide`, `data-center`, `data-magnification`,
 * `data-zoom`, `data-rotation`; the event `slide-shown` with the description when another slide of the case has taken
 * the stage.
 */

import { html, nothing, type PropertyValues, type TemplateResult } from "lit";
import { property, query, state } from "lit/decorators.js";
import { contextOf, fetchSlide, type SlideDescription, slideOfPage } from "../api/slides";
import { speechOf } from "../i18n";
import { type Consultation, isOver } from "../model/consultation";
import type { CommandId } from "../model/keys";
import { formatView, parseView } from "../model/link";
import {
  fitView,
  type Insets,
  magnificationOf,
  type Optics,
  opticsOf,
  PRESETS,
  type View,
  zoomLimits,
} from "../model/space";
import { Stage } from "../stage/stage";
import { Access, type Refused } from "./access";
import { Address } from "./address";
import { ableTo, frame, insetsOf, PHONE } from "./frame";
import type { Pin } from "./going";
import { Keyboard } from "./keyboard";
import "./keys";
import type { KeysDialog } from "./keys";
import { LightElement } from "./light";
import "./notice";
import type { Ending, Trouble } from "./notice";
import type { Overview } from "./overview";
import type { Readings } from "./readings";
import type { SharingPanel } from "./sharing";
import type { SheetPage } from "./sheet";
import type { Toolbar } from "./toolbar";

const QUIET_BEFORE_NOTE_MS = 300;
const COPIED_MS = 2000;

export class Viewer extends LightElement {
  @property({ attribute: "slides-url" }) slidesUrl = "/slides/";
  @property({ attribute: "login-url" }) loginUrl = "/login";
  @property({ attribute: "cases-url" }) casesUrl = "/cases";

  @state() private slide: SlideDescription | null = null;
  @state() private trouble: Trouble | null = null;
  @state() private ending: Ending | null = null;
  @state() private frameHidden = false;
  @state() private labelShown = false;
  @state() private overviewShown = !window.matchMedia(PHONE).matches;
  @state() private sheetPage: SheetPage | null = null;
  @state() private copied = false;
  @state() private asking: boolean | "quietly" = false;
  @state() private consultation: Consultation | null = null;

  @query(".iv-stage") private readonly ground!: HTMLElement;
  @query("iain-readings") private readonly readings!: Readings | null;
  @query("iain-overview") private readonly overview!: Overview | null;
  @query("iain-toolbar") private readonly toolbar!: Toolbar | null;
  @query("iain-sharing") private readonly sharing!: SharingPanel | null;
  @query("iain-keys") private readonly keysDialog!: KeysDialog;

  readonly #speech = speechOf(document);
  readonly #access = new Access((refused) => this.#answered(refused));
  readonly #lastViews = new Map<string, View>();
  #address = new Address(this.slidesUrl, this.loginUrl);
  #keyboard: Keyboard | null = null;
  #stage: Stage | null = null;
  #optics: Optics = { native: null, mpp: null };
  #noteTimer = 0;
  #copiedTimer = 0;
  #fetching: AbortController | null = null;

  override connectedCallback(): void {
    super.connectedCallback();
    window.addEventListener("popstate", this.#addressChanged);
    window.addEventListener("focus", this.#cameBack);
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    window.removeEventListener("popstate", this.#addressChanged);
    window.removeEventListener("focus", this.#cameBack);
    window.removeEventListener("pagehide", this.#address.settle);
    window.clearTimeout(this.#noteTimer);
    window.clearTimeout(this.#copiedTimer);
    this.#access.stop();
    this.#keyboard?.disconnect();
    this.#stage?.destroy();
    this.#stage = null;
  }

  protected override firstUpdated(): void {
    this.#address = new Address(this.slidesUrl, this.loginUrl);
    window.addEventListener("pagehide", this.#address.settle);
    this.#stage = this.#newStage();
    this.#keyboard = this.#newKeyboard(this.#stage);
    try {
      const slide = slideOfPage(document);
      this.#show(slide, location.hash);
      // Who was asked came to answer: the question stands beside the slide, the keyboard stays with the slide.
      if (contextOf(slide).may_answer && !window.matchMedia(PHONE).matches) this.asking = "quietly";
    } catch {
      this.trouble = "broken";
    }
    if (document.activeElement === document.body) this.#stage.focus();
  }

  #newStage(): Stage {
    return new Stage(this.ground, {
      view: (view) => this.#viewChanged(view),
      drawn: (settled, missing) => this.#drawn(settled, missing),
      outage: (lasts) => this.#outage(lasts),
      refused: () => this.#askWhy(),
      pointer: (point) => {
        if (this.readings) this.readings.pointer = point;
      },
    });
  }

  #newKeyboard(stage: Stage): Keyboard {
    return new Keyboard({
      ground: this.ground,
      host: this,
      busy: () => this.keysDialog.querySelector("dialog[open]") !== null,
      run: this.#run,
      push: (dx, dy, how) => stage.push(dx, dy, how),
      leap: ({ x, y }) => stage.push((-x * stage.size.width) / 2, (-y * stage.size.height) / 2),
    });
  }

  protected override updated(changed: PropertyValues): void {
    this.dataset.state = this.trouble ?? (this.hasAttribute("data-ready") ? "ready" : "loading");
    document.documentElement.toggleAttribute("data-access-ended", this.#closed);
    if (changed.has("frameHidden")) document.documentElement.toggleAttribute("data-frame-hidden", this.frameHidden);
    if (this.#stage && this.slide) this.#passView(this.#stage.view);
  }

  protected override render(): TemplateResult {
    return html`
      <div class="iv-stage"></div>
      ${this.slide ? this.#frame(this.slide) : nothing}
      <iain-notice
        .speech=${this.#speech}
        .trouble=${this.trouble}
        .ending=${this.ending}
        .opinionHref=${this.#opinionHref}
        .loginHref=${this.#address.login}
        .casesHref=${this.casesUrl}
      ></iain-notice>
      <iain-keys .speech=${this.#speech} .able=${this.#able}></iain-keys>
    `;
  }

  #frame(slide: SlideDescription): TemplateResult {
    return frame({
      slide,
      optics: this.#optics,
      speech: this.#speech,
      hidden: this.frameHidden || this.#closed,
      labelShown: this.labelShown,
      overviewShown: this.overviewShown,
      sheetPage: this.sheetPage,
      copied: this.copied,
      able: this.#able,
      asking: this.asking,
      consultation: this.consultation,
      told: (consultation) => this.#told(consultation),
      pinNow: () => this.#pinNow(slide),
      goToPin: (id, view) => void this.#goTo(id, view),
      run: this.#run,
      hrefOf: (id) => this.#address.hrefOf(id),
      open: (id) => void this.openSlide(id),
      goTo: (x, y) => this.#stage?.moveTo({ ...this.#stage.view, x, y }, { jump: true }),
    });
  }

  /** Puts another slide of the case on the stage; the one there stays when that one cannot be had. */
  async openSlide(id: string, fragment = ""): Promise<void> {
    if (id === this.slide?.id) return;
    this.#address.settle();
    const slide = await this.#fetch(id);
    if (!slide) return;
    this.#address.push(id);
    this.#change(slide, fragment);
  }

  #told(consultation: Consultation | null): void {
    this.consultation = consultation;
    if (consultation && isOver(consultation)) void this.#askAnew(consultation.id);
  }

  /**
   * The end of a consultation is the end of the right to these slides, said now and not at the next tile; unless there
   * is another one about them, which then takes its place.
   */
  async #askAnew(ended: string): Promise<void> {
    const { slide } = this;
    if (!slide || contextOf(slide).kind !== "consultation" || contextOf(slide).consultation_id !== ended) return;
    try {
      const now = await fetchSlide(slide.id);
      if (this.slide === slide) this.slide = now;
    } catch {
      this.#askWhy();
    }
  }

  get #able(): readonly CommandId[] {
    return this.slide ? ableTo(this.slide, this.consultation) : [];
  }

  get #opinionHref(): string {
    const id = this.slide && contextOf(this.slide).consultation_id;
    return id ? `/consultations/${encodeURIComponent(id)}` : "/consultations";
  }

  #pinNow(slide: SlideDescription): Pin {
    const view = this.#stage!.view;
    const magnification = magnificationOf(view.zoom, this.#optics);
    const scale = magnification === null ? null : this.#speech.times(magnification);
    const words = [slide.block, slide.stain, scale].filter(Boolean).join(" · ");
    return { slideId: slide.id, view: formatView(view, this.#optics).slice(1), words };
  }

  async #goTo(id: string, view: string): Promise<void> {
    if (id !== this.slide?.id) return this.openSlide(id, view);
    const linked = parseView(view, this.slide, this.#optics);
    if (linked) this.#stage?.moveTo({ ...this.#stage.view, ...linked });
  }

  async #fetch(id: string): Promise<SlideDescription | null> {
    this.#fetching?.abort();
    this.#fetching = new AbortController();
    try {
      return await fetchSlide(id, this.#fetching.signal);
    } catch (error) {
      const superseded = error instanceof DOMException && error.name === "AbortError";
      if (!superseded) this.#stay();
      return null;
    }
  }

  /** The slide on the stage stays: the address says so again, and the reader learns why. */
  #stay(): void {
    if (!this.slide || !this.#stage) return;
    if (this.#address.slideId !== this.slide.id) this.#address.push(this.slide.id);
    this.#address.follow(this.slide.id, this.#stage.view, this.#optics);
    this.#note(this.#speech.words.slideAway);
    this.#askWhy();
  }

  #change(slide: SlideDescription, fragment: string): void {
    this.#show(slide, fragment);
    this.sheetPage = null;
    this.dispatchEvent(new CustomEvent("slide-shown", { bubbles: true, detail: slide }));
  }

  #show(slide: SlideDescription, fragment: string): void {
    this.slide = slide;
    this.trouble = null;
    this.ending = null;
    this.#access.watch(slide);
    this.#optics = opticsOf(slide);
    this.removeAttribute("data-ready");
    this.dataset.slide = slide.id;
    const linked = parseView(fragment, slide, this.#optics);
    const remembered = this.#lastViews.get(slide.id);
    this.#stage?.describe([slide.case?.accession, this.#speech.words.stage].filter(Boolean).join(" · "));
    this.#stage?.open(slide, (size) => {
      const whole = fitView(slide, size, this.#insets(), 0);
      return linked ? { ...whole, ...linked } : (remembered ?? whole);
    });
  }

  /* What the stage tells */

  #viewChanged(view: View): void {
    if (!this.slide || !this.#stage) return;
    // What is remembered and linked to is where a movement ends, not a place on its way.
    this.#lastViews.set(this.slide.id, this.#stage.view);
    this.#address.follow(this.slide.id, this.#stage.view, this.#optics);
    const magnification = magnificationOf(view.zoom, this.#optics);
    this.dataset.center = `${round(view.x, 2)},${round(view.y, 2)}`;
    this.dataset.zoom = `${round(view.zoom, 6)}`;
    this.dataset.magnification = magnification === null ? "" : `${round(magnification, 4)}`;
    this.dataset.rotation = `${round(view.rotation, 1)}`;
    this.#passView(view);
  }

  #passView(view: View): void {
    const stage = this.#stage!.size;
    if (this.readings) this.readings.view = view;
    if (this.overview) Object.assign(this.overview, { view, stage });
    if (this.toolbar)
      Object.assign(this.toolbar, { zoom: view.zoom, limits: zoomLimits(this.slide!, stage, this.#optics) });
  }

  #drawn(settled: boolean, missing: number): void {
    const sharp = settled && missing === 0;
    this.toggleAttribute("data-sharp", sharp);
    if (settled && !this.hasAttribute("data-ready")) {
      this.#loadSharing();
      this.toggleAttribute("data-ready", true);
      this.requestUpdate();
    }
    window.clearTimeout(this.#noteTimer);
    if (sharp) return this.#note("");
    const { words } = this.#speech;
    const waiting = this.hasAttribute("data-ready") ? words.sharpening : words.loading;
    const note = missing > 0 ? words.missing(missing) : waiting;
    this.#noteTimer = window.setTimeout(() => this.#note(note), QUIET_BEFORE_NOTE_MS);
  }

  #note(note: string): void {
    if (this.readings) this.readings.note = note;
  }

  #outage(lasts: boolean): void {
    if (lasts) this.#askWhy();
    else if (this.trouble === "away") this.trouble = null;
  }

  /** Tiles fail: is it the server, or the right to see them? */
  #askWhy(): void {
    if (!this.#closed) void this.#access.ask();
  }

  #answered(refused: Refused | null): void {
    if (refused === null && this.#closed) return this.#show(this.slide!, location.hash);
    if (refused === null && this.trouble === "away") this.#stage?.askAgain();
    if (refused && refused.refusal !== "away") {
      this.#address.settle();
      // What may no longer be seen does not stay on the screen either.
      this.#stage?.close();
    }
    this.trouble = refused?.refusal ?? null;
    this.ending = refused?.ending ?? null;
  }

  get #closed(): boolean {
    return this.trouble === "ended" || this.trouble === "revoked" || this.trouble === "expired";
  }

  /** The reader may have logged in again in another window. */
  readonly #cameBack = (): void => {
    if (this.#closed) void this.#access.ask();
  };

  /* What the reader does */

  readonly #run = (command: CommandId): void => {
    const stage = this.#stage;
    if (!stage) return;
    if (["label", "link", "ask"].includes(command) && !this.#able.includes(command)) return;
    if (command.startsWith("preset-")) return this.#preset(PRESETS[Number(command.slice(7)) - 1]!);
    switch (command) {
      case "fit":
        return stage.fit(this.#insets());
      case "zoom-in":
        return stage.zoomBy(Math.SQRT2);
      case "zoom-out":
        return stage.zoomBy(Math.SQRT1_2);
      case "rotate-right":
        return stage.turnTo(stage.view.rotation + 90);
      case "rotate-left":
        return stage.turnTo(stage.view.rotation - 90);
      case "upright":
        return stage.turnTo(0);
      case "label":
        this.sheetPage = null;
        this.asking = false;
        this.labelShown = !this.labelShown;
        return;
      case "ask":
        return this.#ask();
      case "overview":
        this.sheetPage = null;
        this.overviewShown = !this.overviewShown;
        return;
      case "link":
        return void this.#copyLink();
      case "keys":
        return this.keysDialog.toggle();
      case "frame":
        this.frameHidden = !this.frameHidden;
        return;
      case "tools":
        return this.#goToTools();
      case "previous":
        return this.#step(-1);
      case "next":
        return this.#step(1);
      case "slides":
      case "more":
        this.asking = false;
        this.sheetPage = this.sheetPage === command ? null : command;
        return;
      case "dismiss":
        return this.#dismiss();
    }
  };

  #preset(magnification: number): void {
    const { native } = this.#optics;
    if (native !== null) this.#stage?.zoomTo(magnification / native);
  }

  #step(by: number): void {
    const ready = this.slide?.slides_of_case.filter((slide) => slide.state === "ready") ?? [];
    const next = ready[ready.findIndex((slide) => slide.id === this.slide?.id) + by];
    if (next) void this.openSlide(next.id);
  }

  /** The panel of opinions comes after the first view of the slide, and not at all to whom it offers nothing. */
  #loadSharing(): void {
    const { may_ask, may_link, consultation_id } = contextOf(this.slide!);
    if (!may_ask && !may_link && consultation_id === null) return;
    // When the server is away it is asked for again with the next slide, or the next key.
    import("./sharing").catch(() => this.#askWhy());
  }

  #ask(): void {
    this.#loadSharing();
    // From the slide, the key leads into a panel that is open already; from the panel or its button it closes it.
    if (this.asking && this.ground.contains(document.activeElement)) return this.sharing?.takeFocus();
    this.asking = !this.asking;
    if (!this.asking) return this.#stage?.focus();
    Object.assign(this, { frameHidden: false, labelShown: false, sheetPage: null });
  }

  #goToTools(): void {
    if (this.toolbar?.contains(document.activeElement)) return this.#stage?.focus();
    this.frameHidden = false;
    void this.updateComplete.then(() => this.toolbar?.querySelector<HTMLElement>("button:not(:disabled)")?.focus());
  }

  #dismiss(): void {
    if (this.labelShown) this.labelShown = false;
    else if (this.asking) this.asking = false;
    else if (this.sheetPage) this.sheetPage = null;
    else if (this.frameHidden) this.frameHidden = false;
    this.#stage?.focus();
  }

  async #copyLink(): Promise<void> {
    this.#address.settle();
    try {
      await navigator.clipboard.writeText(location.href);
    } catch {
      // Without TLS a browser keeps the clipboard from scripts: the reader copies by hand.
      window.prompt(this.#speech.words.linkByHand, location.href);
      return;
    }
    this.copied = true;
    window.clearTimeout(this.#copiedTimer);
    this.#copiedTimer = window.setTimeout(() => {
      this.copied = false;
    }, COPIED_MS);
  }

  readonly #addressChanged = async (): Promise<void> => {
    const id = this.#address.slideId;
    if (!this.slide || !this.#stage || id === null) return;
    const fragment = location.hash;
    if (id !== this.slide.id) {
      const slide = await this.#fetch(id);
      if (slide) this.#change(slide, fragment);
      return;
    }
    const linked = parseView(fragment, this.slide, this.#optics);
    if (linked) this.#stage.moveTo({ ...this.#stage.view, ...linked }, { jump: true });
  };

  #insets(): Insets {
    return insetsOf(this.slide!, {
      frame: !this.frameHidden,
      overview: this.overviewShown,
      asking: this.asking !== false,
    });
  }
}
customElements.define("iain-viewer", Viewer);

function round(value: number, decimals: number): number {
  return Number(value.toFixed(decimals));
}
