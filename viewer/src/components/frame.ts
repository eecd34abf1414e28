/** The frame: all that stands around and over the slide. It floats, so that hiding it moves nothing. */

import { html, nothing, type TemplateResult } from "lit";
import { contextOf, type SlideDescription } from "../api/slides";
import type { Speech } from "../i18n";
import type { Consultation } from "../model/consultation";
import type { CommandId } from "../model/keys";
import { type Insets, type Optics, shownOf } from "../model/space";
import type { Pin } from "./going";
import "./label";
import "./overview";
import "./readings";
import "./sheet";
import type { Shown } from "./panels";
import { onPhone } from "./phone";
import { standingChip } from "./standing";
import "./toolbar";
import "./tray";

export interface Frame {
  readonly slide: SlideDescription;
  readonly optics: Optics;
  readonly speech: Speech;
  readonly hidden: boolean;
  readonly shown: Shown;
  readonly copied: boolean;
  readonly able: readonly CommandId[];
  readonly consultation: Consultation | null;
  readonly told: (consultation: Consultation | null) => void;
  readonly pinNow: () => Pin;
  readonly goToPin: (slideId: string, view: string) => void;
  readonly run: (command: CommandId) => void;
  readonly hrefOf: (id: string) => string;
  readonly open: (id: string) => void;
  readonly goTo: (x: number, y: number) => void;
}

export function frame({ slide, optics, speech, run, shown, ...rest }: Frame): TemplateResult {
  const tray = hasTray(slide)
    ? html`<iain-tray
        .speech=${speech}
        .slides=${slide.slides_of_case}
        .current=${slide.id}
        .hrefOf=${rest.hrefOf}
        .open=${rest.open}
      ></iain-tray>`
    : nothing;
  const overview = html`<iain-overview
    .speech=${speech}
    .shown=${shownOf(slide)}
    .src=${slide.thumbnail_url}
    .goTo=${rest.goTo}
  ></iain-overview>`;
  const label = html`<iain-label
    .speech=${speech}
    .label=${slide.label_url}
    .macro=${slide.macro_url}
    .close=${() => run("label")}
  ></iain-label>`;
  const sharing = html`<iain-sharing
    .speech=${speech}
    .slide=${slide}
    .open=${shown.asking !== false}
    .takesFocus=${shown.asking !== "quietly"}
    .pinNow=${rest.pinNow}
    .goTo=${rest.goToPin}
    .close=${() => run("ask")}
    .told=${rest.told}
  ></iain-sharing>`;
  return html`
    <div class="iv-frame ${shown.asking ? "iv-asking" : ""}" ?hidden=${rest.hidden}>
      <div class="iv-side">${tray}</div>
      <div class="iv-corner">${shown.overview ? overview : nothing} ${shown.label ? label : nothing} ${sharing}</div>
      <iain-toolbar
        .speech=${speech}
        .run=${run}
        .optics=${optics}
        .labelShown=${shown.label}
        .overviewShown=${shown.overview}
        .copied=${rest.copied}
        .able=${rest.able}
        .asking=${shown.asking !== false}
        .file=${slide.file ?? null}
      ></iain-toolbar>
      <iain-readings
        .speech=${speech}
        .run=${run}
        .optics=${optics}
        .window=${slide.display_window}
        .plane=${slide.focal_plane?.replace(" of ", "/")}
        .standing=${standingChip(rest.consultation, contextOf(slide), speech, () => run("ask"))}
      ></iain-readings>
      <iain-sheet
        .speech=${speech}
        .run=${run}
        .optics=${optics}
        .page=${shown.sheet}
        .tray=${tray}
        .copied=${rest.copied}
        .able=${rest.able}
        .asking=${shown.asking !== false}
        .file=${slide.file ?? null}
      ></iain-sheet>
    </div>
  `;
}

/** The part of the stage that the frame covers: the whole slide is shown beside it, not under it. */
export function insetsOf(slide: SlideDescription, shown: Shown): Insets {
  // On a phone the stage itself gives way to the panel.
  if (onPhone()) return { left: 8, top: 8, right: 8, bottom: shown.asking ? 8 : 112 };
  if (!shown.frame) return { left: 16, top: 16, right: 16, bottom: 16 };
  const right = shown.asking ? 376 : shown.overview ? 232 : 16;
  return { left: hasTray(slide) ? 116 : 16, top: 16, right, bottom: 92 };
}

/** The commands that not everybody has, and this reader of this slide has. */
export function ableTo(slide: SlideDescription, consultation: Consultation | null): readonly CommandId[] {
  const { kind, may_ask, may_link } = contextOf(slide);
  const able: CommandId[] = [];
  if (kind === "own") able.push("label");
  if (kind !== "guest") able.push("link");
  if (may_ask || may_link || consultation) able.push("ask");
  return able;
}

function hasTray(slide: SlideDescription): boolean {
  return slide.slides_of_case.length > 1;
}
