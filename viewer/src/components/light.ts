/** Elements of the viewer live in the page's own tree: one style sheet from a file, nothing for the policy to forbid. */

import { LitElement } from "lit";

export class LightElement extends LitElement {
  protected override createRenderRoot(): HTMLElement {
    return this;
  }
}
