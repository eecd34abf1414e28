/** What was dropped, seen as slides: which files belong together. The reader of the server has the last word.
 *
 * The rules, and the names under which files are sent, are those of the agent beside a scanner (`ingest.agent.parcels`),
 * so that a slide is the same slide whichever way it comes.
 */

import { HEAD_BYTES, type Instance, instanceIn, WHOLE_SLIDE } from "./dicom";
import type { Named } from "./files";
import { INI, namedIn } from "./mirax";

export interface Part {
  /** The name it is sent by. */
  readonly name: string;
  readonly file: File;
}

/** One slide: its name for people, its files, and what should lie beside them and does not. */
export interface Parcel {
  readonly name: string;
  readonly parts: readonly Part[];
  readonly missing: readonly string[];
  /** Where the files lay: the same slide dropped once more is the same. */
  readonly from: readonly Named[];
}

/** `left`: paths of files that belong to no slide. */
export interface Found {
  readonly parcels: readonly Parcel[];
  readonly left: readonly string[];
}

const TIFF = ["II*\0", "MM\0*", "II+\0", "MM\0+"];
const ALONE = [...TIFF, "ZISRAWFILE", "[Virtual Microscope Specimen]", "[Uncompressed Virtual Microscope Specimen]"];
const SOFTWARE = 305;
const UID = /^[0-9.]{1,64}$/;
const INI_MAX_BYTES = 4 * 1024 * 1024;

export async function find(files: readonly Named[]): Promise<Found> {
  const beside = new Map(files.map((each) => [each.path.toLowerCase(), each]));
  const taken = new Set<Named>();
  const parcels: Parcel[] = [];
  const take = (parcel: Parcel): void => {
    parcels.push(parcel);
    for (const each of parcel.from) taken.add(each);
  };
  const folders = new Set<string>();
  for (const each of files) {
    if (base(each.path).toLowerCase() === INI) folders.add(folder(each.path));
    else if (/\.mrxs$/i.test(each.path) && !startsWith(await head(each.file, 4), TIFF)) folders.add(stem(each.path));
  }
  for (const data of [...folders].sort()) take(await mirax(data, beside));
  const series = new Map<string, [Named, Instance][]>();
  for (const each of files) {
    if (taken.has(each) || folders.has(folder(each.path))) continue;
    const start = await head(each.file, 256);
    const instance = instanceIn(start) ? instanceIn(await head(each.file, HEAD_BYTES)) : null;
    if (instance && (instance.sopClass === WHOLE_SLIDE || instance.sopClass === "")) {
      if (instance.series && UID.test(instance.uid)) {
        series.set(instance.series, [...(series.get(instance.series) ?? []), [each, instance]]);
      } else take(alone(each));
    } else if (!instance && startsWith(start, TIFF)) take(await tiff(each, beside));
    // What was named by itself is meant, whatever it is: the server says what is wrong with it.
    else if (startsWith(start, ALONE) || (!instance && !each.path.includes("/"))) take(alone(each));
  }
  for (const instances of series.values()) take(ofSeries(instances));
  // A companion may have come before the file that it belongs to.
  const parts = new Set(parcels.filter(({ parts }) => parts.length > 1).flatMap(({ from }) => from));
  return {
    parcels: parcels.filter(({ parts: own, from }) => own.length > 1 || !from.some((each) => parts.has(each))),
    left: files.filter((each) => !taken.has(each)).map(({ path }) => path),
  };
}

function alone(each: Named): Parcel {
  return { name: base(each.path), parts: [{ name: base(each.path), file: each.file }], missing: [], from: [each] };
}

/** The file; of a Trestle scan with the picture of the whole glass that it writes beside it. */
async function tiff(each: Named, beside: ReadonlyMap<string, Named>): Promise<Parcel> {
  const glass = beside.get(`${stem(each.path)}.full`.toLowerCase());
  if (!glass || glass === each || !(await software(each.file)).startsWith("MedScan")) return alone(each);
  const parts = [
    { name: "slide.tif", file: each.file },
    { name: "slide.Full", file: glass.file },
  ];
  return { name: base(each.path), parts, missing: [], from: [each, glass] };
}

