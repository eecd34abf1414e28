/** The keyboard: from a key pressed anywhere on the page to a command, a step or a glide. */

import { arrowOf, type CommandId, commandOf, type Direction } from "../model/keys";
import { HeldArrows } from "./arrows";

export interface KeyboardUser {
  /** The element that shows the slide: with the focus on it, or on nothing, keys are the slide's. */
  readonly ground: HTMLElement;
  readonly host: HTMLElement;
  /** Whether a dialog is open, which keeps all keys but its own. */
  busy(): boolean;
  run(command: CommandId): void;
  push(dx: number, dy: number, how?: { jump: boolean }): void;
  leap(direction: Direction): void;
}

export class Keyboard {
  readonly #arrows: HeldArrows;

  constructor(private readonly user: KeyboardUser) {
    this.#arrows = new HeldArrows((dx, dy, how) => user.push(-dx, -dy, how));
    document.addEventListener("keydown", this.#down);
    document.addEventListener("keyup", this.#up);
    window.addEventListener("blur", this.#letGo);
  }

  disconnect(): void {
    this.#letGo();
    document.removeEventListener("keydown", this.#down);
    document.removeEventListener("keyup", this.#up);
    window.removeEventListener("blur", this.#letGo);
  }

  readonly #down = (event: KeyboardEvent): void => {
    if (event.defaultPrevented || isTyping(event.target)) return;
    const command = commandOf(event);
    if (this.user.busy() && command !== "keys") return;
    if (this.#arrow(event)) return event.preventDefault();
    if (command === null || !this.#mine(event, command)) return;
    event.preventDefault();
    if (!event.repeat || command.startsWith("zoom")) this.user.run(command);
  };

  #arrow(event: KeyboardEvent): boolean {
    const direction = arrowOf(event.key);
    if (!direction || event.ctrlKey || event.altKey || event.metaKey) return false;
    if (!this.#onStage(event) && !this.user.host.contains(event.target as Node)) return false;
    if (event.shiftKey) this.user.leap(direction);
    else if (!event.repeat) this.#arrows.press(event.key, direction);
    return true;
  }

  /** Tab hides the frame only from the stage: elsewhere it goes from one control to the next, as everywhere. */
  #mine(event: KeyboardEvent, command: CommandId): boolean {
    if (command === "frame") return this.#onStage(event);
    return event.key.length > 1 || singleKeys() || this.user.ground.contains(event.target as Node);
  }

  #onStage(event: KeyboardEvent): boolean {
    return event.target === document.body || this.user.ground.contains(event.target as Node);
  }

  readonly #up = (event: KeyboardEvent): void => this.#arrows.release(event.key);

  readonly #letGo = (): void => this.#arrows.releaseAll();
}

/** Single letters can be switched off on any page (WCAG 2.2, 2.1.4); on the stage itself, when focused, they stay. */
function singleKeys(): boolean {
  return localStorage.getItem("iain.single-keys") !== "off";
}

function isTyping(target: EventTarget | null): boolean {
  return (
    target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName))
  );
}
