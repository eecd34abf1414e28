"""Which pixels a tile covers, on the examples one would draw on paper; all others in tests/properties."""

import pytest

from tiler.address import grid, tile_region, tiles_of
from tiler.geometry import Region, Size

TILE = Size(240, 240)


@pytest.mark.parametrize(
    ("size", "cells"),
    [
        (Size(1, 1), Size(1, 1)),
        (Size(240, 240), Size(1, 1)),
        (Size(241, 240), Size(2, 1)),
        (Size(2220, 2967), Size(10, 13)),
    ],
)
def test_a_grid_covers_the_level(size: Size, cells: Size) -> None:
    assert grid(size, TILE) == cells


def test_tiles_at_the_edge_are_cropped_to_the_level() -> None:
    assert tile_region(Size(2220, 2967), TILE, 0, 0) == Region(0, 0, 240, 240)
    assert tile_region(Size(2220, 2967), TILE, 9, 12) == Region(2160, 2880, 60, 87)


@pytest.mark.parametrize("place", [(-1, 0), (0, -1), (10, 0), (0, 13)])
def test_there_is_no_tile_outside_the_grid(place: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="outside"):
        tile_region(Size(2220, 2967), TILE, *place)


def test_the_tiles_of_a_region_are_those_it_touches() -> None:
    assert list(tiles_of(Region(239, 0, 2, 1), Size(480, 480), TILE)) == [(0, 0), (1, 0)]
    assert list(tiles_of(Region(-50, -50, 10_000, 10_000), Size(480, 240), TILE)) == [(0, 0), (1, 0)]
    assert list(tiles_of(Region(480, 0, 10, 10), Size(480, 480), TILE)) == []


def test_half_of_an_odd_size_keeps_the_last_pixel() -> None:
    assert Size(2967, 2220).halved() == Size(1484, 1110)
    assert Size(1, 1).halved() == Size(1, 1)
