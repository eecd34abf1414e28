"""Thousands of damaged slides of every format: each is read or refused in words, and none harms the platform."""

from __future__ import annotations

import shutil
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from benchmarks.layouts.made import kinds
from benchmarks.torture_tiles import hostile
from benchmarks.torture_tiles.delivery import Desk, Shown
from benchmarks.torture_tiles.marked import make_marked
from benchmarks.torture_tiles.report import Report
from benchmarks.torture_tiles.set_mutations import Mutator
from benchmarks.viewing import viewed
from sharing.vocabulary import SlideState
from tiler.cutters import CutterPool
from tiler.errors import SandboxError, TilerError
from tiler.geometry import Size
from tiler.slide import ALONE

sys.path.append(str(Path(__file__).parents[2] / "tests"))

from fixtures.forked import ForkedSandbox  # type: ignore[import-not-found]

# A reader that is kept so long hangs; one that is kept long is worth a second look.
_HUNG_S: Final = 60.0
_LONG_S: Final = 10.0
_ON_PLATFORM: Final = 300
_BESIDE: Final = Size(640, 512)

Damaged = bytes | Mapping[str, bytes]
"""A slide of one file, or of several by their names."""


def torture(desk: Desk, folder: Path, count: int, seed: int, report: Report) -> None:
    """Mutations of every format in turns: all read by confined workers, and a part of them, with all that harmed a
    worker, through the platform, with a sound slide looked at after each."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "beside.tiff"
    make_marked(path, 98, "tiff", _BESIDE)
    read, kept = _read_damaged(folder, damaged(folder / "fuzz", count, seed), max(1, count // _ON_PLATFORM))
    told = ", ".join(f"{number} {code}" for code, number in read.refusals.most_common())
    report.say(f"{read.slides} damaged slides: {read.ready} ready, with {read.tiles} tiles; refused: {told}")
    if read.ready < count // 10 or sum(read.refusals.values()) < count // 10:
        report.void.append("the damage to slides of every format is not of the kind that tells")
    with desk.reader() as reader:
        beside = desk.settled(desk.deliver(path.name, path.read_bytes()), within_s=60)
        if beside is None or beside.state is not SlideState.READY:
            raise RuntimeError("The slide that is to be looked at in between is not ready.")
        shown = Shown(reader, beside.id)
    control = hostile.Control(shown, shown.oracle(path))
    try:
        fed = hostile.feed(desk, kept, control, tell=report.say)
    finally:
        control.oracle.close()
    told = ", ".join(f"{number} {code}" for code, number in fed.refusals.most_common())
    report.say(f"{fed.slides} of them on the platform: {fed.ready} ready, with {fed.tiles} tiles; refused: {told}")
    report.note(read.notes + fed.notes)
    report.failures += read.notes + fed.notes
    report.figure("formats.fuzz_files", read.slides, least=count)
    report.figure("formats.fuzz_files_on_platform", fed.slides)
    report.figure("formats.web_deaths", fed.deaths, most=0)
    report.figure("formats.hung", read.hung + fed.hung, most=0)
    report.figure("formats.undecided", read.undecided + fed.undecided, most=0)
    report.figure("formats.wrong_beside_damaged", fed.wrong, most=0)


def _read_damaged(
    folder: Path, slides: Iterable[tuple[str, Damaged]], every: int
) -> tuple[hostile.Tally, list[tuple[str, Damaged]]]:
    """Index and one tile of each level. What comes back too is what the platform is to be given: one in so many, and
    all that killed a worker or kept it long."""
    tally, kept = hostile.Tally(), []
    sandbox = ForkedSandbox()
    pool = CutterPool(sandbox)
    try:
        for number, (name, held) in enumerate(slides):
            tally.slides += 1
            files = {}
            for inner, data in ({ALONE: held} if isinstance(held, bytes) else held).items():
                files[inner] = folder / "damaged" / inner
                files[inner].parent.mkdir(parents=True, exist_ok=True)
                files[inner].write_bytes(data)
            began, harmed = time.monotonic(), False
            try:
                with viewed(sandbox, pool, files, key=name) as slide:
                    tally.ready += 1
                    for level in reversed(range(len(slide.index.levels))):
                        slide.source.get(level, 0, 0)
                        tally.tiles += 1
            except TilerError as error:
                harmed = isinstance(error, SandboxError)
                tally.refusals[error.code] += 1
                tally.undecided += not error.sentence.endswith(".")
            except Exception as error:  # whatever it is, it is what is looked for here
                tally.undecided += 1
                tally.notes.append(f"{name}: {error!r}")
            took = time.monotonic() - began
            if took > _HUNG_S:
                tally.hung += 1
                tally.notes.append(f"{name} kept its reader for {took:.0f} s")
            if harmed or took > _LONG_S or number % every == 0:
                kept.append((name, held))
            shutil.rmtree(folder / "damaged")
    finally:
        pool.close()
        sandbox.close()
    return tally, kept


def damaged(folder: Path, count: int, seed: int) -> Iterator[tuple[str, Damaged]]:
    """So many slides and some more, since a few come out the same: each format as often as any other."""
    seeds: dict[str, list[Mapping[str, bytes]]] = defaultdict(list)
    for kind in kinds():
        if not kind.refused:
            seeds[kind.format.name].append({name: path.read_bytes() for name, path in kind.made(folder).items()})
    mutators: list[tuple[str, Callable[[int], Mapping[str, bytes]]]] = [
        (name, Mutator(held).mutated) for name, held in sorted(seeds.items())
    ]
    for number in range(count * 11 // 10):
        name, mutated = mutators[number % len(mutators)]
        files = {each: data for each, data in mutated(seed + number).items()}
        if len(files) == 1:
            [data] = files.values()
            if data:
                yield f"{name}-{number}", data
        elif files:
            yield f"{name}-{number}", files
