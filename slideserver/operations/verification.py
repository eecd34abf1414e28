"""`iain verify`: every stored file is read and compared with its digest, and what nobody knows of is listed.

It removes nothing and mends nothing. What it finds is written down where the background's looking finds it, so that a
file that was put back counts as sound from then on.
"""

import re
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from sqlalchemy import select

from ingest.directory import DERIVED
from ingest.scrub import look
from sharing import custody
from sharing.custody import Bearer, Kept
from sharing.db.engine import Database, Session
from sharing.db.tables import SlideRow
from sharing.vocabulary import SlideState
from tiler.index import file_name
from tiler.storage.local import LocalBlobStore
from tiler.storage.proof import Damage, prove

SETTLED_S = 3600.0
"""A blob is there before the row that names it: only after this time does one without a row belong to nobody."""
TOGETHER = 200  # files whose results are written at once
_DIGEST = re.compile(r"[0-9a-f]{64}")
_INDEX = re.compile(r"([0-9a-f]{64})\.index")

_REMEDY = "Push the slide again from its scanner, or copy it from a backup to this place; then run iain verify again."
_REMEDY_MADE = "Copy it from a backup to this place; then run iain verify again."
_REMEDY_UNUSED = "No slide needs it. Move it out of the data directory."
_WORDS: Mapping[str, str] = {
    Damage.MISSING: "missing",
    Damage.CUT: "not as long as it was received",
    Damage.ALTERED: "not what was received, its SHA-256 differs",
    Damage.UNREADABLE: "the disk does not give it back",
    "unnamed": "whole, and no slide needs it",
    "leftover": "left by something that was interrupted",
    "foreign": "nothing that belongs here",
}

Progress = Callable[[int, int], None]
"""Called with bytes read and bytes to read."""


class Standing(StrEnum):
    UNNAMED = "unnamed"  # whole, and no slide needs it
    LEFTOVER = "leftover"  # of something that was interrupted
    FOREIGN = "foreign"  # nothing that the platform would have put there


@dataclass(frozen=True, slots=True)
class Flaw:
    """A file that is not what it was; `path` below the data directory. Without bearers no slide needs it any more."""

    path: str
    damage: Damage
    bearers: tuple[Bearer, ...] = ()


@dataclass(frozen=True, slots=True)
class Stray:
    path: str
    bytes: int
    standing: Standing


@dataclass(frozen=True, slots=True)
class Report:
    files: int
    bytes: int
    flaws: tuple[Flaw, ...]
    strays: tuple[Stray, ...]

    @property
    def sound(self) -> bool:
        """What is merely left over harms nobody."""
        return not self.flaws and not any(stray.standing is Standing.FOREIGN for stray in self.strays)


def verify(
    database: Database,
    var: Path,
    *,
    threads: int = 2,
    settled_s: float = SETTLED_S,
    progress: Progress = lambda done, total: None,
) -> Report:
    """Reads everything that a slide needs, then what else lies there. May run beside the server."""
    there = list(_there(var))  # before the rows: what comes meanwhile is nobody's stray
    with database.reading() as session:
        files = custody.kept(session)
        slides = _slides(session)
        now_us = session.now_us
    named = {_path(kept) for kept in files}
    old = [path for path in there if _changed_us(path) <= now_us - settled_s * 1e6]
    others = [path for path in old if path.relative_to(var).as_posix() not in named]
    count = _Count(progress, sum(_length(var / _path(kept)) for kept in files) + sum(map(_length, others)))
    store = LocalBlobStore(var / "blobs")
    flaws: list[Flaw] = []
    with ThreadPoolExecutor(threads) as pool:
        for start in range(0, len(files), TOGETHER):
            some = files[start : start + TOGETHER]
            found = list(pool.map(lambda kept: look(store, var / "slides", kept, count.add), some))
            with database.writing() as session:
                for kept, damage in zip(some, found, strict=True):
                    custody.record(session, kept.site_id, kept.sha256, damage)
                    if damage:
                        flaws.append(Flaw(_path(kept), damage, custody.bearers(session, kept.site_id, kept.sha256)))
        judged = list(pool.map(lambda path: _judge(var, path, slides, count), others))
    return Report(
        files=len(files),
        bytes=count.done,
        flaws=(*flaws, *(one for one in judged if isinstance(one, Flaw))),
        strays=tuple(one for one in judged if isinstance(one, Stray)),
    )


