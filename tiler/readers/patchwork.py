"""Levels put together from JPEG tiles that do not lie edge to edge: they overlap, or belong to several areas."""

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
from tiler.slide import SlideFiles, StoredLevel

_PAPER: Final = (255, 255, 255)
# Neighbours of a decoded tile share most of the stored tiles below them.
_KEPT_PIXELS: Final = 16_000_000


@dataclass(frozen=True, slots=True)
class Patch:
    """One image of stored tiles, which lies at (``x``, ``y``) of its level. ``step`` is how far its tiles are apart,
    less than their size where they overlap."""

    x: int
    y: int
    image: StoredLevel
    step: Size

    @property
    def size(self) -> Size:
        """What it covers: as many pixels less as its tiles share."""
        cells, tile = grid(self.image.size, self.image.tile), self.image.tile
        across, down = tile.width - self.step.width, tile.height - self.step.height
        return Size(
            self.image.size.width - (cells.width - 1) * across, self.image.size.height - (cells.height - 1) * down
        )


class Patchwork:
    """Decodes levels of patches (`tiler.slide.Decoder`). A later patch covers an earlier one; of tiles that overlap,
    the left and upper one is on top, as in OpenSlide."""

    def __init__(self, files: SlideFiles, levels: Sequence[Sequence[Patch]]) -> None:
        self._source = files.source(0)
        self._levels = levels
        self._kept: OrderedDict[tuple[int, int, int], Image.Image] = OrderedDict()

    def tile(self, level: int, area: Region) -> Image.Image:
        canvas = Image.new("RGB", (area.width, area.height), _PAPER)
        for number, patch in enumerate(self._levels[level]):
            self._paint(canvas, area, (level, number), patch)
        return canvas

    def _paint(self, canvas: Image.Image, area: Region, key: tuple[int, int], patch: Patch) -> None:
        cells, image, step, size = grid(patch.image.size, patch.image.tile), patch.image, patch.step, patch.size
        left, top = area.x - patch.x, area.y - patch.y
        for row in _touched(top, area.height, step.height, image.tile.height, cells.height):
            for col in _touched(left, area.width, step.width, image.tile.width, cells.width):
                number = row * cells.width + col
                if not image.lengths[number]:
                    continue
                x, y = col * step.width, row * step.height
                shown = (0, 0, min(image.tile.width, size.width - x), min(image.tile.height, size.height - y))
                canvas.paste(self._decoded((*key, number), image).crop(shown), (x - left, y - top))

    def _decoded(self, key: tuple[int, int, int], image: StoredLevel) -> Image.Image:
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        while self._kept and (len(self._kept) + 1) * image.tile.area > _KEPT_PIXELS:
            self._kept.popitem(last=False)
        header = jpeg.header(image.tables, image.colour)
        data = self._source.read_at(image.offsets[key[2]], image.lengths[key[2]])
        start, end = jpeg.body(data, image.tile, header)
        try:
            found = JpegImagePlugin.JpegImageFile(io.BytesIO(header + data[start:end])).convert("RGB")
        except (OSError, SyntaxError, ValueError) as error:
            raise DamagedSlideError("A tile of the slide cannot be decoded.") from error
        self._kept[key] = found
        return found


def _touched(start: int, length: int, step: int, tile: int, count: int) -> range:
    """The tiles of one direction that lie within, the last first: what is painted later is on top."""
    first, last = max(0, (start - tile) // step + 1), min(count - 1, (start + length - 1) // step)
    return range(last, first - 1, -1)
