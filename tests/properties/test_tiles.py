"""What must hold for every size, every tile and every damaged index, not only for the examples one thinks of."""

import functools
from itertools import pairwise
from pathlib import Path

import pytest
from fixtures.figures import Figure
from fixtures.slides import SCAN, InMemory
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.layouts import philips, tiff
from benchmarks.torture_tiles import indexes
from tiler import jpeg
from tiler.address import grid, tile_region, tiles_of
from tiler.errors import BadIndexError, DamagedSlideError, TilerError, UnsupportedSlideError
from tiler.geometry import Region, Size
from tiler.index import TileIndex
from tiler.indexing import build_index
from tiler.ladder import Native, ladder
from tiler.opening import open_slide
from tiler.storage.memory import MemoryByteSource
from tiler.verification import check

sides = st.integers(1, 5000)
sizes = st.builds(Size, sides, sides)
tiles = st.builds(Size, st.integers(1, 64).map(lambda n: 16 * n), st.integers(1, 64).map(lambda n: 16 * n))


@given(size=sizes, tile=tiles, x=st.integers(0, 4999), y=st.integers(0, 4999))
def test_every_pixel_lies_in_exactly_one_tile(size: Size, tile: Size, x: int, y: int) -> None:
    x, y = x % size.width, y % size.height
    [(col, row)] = tiles_of(Region(x, y, 1, 1), size, tile)
    region = tile_region(size, tile, col, row)
    assert region.x <= x < region.x + region.width
    assert region.y <= y < region.y + region.height
    assert region.x + region.width <= size.width
    assert region.y + region.height <= size.height


@given(size=sizes, tile=tiles)
def test_tiles_together_are_the_level(size: Size, tile: Size) -> None:
    cells = grid(size, tile)
    across = sum(tile_region(size, tile, col, 0).width for col in range(cells.width))
    down = sum(tile_region(size, tile, 0, row).height for row in range(cells.height))
    assert (across, down) == (size.width, size.height)


@settings(deadline=None)
@given(size=sizes, tile=tiles, data=st.data())
def test_from_a_tile_to_its_region_and_back(size: Size, tile: Size, data: st.DataObject) -> None:
    cells = grid(size, tile)
    col, row = data.draw(st.integers(0, cells.width - 1)), data.draw(st.integers(0, cells.height - 1))
    region = tile_region(size, tile, col, row)
    assert list(tiles_of(region, size, tile)) == [(col, row)]
    corner = Region(region.x + region.width - 1, region.y + region.height - 1, 1, 1)
    assert list(tiles_of(corner, size, tile)) == [(col, row)]
    for outside in ((cells.width, row), (col, cells.height), (-1, row), (col, -1)):
        with pytest.raises(ValueError, match="outside"):
            tile_region(size, tile, *outside)


@settings(deadline=None)
@given(size=st.builds(Size, st.integers(1, 800), st.integers(1, 800)), tile=tiles, data=st.data())
def test_the_tiles_of_a_region_cover_each_of_its_pixels_once_and_none_lies_beside_it(
    size: Size, tile: Size, data: st.DataObject
) -> None:
    x, y = data.draw(st.integers(0, size.width - 1)), data.draw(st.integers(0, size.height - 1))
    width, height = data.draw(st.integers(1, size.width - x)), data.draw(st.integers(1, size.height - y))
    covered = 0
    for col, row in tiles_of(Region(x, y, width, height), size, tile):
        at = tile_region(size, tile, col, row)
        across = min(at.x + at.width, x + width) - max(at.x, x)
        down = min(at.y + at.height, y + height) - max(at.y, y)
        assert across > 0
        assert down > 0
        covered += across * down
    assert covered == width * height


@given(
    size=st.builds(Size, st.integers(1, 10**6), st.integers(1, 10**6)), tile=tiles, by=st.sampled_from([2, 3, 4, 16])
)
def test_a_derived_tile_covers_two_by_two_of_the_finer_level(size: Size, tile: Size, by: int) -> None:
    coarser = Size(size.width // by, size.height // by)
    stored = [size, coarser] if coarser.width > 4 and coarser.height > 4 else [size]
    try:
        levels = ladder([Native(one, tile) for one in stored])
    except UnsupportedSlideError:
        return
    assert levels[-1].grid.area == 1 or levels[-1].stored
    for finer, level in pairwise(levels):
        assert level.downsample > finer.downsample
        if not level.stored:
            assert level.tile == finer.tile
            assert level.size == finer.size.halved()
            assert level.grid == finer.grid.halved()


@given(data=st.binary(max_size=400))
def test_no_bytes_are_a_slide_by_chance(data: bytes) -> None:
    with pytest.raises(TilerError):
        open_slide(InMemory(b"II*\0" + data))


@given(data=st.binary(max_size=300), size=tiles)
def test_no_bytes_are_a_jpeg_by_chance(data: bytes, size: Size) -> None:
    with pytest.raises((DamagedSlideError, UnsupportedSlideError)):
        jpeg.body(jpeg.SOI + data, size, jpeg.header(None, jpeg.Colour.RGB))


@functools.cache
def real(path: Path = SCAN) -> tuple[bytes, MemoryByteSource]:
    files = InMemory(path.read_bytes())
    return build_index(files, open_slide(files)), MemoryByteSource(path.read_bytes())


def test_the_untouched_index_is_accepted() -> None:
    data, blob = real()
    check(TileIndex(data), [blob])


positions = st.integers(0, len(real()[0]) - 1)
edits = st.lists(st.tuples(positions, st.integers(0, 255)), min_size=1, max_size=6)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(edits=edits)
def test_no_damaged_index_that_is_accepted_points_outside(edits: list[tuple[int, int]]) -> None:
    data, blob = real()
    damaged = bytearray(data)
    for at, value in edits:
        damaged[at] = value
    try:
        index = TileIndex(bytes(damaged))
        check(index, [blob])
    except BadIndexError:
        return
    for number, level in enumerate(index.levels):
        for row in range(level.grid.height):
            for col in range(level.grid.width):
                place = index.locate(number, col, row)
                assert (place is None) is (not level.stored)
                if place is None:
                    continue
                which, offset, length, header = place
                assert which == 0
                assert 0 <= offset < offset + length <= blob.length
                assert header[:2] == jpeg.SOI
                assert len(header) <= 64 * 1024
                whole = header + blob.read_at(offset, length)
                assert jpeg.frame_size(whole) == level.tile
                kinds = [segment.marker for segment in jpeg.segments(whole)]
                assert not [kind for kind in kinds[1:] if kind == 0xFE or 0xE0 <= kind <= 0xEF]


def test_four_thousand_mutated_indexes_lead_nowhere_else(figure: Figure, tmp_path: Path) -> None:
    """Fields set to telling numbers instead of bytes to any: of those that the check refuses, many do lead outside. Of
    the real scan, of a slide with empty places and of one whose tiles are WebP."""
    slides = [SCAN, philips.MAKERS["sparse"](tmp_path), tiff.MAKERS["webp"](tmp_path)]
    tally = indexes.torture([slide.read_bytes() for slide in slides], 4000, seed=1)
    figure("index.mutations", tally.tried)
    figure("index.accepted_outside", tally.outside)
    assert tally.outside == 0
    assert tally.tried == 4000
    assert tally.accepted > 50
    assert tally.control > 100