def _slides(session: Session) -> dict[str, str]:
    """What each slide's build begins with: the first 16 digits of an index; empty where it opens the slide."""
    rows = session.execute(select(SlideRow.id, SlideRow.state, SlideRow.index_digest))
    return {row.id: "-" if row.state == SlideState.REFUSED else (row.index_digest or "")[:16] for row in rows}


def lines(report: Report) -> Iterator[str]:
    """What to tell who asked, and what to do."""
    for flaw in report.flaws:
        yield f"{flaw.path}: {_WORDS[flaw.damage]}"
        for bearer in flaw.bearers:
            case = f"case {bearer.accession}" if bearer.accession else "without a case"
            yield f"    slide {bearer.slide_name} ({bearer.slide_id}), {case}: {bearer.file}"
        yield f"    → {_remedy(flaw)}"
    for stray in report.strays:
        yield f"{stray.path}: {_WORDS[stray.standing]} ({stray.bytes:,} bytes)"
    if foreign := sum(stray.standing is Standing.FOREIGN for stray in report.strays):
        yield f"    → Look where the {foreign} foreign came from, and move them out of the data directory."
    flawed = f"{len(report.flaws)} missing or damaged" if report.flaws else "every digest equal"
    spare = sum(stray.bytes for stray in report.strays)
    beside = f"; {len(report.strays)} that nobody needs ({spare / 1e9:.2f} GB)" if report.strays else ""
    yield f"{report.files} files, {report.bytes / 1e9:.2f} GB read: {flawed}{beside}."


def _remedy(flaw: Flaw) -> str:
    if not flaw.bearers:
        return _REMEDY_UNUSED
    # What the platform made itself no scanner has.
    made = flaw.path.startswith("slides/") or all(bearer.file == DERIVED for bearer in flaw.bearers)
    return _REMEDY_MADE if made else _REMEDY


class _Count:
    """Adds up what several threads have read."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress, self._total, self.done = progress, total, 0
        self._lock = threading.Lock()

    def add(self, count: int) -> None:
        with self._lock:
            self.done += count
            self._progress(self.done, max(self._total, self.done))


def _judge(var: Path, path: Path, slides: Mapping[str, str], count: _Count) -> Flaw | Stray | None:
    """What a file is that no row names. None for what belongs there without one, or is gone by now."""
    place = path.relative_to(var)
    sha256, standing = _promise(place, slides)
    damage = prove(path, sha256, None, count.add) if sha256 else None
    if damage is Damage.MISSING or not path.exists():
        return None
    if damage:
        return Flaw(place.as_posix(), damage)
    return Stray(place.as_posix(), _length(path), standing) if standing else None


def _promise(place: Path, slides: Mapping[str, str]) -> tuple[str | None, Standing | None]:
    """The digest that a name promises, and what the file is if it keeps it; None for what is as it should be."""
    match place.parts:
        case ("blobs", _, first, name) if _DIGEST.fullmatch(name) and name.startswith(first) and len(first) == 2:
            return name, Standing.UNNAMED
        case ("blobs", _, name) if name.startswith(".part-"):
            return None, Standing.LEFTOVER
        case ("aside", _, _, name) if _DIGEST.fullmatch(name):
            return name, None
        case ("slides", slide, name) if slide in slides and (match := _INDEX.fullmatch(name)):
            return match[1], None  # an earlier generation, which a reader may still have open
        case ("slides", slide, name) if slide in slides:
            return None, Standing.LEFTOVER if name.startswith(".") else None
        case ("building", build, *_) if slides.get(build[:-17]) in (build[-16:], ""):
            return None, None  # a build under way, or one that goes on
        case ("slides", _, _) | ("building", *_):
            return None, Standing.LEFTOVER
    return None, Standing.FOREIGN


def _there(var: Path) -> Iterator[Path]:
    for folder in ("blobs", "slides", "building", "aside"):
        yield from (path for path in sorted((var / folder).rglob("*")) if not path.is_dir() or path.is_symlink())


def _path(kept: Kept) -> str:
    """Below the data directory."""
    if kept.index_of is not None:
        return f"slides/{kept.index_of}/{file_name(kept.sha256)}"
    return f"blobs/{kept.site_id}/{kept.sha256[:2]}/{kept.sha256}"


def _length(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:
        return 0


def _changed_us(path: Path) -> float:
    """When it got its name or its contents."""
    try:
        return path.lstat().st_ctime_ns / 1000
    except OSError:
        return float("inf")
