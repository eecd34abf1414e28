"""A slide as large as scanners make them, in a small file: more than 200,000 × 150,000 pixels out of a few hundred
tiles, each stored once and pointed to many times. To whoever reads it, there is no difference."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from benchmarks.torture_tiles.marked import marks
from tiler.address import grid
from tiler.geometry import Size
from tiler.jpeg import Colour
from tiler.readers import tiff
from tiler.synthetic.pyramid import Coding, TiffWriter, image_tags

# Multiples of 512, so that OpenSlide reads exact places on each level.
VAST: Final = Size(392 * 512, 294 * 512)
_TILE: Final = Size(256, 256)
_SIDE: Final = 8  # so many tiles, squared, are different on each level
_CODING: Final = Coding(Colour.YCBCR, 85)
_LONG, _LONG8 = 4, 16


def make_vast(path: Path, downsamples: Sequence[int], *, size: Size = VAST, seed: int = 1) -> None:
    """Write the slide with these levels stored. Which tile stands where follows from the seed."""
    chance = random.Random(seed)
    with path.open("wb") as file:
        writer = TiffWriter(file, big=True)
        for by in downsamples:
            level = Size(size.width // by, size.height // by)
            picture = marks(seed + by, Size(_SIDE * _TILE.width, _SIDE * _TILE.height))
            places: list[tuple[int, int]] = []
            for top in range(0, len(picture), _TILE.height):
                for left in range(0, len(picture), _TILE.width):
                    image = _CODING.encode(picture[top : top + _TILE.height, left : left + _TILE.width].copy())
                    places.append((writer.append(image), len(image)))
            chosen = chance.choices(places, k=grid(level, _TILE).area)
            writer.directory(
                {
                    **image_tags(level, _CODING, reduced=by > 1),
                    tiff.TILE_WIDTH: (_LONG, [_TILE.width]),
                    tiff.TILE_HEIGHT: (_LONG, [_TILE.height]),
                    tiff.TILE_OFFSETS: (_LONG8, [at for at, _ in chosen]),
                    tiff.TILE_LENGTHS: (_LONG, [length for _, length in chosen]),
                }
            )
