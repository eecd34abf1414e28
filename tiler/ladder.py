"""Which levels a slide offers: those its scanner made, and those in between and below that are cut from them.

A viewer is smooth when each level is about half the one before. Aperio scanners store every fourth, other files only
the finest. Every missing step is half the next finer one and shares its tile size, so that a derived tile always covers
exactly two by two tiles of that. The ladder is fixed at registration: it is part of the index.

Each derived tile is made from the pixels of its level's *origin* (`origin`), which is a stored level wherever one is
within reach: JPEG made from JPEG made from JPEG would lose a little at each step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from tiler.errors import DamagedSlideError, UnsupportedSlideError
from tiler.geometry import Size
from tiler.index import JPEG, MAX_LEVELS, Level, LevelKind

# The first look at a slide may have to cut every tile of its coarsest stored level: a few seconds of work, no more.
# With more of them, the derived levels are built before anybody looks.
MAX_CUT_TILES: Final = 4096
# The same for what must be decoded first.
MAX_DECODED_TILES: Final = 512
# Half an hour of work at the very most; 200,000 × 150,000 pixels without any overview are 458,252 tiles of 256 pixels.
MAX_BUILT_TILES: Final = 1 << 19
# libjpeg decodes at 1/2, 1/4 and 1/8. Where tiles are large, so many at once would be too much for one message.
MAX_STEPS: Final = 3
_MAX_SOURCE_PIXELS: Final = 64 * 512 * 512
# A stored level closes a gap when it is no finer than this share of the step that would otherwise be derived.
_CLOSE_ENOUGH: Final = 0.75


@dataclass(frozen=True, slots=True)
class Native:
    """A level that the scanner made."""

    size: Size
    tile: Size
    kind: LevelKind = LevelKind.STORED
    media_type: str = JPEG


def ladder(natives: Sequence[Native]) -> tuple[Level, ...]:
    """The levels for those of the scanner, finest first. Raises DamagedSlideError when these are not one
    image at falling resolutions, UnsupportedSlideError when too much would have to be derived."""
    check_natives([native.size for native in natives])
    full = natives[0].size
    levels: list[Level] = []
    for number, native in enumerate(natives):
        size, tile = native.size, native.tile
        levels.append(Level(size, tile, native.kind, native.media_type, downsample(full, size)))
        following = natives[number + 1].size if number + 1 < len(natives) else None
        if following is None and levels[-1].grid.area > MAX_BUILT_TILES:
            raise UnsupportedSlideError(
                f"The slide has no overview: its coarsest level is {size.width} × {size.height} pixels, "
                f"more than {MAX_BUILT_TILES:,} tiles. Export it with a pyramid of levels."
            )
        while levels[-1].grid.area > 1:
            half = levels[-1].size.halved()
            step = downsample(full, half)
            if following is not None and step > _CLOSE_ENOUGH * downsample(full, following):
                break
            levels.append(Level(half, tile, LevelKind.DERIVED, JPEG, step))
    if len(levels) > MAX_LEVELS:
        raise UnsupportedSlideError(f"The slide has more than {MAX_LEVELS} levels.")
    return tuple(levels)


def origin(levels: Sequence[Level], number: int) -> tuple[int, int]:
    """From which finer level a derived one is made, and how many times that is reduced: 2, 4 or 8. A native level if
    there is one so near; of a longer row of derived levels, every third is the origin of those after it."""
    at = number
    while at and not levels[at].native:
        at -= 1
    pixels = levels[number].tile.area
    steps = max(step for step in range(1, MAX_STEPS + 1) if step == 1 or pixels << 2 * step <= _MAX_SOURCE_PIXELS)
    below = (number - at - 1) % steps + 1
    return number - below, 1 << below


def must_be_built(levels: Sequence[Level]) -> bool:
    """Whether the first look at the slide would wait too long if its derived levels did not exist by then."""
    coarsest = next(level for level in reversed(levels) if level.native)
    return coarsest.grid.area > (MAX_CUT_TILES if coarsest.stored else MAX_DECODED_TILES)


def check_natives(sizes: Sequence[Size]) -> None:
    """Raises DamagedSlideError unless these are sizes of one image, each clearly smaller than the one before."""
    full = sizes[0]
    for finer, coarser in pairwise(sizes):
        if not (coarser.fits(finer) and coarser.width * coarser.height * 1.5 < finer.width * finer.height):
            raise DamagedSlideError("The slide's levels do not get smaller one after the other.")
    for size in sizes[1:]:
        # Scanners round sizes, some to whole tiles: allow 5 %, or one pixel where levels are tiny.
        width = full.width * size.height / full.height
        height = full.height * size.width / full.width
        alike = abs(size.width - width) <= max(1, 0.05 * width) or abs(size.height - height) <= max(1, 0.05 * height)
        if not alike:
            raise DamagedSlideError("The slide's levels have different proportions: they are not one image.")


def downsample(full: Size, size: Size) -> float:
    """How many level-0 pixels one pixel of this level stands for, averaged over both directions (OpenSlide)."""
    return (full.width / size.width + full.height / size.height) / 2
