"""The pixels of OME-TIFF where they are no colours of 8 bits: channels put together and shown through a window. Needs
the heavy libraries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from PIL import Image

from tiler import window
from tiler.errors import TilerError
from tiler.geometry import Region
from tiler.readers import tiff
from tiler.readers.ifd import Directory
from tiler.readers.tiff import Raster
from tiler.readers.tiff_pixels import Rasters, Samples
from tiler.slide import DecodedLevel, SlideFile
from tiler.storage.base import ByteSource
from tiler.window import Display, Rgb


def opened(
    source: ByteSource,
    channels: Sequence[Sequence[Raster]],
    colours: Sequence[tuple[int, int, int] | None],
    slide: SlideFile,
) -> SlideFile:
    """The slide with its levels, of which each channel has one raster each."""
    if channels[0][0].photometric != tiff.RGB:
        window.check_channels(len(colours))
    pixels = Pixels(source, channels, colours)
    levels = tuple(DecodedLevel(raster.size) for raster in channels[0])
    return replace(slide, metadata=window.stated(slide.metadata, pixels.display), levels=levels, decoder=pixels)


def picture(source: ByteSource, image: Directory) -> Image.Image | None:
    """An associated image; None when it cannot be read."""
    try:
        raster = tiff.raster(source, image)
        return Rasters(source, [raster]).tile(0, Region(0, 0, raster.size.width, raster.size.height))
    except TilerError:
        return None


class Pixels:
    """Decodes channels of one slide (`tiler.slide.Decoder`)."""

    def __init__(
        self,
        source: ByteSource,
        channels: Sequence[Sequence[Raster]],
        colours: Sequence[tuple[int, int, int] | None],
    ) -> None:
        self._channels = channels
        self._levels = [Rasters(source, level) for level in zip(*channels, strict=True)]
        self.display = self._display(colours)

    def tile(self, level: int, area: Region) -> Image.Image:
        return self.display.picture(self.samples(level, area))

    def samples(self, level: int, area: Region) -> Samples:
        """The values as they are stored: rows × columns × channels."""
        parts = []
        for number, channel in enumerate(self._channels):
            found = self._levels[level].samples(number, area)
            parts.append(np.invert(found) if channel[level].photometric == tiff.WHITE_IS_ZERO else found)
        return np.concatenate(parts, axis=2)

    def _display(self, colours: Sequence[tuple[int, int, int] | None]) -> Display:
        coarsest = len(self._levels) - 1
        first = self._channels[0][coarsest]
        kind = np.dtype(("int" if first.signed else "uint") + str(first.bits))
        looked_at = window.look(first.size, len(colours), kind, partial(self.samples, coarsest))
        if self._channels[0][0].photometric == tiff.RGB:
            return window.of_colour(looked_at)
        return window.of_channels(looked_at, [Rgb(*colour) if colour else None for colour in colours])
