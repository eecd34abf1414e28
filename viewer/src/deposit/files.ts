/** What somebody dropped or picked: files, with the folders they lay in. */

export interface Named {
  /** The file's name behind the folders that were dropped with it, `/` between them. */
  readonly path: string;
  readonly file: File;
}

/** More than any slide has; a whole disk dropped by mistake ends here. */
export const MOST_FILES = 20_000;

/** The files of a drop. It must be asked during the event: afterwards the browser has forgotten what was dropped. */
export async function dropped(transfer: DataTransfer): Promise<Named[]> {
  const items = [...transfer.items].filter(({ kind }) => kind === "file");
  const entries = items.map((item) => item.webkitGetAsEntry());
  // What comes from another program than the file manager may be no entry of a file system, and is a file all the same.
  const loose = items.filter((_, at) => entries[at] === null).map((item) => item.getAsFile());
  const found = await walk(entries.filter((entry) => entry !== null));
  return [...found, ...loose.filter((file) => file !== null).map((file) => ({ path: file.name, file }))];
}

/** The files of a file field, of single files or of a folder. */
export function picked(field: HTMLInputElement): Named[] {
  const files = [...(field.files ?? [])];
  const named = files.map((file) => ({ path: file.webkitRelativePath || file.name, file }));
  return named.filter(({ path }) => !hidden(path)).slice(0, MOST_FILES);
}

export function hidden(path: string): boolean {
  return path.split("/").some((part) => part.startsWith("."));
}

async function walk(roots: readonly FileSystemEntry[]): Promise<Named[]> {
  const found: Named[] = [];
  const waiting = [...roots];
  while (waiting.length > 0 && found.length < MOST_FILES) {
    const entry = waiting.shift()!;
    if (entry.name.startsWith(".")) continue;
    const path = entry.fullPath.replace(/^\/+/, "");
    if (entry.isFile) found.push({ path, file: await fileOf(entry as FileSystemFileEntry) });
    else waiting.push(...(await entriesOf(entry as FileSystemDirectoryEntry)));
  }
  return found;
}

function fileOf(entry: FileSystemFileEntry): Promise<File> {
  return new Promise((resolve, reject) => entry.file(resolve, reject));
}

/** All of a folder: a reader hands them out in batches, the last of which is empty. */
async function entriesOf(folder: FileSystemDirectoryEntry): Promise<FileSystemEntry[]> {
  const reader = folder.createReader();
  const all: FileSystemEntry[] = [];
  while (all.length < MOST_FILES) {
    const batch = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (batch.length === 0) break;
    all.push(...batch);
  }
  return all;
}
