"""Slides on which no two places look alike: each pixel follows from the slide's number and its own place.

Colours are sums of smooth noise at several scales, drawn from a generator that is seeded with the number. A tile of
another slide, another place, another level or another orientation is far from the right one, as is one that is
shifted by a pixel, and JPEG keeps what tells them apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np
from PIL import Image

from tiler.geometry import Size
from tiler.jpeg import Colour
from tiler.readers import tiff
from tiler.synthetic.pyramid import Coding, Pyramid, TiffWriter, description
from tiler.synthetic.texture import Pixels

Layout = Literal["svs", "tiff", "flat"]
# Multiples of 128: OpenSlide reads exact places at each level down to 1/16 and beyond. No multiple of a tile's side.
SIZE: Final = Size(19 * 128, 13 * 128)
MPP: Final = 0.5
# Noise of each wavelength in pixels, and how far it may move a colour.
_OCTAVES: Final = ((480, 50), (96, 40), (20, 50))


@dataclass(frozen=True, slots=True)
class Plan:
    """How a layout is stored: side of a tile, colours, levels. ``svs``: Aperio's; ``tiff``: every power of two;
    ``flat``: the full resolution alone, so that all other levels are derived."""

    tile: int
    colour: Colour
    downsamples: tuple[int, ...]


PLANS: Final[dict[Layout, Plan]] = {
    "svs": Plan(240, Colour.RGB, (1, 4, 16)),
    "tiff": Plan(256, Colour.YCBCR, (1, 2, 4, 8, 16)),
    "flat": Plan(256, Colour.YCBCR, (1,)),
}


def make_marked(path: Path, number: int, layout: Layout, size: Size = SIZE) -> None:
    """Write the slide with this number; the whole picture is held in memory."""
    plan = PLANS[layout]
    downsamples = [by for by in plan.downsamples if min(size.width, size.height) >= by]
    picture = marks(number, size)
    with path.open("wb") as file:
        writer = TiffWriter(file, big=layout != "svs")
        pyramid = Pyramid(writer, size, plan.tile, downsamples, Coding(plan.colour, 85))
        for top in range(0, size.height, plan.tile):
            pyramid.feed(picture[top : top + plan.tile])
        for level in pyramid.levels:
            text = f"Aperio Image Library\r\n{size.width}x{size.height}|AppMag = 20|MPP = {MPP}"
            more = {tiff.DESCRIPTION: description(text)} if layout == "svs" else {}
            writer.directory({**pyramid.tags(level, reduced=layout != "svs" and level.downsample > 1), **more})


def marks(number: int, size: Size) -> Pixels:
    """The pixels of a slide before they are compressed: (row, column, RGB)."""
    chance = np.random.default_rng(number)
    channels = []
    for _ in range(3):
        sum_ = np.full((size.height, size.width), 128, np.int16)
        for wave, reach in _OCTAVES:
            coarse = chance.integers(0, 256, (size.height // wave + 3, size.width // wave + 3), np.uint8)
            across, down = coarse.shape[1] * wave, coarse.shape[0] * wave
            smooth = Image.fromarray(coarse).resize((across, down), Image.Resampling.BICUBIC)
            noise = np.asarray(smooth)[wave : wave + size.height, wave : wave + size.width].astype(np.int16)
            sum_ += (noise - 128) * reach >> 7
        channels.append(sum_.clip(0, 255).astype(np.uint8))
    return np.stack(channels, axis=-1)
