"""Which pixels a tile covers, and which tiles cover some pixels.

Three coordinate spaces, told apart by the prefix of a name:

- ``l0_``  pixels of level 0, the full resolution (OpenSlide level 0, DICOM Total Pixel Matrix);
- ``l_``   pixels of one level;
- ``t_``   columns and rows of a level's tile grid.

``level`` counts from 0 = full resolution, as in OpenSlide. Columns run right, rows run down.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from tiler.geometry import Region, Size


class TileAddress(NamedTuple):
    """One cell of one level's grid."""

    level: int
    col: int
    row: int


def grid(size: Size, tile: Size) -> Size:
    """How many columns and rows of tiles cover a level."""
    return Size(-(-size.width // tile.width), -(-size.height // tile.height))


def tile_region(level_size: Size, tile: Size, col: int, row: int) -> Region:
    """The ``l_`` pixels of a tile, cropped to the level: tiles of the last column and row may be smaller."""
    x, y = col * tile.width, row * tile.height
    if not (0 <= x < level_size.width and 0 <= y < level_size.height):
        raise ValueError(f"tile ({col}, {row}) lies outside a level of {level_size.width} × {level_size.height} pixels")
    return Region(x, y, min(tile.width, level_size.width - x), min(tile.height, level_size.height - y))


def scaled(region: Region, full: Size, level_size: Size) -> Region:
    """The ``l_`` pixels that show a region of ``l0_`` pixels: at least one, each of them whole."""
    x, y = region.x * level_size.width // full.width, region.y * level_size.height // full.height
    right = -(-(region.x + region.width) * level_size.width // full.width)
    bottom = -(-(region.y + region.height) * level_size.height // full.height)
    return Region(x, y, min(right, level_size.width) - x, min(bottom, level_size.height) - y)


def tiles_of(region: Region, level_size: Size, tile: Size) -> Iterator[tuple[int, int]]:
    """Columns and rows of the tiles that a region of ``l_`` pixels touches, row by row."""
    cells = grid(level_size, tile)
    first_col, first_row = max(0, region.x // tile.width), max(0, region.y // tile.height)
    end_col = min(cells.width, -(-(region.x + region.width) // tile.width))
    end_row = min(cells.height, -(-(region.y + region.height) // tile.height))
    for row in range(first_row, end_row):
        for col in range(first_col, end_col):
            yield col, row
