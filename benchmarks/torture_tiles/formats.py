"""Slides of every format on a running platform: is every tile the right one, and every fact, and how long is it until
the first tile?

The slides are made, one of each kind that the readers' tables name, from several places of a scan, and those of
IAIN_SLIDES_DIR, folders with a colon between them: sound slides, for they are read here by other readers than ours.
"""

from __future__ import annotations

import os
import random
import statistics
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import httpx

from benchmarks.collection import slides_below
from benchmarks.layouts.made import kinds
from benchmarks.layouts.specimen import elsewhere
from benchmarks.torture_tiles.delivery import Desk, Shown, fetched
from benchmarks.torture_tiles.facts import Facts, differing, facts
from benchmarks.torture_tiles.oracle import psnr
from benchmarks.torture_tiles.references import Reference, reference
from benchmarks.torture_tiles.report import Report
from benchmarks.viewing import viewed
from sharing.errors import ConflictError
from sharing.vocabulary import SlideId, SlideState
from tiler.address import TileAddress
from tiler.cutters import CutterPool
from tiler.geometry import Size
from tiler.index import TileIndex, file_name
from tiler.metadata import SlideMetadata
from tiler.sandbox import Sandbox

# Where on the scan the made slides are from.
_PLACES: Final = ((300, 500), (700, 1300), (900, 2000))
_GIVEN: Final = "given "
_READERS: Final = 4
_FIRST_TILE_MS: Final = 1500.0
_MIN_FIELDS: Final = 150
# Two tiles that look this different cannot pass for each other.
_UNLIKE_DB: Final = 25.0


@dataclass(frozen=True, slots=True)
class Sound:
    """A slide that is ready on the platform."""

    name: str
    files: Mapping[str, Path]
    shown: Shown
    index: TileIndex
    first_tile_ms: float | None

    @property
    def format(self) -> str:
        return self.index.metadata.format


@dataclass(slots=True)
class Looked:
    """What was found at the tiles of all slides."""

    tiles: int = 0
    near: int = 0
    faults: list[str] = field(default_factory=list)
    exchanged: int = 0
    unnoticed: int = 0
    readers: Counter[str] = field(default_factory=Counter)
    untold: list[str] = field(default_factory=list)


def torture(desk: Desk, var: Path, folder: Path, *, tiles: int, seed: int, report: Report) -> None:
    """Everything, with its figures."""
    sound = list(_delivered(desk, var, folder, report))
    report.say(f"{len(sound)} sound slides of {len({each.format for each in sound})} formats are ready")
    _first_tiles(sound, report)
    _oracle(desk, sound, tiles, seed, report)
    _facts(sound, report)
    _derived(sound, report)


def _delivered(desk: Desk, var: Path, folder: Path, report: Report) -> Iterator[Sound]:
    """One after the other, as scanners deliver them and readers look at once; the other places of the scan together."""
    others: list[tuple[str, Mapping[str, Path], SlideId]] = []
    with desk.reader() as reader:
        for number, name, files in _slides(folder):
            try:
                slide_id = deliver(desk, name, {each: path.read_bytes() for each, path in files.items()})
            except ConflictError:  # given twice
                continue
            if number:
                others.append((name, files, slide_id))
            elif _is_ready(desk, name, slide_id, report, made=not name.startswith(_GIVEN)):
                took = _first_tile_ms(reader, slide_id)
                yield _sound(desk, var, reader, name, files, slide_id, took)
        for name, held, slide_id in others:
            if _is_ready(desk, name, slide_id, report, made=True):
                yield _sound(desk, var, reader, name, held, slide_id, None)


def _is_ready(desk: Desk, name: str, slide_id: SlideId, report: Report, *, made: bool) -> bool:
    slide = desk.settled(slide_id, within_s=300)
    if slide is not None and slide.state is SlideState.READY:
        return True
    reason = slide.refusal_reason if slide else "no answer"
    # What is made is to be shown; what is given may be of a kind that is refused.
    if made:
        report.failures.append(f"{name} is not ready: {reason}")
    else:
        report.say(f"{name} is refused: {reason}")
    return False


def _sound(
    desk: Desk,
    var: Path,
    reader: httpx.Client,
    name: str,
    files: Mapping[str, Path],
    slide_id: SlideId,
    took: float | None,
) -> Sound:
    digest = desk.slide(slide_id).index_digest or ""
    index = TileIndex.open(var / "slides" / slide_id / file_name(digest), digest=digest)
    return Sound(name, files, Shown(reader, slide_id), index, took)


