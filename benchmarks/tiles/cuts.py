"""What it costs to make a tile the scanner did not store: cut from stored tiles in the sandbox, nothing cached, beside
Deep Zoom over the same cell; and how long a slide takes to be indexed.

Both run here in one process and take turns over the same cells. Processor time is ours and the sandbox's together, from
asking for the tile to having it; a cutter that waits for work is there already, as it is when the server runs.
"""

import io
import math
import os
import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import openslide
from openslide.deepzoom import DeepZoomGenerator

from benchmarks.tiles import pictures
from benchmarks.tiles.bench import Bench
from benchmarks.tiles.figures import Figures, Spread, markdown, spread_text
from benchmarks.tiles.processes import POLL_S, running_seconds
from benchmarks.tiles.slides import APERIO, NATIVE, drawn, repeated, tissue
from benchmarks.tiles.trace import native_grids, read_sessions, replay
from tiler.address import TileAddress
from tiler.cache import TileCache
from tiler.cutters import CutterPool
from tiler.index import Level, TileIndex
from tiler.sandbox import Sandbox
from tiler.source import TileSource
from tiler.storage.local import LocalByteSource
from tiler.verification import check

CELLS_A_ROUND = 60
WARM_CELLS = 5
QUALITY = 75  # openslide-python's own Deep Zoom example server
SESSIONS, SEED = 8, 3
# Deep Zoom halves with a filter that keeps edges sharp: on tissue 7 to 10 grey levels. Neighbouring cells differ by 40.
ALIKE = 15.0
GB = 1_000_000_000


def cutting(bench: Bench) -> Figures:
    """`tiles.cut_cpu_vs_openslide_deepzoom` on the slide whose levels lie 4 × apart, `tiles.index_build_s_per_gb`."""
    bench.say("Cutting tiles of levels in between…")
    slide = drawn(bench.build, APERIO)
    index = TileIndex(Sandbox().index_slide(slide).index_bytes)
    cells = _derived_cells(slide, index.levels)
    blob = LocalByteSource(slide)
    pool = CutterPool(Sandbox())
    try:
        source = TileSource(index, [blob], pool, TileCache(0), "slide")
        with openslide.OpenSlide(slide) as scan:
            pairs = _cut_rounds(bench, source, scan, cells)
    finally:
        pool.close()
        blob.close()
    ours, theirs = zip(*pairs, strict=True)
    bench.say(f"A derived tile costs {_ms(ours)} ms here, the same cell {_ms(theirs)} ms in Deep Zoom.")
    ratio = Spread.of([mine / other for mine, other in pairs])
    return {"tiles.cut_cpu_vs_openslide_deepzoom": ratio} | _indexing(bench)


def _derived_cells(slide: Path, levels: Sequence[Level]) -> list[TileAddress]:
    """Different cells of derived levels that reading sessions look at, in an order of their own."""
    size = levels[0].size
    described = [
        {
            "width": level.size.width,
            "height": level.size.height,
            "tile_width": level.tile.width,
            "tile_height": level.tile.height,
        }
        for level in levels
    ]
    sessions = read_sessions(size, tissue(slide), count=SESSIONS, seed=SEED)
    asked = replay(sessions, native_grids({"width": size.width, "levels": described}))
    cells = [address for address in dict.fromkeys(asked) if not levels[address.level].stored]
    random.Random(SEED).shuffle(cells)
    return cells


def _cut_rounds(
    bench: Bench, source: TileSource, scan: openslide.OpenSlide, cells: Sequence[TileAddress]
) -> list[tuple[float, float]]:
    """CPU seconds a tile, ours and Deep Zoom's, of each round; all rounds have cells of their own."""
    levels = source.index.levels
    generator = DeepZoomGenerator(scan, tile_size=levels[0].tile.width, overlap=0, limit_bounds=False)

    def theirs(cell: TileAddress) -> bytes:
        halvings = round(math.log2(levels[cell.level].downsample))
        tile = generator.get_tile(generator.level_count - 1 - halvings, (cell.col, cell.row))
        out = io.BytesIO()
        tile.save(out, "JPEG", quality=QUALITY)
        return out.getvalue()

    def ours(cell: TileAddress) -> bytes:
        return source.get(*cell)

    warm, cells = cells[:WARM_CELLS], cells[WARM_CELLS:]
    pictures.require_alike([(ours(cell), theirs(cell)) for cell in warm], ALIKE)
    rounds = min(bench.rounds, len(cells) // CELLS_A_ROUND)
    pairs = []
    for turn in range(rounds):
        mine = cells[turn * CELLS_A_ROUND : (turn + 1) * CELLS_A_ROUND]
        if turn % 2:
            other = _cpu(theirs, mine)
            pairs.append((_cpu(ours, mine), other))
        else:
            pairs.append((_cpu(ours, mine), _cpu(theirs, mine)))
    return pairs


def _cpu(make: Callable[[TileAddress], bytes], cells: Sequence[TileAddress]) -> float:
    """CPU seconds a tile of this process and of the sandboxes below it, once these are at rest."""
    before = running_seconds(os.getpid())
    while (now := running_seconds(os.getpid())) - before > POLL_S / 10:
        before = now
        time.sleep(POLL_S)
    for cell in cells:
        make(cell)
    return (running_seconds(os.getpid()) - now) / len(cells)


def _indexing(bench: Bench) -> Figures:
    """Seconds from a file to a checked index, per 10⁹ bytes of file."""
    lines = [("slide", "GB", "tiles", "s", "s per GB"), ("---",) * 5]
    native = drawn(bench.build, NATIVE)
    figure = Spread(0, 0, 0)
    for name, slide in (
        ("256-px BigTIFF", native),
        ("240-px SVS", drawn(bench.build, APERIO)),
        ("1 GB BigTIFF", repeated(bench.build, native, GB)),
    ):
        length = slide.stat().st_size / GB
        times = []
        tiles = 0
        for _ in range(bench.rounds):
            start = time.perf_counter()
            index = TileIndex(Sandbox().index_slide(slide).index_bytes)
            blob = LocalByteSource(slide)
            check(index, [blob])
            times.append(time.perf_counter() - start)
            blob.close()
            tiles = sum(level.grid.area for level in index.levels if level.stored)
        # The small ones take as long as a sandbox takes to start: the figure is that of a slide of a real one's size.
        figure = Spread.of([one / length for one in times])
        lines.append((name, f"{length:.2f}", f"{tiles:,}", spread_text(Spread.of(times), 2), spread_text(figure, 2)))
    bench.say(f"\n{markdown(lines)}\n")
    return {"tiles.index_build_s_per_gb": figure}


def _ms(times_s: Sequence[float]) -> str:
    return spread_text(Spread.of([one * 1e3 for one in times_s]), 2)
