"""What readers look at, and the tiles each server must send for it.

A reading session is an overview, then a few places of interest: zooming in step by step, then panning at full
resolution. It is told in *screens* (a rectangle of the slide at a downsample), which belong to no server; each server's
tile grid turns the same screens into its own tiles. A tile is asked for once a session, as a browser would.
"""

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from tiler.address import TileAddress, tiles_of
from tiler.geometry import Region, Size

SCREEN = Size(7 * 256, 5 * 256)
PLACES = 3
PANS = (4, 8)
# A level is sharp enough for a screen when it is at most this much coarser: level sizes are rounded to whole pixels.
ROUNDING = 1.01

Point = tuple[int, int]
Session = tuple["Screen", ...]


@dataclass(frozen=True, slots=True)
class Screen:
    """What is visible at once: a rectangle in level-0 pixels, one screen pixel showing `downsample` of them."""

    l0: Region
    downsample: int


@dataclass(frozen=True, slots=True)
class Grid:
    """One level as a server offers it; `level` is that server's own number for it."""

    level: int
    size: Size
    tile: Size
    downsample: float


def read_sessions(size: Size, places: Sequence[Point], *, count: int, seed: int) -> tuple[Session, ...]:
    """`count` reading sessions of a slide, the same ones for the same seed; `places` are level-0 points with tissue."""
    chance = random.Random(seed)
    return tuple(tuple(_session(size, places, chance)) for _ in range(count))


def replay(sessions: Sequence[Session], grids: Sequence[Grid]) -> tuple[TileAddress, ...]:
    """The tiles that a server with these grids is asked for: the sessions side by side, screen after screen."""
    fetched: list[set[TileAddress]] = [set() for _ in sessions]
    asked: list[TileAddress] = []
    for turn in zip_longest(*sessions):
        for screen, seen in zip(turn, fetched, strict=True):
            if screen is None:
                continue
            fresh = [address for address in cover(screen, grids) if address not in seen]
            seen.update(fresh)
            asked.extend(fresh)
    return tuple(asked)


def cover(screen: Screen, grids: Sequence[Grid]) -> Iterator[TileAddress]:
    """The tiles that cover a screen at the coarsest level that still shows it sharply, row by row."""
    sharp = (grid for grid in grids if grid.downsample <= screen.downsample * ROUNDING)
    grid = max(sharp, key=lambda grid: grid.downsample)
    x, width = _shrunk(screen.l0.x, screen.l0.width, grid.downsample)
    y, height = _shrunk(screen.l0.y, screen.l0.height, grid.downsample)
    for column, row in tiles_of(Region(x, y, width, height), grid.size, grid.tile):
        yield TileAddress(grid.level, column, row)


def native_grids(description: Mapping[str, Any]) -> tuple[Grid, ...]:
    """The grids of a slide's description as the viewer gets it: the levels of the file itself, 0 = full resolution."""
    return tuple(
        Grid(
            number,
            Size(level["width"], level["height"]),
            Size(level["tile_width"], level["tile_height"]),
            description["width"] / level["width"],
        )
        for number, level in enumerate(description["levels"])
    )


def deepzoom_grids(size: Size, tile: Size) -> tuple[Grid, ...]:
    """The grids of Deep Zoom without overlap: halved down to one pixel, numbered from that one (dz_level 0) upwards."""
    top = math.ceil(math.log2(max(size.width, size.height)))
    return tuple(
        Grid(
            top - halvings,
            Size(math.ceil(size.width / 2**halvings), math.ceil(size.height / 2**halvings)),
            tile,
            float(2**halvings),
        )
        for halvings in range(top + 1)
    )


def _session(size: Size, places: Sequence[Point], chance: random.Random) -> Iterator[Screen]:
    overview = 1
    while SCREEN.width * overview < size.width or SCREEN.height * overview < size.height:
        overview *= 2
    yield _screen(size, (size.width // 2, size.height // 2), overview)
    for _ in range(PLACES):
        x, y = chance.choice(places)
        downsample = overview // 2
        while downsample >= 1:
            yield _screen(size, (x, y), downsample)
            downsample //= 2
        direction = chance.uniform(0, 2 * math.pi)
        for _ in range(chance.randint(*PANS)):
            direction += chance.uniform(-math.pi / 3, math.pi / 3)
            x += round(math.cos(direction) * SCREEN.width / 2)
            y += round(math.sin(direction) * SCREEN.height / 2)
            x, y = min(max(x, 0), size.width - 1), min(max(y, 0), size.height - 1)
            yield _screen(size, (x, y), 1)


def _screen(size: Size, centre: Point, downsample: int) -> Screen:
    """The screen around a point, moved so that it shows no more of the void beyond the slide than it must."""
    x, width = _span(centre[0], SCREEN.width * downsample, size.width)
    y, height = _span(centre[1], SCREEN.height * downsample, size.height)
    return Screen(Region(x, y, width, height), downsample)


def _span(centre: int, length: int, whole: int) -> tuple[int, int]:
    length = min(length, whole)
    return min(max(centre - length // 2, 0), whole - length), length


def _shrunk(start: int, length: int, downsample: float) -> tuple[int, int]:
    """A stretch of level-0 pixels in whole pixels of a level: first one and how many."""
    first = math.floor(start / downsample)
    return first, math.ceil((start + length) / downsample) - first
