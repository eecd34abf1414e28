"""Damaged slides through the whole platform: each ends ready or refused in words, its first tiles come or are refused,
the server lives, and meanwhile a sound slide is shown as if nothing happened."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

import httpx

from benchmarks.torture_tiles.delivery import Desk, Shown, fetched
from benchmarks.torture_tiles.oracle import Oracle
from sharing.errors import ConflictError
from sharing.vocabulary import SlideId, SlideState
from tiler.address import TileAddress

# A decoder may take its two minutes twice before a slide is given up; more is hanging.
SETTLE_WITHIN_S: Final = 300.0
_PICTURES: Final = (b"\xff\xd8\xff", b"RIFF")  # JPEG, WebP
_AT_ONCE: Final = 64
_TELL_EVERY: Final = 500


@dataclass(slots=True)
class Tally:
    """What became of the files; `notes` says what should not have been."""

    slides: int = 0
    ready: int = 0
    tiles: int = 0
    tiles_refused: int = 0
    refusals: Counter[str] = field(default_factory=Counter)
    undecided: int = 0
    deaths: int = 0
    hung: int = 0
    wrong: int = 0
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Control:
    """A sound slide of the same server, looked at in between."""

    shown: Shown
    oracle: Oracle

    def fault(self, reader: httpx.Client, turn: int) -> str | None:
        level = turn % len(self.shown.levels)
        cells = self.oracle.cells(level)
        address = TileAddress(level, turn % cells.width, turn // 7 % cells.height)
        answer = fetched(reader, self.shown.path(address))
        if answer.status_code != httpx.codes.OK:
            return f"HTTP {answer.status_code}"
        return self.oracle.fault(address, answer.content)


def feed(
    desk: Desk,
    files: Iterable[tuple[str, bytes | Mapping[str, bytes]]],
    control: Control,
    tell: Callable[[str], None] = lambda said: None,
) -> Tally:
    """Deliver these files, some at once, and look at what comes of each; `tell` hears now and then how far it is."""
    tally = Tally()
    waiting: list[tuple[str, SlideId]] = []
    with desk.reader() as reader:
        for name, data in files:
            try:
                delivered = desk.deliver(name, data) if isinstance(data, bytes) else desk.deliver_set(name, data)
            except ConflictError:  # two mutations came out the same
                continue
            waiting.append((name, delivered))
            if len(waiting) == _AT_ONCE:
                _look(desk, reader, *waiting.pop(0), control, tally)
                if tally.slides % _TELL_EVERY == 0:
                    tell(f"{tally.slides} files so far, {tally.ready} ready")
        for name, slide_id in waiting:
            _look(desk, reader, name, slide_id, control, tally)
    return tally


def _look(desk: Desk, reader: httpx.Client, name: str, slide_id: SlideId, control: Control, tally: Tally) -> None:
    tally.slides += 1
    slide = desk.settled(slide_id, within_s=SETTLE_WITHIN_S)
    try:
        if slide is None:
            tally.undecided += 1
            tally.notes.append(f"{name} was neither ready nor refused after {SETTLE_WITHIN_S:.0f} s")
        elif slide.state is SlideState.READY:
            tally.ready += 1
            _first_tiles(reader, name, slide_id, tally)
        else:
            tally.refusals[slide.refusal_code or ""] += 1
            if not (slide.refusal_reason or "").endswith("."):
                tally.notes.append(f"{name} was refused without a sentence")
        if fault := control.fault(reader, tally.slides):
            tally.wrong += 1
            tally.notes.append(f"after {name} a tile of a sound slide was wrong: {fault}")
    except httpx.TimeoutException:
        tally.hung += 1
        tally.notes.append(f"{name}: a request had no answer in time")
    except httpx.TransportError as error:
        tally.deaths += 1
        tally.notes.append(f"{name}: the server is gone ({error})")


def _first_tiles(reader: httpx.Client, name: str, slide_id: SlideId, tally: Tally) -> None:
    """What a viewer asks first: the coarsest level, then a corner of each finer one. A level that must be cut from
    damaged tiles may be refused for now (503); nothing else may be said but the tile."""
    shown = Shown(reader, slide_id)
    for level in reversed(range(len(shown.levels))):
        answer = reader.get(shown.path(TileAddress(level, 0, 0)))
        if answer.status_code == httpx.codes.OK and answer.content.startswith(_PICTURES):
            tally.tiles += 1
        elif answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:
            tally.tiles_refused += 1
        else:
            tally.wrong += 1
            tally.notes.append(f"{name}: level {level} was answered HTTP {answer.status_code}")
