"""Derived levels built to the end: the bytes that would be cut, also after a kill, also after a disk that lied."""

import hashlib
import io
import os
import random
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import openslide
import pytest
from fixtures.slides import SCAN
from PIL import Image

from tiler import index as index_file
from tiler.cache import TileCache
from tiler.cutters import CutterPool
from tiler.geometry import Region
from tiler.index import TileIndex
from tiler.pyramid import Built, Pyramid
from tiler.sandbox import Sandbox
from tiler.source import TileSource
from tiler.storage.local import LocalByteSource
from tiler.verification import check

ON_SCAN = pytest.mark.parametrize("slide", ["scan"], indirect=True)
# Builds in a process of its own, and says each tile: `python -c BUILDER slide index directory`.
BUILDER = """
import sys
from dataclasses import replace
from pathlib import Path
from tiler.cutters import CutterPool
from tiler.geometry import Region
from tiler.index import TileIndex
from tiler.pyramid import Pyramid
from tiler.sandbox import Sandbox
from tiler.storage.local import LocalByteSource
slide, index, directory = map(Path, sys.argv[1:])
cutters = CutterPool(Sandbox(), task="build")
pyramid = Pyramid(TileIndex.open(index, digest=None), [LocalByteSource(slide)], cutters, "slide", directory)
print(pyramid.build(lambda done, durable: print(done, flush=True)).sha256, flush=True)
cutters.close()
"""


@pytest.fixture(scope="module")
def cutters(sandbox: Sandbox):
    pool = CutterPool(sandbox, task="build")
    yield pool
    pool.close()


@pytest.fixture(scope="module", params=["scan", "svs"])
def slide(request: pytest.FixtureRequest) -> Path:
    return SCAN if request.param == "scan" else request.getfixturevalue("svs_slide")


@pytest.fixture(scope="module")
def index_bytes(slide: Path, sandbox: Sandbox) -> bytes:
    return sandbox.index_slide(slide).index_bytes


@pytest.fixture(scope="module")
def index(index_bytes: bytes) -> TileIndex:
    return TileIndex(index_bytes)


@pytest.fixture(scope="module")
def built(slide: Path, index: TileIndex, cutters: CutterPool, tmp_path_factory: pytest.TempPathFactory) -> Built:
    return build(slide, index, cutters, tmp_path_factory.mktemp("built"))


def build(slide: Path, index: TileIndex, cutters: CutterPool, directory: Path) -> Built:
    blob = LocalByteSource(slide)
    try:
        return Pyramid(index, [blob], cutters, "slide", directory).build()
    finally:
        blob.close()


def test_every_tile_that_can_be_cut_is_built_with_the_same_bytes(slide, index, built, cutters) -> None:
    later = TileIndex(built.index_bytes)
    scan, derived = LocalByteSource(slide), LocalByteSource(built.path)
    cut = TileSource(index, [scan], cutters, TileCache(10**8), "slide")
    try:
        compared = 0
        for number, level in enumerate(later.levels):
            for row in range(level.grid.height):
                for col in range(level.grid.width):
                    blob, offset, length, header = later.locate(number, col, row) or pytest.fail("it has no place")
                    tile = header + (scan, derived)[blob].read_at(offset, length)
                    assert tile == cut.get(number, col, row), (number, col, row)
                    assert blob == (0 if level.stored else 1)
                    compared += not level.stored
        assert compared == sum(level.grid.area for level in index.levels if not level.stored) > 20
    finally:
        scan.close()
        derived.close()


def test_the_later_generation_is_the_same_slide(index, built) -> None:
    later = TileIndex(built.index_bytes)
    assert (later.version, later.generation, later.blob_count) == (index.version, 1, 2)
    assert later.metadata == index.metadata
    assert [(level.size, level.tile, level.kind) for level in later.levels] == [
        (level.size, level.tile, level.kind) for level in index.levels
    ]
    data = built.path.read_bytes()
    assert (len(data), hashlib.sha256(data).hexdigest()) == (built.length, built.sha256)
    with pytest.raises(Exception, match="later generation"):
        check(later, [LocalByteSource(built.path)] * 2)


