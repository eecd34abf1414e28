"""Derived levels built while the builder is killed again and again: what comes out must be what an undisturbed build
gives, within bounded memory.

The build runs in a process of its own, `python -m benchmarks.torture_tiles.builds SLIDE INDEX DIRECTORY`, which is sent
SIGKILL at random moments and started anew on the same directory.
"""

from __future__ import annotations

import hashlib
import random
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.torture_tiles.oracle import Oracle
from tiler.address import TileAddress
from tiler.cache import TileCache
from tiler.cutters import CutterPool
from tiler.index import TileIndex
from tiler.pyramid import Pyramid
from tiler.sandbox import Sandbox
from tiler.source import TileSource
from tiler.storage.local import LocalByteSource
from tiler.verification import check

# What a build of any size may hold, builder and worker together.
MAX_MB: Final = 400.0
_POLL_S: Final = 0.02
_RESULT, _NEXT = "result", "next.index"


@dataclass(slots=True)
class Tally:
    """`peak_mb` is the most that the builder and its worker held together at any time they were looked at."""

    tiles: int = 0
    kills: int = 0
    seconds: float = 0.0
    peak_mb: float = 0.0
    compared: int = 0
    differing: int = 0
    wrong: int = 0


def torture(slide: Path, index: Path, directory: Path, *, kills: int, every_s: tuple[float, float], seed: int) -> Tally:
    """Build the slide's derived levels in `directory`, killing the builder so often, each time after some seconds."""
    chance, tally, began = random.Random(seed), Tally(), time.monotonic()
    finished = False
    while not finished:
        dies_at = time.monotonic() + chance.uniform(*every_s) if tally.kills < kills else None
        finished = _run(slide, index, directory, dies_at, tally)
        tally.kills += not finished
    tally.seconds = time.monotonic() - began
    return tally


def compare(slide: Path, index: Path, directory: Path, tally: Tally, *, samples: int, seed: int) -> None:
    """Built tiles against the same tiles cut on demand, byte for byte, and against OpenSlide's pixels."""
    first = TileIndex(index.read_bytes())
    later = TileIndex((directory / _NEXT).read_bytes())
    built = (directory / _RESULT).read_text().split()[1]
    chance, pool = random.Random(seed), CutterPool(Sandbox())
    blobs = [LocalByteSource(slide), LocalByteSource(Path(built))]
    oracle = Oracle(slide, [(level.size, level.tile) for level in first.levels])
    try:
        cut = TileSource(first, blobs[:1], pool, TileCache(10**7), "cut")
        served = TileSource(later, blobs, pool, TileCache(0), "built")
        derived = [number for number, level in enumerate(first.levels) if not level.stored]
        tally.tiles = sum(first.levels[number].grid.area for number in derived)
        for _ in range(samples):
            number = chance.choice(derived)
            cells = first.levels[number].grid
            address = TileAddress(number, chance.randrange(cells.width), chance.randrange(cells.height))
            tile = served.get(*address)
            tally.compared += 1
            tally.differing += tile != cut.get(*address)
            tally.wrong += oracle.fault(address, tile) is not None
        if any(not level.placed for level in later.levels) or later.version != first.version:
            tally.wrong += 1
    finally:
        oracle.close()
        pool.close()
        for blob in blobs:
            blob.close()


def built_digest(directory: Path) -> str:
    """The SHA-256 of the built tiles and of the index that points at them, as the files are."""
    sha256 = hashlib.sha256((directory / _NEXT).read_bytes())
    with Path((directory / _RESULT).read_text().split()[1]).open("rb") as file:
        while part := file.read(1 << 22):
            sha256.update(part)
    return sha256.hexdigest()


def indexed(slide: Path, index: Path) -> None:
    """Write the first index of a slide, as registration would."""
    data = Sandbox().index_slide(slide, timeout_s=600).index_bytes
    blob = LocalByteSource(slide)
    try:
        check(TileIndex(data), [blob])
    finally:
        blob.close()
    index.write_bytes(data)


def _run(slide: Path, index: Path, directory: Path, dies_at: float | None, tally: Tally) -> bool:
    """Whether the build came to its end before it was killed."""
    directory.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", __name__, str(slide), str(index), str(directory)]
    builder = subprocess.Popen(command)
    try:
        while builder.poll() is None:
            if dies_at is not None and time.monotonic() >= dies_at:
                builder.kill()
                builder.wait()
                return False
            tally.peak_mb = max(tally.peak_mb, _memory_mb(builder.pid))
            time.sleep(_POLL_S)
    finally:
        builder.kill()
        builder.wait()
    if builder.returncode:
        raise RuntimeError(f"The build ended with status {builder.returncode}.")
    return True


def _memory_mb(pid: int) -> float:
    """Resident memory of a process and all below it; shared pages count each time."""
    total, family = 0, [pid]
    for one in family:
        try:
            family += map(int, Path(f"/proc/{one}/task/{one}/children").read_text().split())
            total += int(Path(f"/proc/{one}/statm").read_text().split()[1])
        except OSError:
            continue
    return total * 4096 / 2**20


def main(slide: Path, index: Path, directory: Path) -> None:
    """One try at the whole build; what came out is named in the directory when it is done."""
    pool = CutterPool(Sandbox(), task="build")
    blob = LocalByteSource(slide)
    try:
        built = Pyramid(TileIndex(index.read_bytes()), [blob], pool, "torture", directory, writer="torture").build()
    finally:
        blob.close()
        pool.close()
    (directory / _NEXT).write_bytes(built.index_bytes)
    (directory / _RESULT).write_text(f"{built.sha256} {built.path}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
