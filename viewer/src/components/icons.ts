/** One set of icons, drawn on a 20 × 20 grid with a 1.5 stroke. Each stands beside a word or under a tooltip. */

import { html, type TemplateResult } from "lit";

const path = (d: string): TemplateResult =>
  html`<svg class="iv-icon" viewBox="0 0 20 20" aria-hidden="true" focusable="false"><path d=${d} /></svg>`;

export const icons = {
  fit: path("M3 7V3h4M13 3h4v4M17 13v4h-4M7 17H3v-4M7 7.5h6v5H7z"),
  plus: path("M10 4v12M4 10h12"),
  minus: path("M4 10h12"),
  rotate: path("M16.5 10a6.5 6.5 0 1 1-2-4.7M16.5 2.8v3.4h-3.4"),
  label: path("M3 4.5h14v11H3zM6 8h8M6 11h5"),
  overview: path("M3 4h14v12H3zM10.5 8.5h4v5h-4z"),
  link: path(
    "M8.5 11.5a3 3 0 0 0 4.2 0l3-3a3 3 0 0 0-4.2-4.2l-1 1M11.5 8.5a3 3 0 0 0-4.2 0l-3 3a3 3 0 0 0 4.2 4.2l1-1",
  ),
  download: path("M10 3.500v9M6 9l4 4 4-4M4 16.500h12"),
  check: path("M4 10.5l4 4 8-9"),
  close: path("M5 5l10 10M15 5L5 15"),
  slides: path("M3 3.5h6v13H3zM12 3.5h5v13h-5z"),
  more: path("M4.5 10h.01M10 10h.01M15.5 10h.01"),
  away: path(
    "M3 3l14 14M5 9.5a8 8 0 0 1 2.3-1.6M10 7a8 8 0 0 1 5 2.5M2.500 7a11.500 11.500 0 0 1 3-2M8.500 4a11.500 11.500 0 0 1 9 3M7.700 12.700a4 4 0 0 1 3.300-1M10 16h.01",
  ),
  lock: path("M5 9h10v7.500H5zM7 9V6.500a3 3 0 0 1 6 0V9"),
  alert: path("M10 3l7.500 13.500h-15zM10 8.500v3.500M10 14.300h.01"),
  opinion: path("M3 4h14v9.5H9.5L6 16.800v-3.300H3zM6.500 7.500h7M6.500 10h4.500"),
  pin: path(
    "M10 17.500s-5-5.200-5-9a5 5 0 0 1 10 0c0 3.800-5 9-5 9zM10 10.300a1.800 1.800 0 1 0 0-3.600a1.800 1.800 0 0 0 0 3.600z",
  ),
  yours: path("M10 15.500a5.500 5.500 0 1 0 0-11a5.500 5.500 0 0 0 0 11zM10 12a2 2 0 1 0 0-4a2 2 0 0 0 0 4zM10 10h.01"),
  theirs: path("M10 15.500a5.500 5.500 0 1 0 0-11a5.500 5.500 0 0 0 0 11z"),
  answered: path("M10 16.500a6.500 6.500 0 1 0 0-13a6.500 6.500 0 0 0 0 13zM7 10.200l2.200 2.200 3.900-4.500"),
  stopped: path("M10 16.500a6.500 6.500 0 1 0 0-13a6.500 6.500 0 0 0 0 13zM7 10h6"),
  agree: path("M10 16.500a6.500 6.500 0 1 0 0-13a6.500 6.500 0 0 0 0 13zM7 10.200l2.200 2.200 3.900-4.500"),
  minor: path("M10 3l7 7-7 7-7-7zM10 7.500v3.500M10 12.800h.01"),
  major: path("M10 3l7.500 13.500h-15zM10 8.500v3.500M10 14.300h.01"),
  undecided: path(
    "M10 16.500a6.500 6.500 0 1 0 0-13a6.500 6.500 0 0 0 0 13zM8.300 8.300a1.800 1.800 0 1 1 2.500 1.900q-.8.4-.8 1.200M10 13.500h.01",
  ),
} as const;
