"""A backup of everything the platform keeps, taken while it runs.

The database first, then what it names: slide files and indexes are written before the row that names them and never
changed afterwards, so whatever the snapshot names is there, whole, whatever is written meanwhile. Uploads under way are
left out; their agents send them again.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

from sharing import audit
from sharing.db.engine import Database
from sharing.subjects import System
from sharing.vocabulary import PLATFORM, Act
from slideserver.operations import manifest, snapshots
from slideserver.operations.manifest import BackupError, Manifest
from slideserver.signing import FILE_NAME
from tiler.index import file_name

# A backup holds patients' names: its owner alone reads it.
FILE_MODE = 0o400
DIRECTORY_MODE = 0o700
Progress = Callable[[int, int], None]
"""Called with the number of files done and to do."""


@dataclass(frozen=True, slots=True)
class Taken:
    manifest: Manifest
    sha256: str
    """Of the manifest: whoever keeps it elsewhere can tell whether the backup was altered."""
    linked: int
    """Files shared with the previous backup, not copied again."""


@dataclass(slots=True)
class _Copying:
    target: Path
    previous: Path | None
    before: dict[str, str]
    sums: dict[str, str] = field(default_factory=dict)
    flaws: list[str] = field(default_factory=list)
    bytes: int = 0
    linked: int = 0


def take(
    database: Database,
    var: Path,
    target: Path,
    *,
    previous: Path | None = None,
    progress: Progress = lambda done, total: None,
) -> Taken:
    """Fill the new directory `target`. Files that `previous`, an earlier backup on the same disk, has are linked.

    Raises BackupError before anything is written when that cannot be.
    """
    before = manifest.read(previous)[1] if previous else {}
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise BackupError(f"{target} is not empty. Give each backup a directory of its own.")
    if var.resolve() == target.resolve() or var.resolve() in target.resolve().parents:
        raise BackupError(f"{target} lies in the data directory. Take the backup to another place, or another disk.")
    target.mkdir(parents=True, exist_ok=True)
    target.chmod(DIRECTORY_MODE)
    snapshot = snapshots.take(database, target)
    name = snapshots.FILES[snapshot.engine]
    (target / name).chmod(FILE_MODE)
    work = _Copying(target, previous, before)
    work.sums[name] = manifest.digest(target / name)
    work.bytes = (target / name).stat().st_size
    total = len(snapshot.blobs) + len(snapshot.slides)
    for number, (site, sha256) in enumerate(snapshot.blobs, 1):
        path = f"blobs/{site}/{sha256[:2]}/{sha256}"
        _copy(work, var / path, path, sha256)
        progress(number, total)
    for number, slide in enumerate(snapshot.slides, len(snapshot.blobs) + 1):
        _copy_slide(work, var / "slides" / slide.id, slide)
        progress(number, total)
    if (var / FILE_NAME).is_file():  # without it, every witness would take the restored log for another one
        _copy(work, var / FILE_NAME, FILE_NAME, None)
    manifest.sync_tree(target)
    result = Manifest(
        format=manifest.FORMAT,
        program=version("iain"),
        taken_us=snapshot.taken_us,
        engine=snapshot.engine,
        schema=snapshot.schema,
        database=name,
        tables=snapshot.tables,
        files=len(work.sums),
        bytes=work.bytes,
        sums_sha256=manifest.text_digest(manifest.sums_text(work.sums)),
        flaws=tuple(work.flaws),
    )
    sha256 = manifest.write(target, result, work.sums)
    manifest.sync_tree(target)
    with database.writing() as session:
        detail = {"manifest": sha256, "files": str(result.files)}
        audit.record(session, site_id=PLATFORM, act=Act.BACKUP_TAKEN, subject=System(), detail=detail)
    return Taken(result, sha256, work.linked)


def _copy_slide(work: _Copying, directory: Path, slide: snapshots.StoredSlide) -> None:
    """The index, which must be the one the database names, and the small pictures and colour profile beside it."""
    name = file_name(slide.index_digest)
    _copy(work, directory / name, f"slides/{slide.id}/{name}", slide.index_digest)
    for beside in sorted(path for path in directory.glob("[!.]*") if path.suffix in (".jpg", ".icc")):
        _copy(work, beside, f"slides/{slide.id}/{beside.name}", None)


def _copy(work: _Copying, source: Path, path: str, expected: str | None) -> None:
    """One file into the backup, unless it is not what it should be: then it is a flaw, told and left out."""
    target = work.target / path
    known = work.before.get(path)
    if work.previous and known and known == expected and source.is_file() and _link(work.previous / path, target):
        work.linked += 1
        found = known
    else:
        try:
            found = manifest.copy(source, target, mode=FILE_MODE)
        except FileNotFoundError:
            work.flaws.append(f"{path} is missing")
            return
        if expected is not None and found != expected:
            target.unlink()
            work.flaws.append(f"{path} is not what was received: its SHA-256 is {found}")
            return
    work.sums[path] = found
    work.bytes += target.stat().st_size


def _link(source: Path, target: Path) -> bool:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:  # another disk, or a file system without links: it is copied
        return False
    return True
