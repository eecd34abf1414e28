/**
 * `<iain-viewer>`: the stage and its frame. It knows which slide is shown, what hinders it and what each key does; how
 * the slide moves is the stage's affair, how things look that of the elements around it.
 *
 * Shown to the outside: `data-state` (loading, ready, away, ended, revoked, expired, broken), `data-ready` once the first view
 * is drawn, `data-sharp` while nothing of the view is missing, `data-slide`, `data-center`, `data-magnification`,
 * `data-zoom`, `data-rotation`; the event `slide-shown` with the description when another slide of the case has taken
 * the stage.
 */

import { html, nothing, type TemplateResult } from "lit";
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
  shownOf,
  type View,
  zoomLimits,
} from "../model/space";
import { Stage } from "../stage/stage";
import { Address } from "./address";
import { obey } from "./commands";
import { Copying } from "./copying";
import { ableTo, frame, insetsOf } from "./frame";
import type { Pin } from "./going";
import { Hindrance } from "./hindrance";
import { Keyboard } from "./keyboard";
import type { KeysDialog } from "./keys";
import { LightElement } from "./light";
import "./notice";
import type { Overview } from "./overview";
import { Panels } from "./panels";
import { onPhone } from "./phone";
import type { Readings } from "./readings";
import type { SharingPanel } from "./sharing";
import { Shelf } from "./shelf";
import { Telling } from "./telling";
import type { Toolbar } from "./toolbar";

export class Viewer extends LightElement {
  @property({ attribute: "slides-url" }) slidesUrl = "/slides/";
  @property({ attribute: "login-url" }) loginUrl = "/login";
  @property({ attribute: "cases-url" }) casesUrl = "/cases";

  @state() private slide: SlideDescription | null = null;
  @state() private consultation: Consultation | null = null;

  @query(".iv-stage") private readonly ground!: HTMLElement;
  @query("iain-readings") private readonly readings!: Readings | null;
  @query("iain-overview") private readonly overview!: Overview | null;
  @query("iain-toolbar") private readonly toolbar!: Toolbar | null;
  @query("iain-sharing") private readonly sharing!: SharingPanel | null;
  @query("iain-keys") private readonly keysDialog!: KeysDialog;

