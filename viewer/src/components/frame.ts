/** The frame: all that stands around and over the slide. It floats, so that hiding it moves nothing. */

import { html, nothing, type TemplateResult } from "lit";
import type { SlideDescription } from "../api/slides";
import type { Speech } from "../i18n";
import type { CommandId } from "../model/keys";
import type { Insets, Optics } from "../model/space";
import "./label";
import "./overview";
import "./readings";
import "./sheet";
import type { SheetPage } from "./sheet";
import "./toolbar";
import "./tray";

export const PHONE = "(max-width: 640px)";

export interface Frame {
  readonly slide: SlideDescription;
  readonly optics: Optics;
  readonly speech: Speech;
  readonly hidden: boolean;
  readonly labelShown: boolean;
  readonly overviewShown: boolean;
  readonly sheetPage: SheetPage | null;
  readonly copied: boolean;
  readonly run: (command: CommandId) => void;
  readonly hrefOf: (id: string) => string;
  readonly open: (id: string) => void;
  readonly goTo: (x: number, y: number) => void;
}

export function frame({ slide, optics, speech, run, ...rest }: Frame): TemplateResult {
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
    .slide=${slide}
    .src=${slide.thumbnail_url}
    .goTo=${rest.goTo}
  ></iain-overview>`;
  const label = html`<iain-label
    .speech=${speech}
    .label=${slide.label_url}
    .macro=${slide.macro_url}
    .close=${() => run("label")}
  ></iain-label>`;
  return html`
    <div class="iv-frame" ?hidden=${rest.hidden}>
      <div class="iv-side">${tray}</div>
      <div class="iv-corner">${rest.overviewShown ? overview : nothing} ${rest.labelShown ? label : nothing}</div>
      <iain-toolbar
        .speech=${speech}
        .run=${run}
        .optics=${optics}
        .labelShown=${rest.labelShown}
        .overviewShown=${rest.overviewShown}
        .copied=${rest.copied}
      ></iain-toolbar>
      <iain-readings .speech=${speech} .run=${run} .optics=${optics}></iain-readings>
      <iain-sheet
        .speech=${speech}
        .run=${run}
        .optics=${optics}
        .page=${rest.sheetPage}
        .tray=${tray}
        .copied=${rest.copied}
      ></iain-sheet>
    </div>
  `;
}

/** The part of the stage that the frame covers: the whole slide is shown beside it, not under it. */
export function insetsOf(
  slide: SlideDescription,
  shown: { readonly frame: boolean; readonly overview: boolean },
): Insets {
  if (window.matchMedia(PHONE).matches) return { left: 8, top: 8, right: 8, bottom: 112 };
  if (!shown.frame) return { left: 16, top: 16, right: 16, bottom: 16 };
  return { left: hasTray(slide) ? 116 : 16, top: 16, right: shown.overview ? 232 : 16, bottom: 92 };
}

function hasTray(slide: SlideDescription): boolean {
  return slide.slides_of_case.length > 1;
}
