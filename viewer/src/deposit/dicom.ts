/** Which series a DICOM file belongs to, read from its first elements (PS3.5, PS3.10); the server reads the rest. */

export const HEAD_BYTES = 512 * 1024;
/** VL Whole Slide Microscopy Image Storage. */
export const WHOLE_SLIDE = "1.2.840.10008.5.1.4.1.1.77.1.6";

/** SOP Class UID, SOP Instance UID, Series Instance UID; of an image that was cut into several files Concatenation UID,
 * the number of this one and how many there are. Empty, or 0, for what the file does not say. */
export interface Instance {
  readonly sopClass: string;
  readonly uid: string;
  readonly series: string;
  readonly concatenation: string;
  readonly number: number;
  readonly total: number;
}

const META_CLASS = 0x00020002;
const META_INSTANCE = 0x00020003;
const SYNTAX = 0x00020010;
const CLASS = 0x00080016;
const INSTANCE = 0x00080018;
const SERIES = 0x0020000e;
const CONCATENATION = 0x00209161;
const NUMBER = 0x00209162;
const TOTAL = 0x00209163;
const ITEM = 0xfffee000;
const ITEM_END = 0xfffee00d;
const SEQUENCE_END = 0xfffee0dd;
const UNDEFINED = 0xffffffff;
const DEEPEST = 16;
const IMPLICIT = "1.2.840.10008.1.2";
const LONG_FORM = new Set(["OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"]);

/** What the first `HEAD_BYTES` of a file say; null when it is no DICOM file. */
export function instanceIn(head: Uint8Array): Instance | null {
  if (latin(head.subarray(128, 132)) !== "DICM") return null;
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  const found = new Map<number, Uint8Array>();
  try {
    let at = 132;
    while (at + 8 <= head.length && view.getUint16(at, true) === 2) {
      const element = elementAt(view, at, true);
      found.set(element.tag, element.value);
      at = element.end;
    }
    const explicit = text(found.get(SYNTAX)) !== IMPLICIT;
    while (at + 8 <= head.length) {
      const element = elementAt(view, at, explicit);
      if (element.tag > TOTAL) break;
      found.set(element.tag, element.value);
      at = element.end;
    }
  } catch {
    // Cut short, or in a transfer syntax that is not read here: what was found so far is what is known.
  }
  return {
    sopClass: text(found.get(CLASS)) || text(found.get(META_CLASS)),
    uid: text(found.get(INSTANCE)) || text(found.get(META_INSTANCE)),
    series: text(found.get(SERIES)),
    concatenation: text(found.get(CONCATENATION)),
    number: short(found.get(NUMBER)),
    total: short(found.get(TOTAL)),
  };
}

interface Element {
  readonly tag: number;
  readonly value: Uint8Array;
  readonly end: number;
}

/** One element, little endian. Throws RangeError where the data end. */
function elementAt(view: DataView, at: number, explicit: boolean, depth = 0): Element {
  const tag = view.getUint16(at, true) * 0x10000 + view.getUint16(at + 2, true);
  if (tag === ITEM_END || tag === SEQUENCE_END) return { tag, value: new Uint8Array(), end: at + 8 };
  const kind = explicit && tag !== ITEM ? latin(bytes(view, at + 4, 2)) : "";
  let start = at + 8;
  let length: number;
  if (kind && !LONG_FORM.has(kind)) length = view.getUint16(at + 6, true);
  else {
    if (kind) start = at + 12;
    length = view.getUint32(start - 4, true);
  }
  if (length === UNDEFINED) {
    // What is of unknown kind and of unknown length is written as if no kinds were (PS3.5 §6.2.2).
    return { tag, value: new Uint8Array(), end: endOf(view, start, explicit && kind !== "UN", depth + 1) };
  }
  return { tag, value: bytes(view, start, length), end: start + length };
}

/** Where a sequence or an item that does not say its length ends. */
function endOf(view: DataView, start: number, explicit: boolean, depth: number): number {
  if (depth > DEEPEST) throw new RangeError("nested too deeply");
  for (let at = start; ; ) {
    const element = elementAt(view, at, explicit, depth);
    if (element.tag === ITEM_END || element.tag === SEQUENCE_END) return element.end;
    at = element.end;
  }
}

function bytes(view: DataView, at: number, length: number): Uint8Array {
  if (at + length > view.byteLength) throw new RangeError("behind the end");
  return new Uint8Array(view.buffer, view.byteOffset + at, length);
}

function latin(value: Uint8Array): string {
  return String.fromCharCode(...value);
}

function text(value: Uint8Array | undefined): string {
  return value && value.length <= 256 ? latin(value).replace(/^[ \0]+|[ \0]+$/g, "") : "";
}

function short(value: Uint8Array | undefined): number {
  return value?.length === 2 ? new DataView(value.buffer, value.byteOffset, 2).getUint16(0, true) : 0;
}
