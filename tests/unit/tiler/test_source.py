"""From an address to bytes: stored tiles are read, missing ones are cut from four finer ones, once."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tiler import jpeg
from tiler.cache import TileCache
from tiler.cutters import CutterPool
from tiler.errors import TileNotFoundError
from tiler.geometry import Region, Size
from tiler.index import TileIndex
from tiler.mosaic import Mosaic
from tiler.sandbox import Sandbox
from tiler.source import TileSource
from tiler.storage.local import LocalByteSource
from tiler.storage.memory import MemoryByteSource


class Counting:
    """A real pool that remembers what it was asked."""

    def __init__(self, pool: CutterPool) -> None:
        self._pool = pool
        self.asked: list[Mosaic] = []

    def cut(self, slide_key: str, mosaic: Mosaic) -> bytes:
        self.asked.append(mosaic)
        return self._pool.cut(slide_key, mosaic)

    def decode(self, slide_key: str, files: Mapping[str, Path], level: int, area: Region) -> bytes:
        return self._pool.decode(slide_key, files, level, area)


@pytest.fixture(scope="module")
def pool(sandbox: Sandbox) -> Iterator[CutterPool]:
    pool = CutterPool(sandbox)
    yield pool
    pool.close()


@pytest.fixture
def cutter(pool: CutterPool) -> Counting:
    return Counting(pool)


@pytest.fixture
def source(svs_slide: Path, svs_index: TileIndex, cutter: Counting) -> Iterator[TileSource]:
    blob = LocalByteSource(svs_slide)
    yield TileSource(svs_index, [blob], cutter, TileCache(10**8), "slide")
    blob.close()


def test_a_stored_tile_is_header_and_body(source: TileSource, svs_slide: Path) -> None:
    tile = source.get(0, 3, 2)
    place = source.index.locate(0, 3, 2)
    assert place
    _, offset, length, header = place
    assert tile == header + svs_slide.read_bytes()[offset : offset + length]
    assert jpeg.frame_size(tile) == Size(240, 240)
    assert tile.endswith(jpeg.EOI)


def test_what_was_read_is_resident(source: TileSource, svs_slide: Path) -> None:
    svs_slide.read_bytes()
    tile = source.get(0, 0, 0)
    assert source.resident(0, 0, 0) in (tile, None)  # None where the file system cannot tell
    memory = TileSource(
        source.index, [MemoryByteSource(svs_slide.read_bytes())], source._cutter, TileCache(10**6), "slide"
    )
    assert memory.resident(0, 0, 0) == tile


def test_a_derived_tile_is_resident_once_it_was_cut(source: TileSource, cutter: Counting) -> None:
    assert source.resident(1, 0, 0) is None
    tile = source.get(1, 0, 0)
    assert source.resident(1, 0, 0) == tile
    assert source.get(1, 0, 0) == tile
    assert len(cutter.asked) == 1
    assert jpeg.frame_size(tile) == Size(240, 240)


def test_the_last_derived_tile_has_its_real_size(source: TileSource, cutter: Counting) -> None:
    level = source.index.levels[1]
    assert (level.size, level.grid, level.stored) == (Size(1280, 864), Size(6, 4), False)
    assert jpeg.frame_size(source.get(1, 5, 3)) == Size(80, 144)
    [asked] = cutter.asked
    assert (asked.sizes, asked.cols, asked.out) == ([Size(160, 240), Size(160, 48)], 1, Size(80, 144))


def test_one_tile_for_the_whole_slide_is_cut_from_what_is_stored(source: TileSource, cutter: Counting) -> None:
    last = len(source.index.levels) - 1
    assert source.index.levels[last].grid == Size(1, 1)
    tile = source.get(last, 0, 0)
    assert jpeg.frame_size(tile) == source.index.levels[last].size
    [asked] = cutter.asked
    assert asked.reduction == 1 << last - 2
    assert len(asked.children) == source.index.levels[2].grid.area


@pytest.mark.parametrize("where", [(0, 11, 0), (0, 0, 8), (0, -1, 0), (9, 0, 0), (-1, 0, 0), (1, 6, 0)])
def test_outside_the_grid_there_is_no_tile(source: TileSource, where: tuple[int, int, int]) -> None:
    with pytest.raises(TileNotFoundError):
        source.get(*where)
    with pytest.raises(TileNotFoundError):
        source.resident(*where)