/** What the first directory of a classic TIFF says in Software; empty when nothing. */
async function software(file: File): Promise<string> {
  try {
    const start = new DataView((await head(file, 8)).buffer);
    const little = start.getUint16(0) === 0x4949;
    const at = start.getUint32(4, little);
    const directory = new DataView(await file.slice(at, at + 2 + 12 * 200).arrayBuffer());
    for (let entry = 0; entry < directory.getUint16(0, little); entry++) {
      const of = 2 + 12 * entry;
      if (directory.getUint16(of, little) !== SOFTWARE || directory.getUint32(of + 4, little) <= 4) continue;
      const text = directory.getUint32(of + 8, little);
      return latin(new Uint8Array(await file.slice(text, text + 64).arrayBuffer()));
    }
  } catch {
    // Its directory lies behind its end: the server says so.
  }
  return "";
}

/** The file X.mrxs, and beside it the folder X with what its Slidedat.ini names. */
async function mirax(data: string, beside: ReadonlyMap<string, Named>): Promise<Parcel> {
  const name = `${base(data)}.mrxs`;
  const front = beside.get(`${data}.mrxs`.toLowerCase());
  const ini = beside.get(`${data}/${INI}`.toLowerCase());
  const files = new Map<string, Named>(front ? [["slide.mrxs", front]] : []);
  const missing = front ? [] : [name];
  if (ini) {
    files.set("slide/Slidedat.ini", ini);
    for (const wanted of namedIn(await ini.file.slice(0, INI_MAX_BYTES).text())) {
      const found = beside.get(`${data}/${wanted}`.toLowerCase());
      if (found) files.set(`slide/${wanted.normalize("NFC")}`, found);
      else missing.push(`${base(data)}/${wanted}`);
    }
  } else missing.push(`${base(data)}/Slidedat.ini`);
  const parts = [...files].map(([sentAs, { file }]) => ({ name: sentAs, file }));
  return { name, parts, missing, from: [...files.values()] };
}

/** One DICOM series; a copy of an instance that it has already is left. */
function ofSeries(instances: readonly [Named, Instance][]): Parcel {
  const files = new Map<string, Named>();
  const there = new Map<string, Set<number>>();
  const totals = new Map<string, number>();
  for (const [each, { uid, concatenation, number, total }] of instances) {
    let name = `${uid}.dcm`;
    for (let copy = 2; files.has(name) && files.get(name)!.file.size !== each.file.size; copy++) {
      name = `${uid}-${copy}.dcm`;
    }
    if (!files.has(name)) files.set(name, each);
    if (concatenation) {
      there.set(concatenation, (there.get(concatenation) ?? new Set()).add(number));
      totals.set(concatenation, Math.max(total, totals.get(concatenation) ?? 0));
    }
  }
  const missing = [...totals].flatMap(([uid, total]) =>
    Array.from({ length: total }, (_, before) => before + 1)
      .filter((number) => !there.get(uid)!.has(number))
      .map((number) => `${number}/${total} (${uid})`),
  );
  const from = instances.map(([each]) => each);
  if (files.size === 1 && missing.length === 0) return { ...alone([...files.values()][0]!), from };
  const parts = [...files].sort().map(([name, { file }]) => ({ name, file }));
  return { name: base(common(from.map(({ path }) => folder(path)))) || "dicom", parts, missing, from };
}

/** The folder that all of these lie in. */
function common(folders: readonly string[]): string {
  const [first = "", ...others] = folders;
  const parts = first.split("/");
  for (const other of others.map((each) => each.split("/"))) {
    const differs = parts.findIndex((part, at) => part !== other[at]);
    if (differs >= 0) parts.length = differs;
  }
  return parts.join("/");
}

/** The beginning of a file; empty when it cannot be read, which is told when it is to be sent. */
async function head(file: File, length: number): Promise<Uint8Array<ArrayBuffer>> {
  try {
    return new Uint8Array(await file.slice(0, length).arrayBuffer());
  } catch {
    return new Uint8Array();
  }
}

function startsWith(start: Uint8Array, marks: readonly string[]): boolean {
  const text = latin(start.subarray(0, 64));
  return marks.some((mark) => text.startsWith(mark));
}

function latin(value: Uint8Array): string {
  return String.fromCharCode(...value);
}

function base(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

function folder(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf("/")));
}

function stem(path: string): string {
  const dot = path.lastIndexOf(".");
  return dot > path.lastIndexOf("/") ? path.slice(0, dot) : path;
}
