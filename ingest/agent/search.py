"""One watched folder, looked at again and again: which slides in it are complete, and which have not been for long.

A file counts once its size and time have rested for a while, by this program's own clock: the clock of a share is
another. Then the format has its say (`ingest.agent.completeness`).
"""

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from ingest.agent.completeness import lack_of
from ingest.agent.entries import QueuedFile, Stamp, State
from ingest.agent.parcels import Parcel, awaits_company, grouped, series_of
from ingest.heartbeat import Trouble

FOLDER_MISSING, FOLDER_UNREADABLE, STILL_CHANGING = "folder-missing", "folder-unreadable", "still-changing"
NOT_A_SLIDE, UNREADABLE = "not-a-slide", "unreadable-file"
# What systems and network storage keep on a disk: there may be slides in it that somebody threw away.
_OF_SYSTEMS = frozenset(
    {"$recycle.bin", "system volume information", "recycler", "lost+found", "@eadir", "#recycle", "@recycle"}
)
COMPANY_RESTS = 4
"""A slide that more files may join, which nothing in it announces, is waited with for so many times the rest."""
# Names that promise a slide: whoever gave one wants to know when there is none.
_SLIDES = frozenset(
    {".svs", ".ndpi", ".tif", ".tiff", ".scn", ".bif", ".mrxs", ".czi", ".vms", ".vmu", ".dcm", ".svslide"}
)
# How programs call a file that they have not finished.
_UNFINISHED = (".tmp", ".temp", ".part", ".partial", ".filepart", ".crdownload", ".writing", ".lock", "~")


@dataclass(frozen=True, slots=True)
class Slide:
    """A complete slide that is not in the queue."""

    name: str
    files: tuple[QueuedFile, ...]


@dataclass(frozen=True, slots=True)
class Sight:
    """What was seen: slides to be sent, slides that have lacked something for long, and troubles of the folder."""

    slides: tuple[Slide, ...] = ()
    incomplete: tuple[Trouble, ...] = ()
    folder: tuple[Trouble, ...] = ()


def _first(parcel: Parcel) -> Path:
    return parcel.files[0][1]


def _hold_on(path: Path) -> str:
    """Why a file cannot be read, empty when it can: on Windows its scanner may hold it for itself."""
    try:
        with path.open("rb", buffering=0) as file:
            file.read(1)
    except OSError as error:
        return error.strerror or str(error)
    return ""


@dataclass(slots=True)
class _Rest:
    stamp: Stamp
    since: float


