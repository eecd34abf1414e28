"""Which levels a slide offers: those its scanner stored, and those in between and below that are cut from them.

A viewer is smooth when each level is about half the one before. Aperio scanners store every fourth, other files only
the finest. Every missing step is derived from the next finer one, whose tile size it shares, so that a derived tile
always covers exactly two by two tiles. The ladder is fixed at registration: it is part of the index.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from tiler.errors import DamagedSlideError, UnsupportedSlideError
from tiler.geometry import Size
from tiler.index import MAX_LEVELS, Level

JPEG: Final = "image/jpeg"
# The first look at a slide may have to cut every tile of its coarsest stored level: a few seconds of work, no more.
MAX_CUT_TILES: Final = 4096
# A stored level closes a gap when it is no finer than this share of the step that would otherwise be derived.
_CLOSE_ENOUGH: Final = 0.75


def ladder(stored: Sequence[tuple[Size, Size]]) -> tuple[Level, ...]:
    """The levels for stored ones given as (size, tile), finest first. Raises DamagedSlideError when these are not one
    image at falling resolutions, UnsupportedSlideError when too much would have to be derived."""
    check_stored([size for size, _ in stored])
    full = stored[0][0]
    levels: list[Level] = []
    for number, (size, tile) in enumerate(stored):
        levels.append(Level(size, tile, True, JPEG, downsample(full, size)))
        following = stored[number + 1][0] if number + 1 < len(stored) else None
        if following is None and levels[-1].grid.area > MAX_CUT_TILES:
            raise UnsupportedSlideError(
                f"The slide has no overview: its coarsest level is {size.width} × {size.height} pixels. "
                "Export it with a pyramid of levels."
            )
        while levels[-1].grid.area > 1:
            half = levels[-1].size.halved()
            step = downsample(full, half)
            if following is not None and step > _CLOSE_ENOUGH * downsample(full, following):
                break
            levels.append(Level(half, tile, False, JPEG, step))
    if len(levels) > MAX_LEVELS:
        raise UnsupportedSlideError(f"The slide has more than {MAX_LEVELS} levels.")
    return tuple(levels)


def check_stored(sizes: Sequence[Size]) -> None:
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
