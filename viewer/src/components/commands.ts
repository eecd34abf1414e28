/** What each command does to the stage and to what stands around it. */

import type { CommandId } from "../model/keys";
import { type Insets, PRESETS } from "../model/space";
import type { Stage } from "../stage/stage";
import type { Panels } from "./panels";

export interface Commanded {
  readonly stage: Stage;
  readonly panels: Panels;
  /** Magnification at which one scanned pixel takes one screen pixel; `null` when the slide does not say. */
  readonly native: number | null;
  readonly insets: Insets;
  /** The commands that not everybody has, and this reader of this slide has. */
  readonly able: readonly CommandId[];
  step(by: -1 | 1): void;
  ask(): void;
  copyLink(): void;
  toggleKeys(): void;
  goToTools(): void;
}

const FOR_SOME: readonly CommandId[] = ["label", "link", "ask"];

export function obey(command: CommandId, to: Commanded): void {
  const { stage, panels } = to;
  if (FOR_SOME.includes(command) && !to.able.includes(command)) return;
  if (command.startsWith("preset-")) return magnify(PRESETS[Number(command.slice(7)) - 1]!, to);
  switch (command) {
    case "fit":
      return stage.fit(to.insets);
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
      return panels.toggleLabel();
    case "ask":
      return to.ask();
    case "overview":
      return panels.toggleOverview();
    case "link":
      return to.copyLink();
    case "keys":
      return to.toggleKeys();
    case "frame":
      return panels.toggleFrame();
    case "tools":
      return to.goToTools();
    case "previous":
      return to.step(-1);
    case "next":
      return to.step(1);
    case "slides":
    case "more":
      return panels.toggleSheet(command);
    case "dismiss":
      panels.dismiss();
      return stage.focus();
  }
}

function magnify(magnification: number, { stage, native }: Commanded): void {
  if (native !== null) stage.zoomTo(magnification / native);
}