class Search:
    """What is remembered of a folder between two looks. Times in seconds."""

    def __init__(
        self,
        root: Path,
        rest_s: float,
        tell_after_s: float,
        now: Callable[[], float],
        now_us: Callable[[], int],
        apart: tuple[Path, ...] = (),
    ) -> None:
        """`apart`: folders below it that are not looked into."""
        self.root, self._rest_s, self._tell_after_s = root, rest_s, tell_after_s
        self._now, self._now_us, self._apart = now, now_us, frozenset(apart)
        self._rests: dict[Path, _Rest] = {}
        self._lacking: dict[Path, Trouble] = {}
        self._seen: object = None
        self._again_at = float("inf")
        self._plain: set[Stamp] = set()

    def look(self, known: Mapping[Stamp, State]) -> Sight:
        """`known`: the files of the queue, as they were found."""
        unreadable: list[Trouble] = []
        if not os.path.isdir(self.root):  # which a share that went away answers, too, and not by an exception
            return self._sight((), [self._trouble(FOLDER_MISSING, self.root)])
        now = self._now()
        found = {stamp.path: stamp for stamp in self._stamps(unreadable)}
        self._rests = {
            path: rest if (rest := self._rests.get(path)) and rest.stamp == stamp else _Rest(stamp, now)
            for path, stamp in found.items()
        }
        # What the queue knows has rested already, be it before this program began.
        fresh = frozenset(stamp for stamp in found.values() if stamp not in known)
        moving = {stamp.path for stamp in fresh if now - self._rests[stamp.path].since < self._rest_s}
        fresh = frozenset(stamp for stamp in fresh if stamp.path not in moving)
        seen = (fresh, frozenset(moving))
        if seen == self._seen and now < self._again_at:
            return self._sight((), unreadable)
        self._seen, self._again_at = seen, float("inf")
        slides = self._slides([path for path in found if path not in moving], fresh, moving, known)
        if slides:  # the queue knows them now, or soon does not any more: the next look is a new one
            self._seen = None
        return self._sight(slides, unreadable)

    def _slides(
        self, resting: list[Path], fresh: frozenset[Stamp], moving: set[Path], known: Mapping[Stamp, State]
    ) -> tuple[Slide, ...]:
        worth = [path for path in resting if self._is_worth(self._rests[path].stamp, known)] if fresh else []
        held = {path: why for path in worth if (why := _hold_on(path))}
        moving = moving | held.keys()
        try:
            found = grouped([path for path in worth if path not in held])
        except OSError as error:  # a file went away meanwhile, or a folder cannot be read: next time
            self._again_at = self._now()
            why = f"{error.filename or ''} {error.strerror or error}".strip()
            self._lacking[self.root] = self._lack(self.root, str(self.root), FOLDER_UNREADABLE, why)
            return ()
        lacking, slides = dict[Path, Trouble](), list[Slide]()
        for path, why in held.items():
            self._again_at = self._now()
            lacking[path] = self._lack(path, path.name, UNREADABLE, why)
        for path in found.left:
            if path.suffix.casefold() in _SLIDES and self._rests[path].stamp in fresh:
                lacking[path] = self._lack(path, path.name, NOT_A_SLIDE)
        for parcel in found.parcels:
            try:
                files = tuple(self._queued(name, path) for name, path in parcel.files)
                if not any(each.stamp in fresh for each in files):
                    continue
                state = self._state(parcel, files, moving)
            except OSError as error:
                self._again_at = self._now()
                state = self._lack(_first(parcel), parcel.name, UNREADABLE, error.strerror or str(error))
            if state is None:
                slides.append(Slide(parcel.name, files))
            else:
                lacking[_first(parcel)] = state
        self._lacking = lacking
        return tuple(slides)

    def _is_worth(self, stamp: Stamp, known: Mapping[Stamp, State]) -> bool:
        """Whether a file may be part of a slide that is still to be found: not when it is on its way out, nor when it
        was sent and is of a format whose slides are one file."""
        state = known.get(stamp)
        if state is None:
            return True
        if state is State.SETTLING or stamp in self._plain:
            return False
        try:
            alone = series_of(stamp.path) is None and stamp.path.suffix.casefold() not in (".mrxs", ".ini", ".dat")
        except OSError:
            return True
        if alone:
            self._plain.add(stamp)
        return not alone

    def _state(self, parcel: Parcel, files: tuple[QueuedFile, ...], moving: set[Path]) -> Trouble | None:
        """What is to be waited for before this slide can be sent. Raises OSError."""
        if any(each.path in moving for each in files):
            return self._lack(_first(parcel), parcel.name, STILL_CHANGING)
        if kin := self._unclear_kin(parcel, moving):
            return self._lack(_first(parcel), parcel.name, STILL_CHANGING, kin.name)
        if awaits_company(parcel):
            began = max(rest.since for each in files if (rest := self._rests.get(each.path)))
            complete_at = began + COMPANY_RESTS * self._rest_s
            if self._now() < complete_at:
                self._again_at = min(self._again_at, complete_at)
                return self._lack(_first(parcel), parcel.name, STILL_CHANGING)
        if lack := lack_of(parcel):
            return self._lack(_first(parcel), parcel.name, lack.code, lack.detail)
        return None

    def _unclear_kin(self, parcel: Parcel, moving: set[Path]) -> Path | None:
        """A file that may be one more of these: it is being written, or so far says nothing of itself."""
        first = parcel.files[0][1]
        series = series_of(first)
        if series is None:
            within = {path.parent for name, path in parcel.files if "/" in name}
            return next((path for path in moving if path.parent in within), None)
        own = {path for _, path in parcel.files}
        folders = {path.parent for path in own}
        beside = (path for path in self._rests if path.parent in folders and path not in moving | own)
        stubs = (path for path in beside if path.suffix == first.suffix and series_of(path) == "")
        near = (path for path in moving if path.parent in folders and series_of(path) in (series, ""))
        return next(near, None) or next(stubs, None)

    def _queued(self, name: str, path: Path) -> QueuedFile:
        rest = self._rests.get(path)
        stamp = rest.stamp if rest else Stamp.of(path)
        return QueuedFile(name, *stamp)

    def _lack(self, first: Path, name: str, code: str, detail: str = "") -> Trouble:
        before = self._lacking.get(first)
        return Trouble(name, code, detail, before.since_us if before else self._now_us())

    def _sight(self, slides: tuple[Slide, ...], folder: list[Trouble]) -> Sight:
        told_before_us = self._now_us() - int(self._tell_after_s * 1e6)
        told = {path: each for path, each in self._lacking.items() if each.since_us <= told_before_us}
        names = Counter(each.name for each in told.values())
        lacking = tuple(
            each if names[each.name] == 1 else replace(each, name=str(path.relative_to(self.root)))
            for path, each in told.items()
        )
        return Sight(slides, lacking, tuple(folder))

    def _trouble(self, code: str, path: Path, detail: str = "") -> Trouble:
        return Trouble(str(path), code, detail, self._now_us())

    def _is_looked_into(self, folder: Path) -> bool:
        return not (folder.name.startswith(".") or folder.name.casefold() in _OF_SYSTEMS or folder in self._apart)

    def _stamps(self, unreadable: list[Trouble]) -> Iterator[Stamp]:
        """Every file below the folder that is not hidden; says which folders cannot be read."""

        def note(error: OSError) -> None:
            unreadable.append(self._trouble(FOLDER_UNREADABLE, Path(error.filename), error.strerror or ""))

        for place, folders, names in os.walk(self.root, onerror=note):
            folders[:] = sorted(name for name in folders if self._is_looked_into(Path(place, name)))
            for name in sorted(names):
                if name.startswith(".") or name.casefold().endswith(_UNFINISHED):
                    continue
                path = Path(place, name)
                try:
                    if path.is_file():
                        yield Stamp.of(path)
                except OSError:  # it went away
                    continue
