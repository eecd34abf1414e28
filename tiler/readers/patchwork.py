"""Levels put together from images whose pieces do not lie edge to edge: they overlap, or belong to several areas."""

from __future__ import annotations

import io
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from PIL import Image, JpegImagePlugin

from tiler import jpeg
from tiler.address import grid
from tiler.errors import DamagedSlideError
from tiler.geometry import Region, Size
from tiler.readers import tiff
from tiler.readers.tiff import Raster
from tiler.slide import Decoder, StoredLevel
from tiler.storage.base import ByteSource

_PAPER: Final = (255, 255, 255)
# A row of decoded tiles lies on the same stored tiles as the row above it: of a wide level, these stay.
_KEPT_PIXELS: Final = 32_000_000


@dataclass(frozen=True, slots=True)
class Patch:
    """One image of the file, which lies at (``x``, ``y``) of its level. Each of its pieces shares so many pixels with
    the next, ``shared_x`` across and ``shared_y`` down."""

    raster: Raster
    x: int = 0
    y: int = 0
    shared_x: int = 0
    shared_y: int = 0

    @property
    def step(self) -> Size:
        """How far its pieces are apart."""
        return Size(self.raster.piece.width - self.shared_x, self.raster.piece.height - self.shared_y)

    @property
    def size(self) -> Size:
        """What it covers; the file counts what pieces share more than once."""
        size, cells = self.raster.size, self.raster.grid
        return Size(size.width - (cells.width - 1) * self.shared_x, size.height - (cells.height - 1) * self.shared_y)


def decoder(source: ByteSource, levels: Sequence[Sequence[Patch]]) -> Patchwork:
    """What decodes levels of patches. Raises CodecsNeededError."""
    rasters = [patch.raster for patches in levels for patch in patches]
    images, other = tiff.levels(source, rasters)
    stored = [image for image in images if isinstance(image, StoredLevel)]
    return Patchwork(other or _Stored(source, stored), levels)


class Patchwork:
    """Decodes levels of patches (`tiler.slide.Decoder`). A later patch covers an earlier one; of pieces that overlap,
    the left and upper one is on top, as in OpenSlide."""

    def __init__(self, images: Decoder, levels: Sequence[Sequence[Patch]]) -> None:
        self._images = images
        numbers = iter(range(sum(map(len, levels))))
        self._levels = [[(next(numbers), patch) for patch in patches] for patches in levels]

    def tile(self, level: int, area: Region) -> Image.Image:
        canvas = Image.new("RGB", (area.width, area.height), _PAPER)
        for number, patch in self._levels[level]:
            self._paint(canvas, area, number, patch)
        return canvas

    def _paint(self, canvas: Image.Image, area: Region, number: int, patch: Patch) -> None:
        raster, step = patch.raster, patch.step
        left, top = area.x - patch.x, area.y - patch.y
        for row in _touched(top, area.height, step.height, raster.piece.height, raster.grid.height):
            for col in _touched(left, area.width, step.width, raster.piece.width, raster.grid.width):
                if not raster.lengths[row * raster.grid.width + col]:
                    continue
                x, y = col * raster.piece.width, row * raster.piece.height
                width = min(raster.piece.width, raster.size.width - x)
                height = min(raster.piece.height, raster.size.height - y)
                found = self._images.tile(number, Region(x, y, width, height))
                if not isinstance(found, bytes):
                    canvas.paste(found, (col * step.width - left, row * step.height - top))


class _Stored:
    """Decodes JPEG tiles, one whole tile at a time."""

    def __init__(self, source: ByteSource, levels: Sequence[StoredLevel]) -> None:
        self._source = source
        self._levels = levels
        self._kept: OrderedDict[tuple[int, int], Image.Image] = OrderedDict()

    def tile(self, level: int, area: Region) -> Image.Image:
        image = self._levels[level]
        number = area.y // image.tile.height * grid(image.size, image.tile).width + area.x // image.tile.width
        return self._whole(level, number, image).crop((0, 0, area.width, area.height))

    def _whole(self, level: int, number: int, image: StoredLevel) -> Image.Image:
        key = (level, number)
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        while self._kept and (len(self._kept) + 1) * image.tile.area > _KEPT_PIXELS:
            self._kept.popitem(last=False)
        header = jpeg.header(image.tables, image.colour)
        data = self._source.read_at(image.offsets[number], image.lengths[number])
        start, end = jpeg.body(data, image.tile, header)
        try:
            found = JpegImagePlugin.JpegImageFile(io.BytesIO(header + data[start:end])).convert("RGB")
        except (OSError, SyntaxError, ValueError) as error:
            raise DamagedSlideError("A tile of the slide cannot be decoded.") from error
        self._kept[key] = found
        return found


def _touched(start: int, length: int, step: int, piece: int, count: int) -> range:
    """The pieces of one direction that lie within, the last first: what is painted later is on top."""
    first, last = max(0, (start - piece) // step + 1), min(count - 1, (start + length - 1) // step)
    return range(last, first - 1, -1)
