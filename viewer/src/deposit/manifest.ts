/** The manifest of a slide that has several files, as `ingest.manifest` writes it: its SHA-256 stands for the slide. */

export interface SetFile {
  readonly name: string;
  readonly length: number;
  readonly sha256: string;
}

/** Canonical JSON: files in the order of their names, keys sorted, no white space. */
export function encode(files: readonly SetFile[]): string {
  const ordered = [...files].sort((one, other) => inCodePoints(one.name, other.name));
  return JSON.stringify({
    files: ordered.map(({ length, name, sha256 }) => ({ length, name, sha256 })),
    form: "iain-set-1",
  });
}

/** By code points, not by the halves of pairs that JavaScript compares. */
function inCodePoints(one: string, other: string): number {
  const [left, right] = [[...one], [...other]];
  for (let at = 0; at < Math.min(left.length, right.length); at++) {
    const difference = left[at]!.codePointAt(0)! - right[at]!.codePointAt(0)!;
    if (difference !== 0) return difference;
  }
  return left.length - right.length;
}
