/** The words of the viewer. French is written first, English after it; both say the same. */

import { type SharingWords, sharingEn, sharingFr } from "./i18n-sharing";
import { dayOf } from "./model/moment";
import { inBytes } from "./model/size";

export interface Words extends SharingWords {
  stage: string;
  /* tool bar */
  fit: string;
  fitShort: string;
  zoomIn: string;
  zoomOut: string;
  rotate: string;
  upright: string;
  label: string;
  overview: string;
  link: string;
  linkCopied: string;
  linkByHand: string;
  /** With its size. */
  download: (size: string) => string;
  keys: string;
  slides: string;
  more: string;
  close: string;
  presets: string;
  tools: string;
  beyondScan: (native: string) => string;
  outOfReach: string;
  /* reading */
  magnification: string;
  position: string;
  rotation: string;
  scale: string;
  uncalibrated: string;
  uncalibratedWhy: string;
  window: (values: string) => string;
  plane: (number: string) => string;
  zoomOnly: (percent: string) => string;
  sharpening: string;
  missing: (tiles: number) => string;
  /* label and tray */
  labelImage: string;
  turnLabel: string;
  macroImage: string;
  noLabel: string;
  noMacro: string;
  trayTitle: string;
  slideNumber: (index: number, count: number) => string;
  noStain: string;
  preparing: string;
  refused: string;
  previous: string;
  next: string;
  overviewTitle: string;
  /* states */
  loading: string;
  away: string;
  awayMore: string;
  ended: string;
  endedMore: string;
  logIn: string;
  revoked: string;
  revokedMore: string;
  backToCases: string;
  broken: string;
  brokenMore: string;
  retry: string;
  slideAway: string;
  /* keys */
  keysTitle: string;
  keyMove: string;
  keyMoveFast: string;
  keyZoom: string;
  keyPresets: string;
  keyFit: string;
  keyRotate: string;
  keyRotateFree: string;
  keyLabel: string;
  keyOverview: string;
  keyLink: string;
  keyFrame: string;
  keyTools: string;
  keySlides: string;
  keyKeys: string;
  mouseMove: string;
  mouseZoom: string;
  mouseDouble: string;
  groupMove: string;
  groupShow: string;
  groupMouse: string;
  drag: string;
  wheel: string;
  doubleClick: string;
  arrows: string;
  shift: string;
  yesterday: string;
  tomorrow: string;
}