@ON_SCAN
def test_a_build_that_is_killed_again_and_again_comes_to_the_same_end(
    slide, index_bytes, built, tmp_path: Path
) -> None:
    index_path, directory = tmp_path / "index", tmp_path / "building"
    index_path.write_bytes(index_bytes)
    directory.mkdir()
    chance = random.Random(7)
    command = [sys.executable, "-c", BUILDER, str(slide), str(index_path), str(directory)]
    killed = 0
    while True:
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout
            tiles = chance.randrange(1, 40) if killed < 3 else 10**6
            said = [line.strip() for line, _ in zip(process.stdout, range(tiles), strict=False)]
            if tiles < 10**6:
                os.kill(process.pid, signal.SIGKILL)
                killed += 1
                continue
        assert process.returncode == 0
        break
    assert said[-1] == built.sha256
    assert killed == 3


@ON_SCAN
def test_a_level_that_the_disk_lost_is_built_again(slide, index, built, cutters, tmp_path: Path) -> None:
    first = index.levels.index(next(level for level in index.levels if not level.stored))
    (tmp_path / f"{first}.level").write_bytes(bytes(5000))
    (tmp_path / f".{first}.level.other").write_bytes(b"half a lev")
    assert build(slide, index, cutters, tmp_path).sha256 == built.sha256


@ON_SCAN
def test_what_is_finished_is_not_done_again(slide, index, built, tmp_path: Path) -> None:
    """With all levels there, only the small picture is cut."""

    class Counting:
        asked = 0

        def cut(self, slide_key, mosaic):
            self.asked += 1
            return b"a picture"

    for path in built.path.parent.glob("*.level"):
        (tmp_path / path.name).hardlink_to(path)
    again = Counting()
    assert build(slide, index, again, tmp_path).sha256 == built.sha256
    assert again.asked == 1


def test_where_the_scanner_stored_the_small_levels_only_the_gap_is_built(
    svs_slide: Path, svs_index: TileIndex, sandbox: Sandbox, tmp_path: Path
) -> None:
    gap, coarse = 1, 2
    assert [level.stored for level in svs_index.levels[:3]] == [True, False, True]
    parts = (svs_index.packed(0) + svs_index.packed(coarse), svs_index.headers, svs_index.metadata)
    index = TileIndex(index_file.build(svs_index.levels[: coarse + 1], *parts))
    blob, cutters = LocalByteSource(svs_slide), CutterPool(sandbox)
    built = Pyramid(index, [blob], cutters, "slide", tmp_path).build()
    assert built.thumbnail is None, "the whole slide would be put together out of a fine level"

    later = TileIndex(built.index_bytes)
    assert all(level.placed for level in later.levels)
    assert later.version == index.version
    made = LocalByteSource(built.path)
    cut, kept = (
        TileSource(one, blobs, cutters, TileCache(10**7), "slide")
        for one, blobs in ((index, [blob]), (later, [blob, made]))
    )
    grid = later.levels[gap].grid
    for row in range(grid.height):
        for col in range(grid.width):
            assert kept.get(gap, col, row) == cut.get(gap, col, row)
    blob.close()
    made.close()
    cutters.close()


@ON_SCAN
def test_the_small_picture_shows_what_there_is_and_not_the_emptiness_around(
    slide, index, built, cutters, tmp_path: Path
) -> None:
    bounds = Region(700, 900, 1000, 1300)
    parts = (index.packed(0), index.headers, replace(index.metadata, bounds=bounds))
    for path in built.path.parent.glob("*.level"):
        (tmp_path / path.name).hardlink_to(path)
    found = build(slide, TileIndex(index_file.build(index.levels, *parts)), cutters, tmp_path)
    picture = Image.open(io.BytesIO(found.thumbnail))
    assert picture.size == (250, 326), "part of the last row is beyond"
    with openslide.OpenSlide(slide) as scan:
        wanted = scan.read_region((700, 900), 0, (1000, 1300)).convert("RGB").reduce(4)
    difference = np.asarray(picture)[:325].astype(int) - np.asarray(wanted).astype(int)
    assert np.abs(difference).mean() < 3
