"""Cutters killed and frozen in the middle of a cut, while eight readers ask for tiles of several slides: the tile that
was being cut is cut again, and nobody else notices."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from benchmarks.torture_tiles.oracle import Oracle
from tiler.address import TileAddress
from tiler.cache import TileCache
from tiler.cutters import CutterPool
from tiler.errors import SandboxError
from tiler.index import TileIndex
from tiler.sandbox import Sandbox
from tiler.source import TileSource
from tiler.storage.local import LocalByteSource

READERS: Final = 8
# A frozen cutter is given up after this; far more than a cut takes, also on a machine that is busy.
PATIENCE_S: Final = 3.0
# So many tiles come between two strikes, and all those at least that were being cut at the first: none is struck twice.
_BETWEEN_TILES: Final = (1, 4 * READERS)
_GIVE_UP_S: Final = 60.0


@dataclass(slots=True)
class Tally:
    """`failed`: tiles that did not come."""

    kills: int = 0
    freezes: int = 0
    tiles: int = 0
    wrong: int = 0
    failed: int = 0
    slowest_s: float = 0.0
    going_on: dict[int, float] = field(default_factory=dict)
    """Per reader, since when it has waited for its tile."""
    lock: threading.Lock = field(default_factory=threading.Lock)


def torture(slides: Sequence[Path], *, kills: int, freezes: int, seed: int) -> Tally:
    """Readers go on until so many workers were killed and so many frozen."""
    tally, stop = Tally(), threading.Event()
    sandbox = Sandbox()
    pool = CutterPool(sandbox, size=2, timeout_s=PATIENCE_S)
    blobs = [LocalByteSource(path) for path in slides]
    indexes = [TileIndex(sandbox.index_slide(path).index_bytes) for path in slides]
    oracles = [
        Oracle(path, [(level.size, level.tile) for level in index.levels])
        for path, index in zip(slides, indexes, strict=True)
    ]
    sources = [
        TileSource(index, [blob], pool, TileCache(0), str(path))
        for path, index, blob in zip(slides, indexes, blobs, strict=True)
    ]
    try:
        with ThreadPoolExecutor(READERS) as threads:
            readers = [threads.submit(_read, sources, oracles, seed + number, stop, tally) for number in range(READERS)]
            try:
                _strike(pool, kills, freezes, random.Random(seed), tally)
            finally:
                stop.set()
            for reader in readers:
                reader.result()
    finally:
        pool.close()
        for oracle in oracles:
            oracle.close()
        for blob in blobs:
            blob.close()
    return tally


def _read(
    sources: Sequence[TileSource], oracles: Sequence[Oracle], seed: int, stop: threading.Event, tally: Tally
) -> None:
    chance, me = random.Random(seed), threading.get_ident()
    while not stop.is_set():
        number = chance.randrange(len(sources))
        derived = [level for level in range(len(oracles[number].levels)) if not oracles[number].is_stored(level)]
        level = chance.choice(derived)
        cells = oracles[number].cells(level)
        address = TileAddress(level, chance.randrange(cells.width), chance.randrange(cells.height))
        began = tally.going_on[me] = time.monotonic()
        try:
            tile = sources[number].get(*address)
        except SandboxError:
            with tally.lock:
                tally.failed += 1
            continue
        finally:
            del tally.going_on[me]
        took = time.monotonic() - began
        fault = oracles[number].fault(address, tile)
        with tally.lock:
            tally.tiles += 1
            tally.wrong += fault is not None
            tally.slowest_s = max(tally.slowest_s, took)


def _strike(pool: CutterPool, kills: int, freezes: int, chance: random.Random, tally: Tally) -> None:
    """Now and then, a signal to the interpreter of a cutter that is at work."""
    signals = [signal.SIGKILL] * kills + [signal.SIGSTOP] * freezes
    chance.shuffle(signals)
    struck = time.monotonic()
    for number in signals:
        goal, give_up = tally.tiles + chance.randint(*_BETWEEN_TILES), time.monotonic() + _GIVE_UP_S
        while (
            tally.tiles < goal
            or any(since <= struck for since in list(tally.going_on.values()))
            or not (working := _working(pool))
        ):
            if time.monotonic() > give_up:
                raise RuntimeError(f"No tile comes any more: {tally}")
            time.sleep(0.001)
        with suppress(ProcessLookupError):
            os.kill(chance.choice(working), number)
            struck = time.monotonic()
            tally.kills += number == signal.SIGKILL
            tally.freezes += number == signal.SIGSTOP


def _working(pool: CutterPool) -> list[int]:
    """The interpreters inside the sandboxes of busy cutters."""
    found: list[int] = []
    for cutter in list(pool._cutters):
        family = [cutter.worker.pid]
        with suppress(OSError):
            for one in family:
                family += map(int, Path(f"/proc/{one}/task/{one}/children").read_text().split())
        if cutter.busy and cutter.ready and len(family) > 1:
            found.append(family[-1])
    return found