const fr: Words = {
  ...sharingFr,
  stage:
    "Lame : flèches pour se déplacer, plus et moins pour zoomer, F6 pour les outils, point d’interrogation pour toutes les touches",
  fit: "Lame entière",
  fitShort: "Entière",
  zoomIn: "Agrandir",
  zoomOut: "Réduire",
  rotate: "Tourner d’un quart de tour",
  upright: "Redresser",
  label: "Étiquette",
  overview: "Vue d’ensemble",
  link: "Copier le lien vers cette vue",
  linkCopied: "Lien copié",
  linkByHand: "Copiez ce lien :",
  download: (size) => `Télécharger le fichier du scanner (${size})`,
  keys: "Touches",
  slides: "Lames",
  more: "Plus",
  close: "Fermer",
  presets: "Grossissement",
  tools: "Outils",
  beyondScan: (native) => `agrandissement numérique, lame numérisée à ${native}`,
  outOfReach: "hors de portée pour cette lame",
  magnification: "Grossissement",
  position: "Position en pixels de la lame",
  rotation: "Rotation",
  scale: "Échelle",
  uncalibrated: "Lame non étalonnée : pas d’échelle",
  window: (values) => `fenêtre ${values}`,
  plane: (number) => `plan ${number}`,
  uncalibratedWhy: "Le fichier du scanner ne donne pas la taille des pixels. Ne mesurez rien sur cette lame.",
  zoomOnly: (percent) => `zoom ${percent}`,
  sharpening: "mise au net…",
  missing: (tiles) => (tiles === 1 ? "une zone manque encore" : `${tiles} zones manquent encore`),
  labelImage: "Étiquette",
  turnLabel: "Tourner l’étiquette",
  macroImage: "Vue macroscopique",
  noLabel: "Le scanner n’a pas fourni d’image de l’étiquette.",
  noMacro: "Le scanner n’a pas fourni de vue macroscopique.",
  trayTitle: "Lames du cas",
  slideNumber: (index, count) => `Lame ${index} sur ${count}`,
  noStain: "coloration inconnue",
  preparing: "en attente",
  refused: "refusée",
  previous: "Lame précédente",
  next: "Lame suivante",
  overviewTitle: "Vue d’ensemble : cliquez pour vous y déplacer",
  loading: "Chargement de la lame…",
  away: "Le serveur d’images ne répond plus.",
  awayMore: "Ce qui est affiché reste. La suite viendra dès qu’il répondra ; rien à faire.",
  ended: "Votre session est terminée.",
  endedMore: "Reconnectez-vous : vous reviendrez exactement à cette vue.",
  logIn: "Se reconnecter",
  revoked: "Cette lame ne vous est plus accessible.",
  revokedMore: "L’accès a été retiré, ou la lame n’existe plus. Le centre qui la détient peut vous en dire la raison.",
  backToCases: "Revenir aux cas",
  broken: "Cette lame ne peut pas être affichée.",
  brokenMore:
    "La page a reçu une description incomplète. Rechargez-la ; si cela se répète, prévenez votre informatique.",
  retry: "Recharger",
  slideAway: "La lame demandée n’a pas pu être ouverte ; celle-ci reste affichée.",
  keysTitle: "Touches et gestes",
  keyMove: "Se déplacer",
  keyMoveFast: "Se déplacer d’un demi-écran",
  keyZoom: "Agrandir, réduire (sous le pointeur)",
  keyPresets: "1×, 2,5×, 5×, 10×, 20×, 40×",
  keyFit: "Lame entière",
  keyRotate: "Quart de tour à droite, à gauche",
  keyRotateFree: "Tourner librement",
  keyLabel: "Étiquette et vue macroscopique",
  keyOverview: "Vue d’ensemble",
  keyLink: "Copier le lien vers cette vue",
  keyFrame: "Masquer ou montrer tout sauf la lame",
  keyTools: "Aller aux outils et en revenir",
  keySlides: "Lame précédente, suivante",
  keyKeys: "Cette page",
  mouseMove: "Se déplacer",
  mouseZoom: "Zoomer sous le pointeur",
  mouseDouble: "Deux fois plus grand",
  groupMove: "Se déplacer",
  groupShow: "Montrer",
  groupMouse: "À la souris, au doigt",
  drag: "glisser",
  wheel: "molette, pincer",
  doubleClick: "double clic",
  arrows: "flèches",
  shift: "Maj",
  yesterday: "hier",
  tomorrow: "demain",
};

const en: Words = {
  ...sharingEn,
  stage: "Slide: arrows to move, plus and minus to zoom, F6 for the tools, question mark for all keys",
  fit: "Whole slide",
  fitShort: "Whole",
  zoomIn: "Zoom in",
  zoomOut: "Zoom out",
  rotate: "Turn by a quarter",
  upright: "Set upright",
  label: "Label",
  overview: "Overview",
  link: "Copy the link to this view",
  linkCopied: "Link copied",
  linkByHand: "Copy this link:",
  download: (size) => `Download the scanner’s file (${size})`,
  keys: "Keys",
  slides: "Slides",
  more: "More",
  close: "Close",
  presets: "Magnification",
  tools: "Tools",
  beyondScan: (native) => `digital zoom, slide scanned at ${native}`,
  outOfReach: "out of reach for this slide",
  magnification: "Magnification",
  position: "Position in slide pixels",
  rotation: "Rotation",
  scale: "Scale",
  uncalibrated: "Slide not calibrated: no scale",
  window: (values) => `window ${values}`,
  plane: (number) => `plane ${number}`,
  uncalibratedWhy: "The scanner’s file does not say how large a pixel is. Measure nothing on this slide.",
  zoomOnly: (percent) => `zoom ${percent}`,
  sharpening: "sharpening…",
  missing: (tiles) => (tiles === 1 ? "one area still missing" : `${tiles} areas still missing`),
  labelImage: "Label",
  turnLabel: "Turn the label",
  macroImage: "Macro view",
  noLabel: "The scanner gave no image of the label.",
  noMacro: "The scanner gave no macro view.",
  trayTitle: "Slides of the case",
  slideNumber: (index, count) => `Slide ${index} of ${count}`,
  noStain: "stain unknown",
  preparing: "preparing",
  refused: "refused",
  previous: "Previous slide",
  next: "Next slide",
  overviewTitle: "Overview: click to go there",
  loading: "Loading the slide…",
  away: "The image server does not answer.",
  awayMore: "What is shown stays. The rest will come as soon as it answers; nothing to do.",
  ended: "Your session has ended.",
  endedMore: "Log in again: you will come back to exactly this view.",
  logIn: "Log in again",
  revoked: "You no longer have access to this slide.",
  revokedMore: "Access was withdrawn, or the slide no longer exists. The centre that holds it can tell you why.",
  backToCases: "Back to the cases",
  broken: "This slide cannot be shown.",
  brokenMore: "The page received an incomplete description. Reload it; if it happens again, tell your IT.",
  retry: "Reload",
  slideAway: "The slide asked for could not be opened; this one stays.",
  keysTitle: "Keys and gestures",
  keyMove: "Move",
  keyMoveFast: "Move by half a screen",
  keyZoom: "Zoom in, out (at the pointer)",
  keyPresets: "1×, 2.5×, 5×, 10×, 20×, 40×",
  keyFit: "Whole slide",
  keyRotate: "Quarter turn right, left",
  keyRotateFree: "Turn freely",
  keyLabel: "Label and macro view",
  keyOverview: "Overview",
  keyLink: "Copy the link to this view",
  keyFrame: "Hide or show all but the slide",
  keyTools: "Go to the tools and back",
  keySlides: "Previous, next slide",
  keyKeys: "This page",
  mouseMove: "Move",
  mouseZoom: "Zoom at the pointer",
  mouseDouble: "Twice as large",
  groupMove: "Moving",
  groupShow: "Showing",
  groupMouse: "With the mouse, with fingers",
  drag: "drag",
  wheel: "wheel, pinch",
  doubleClick: "double click",
  arrows: "arrows",
  shift: "Shift",
  yesterday: "yesterday",
  tomorrow: "tomorrow",
};