  readonly #speech = speechOf(document);
  readonly #panels = new Panels(this);
  readonly #copying = new Copying(this);
  readonly #shelf = new Shelf();
  readonly #hindrance = new Hindrance(this, {
    closed: () => {
      this.#address.settle();
      this.#stage?.close();
      this.#shelf.clear();
    },
    opened: () => this.#show(this.slide!, location.hash),
    back: () => this.#stage?.askAgain(),
  });
  readonly #telling = new Telling(this, this.#speech, (note) => {
    if (this.readings) this.readings.note = note;
  });
  readonly #lastViews = new Map<string, View>();
  #address = new Address(this.slidesUrl, this.loginUrl);
  #keyboard: Keyboard | null = null;
  #stage: Stage | null = null;
  #optics: Optics = { native: null, mpp: null };

  override connectedCallback(): void {
    super.connectedCallback();
    window.addEventListener("popstate", this.#addressChanged);
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    window.removeEventListener("popstate", this.#addressChanged);
    window.removeEventListener("pagehide", this.#address.settle);
    this.#telling.stop();
    this.#shelf.clear();
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
      if (contextOf(slide).may_answer && !onPhone()) this.#panels.ask("quietly");
    } catch {
      this.#hindrance.broken();
    }
    if (document.activeElement === document.body) this.#stage.focus();
  }

  #newStage(): Stage {
    return new Stage(this.ground, {
      view: (view) => this.#viewChanged(view),
      drawn: (settled, missing) => this.#drawn(settled, missing),
      outage: (lasts) => this.#hindrance.outage(lasts),
      refused: () => this.#hindrance.askWhy(),
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

  protected override updated(): void {
    this.dataset.state = this.#hindrance.trouble ?? (this.#telling.ready ? "ready" : "loading");
    document.documentElement.toggleAttribute("data-access-ended", this.#hindrance.closed);
    document.documentElement.toggleAttribute("data-frame-hidden", !this.#panels.shown.frame);
    if (this.#stage && this.slide) this.#passView(this.#stage.view);
  }

  protected override render(): TemplateResult {
    return html`
      <div class="iv-stage"></div>
      ${this.slide ? this.#frame(this.slide) : nothing}
      <iain-notice
        .speech=${this.#speech}
        .trouble=${this.#hindrance.trouble}
        .ending=${this.#hindrance.ending}
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
      hidden: !this.#panels.shown.frame || this.#hindrance.closed,
      shown: this.#panels.shown,
      copied: this.#copying.done,
      able: this.#able,
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
    const slide = await this.#take(id);
    if (!slide) return;
    this.#address.push(id);
    this.#change(slide, fragment);
  }

  /** From the shelf when it is there: it is shown at once, and whether it is still so is asked meanwhile. */
  async #take(id: string): Promise<SlideDescription | null> {
    // Without the server there would be nothing to see of it.
    const known = this.#hindrance.trouble === null ? this.#shelf.find(id) : null;
    if (known) {
      queueMicrotask(() => void this.#askAnew(known));
      return known;
    }
    try {
      return await this.#shelf.fetch(id);
    } catch {
      this.#stay();
      return null;
    }
  }

  #told(consultation: Consultation | null): void {
    this.consultation = consultation;
    const { slide } = this;
    if (!slide || !consultation || !isOver(consultation)) return;
    const { kind, consultation_id } = contextOf(slide);
    // Its end is the end of the right to these slides, said now and not at the next tile; unless there is another one
    // about them, which then takes its place.
    if (kind === "consultation" && consultation_id === consultation.id) void this.#askAnew(slide);
  }

  /** What the server says of the slide now; while it is shown, it is shown so. */
  async #askAnew(slide: SlideDescription): Promise<void> {
    try {
      const now = await fetchSlide(slide.id);
      this.#shelf.keep(now);
      if (this.slide === slide) this.slide = now;
    } catch {
      if (this.slide === slide) this.#hindrance.askWhy();
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

  /** The slide on the stage stays: the address says so again, and the reader learns why. */
  #stay(): void {
    if (!this.slide || !this.#stage) return;
    if (this.#address.slideId !== this.slide.id) this.#address.push(this.slide.id);
    this.#address.follow(this.slide.id, this.#stage.view, this.#optics);
    this.#telling.say(this.#speech.words.slideAway);
    this.#hindrance.askWhy();
  }

  #change(slide: SlideDescription, fragment: string): void {
    this.#show(slide, fragment);
    this.#panels.closeSheet();
    this.dispatchEvent(new CustomEvent("slide-shown", { bubbles: true, detail: slide }));
  }

  #show(slide: SlideDescription, fragment: string): void {
    this.slide = slide;
    this.#shelf.keep(slide);
    this.#hindrance.watch(slide);
    this.#optics = opticsOf(slide);
    this.#telling.slide(slide.id);
    const linked = parseView(fragment, slide, this.#optics);
    const remembered = this.#lastViews.get(slide.id);
    this.#stage?.describe([slide.case?.accession, this.#speech.words.stage].filter(Boolean).join(" · "));
    this.#stage?.open(slide, (size) => {
      const whole = fitView(shownOf(slide), size, this.#insets(), 0);
      return linked ? { ...whole, ...linked } : (remembered ?? whole);
    });
  }

  /* What the stage tells */

  #viewChanged(view: View): void {
    if (!this.slide || !this.#stage) return;
    // What is remembered and linked to is where a movement ends, not a place on its way.
    this.#lastViews.set(this.slide.id, this.#stage.view);
    this.#address.follow(this.slide.id, this.#stage.view, this.#optics);
    this.#telling.view(view, this.#optics);
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
    if (!this.slide) return;
    if (settled && !this.#telling.ready) {
      this.#loadSharing();
      this.#telling.firstView();
      this.requestUpdate();
    }
    const sharp = settled && missing === 0;
    this.#telling.drawn(sharp, missing);
    if (sharp) void this.#shelf.warm(this.slide);
  }

  /* What the reader does */

  readonly #run = (command: CommandId): void => {
    const { slide } = this;
    if (!this.#stage || !slide) return;
    obey(command, {
      stage: this.#stage,
      panels: this.#panels,
      native: this.#optics.native,
      insets: this.#insets(),
      able: this.#able,
      step: (by) => {
        const next = this.#shelf.neighbour(slide, by);
        if (next !== null) void this.openSlide(next);
      },
      ask: () => this.#ask(),
      copyLink: () => {
        this.#address.settle();
        void this.#copying.copy(this.#speech.words.linkByHand);
      },
      toggleKeys: () => void this.#toggleKeys(),
      goToTools: () => this.#goToTools(),
    });
  };

  /** The panel of opinions comes after the first view of the slide, and not at all to whom it offers nothing. */
  #loadSharing(): void {
    const { may_ask, may_link, consultation_id } = contextOf(this.slide!);
    if (!may_ask && !may_link && consultation_id === null) return;
    // When the server is away it is asked for again with the next slide, or the next key.
    import("./sharing").catch(() => this.#hindrance.askWhy());
  }

  #ask(): void {
    this.#loadSharing();
    const { asking } = this.#panels.shown;
    // From the slide, the key leads into a panel that is open already; from the panel or its button it closes it.
    if (asking && this.ground.contains(document.activeElement)) return this.sharing?.takeFocus();
    if (!asking) return this.#panels.ask(true);
    this.#panels.stopAsking();
    this.#stage?.focus();
  }

  /** The list of keys comes when it is first asked for. */
  async #toggleKeys(): Promise<void> {
    try {
      await import("./keys");
    } catch {
      return this.#hindrance.askWhy();
    }
    await this.keysDialog.updateComplete;
    this.keysDialog.toggle();
  }

  #goToTools(): void {
    if (this.toolbar?.contains(document.activeElement)) return this.#stage?.focus();
    this.#panels.showFrame();
    void this.updateComplete.then(() => this.toolbar?.querySelector<HTMLElement>("button:not(:disabled)")?.focus());
  }

  readonly #addressChanged = async (): Promise<void> => {
    const id = this.#address.slideId;
    if (!this.slide || !this.#stage || id === null) return;
    const fragment = location.hash;
    if (id !== this.slide.id) {
      const slide = await this.#take(id);
      if (slide) this.#change(slide, fragment);
      return;
    }
    const linked = parseView(fragment, this.slide, this.#optics);
    if (linked) this.#stage.moveTo({ ...this.#stage.view, ...linked }, { jump: true });
  };

  #insets(): Insets {
    return insetsOf(this.slide!, this.#panels.shown);
  }
}
customElements.define("iain-viewer", Viewer);