def deliver(desk: Desk, name: str, files: Mapping[str, bytes]) -> SlideId:
    """A slide of one file or of several. Raises ConflictError."""
    if len(files) == 1:
        return desk.deliver(name, next(iter(files.values())))
    return desk.deliver_set(name, files)


def _slides(folder: Path) -> Iterator[tuple[int, str, dict[str, Path]]]:
    """Number of the place of the scan, name, files."""
    for number, (x, y) in enumerate(_PLACES):
        with elsewhere(x, y):
            for kind in kinds():
                if not kind.refused:
                    yield number, f"{kind} {number}", kind.made(folder / f"place-{number}")
    for given in filter(None, os.environ.get("IAIN_SLIDES_DIR", "").split(":")):
        for found in slides_below(Path(given)):
            yield 0, f"{_GIVEN}{found.name}", found.files


def _first_tile_ms(reader: httpx.Client, slide_id: SlideId) -> float:
    """From a slide that has just become ready to what a viewer needs to show anything: what the slide is, a tile of its
    coarsest level, one in the middle of its finest."""
    began = time.monotonic()
    shown = Shown(reader, slide_id)
    cells = [Size(-(-size.width // tile.width), -(-size.height // tile.height)) for size, tile in shown.levels]
    for level in (len(cells) - 1, 0):
        address = TileAddress(level, cells[level].width // 2, cells[level].height // 2)
        fetched(reader, shown.path(address)).raise_for_status()
    return (time.monotonic() - began) * 1000


def _first_tiles(sound: Sequence[Sound], report: Report) -> None:
    """The 95th percentile of each format: of few slides, the slowest."""
    of_format: dict[str, list[float]] = defaultdict(list)
    for each in sound:
        if each.first_tile_ms is not None:
            of_format[each.format].append(each.first_tile_ms)
    slowest = 0.0
    for name, took in sorted(of_format.items()):
        p95 = sorted(took)[max(0, -(-len(took) * 95 // 100) - 1)]
        slowest = max(slowest, p95)
        report.figure(f"formats.to_first_tile_ms.{name}", round(p95))
        report.say(f"{name}: {len(took)} slides, first tiles after {statistics.median(took):.0f} ms, p95 {p95:.0f} ms")
    report.figure("formats.to_first_tile_ms", round(slowest), most=_FIRST_TILE_MS)


def _oracle(desk: Desk, sound: Sequence[Sound], tiles: int, seed: int, report: Report) -> None:
    """Every tile of small slides, some of large ones, over HTTP by several readers at once."""
    most = max(60, 2 * tiles // max(1, len(sound)))
    turns = random.Random(seed).sample(list(sound), len(sound))

    def look(part: Sequence[Sound]) -> Looked:
        looked = Looked()
        with desk.reader() as reader:
            for each in part:
                _look(reader, each, most, random.Random(f"{seed} {each.name}"), looked)
        return looked

    with ThreadPoolExecutor(_READERS) as threads:
        found = list(threads.map(look, [turns[number::_READERS] for number in range(_READERS)]))
    faults = [fault for each in found for fault in each.faults]
    report.note(_one_each(faults))
    untold = [name for each in found for name in each.untold]
    if untold:
        of_kinds = sorted({name.removesuffix(f" {number}") for name in untold for number in name[-1:]})
        report.say(f"no other reader tells of {len(untold)} of the slides: {', '.join(of_kinds)}")
    readers = sum((each.readers for each in found), Counter[str]())
    told = ", ".join(f"{number} by {name}" for name, number in readers.most_common())
    near = sum(each.near for each in found)
    report.say(f"tiles judged: {told}; of those served as they are, {near} differ by rounding")
    report.figure("formats.oracle_tiles", sum(each.tiles for each in found), least=tiles)
    report.figure("formats.oracle_mismatch", len(faults), most=0)
    exchanged, unnoticed = (sum(getattr(each, name) for each in found) for name in ("exchanged", "unnoticed"))
    report.say(f"control: of {exchanged} tiles taken for others, {unnoticed} went unnoticed")
    if unnoticed or exchanged < tiles // 20:
        report.void.append("the readers take one tile for another")


def _look(reader: httpx.Client, each: Sound, most: int, chance: random.Random, looked: Looked) -> None:
    levels = each.index.levels
    with reference(each.files, each.index) as oracle:
        told = [number for number in range(len(levels)) if oracle and oracle.tells(number)]
        if oracle is None or not told:
            looked.untold.append(each.name)
            return
        places = [TileAddress(number, col, row) for number in told for col, row in _cells(levels[number].grid)]
        chosen = places if len(places) <= most else chance.sample(places, most)
        for address in chosen:
            answer = fetched(reader, each.shown.path(address))
            fault = oracle.fault(address, answer.content) if answer.is_success else f"HTTP {answer.status_code}"
            if fault:
                looked.faults.append(f"{each.name}, {address}: {fault}")
            elif chance.random() < 0.2:
                other = chance.choice(places)
                if other != address and _unlike(oracle, address, other):
                    looked.exchanged += 1
                    looked.unnoticed += oracle.fault(other, answer.content) is None
        looked.tiles += len(chosen)
        looked.readers[oracle.reader.name] += len(chosen)
        looked.near += oracle.near


def _one_each(faults: Sequence[str]) -> list[str]:
    """The first fault of every slide, and how many there are."""
    of_slide: dict[str, list[str]] = defaultdict(list)
    for fault in faults:
        of_slide[fault.partition(",")[0]].append(fault)
    return [f"{some[0]} ({len(some)} tiles)" for some in of_slide.values()]


def _cells(grid: Size) -> Iterator[tuple[int, int]]:
    return ((col, row) for row in range(grid.height) for col in range(grid.width))


def _unlike(oracle: Reference, one: TileAddress, other: TileAddress) -> bool:
    """Two tiles of plain glass are rightly taken for each other."""
    here, there = oracle.wanted(one), oracle.wanted(other)
    height, width = min(here.shape[0], there.shape[0]), min(here.shape[1], there.shape[1])
    return psnr(here[:height, :width], there[:height, :width]) < _UNLIKE_DB


def _facts(sound: Sequence[Sound], report: Report) -> None:
    checked, wrong, control = 0, [], 0
    for each in sound:
        told = facts(each.files, each.index.levels[0].size)
        checked += len(told)
        for name, (ours, wanted) in differing(told, each.index.metadata).items():
            wrong.append(f"{each.name}: {name} is {ours!r}, in the file {wanted!r}")
        control += sum(not differing({name: told[name]}, altered) for name, altered in _altered(each, told))
    report.note(wrong)
    report.figure("formats.metadata_fields_checked", checked, least=_MIN_FIELDS)
    report.figure("formats.metadata_fields_wrong", len(wrong), most=0)
    report.say(f"control: of the same fields with other values, {control} went unnoticed")
    if control:
        report.void.append("a wrong fact goes unnoticed")


def _altered(each: Sound, told: Facts) -> Iterator[tuple[str, SlideMetadata]]:
    """The slide's facts, each time with one of them changed."""
    metadata = each.index.metadata
    for name in told:
        ours = getattr(metadata, name)
        other: Any = "else" if ours is None or isinstance(ours, str) else None
        other = ours * 1.001 if isinstance(ours, float) else not ours if isinstance(ours, bool) else other
        if isinstance(ours, tuple):
            other = (*ours, "else")
        yield name, replace(metadata, **{name: other})


def _derived(sound: Sequence[Sound], report: Report) -> None:
    """What making every tile takes that the scanner did not store, by one worker that is already at work."""
    seconds: dict[str, float] = defaultdict(float)
    pixels: dict[str, int] = defaultdict(int)
    pool = CutterPool(Sandbox())
    try:
        for each in sound:
            if each.first_tile_ms is None:
                continue
            with viewed(Sandbox(), pool, each.files, key=each.name) as slide:
                missing = [number for number, level in enumerate(slide.index.levels) if not level.placed]
                if missing:
                    slide.source.get(missing[-1], 0, 0)  # until here the worker is starting
                began = time.monotonic()
                for number in missing:
                    for col, row in _cells(slide.index.levels[number].grid):
                        slide.source.get(number, col, row)
                seconds[each.format] += time.monotonic() - began
                pixels[each.format] += slide.index.levels[0].size.area
    finally:
        pool.close()
    for name in sorted(seconds):
        report.figure(f"formats.derived_s_per_gpx.{name}", seconds[name] / pixels[name] * 1e9)
