/**
 * `<iain-viewer>`: the stage and its frame. It knows which slide is shown, what hinders it and what each key does; how
 * the slide moves is the stage's affair, how things look that of the elements around it.
 *
 * Shown to the outside: `data-state` (loading, ready, away, ended, revoked, broken), `data-ready` once the first view
 * is drawn, `data-sharp` while nothing of the view is missing, `data-slide`, `data-center`, `data-magnification`, `data-zoom`, `data-rotation`; the event `slide-shown`
 * with the description when another slide of the case has taken the stage.
 */

import { html, nothing, type PropertyValues, type TemplateResult } from "lit";
import { property, query, state } from "lit/decorators.js";
import { fetchSlide, type SlideDescription, slideOfPage, whyRefused } from "../api/slides";
import { speechOf } from "../i18n";
import { arrowOf, type CommandId, commandOf } from "../model/keys";
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
import "./keys";
import type { KeysDialog } from "./keys";
import "./label";
import { LightElement } from "./light";
import "./notice";
import type { Trouble } from "./notice";
import "./overview";
import type { Overview } from "./overview";
import "./readings";
import type { Readings } from "./readings";
import "./sheet";
import type { SheetPage } from "./sheet";
import "./toolbar";
import type { Toolbar } from "./toolbar";
import "./tray";
import { HeldArrows } from "./arrows";

const QUIET_BEFORE_NOTE_MS = 300;
const LINK_DELAY_MS = 250;
const COPIED_MS = 2000;
const ASK_AGAIN_MS = 3000;
const PHONE = "(max-width: 640px)";

export class Viewer extends LightElement {
  @property({ attribute: "slides-url" }) slidesUrl = "/slides/";
  @property({ attribute: "login-url" }) loginUrl = "/login";
  @property({ attribute: "cases-url" }) casesUrl = "/cases";

  @state() private slide: SlideDescription | null = null;
  @state() private trouble: Trouble | null = null;
  @state() private frameHidden = false;
  @state() private labelShown = false;
  @state() private overviewShown = !window.matchMedia(PHONE).matches;
  @state() private sheetPage: SheetPage | null = null;
  @state() private copied = false;

  @query(".iv-stage") private readonly ground!: HTMLElement;
  @query("iain-readings") private readonly readings!: Readings | null;
  @query("iain-overview") private readonly overview!: Overview | null;
  @query("iain-toolbar") private readonly toolbar!: Toolbar | null;
  @query("iain-keys") private readonly keysDialog!: KeysDialog;

  readonly #speech = speechOf(document);
  readonly #arrows = new HeldArrows((dx, dy, how) => this.#stage?.push(-dx, -dy, how));
  readonly #lastViews = new Map<string, View>();
  #stage: Stage | null = null;
  #optics: Optics = { native: null, mpp: null };
  #linkTimer = 0;
  #noteTimer = 0;
  #copiedTimer = 0;
  #askTimer = 0;
  #fetching: AbortController | null = null;