export type Language = "fr" | "en";

export const DICTIONARIES: Readonly<Record<Language, Words>> = { fr, en };

export class Speech {
  readonly words: Words;
  readonly #whole: Intl.NumberFormat;
  readonly #fine: Intl.NumberFormat;
  readonly #coarse: Intl.NumberFormat;

  constructor(readonly language: Language) {
    this.words = DICTIONARIES[language];
    this.#whole = new Intl.NumberFormat(language, { maximumFractionDigits: 0 });
    this.#fine = new Intl.NumberFormat(language, { maximumSignificantDigits: 3 });
    this.#coarse = new Intl.NumberFormat(language, { maximumSignificantDigits: 2 });
  }

  whole(value: number): string {
    return this.#whole.format(value);
  }

  /** As many figures as one reads at a glance: "0,83", "2,5", "19,8", "40". */
  fine(value: number): string {
    return (value < 9.95 ? this.#coarse : this.#fine).format(value);
  }

  /** "16 h 40" */
  hour(ms: number): string {
    const date = new Date(ms);
    const [hours, minutes] = [date.getHours(), `${date.getMinutes()}`.padStart(2, "0")];
    return this.language === "fr" ? `${hours}\u00a0h\u00a0${minutes}` : `${`${hours}`.padStart(2, "0")}:${minutes}`;
  }

  /** "16 h 40", "hier 16 h 40", "28 nov. 16 h 40": when, by the clock of the place. */
  moment(us: number, now = Date.now()): string {
    const ms = us / 1000;
    const day = dayOf(ms, now);
    if (day === "today") return this.hour(ms);
    const word = day === "other" ? this.day(us) : this.words[day];
    return `${word} ${this.hour(ms)}`;
  }

  /** "16 h 40", "hier", "28 nov.": no more than is needed to know when. */
  near(us: number, now = Date.now()): string {
    const day = dayOf(us / 1000, now);
    if (day === "today") return this.hour(us / 1000);
    return day === "other" ? this.day(us) : this.words[day];
  }

  /** "28 nov." */
  day(us: number): string {
    return new Intl.DateTimeFormat(this.language, { day: "numeric", month: "short" }).format(new Date(us / 1000));
  }

  /** "1,9 Go" */
  bytes(count: number): string {
    return inBytes(count, this.language);
  }

  times(magnification: number): string {
    return `${this.fine(magnification)}×`;
  }
}

/** The language of the page, French unless it says English. */
export function speechOf(page: Document): Speech {
  return new Speech(page.documentElement.lang.toLowerCase().startsWith("en") ? "en" : "fr");
}
