"""Try to break the tiles: `make torture-tiles`.

- *oracle*: random tiles of eight slides, asked of a running platform by eight readers at once, against OpenSlide;
- *hostile*: damaged slides, bombs and, with IAIN_HOSTILE_DIR, a folder of files through the same platform: index and
  first tiles, with a sound slide looked at after each;
- *index*: a good tile index, mutated; what the parent's check accepts must point at the slide and nothing else;
- *murder*: cutters killed and frozen in the middle of a cut;
- *formats*: slides of every format, made and, with IAIN_SLIDES_DIR, given: tiles and facts against other readers, how
  long until the first tile;
- *fuzz*: thousands of damaged slides of every format;
- *builds*: derived levels of 200,000 × 150,000 pixels, the builder killed at random moments.

Each has a control that must be noticed, or the run is void.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from benchmarks.torture_tiles import bombs, builds, formats, formats_fuzz, hostile, indexes, murder
from benchmarks.torture_tiles.delivery import Desk, Shown, fetched
from benchmarks.torture_tiles.marked import Layout, make_marked
from benchmarks.torture_tiles.mutations import SlideMutator
from benchmarks.torture_tiles.oracle import Oracle
from benchmarks.torture_tiles.report import Report
from benchmarks.torture_tiles.stage import Stage, stage
from benchmarks.torture_tiles.vast import VAST, make_vast
from sharing.vocabulary import SlideState
from tiler.address import TileAddress
from tiler.geometry import Size
from tiler.synthetic import Spec, make_slide

PARTS = ("oracle", "hostile", "formats", "fuzz", "index", "murder", "builds")
READERS = 8
SCAN = Path(__file__).parents[2] / "tests" / "data" / "CMU-1-Small-Region.svs"
SLIDES: tuple[Layout, ...] = ("svs", "tiff", "flat", "svs", "tiff", "flat", "svs", "svs")
SMALL = Size(640, 512)
BOMB_WITHIN_S = 2.0


def ready(desk: Desk, reader: httpx.Client, path: Path) -> Shown:
    """A sound slide of the platform."""
    slide = desk.settled(desk.deliver(path.name, path.read_bytes()), within_s=120)
    if slide is None or slide.state is not SlideState.READY:
        raise RuntimeError(f"{path.name} is not ready: {slide.refusal_reason if slide else 'no answer'}")
    return Shown(reader, slide.id)


def ask_the_oracle(on: Stage, folder: Path, tiles: int, seed: int, report: Report) -> None:
    files = [folder / f"marked-{number}.{layout}" for number, layout in enumerate(SLIDES)]
    for number, (file, layout) in enumerate(zip(files, SLIDES, strict=True)):
        make_marked(file, 100 + number, layout)
    with on.desk.reader() as reader:
        shown = [ready(on.desk, reader, file) for file in files]
    oracles = [each.oracle(file) for each, file in zip(shown, files, strict=True)]

    def read(number: int) -> tuple[list[str], int, list[tuple[int, TileAddress, bytes]]]:
        chance, faults, cut, kept = random.Random(seed + number), [], 0, []
        with on.desk.reader() as reader:
            for turn in range(-(-tiles // READERS)):
                slide = chance.randrange(len(shown))
                address = any_tile(oracles[slide], chance)
                answer = fetched(reader, shown[slide].path(address))
                cut += not oracles[slide].is_stored(address.level)
                fault = oracles[slide].fault(address, answer.content) if answer.is_success else str(answer.status_code)
                if fault:
                    faults.append(f"slide {slide}, {address}: {fault}")
                elif turn % 20 == 0:
                    kept.append((slide, address, answer.content))
        return faults, cut, kept

    with ThreadPoolExecutor(READERS) as threads:
        found = list(threads.map(read, range(READERS)))
    faults = [fault for each, _, _ in found for fault in each]
    report.note(faults)
    report.say(f"{sum(cut for _, cut, _ in found)} of the tiles had to be cut by somebody")
    report.figure("tiles.oracle_tiles", -(-tiles // READERS) * READERS, least=tiles)
    report.figure("tiles.oracle_mismatch", len(faults), most=0)
    missed = tried = 0
    chance = random.Random(seed)
    for slide, address, data in [one for _, _, kept in found for one in kept]:
        for other, elsewhere in ((slide, any_tile(oracles[slide], chance)), ((slide + 3) % len(shown), address)):
            cells = oracles[other].cells(elsewhere.level) if elsewhere.level < len(shown[other].levels) else Size(0, 0)
            if (other, elsewhere) != (slide, address) and elsewhere.col < cells.width and elsewhere.row < cells.height:
                tried += 1
                missed += oracles[other].fault(elsewhere, data) is None
    report.say(f"control: of {tried} tiles taken for those of another slide or place, {missed} went unnoticed")
    if missed or tried < tiles // 20:
        report.void.append("the oracle takes one tile for another")
    for oracle in oracles:
        oracle.close()


def any_tile(oracle: Oracle, chance: random.Random) -> TileAddress:
    """Each level as often as any other."""
    level = chance.randrange(len(oracle.levels))
    cells = oracle.cells(level)
    return TileAddress(level, chance.randrange(cells.width), chance.randrange(cells.height))


def seeds(folder: Path) -> list[bytes]:
    """What damage is done to: one sound slide of each kind, the last with label and macro."""
    layouts: tuple[Layout, ...] = ("svs", "tiff", "flat")
    for number, layout in enumerate(layouts):
        make_marked(folder / f"seed-{number}", number, layout, SMALL)
    make_slide(folder / "seed-3", Spec(900, 700, SCAN, seed=1))
    return [(folder / f"seed-{number}").read_bytes() for number in range(4)]


def feed_what_is_hostile(on: Stage, folder: Path, sound: list[bytes], count: int, seed: int, report: Report) -> None:
    path = folder / "sound.tiff"
    make_marked(path, 99, "tiff", SMALL)
    with on.desk.reader() as reader:
        shown = ready(on.desk, reader, path)
    control = hostile.Control(shown, shown.oracle(path))
    mutator, numbers = SlideMutator(sound), range(seed, seed + count * 21 // 20)
    files = ((f"{number}.svs", mutator.mutated(number)) for number in numbers)
    mutated = hostile.feed(on.desk, files, control, tell=report.say)
    told = ", ".join(f"{number} {code}" for code, number in mutated.refusals.most_common())
    report.say(f"{mutated.slides} mutated slides: {mutated.ready} ready, with {mutated.tiles} tiles; refused: {told}")
    if mutated.ready < count // 10:
        report.void.append("hardly any mutation got past the index")
    given = hostile.feed(on.desk, hostile_files(sound), control)
    told = ", ".join(f"{number} {code}" for code, number in given.refusals.most_common())
    report.say(f"{given.slides} hostile files: {given.ready} ready; refused: {told}")
    control.oracle.close()
    for tally in (mutated, given):
        report.note(tally.notes)
        report.failures += tally.notes
    report.figure("tiles.mutated_slides", mutated.slides, least=count)
    report.figure("tiles.hostile_files", given.slides)
    report.figure("tiles.web_deaths", mutated.deaths + given.deaths, most=0)
    report.figure("tiles.hung", sum(each.hung + each.undecided for each in (mutated, given)), most=0)
    report.figure("tiles.wrong_beside_hostile", mutated.wrong + given.wrong, most=0)


def hostile_files(sound: list[bytes]) -> Iterator[tuple[str, bytes]]:
    """The seeds themselves, as a control, the bombs, and what the operator of the test has."""
    for number, data in enumerate(sound):
        yield f"seed-{number}.svs", data + b"\0"
    for name, make in bombs.BOMBS.items():
        yield name, make()
    if own := os.environ.get("IAIN_HOSTILE_DIR"):
        for path in sorted(Path(own).rglob("*")):
            if path.is_file() and path.stat().st_size:
                yield path.name, path.read_bytes()


def set_off_bombs(folder: Path, report: Report) -> None:
    slowest, most, accepted = bombs.set_off(folder)
    report.say(f"bombs: the slowest was refused after {slowest:.2f} s, the largest worker held {most:.0f} MB")
    report.figure("tiles.bombs", len(bombs.BOMBS))
    report.figure("tiles.bombs_accepted", accepted, most=0)
    report.figure("tiles.bomb_refused_s", slowest, most=BOMB_WITHIN_S)


def murder_cutters(folder: Path, kills: int, freezes: int, seed: int, report: Report) -> None:
    layouts: tuple[Layout, ...] = ("svs", "svs", "svs")
    files = [folder / f"victim-{number}" for number in range(len(layouts))]
    for number, (file, layout) in enumerate(zip(files, layouts, strict=True)):
        make_marked(file, 200 + number, layout)
    tally = murder.torture(files, kills=kills, freezes=freezes, seed=seed)
    report.say(f"{tally.kills} cutters killed, {tally.freezes} frozen while {tally.tiles} tiles were cut")
    report.say(f"the slowest of them took {tally.slowest_s:.1f} s")
    report.figure("tiles.cutters_killed", tally.kills + tally.freezes, least=kills + freezes)
    report.figure("tiles.cuts_lost", tally.failed, most=0)
    report.figure("tiles.cuts_wrong", tally.wrong, most=0)


def build_and_kill(folder: Path, downsamples: tuple[int, ...], kills: int, seed: int, report: Report) -> None:
    """First a slide small enough to be built twice, then a vast one."""
    slide, index = folder / "large.tif", folder / "large.index"
    make_vast(slide, (1, 4, 16), size=Size(10_240, 8_192))
    builds.indexed(slide, index)
    whole_s = builds.torture(slide, index, folder / "whole", kills=0, every_s=(1, 1), seed=seed).seconds
    moments = (whole_s / 10, whole_s * 2 / 3)
    tally = builds.torture(slide, index, folder / "killed", kills=8, every_s=moments, seed=seed)
    builds.compare(slide, index, folder / "killed", tally, samples=200, seed=seed)
    same = builds.built_digest(folder / "whole") == builds.built_digest(folder / "killed")
    report.say(f"{tally.tiles} tiles built in spite of {tally.kills} kills; the same bytes: {same}")
    report.figure("build.kill9_runs", tally.kills, least=1)
    report.figure("build.kill9_differing", tally.differing + tally.wrong + (not same), most=0)

    slide, index = folder / "vast.tif", folder / "vast.index"
    make_vast(slide, downsamples)
    builds.indexed(slide, index)
    tally = builds.torture(slide, index, folder / "vast", kills=kills, every_s=(3, 25), seed=seed)
    builds.compare(slide, index, folder / "vast", tally, samples=300, seed=seed)
    report.say(
        f"{VAST.width:,} × {VAST.height:,} pixels: {tally.tiles} tiles built in {tally.seconds:.0f} s, {tally.kills} "
        f"kills among them, {tally.peak_mb:.0f} MB at most; {tally.compared} compared"
    )
    report.figure("build.vast_tiles", tally.tiles)
    report.figure("build.vast_kills", tally.kills)
    report.figure("build.vast_peak_mb", tally.peak_mb, most=builds.MAX_MB)
    report.figure("build.vast_differing", tally.differing, most=0)
    report.figure("build.vast_wrong", tally.wrong, most=0)


def mutate_indexes(folder: Path, sound: list[bytes], count: int, seed: int, report: Report) -> None:
    tally = indexes.torture(sound, count, seed)
    report.say(f"{tally.tried} mutated indexes: {tally.accepted} accepted, all of which point at the slide's tiles")
    report.figure("index.mutations", tally.tried, least=count)
    report.figure("index.accepted_outside", tally.outside, most=0)
    if not tally.control:
        report.void.append("an index that points outside was not noticed where nothing was checked")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--tiles", type=int, default=5_000, help="to ask the oracle about")
    parser.add_argument("--slides", type=int, default=3_000, help="to mutate")
    parser.add_argument("--format-tiles", type=int, default=3_000, help="of slides of every format, to ask about")
    parser.add_argument("--format-files", type=int, default=3_000, help="of every format, to mutate")
    parser.add_argument("--indexes", type=int, default=50_000, help="to mutate")
    parser.add_argument("--kills", type=int, default=6, help="of the builder of the vast slide")
    parser.add_argument("--whole", action="store_true", help="build half the resolution too: four times the work")
    parser.add_argument("--part", action="append", choices=PARTS, help="only this; may be given more than once")
    parser.add_argument("--seed", type=int, default=20260105)
    options = parser.parse_args()
    parts = set(options.part or PARTS)
    report, seed = Report(), options.seed
    downsamples = (1, 4, 16, 64, 256) if options.whole else (1, 2, 8, 32, 128, 512)
    with tempfile.TemporaryDirectory(prefix="iain-torture-") as name, ThreadPoolExecutor(1) as beside:
        folder = Path(name)
        sound = seeds(folder)
        if "hostile" in parts:
            set_off_bombs(folder, report)
        if "murder" in parts:
            murder_cutters(folder, 40, 4, seed, report)
        if "builds" in parts:
            built = beside.submit(build_and_kill, folder, downsamples, options.kills, seed, report)
        if "index" in parts:
            mutate_indexes(folder, sound, options.indexes, seed, report)
        if parts & {"oracle", "hostile", "formats", "fuzz"}:
            # Few slides open, few tiles kept: everything changes hands all the time.
            with stage(folder / "stage", workers="2", open_slides="4", tile_cache_bytes="1000000") as on:
                if "oracle" in parts:
                    ask_the_oracle(on, folder, options.tiles, seed, report)
                if "hostile" in parts:
                    feed_what_is_hostile(on, folder, sound, options.slides, seed, report)
                made = folder / "formats"
                if "formats" in parts:
                    formats.torture(on.desk, on.var, made, tiles=options.format_tiles, seed=seed, report=report)
                if "fuzz" in parts:
                    formats_fuzz.torture(on.desk, made, options.format_files, seed, report)
        if "builds" in parts:
            built.result()
    return report.close(seed)


if __name__ == "__main__":
    sys.exit(main())