  override connectedCallback(): void {
    super.connectedCallback();
    document.addEventListener("keydown", this.#keyDown);
    document.addEventListener("keyup", this.#keyUp);
    window.addEventListener("blur", this.#letGo);
    window.addEventListener("popstate", this.#wentBack);
    window.addEventListener("pagehide", this.#writeLink);
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    document.removeEventListener("keydown", this.#keyDown);
    document.removeEventListener("keyup", this.#keyUp);
    window.removeEventListener("blur", this.#letGo);
    window.removeEventListener("popstate", this.#wentBack);
    window.removeEventListener("pagehide", this.#writeLink);
    for (const timer of [this.#linkTimer, this.#noteTimer, this.#copiedTimer, this.#askTimer])
      window.clearTimeout(timer);
    this.#stage?.destroy();
    this.#stage = null;
  }

  protected override firstUpdated(): void {
    this.#stage = new Stage(this.ground, {
      view: (view) => this.#viewChanged(view),
      drawn: (settled, missing) => this.#drawn(settled, missing),
      outage: (lasts) => void this.#outage(lasts),
      refused: () => void this.#askWhy(),
      pointer: (point) => {
        if (this.readings) this.readings.pointer = point;
      },
    });
    try {
      this.#show(slideOfPage(document), location.hash);
    } catch {
      this.trouble = "broken";
    }
    if (document.activeElement === document.body) this.#stage.focus();
  }

  protected override updated(changed: PropertyValues): void {
    this.dataset.state = this.trouble ?? (this.hasAttribute("data-ready") ? "ready" : "loading");
    const closed = this.trouble === "ended" || this.trouble === "revoked";
    document.documentElement.toggleAttribute("data-access-ended", closed);
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
        .loginHref=${this.#loginHref()}
        .casesHref=${this.casesUrl}
      ></iain-notice>
      <iain-keys .speech=${this.#speech}></iain-keys>
    `;
  }

  #frame(slide: SlideDescription): TemplateResult {
    const tray =
      slide.slides_of_case.length > 1
        ? html`<iain-tray
            .speech=${this.#speech}
            .slides=${slide.slides_of_case}
            .current=${slide.id}
            .hrefOf=${(id: string) => this.#hrefOf(id)}
            .open=${(id: string) => void this.openSlide(id)}
          ></iain-tray>`
        : nothing;
    return html`
      <div class="iv-frame" ?hidden=${this.frameHidden || this.trouble === "ended" || this.trouble === "revoked"}>
        <div class="iv-side">${tray}</div>
        <div class="iv-corner">
          ${
            this.overviewShown
              ? html`<iain-overview
                  .speech=${this.#speech}
                  .slide=${slide}
                  .src=${slide.thumbnail_url}
                  .goTo=${(x: number, y: number) => this.#stage?.moveTo({ ...this.#stage.view, x, y }, { jump: true })}
                ></iain-overview>`
              : nothing
          }
          ${
            this.labelShown
              ? html`<iain-label
                  .speech=${this.#speech}
                  .label=${slide.label_url}
                  .macro=${slide.macro_url}
                  .close=${() => this.#run("label")}
                ></iain-label>`
              : nothing
          }
        </div>
        <iain-toolbar
          .speech=${this.#speech}
          .run=${this.#run}
          .optics=${this.#optics}
          .labelShown=${this.labelShown}
          .overviewShown=${this.overviewShown}
          .copied=${this.copied}
        ></iain-toolbar>
        <iain-readings .speech=${this.#speech} .run=${this.#run} .optics=${this.#optics}></iain-readings>
        <iain-sheet
          .speech=${this.#speech}
          .run=${this.#run}
          .optics=${this.#optics}
          .page=${this.sheetPage}
          .tray=${tray}
          .copied=${this.copied}
        ></iain-sheet>
      </div>
    `;
  }

  /** Puts another slide of the case on the stage; the one there stays when that one cannot be had. */
  async openSlide(id: string, { push = true, fragment = "" } = {}): Promise<void> {
    if (id === this.slide?.id) return;
    this.#writeLink();
    this.#fetching?.abort();
    this.#fetching = new AbortController();
    try {
      const slide = await fetchSlide(id, this.#fetching.signal);
      if (push) history.pushState(null, "", this.#hrefOf(id));
      this.#show(slide, fragment);
      this.sheetPage = null;
      this.dispatchEvent(new CustomEvent("slide-shown", { bubbles: true, detail: slide }));
    } catch (error) {
      if (error instanceof DOMException && error.name === "AbortError") return;
      await this.#askWhy();
      if (!this.trouble) this.#note(this.#speech.words.slideAway);
    }
  }

  #show(slide: SlideDescription, fragment: string): void {
    this.slide = slide;
    this.trouble = null;
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
    if (!this.slide) return;
    this.#lastViews.set(this.slide.id, view);
    const magnification = magnificationOf(view.zoom, this.#optics);
    this.dataset.center = `${round(view.x, 2)},${round(view.y, 2)}`;
    this.dataset.zoom = `${round(view.zoom, 6)}`;
    this.dataset.magnification = magnification === null ? "" : `${round(magnification, 4)}`;
    this.dataset.rotation = `${round(view.rotation, 1)}`;
    this.#passView(view);
    window.clearTimeout(this.#linkTimer);
    this.#linkTimer = window.setTimeout(this.#writeLink, LINK_DELAY_MS);
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

  /** Tiles fail one after the other: is it the server, or the right to see them? */
  async #outage(lasts: boolean): Promise<void> {
    if (lasts) await this.#askWhy();
    else if (this.trouble === "away") this.trouble = null;
  }

  async #askWhy(): Promise<void> {
    const { slide } = this;
    window.clearTimeout(this.#askTimer);
    if (!slide || this.trouble === "ended" || this.trouble === "revoked") return;
    const refusal = await whyRefused(slide.id);
    if (slide !== this.slide) return;
    if (this.trouble === "away" && refusal === null) this.#stage?.askAgain();
    if (refusal === "away") this.#askTimer = window.setTimeout(() => void this.#askWhy(), ASK_AGAIN_MS);
    if (refusal === "ended" || refusal === "revoked") {
      this.#writeLink();
      // What may no longer be seen does not stay on the screen either.
      this.#stage?.close();
    }
    this.trouble = refusal;
  }

  /* What the reader does */

  readonly #run = (command: CommandId): void => {
    const stage = this.#stage;
    if (!stage) return;
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
        this.labelShown = !this.labelShown;
        return;
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

  #goToTools(): void {
    if (this.toolbar?.contains(document.activeElement)) return this.#stage?.focus();
    this.frameHidden = false;
    void this.updateComplete.then(() => this.toolbar?.querySelector<HTMLElement>("button:not(:disabled)")?.focus());
  }

  #dismiss(): void {
    if (this.labelShown) this.labelShown = false;
    else if (this.sheetPage) this.sheetPage = null;
    else if (this.frameHidden) this.frameHidden = false;
    this.#stage?.focus();
  }

  async #copyLink(): Promise<void> {
    this.#writeLink();
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

  readonly #keyDown = (event: KeyboardEvent): void => {
    if (event.defaultPrevented || isTyping(event.target) || this.keysDialog.querySelector("dialog[open]")) {
      if (commandOf(event) === "keys" && !isTyping(event.target)) {
        event.preventDefault();
        this.keysDialog.toggle();
      }
      return;
    }
    const onStage = event.target === document.body || this.ground.contains(event.target as Node);
    const arrow = arrowOf(event.key);
    if (
      arrow &&
      !event.ctrlKey &&
      !event.altKey &&
      !event.metaKey &&
      (onStage || this.contains(event.target as Node))
    ) {
      event.preventDefault();
      if (event.shiftKey) this.#leap(arrow);
      else if (!event.repeat) this.#arrows.press(event.key, arrow);
      return;
    }
    if (event.key.length === 1 && !singleKeys() && !this.ground.contains(document.activeElement)) return;
    const command = commandOf(event);
    if (command === null || (command === "frame" && !onStage)) return;
    event.preventDefault();
    if (!event.repeat || command.startsWith("zoom")) this.#run(command);
  };

  readonly #keyUp = (event: KeyboardEvent): void => this.#arrows.release(event.key);

  readonly #letGo = (): void => this.#arrows.releaseAll();

  #leap({ x, y }: { readonly x: number; readonly y: number }): void {
    const size = this.#stage!.size;
    this.#stage!.push((-x * size.width) / 2, (-y * size.height) / 2);
  }

  /* The address */

  readonly #writeLink = (): void => {
    window.clearTimeout(this.#linkTimer);
    if (!this.slide || !this.#stage || !this.dataset.center) return;
    const fragment = formatView(this.#stage.view, this.#optics);
    if (fragment !== location.hash) history.replaceState(history.state, "", fragment);
  };

  readonly #wentBack = (): void => {
    const id = decodeURIComponent(location.pathname.slice(this.slidesUrl.length).replace(/\/$/, ""));
    if (!this.slide || !location.pathname.startsWith(this.slidesUrl)) return;
    if (id !== this.slide.id) return void this.openSlide(id, { push: false, fragment: location.hash });
    const linked = parseView(location.hash, this.slide, this.#optics);
    if (linked && this.#stage) this.#stage.moveTo({ ...this.#stage.view, ...linked }, { jump: true });
  };

  #hrefOf(id: string): string {
    return `${this.slidesUrl}${encodeURIComponent(id)}`;
  }

  #loginHref(): string {
    return `${this.loginUrl}?next=${encodeURIComponent(location.pathname)}${location.hash}`;
  }

  /** The part of the stage that the frame covers: the whole slide is shown beside it, not under it. */
  #insets(): Insets {
    if (window.matchMedia(PHONE).matches) return { left: 8, top: 8, right: 8, bottom: 112 };
    if (this.frameHidden) return { left: 16, top: 16, right: 16, bottom: 16 };
    const several = (this.slide?.slides_of_case.length ?? 0) > 1;
    return { left: several ? 116 : 16, top: 16, right: this.overviewShown ? 232 : 16, bottom: 92 };
  }
}
customElements.define("iain-viewer", Viewer);

/** Single letters can be switched off on any page (WCAG 2.2, 2.1.4); on the stage itself, when focused, they stay. */
function singleKeys(): boolean {
  return localStorage.getItem("iain.single-keys") !== "off";
}

function isTyping(target: EventTarget | null): boolean {
  return (
    target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName))
  );
}

function round(value: number, decimals: number): number {
  return Number(value.toFixed(decimals));
}
