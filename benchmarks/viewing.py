"""A slide read as the platform reads it, in the sandbox, without a platform around it."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from PIL import Image

from tiler.address import tile_region
from tiler.cache import TileCache
from tiler.cutters import CutterPool
from tiler.geometry import Region, Size
from tiler.index import TileIndex
from tiler.sandbox import IndexedSlide, Sandbox
from tiler.source import TileSource
from tiler.storage.base import ByteSource
from tiler.storage.local import LocalByteSource
from tiler.verification import check

_CACHE_BYTES: Final = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Viewed:
    """A slide that was not refused."""

    indexed: IndexedSlide
    index: TileIndex
    source: TileSource

    def picture(self, number: int, region: Region | None = None) -> Image.Image:
        """What a level shows in a region, put together from its tiles as a viewer would. Raises TilerError."""
        level = self.index.levels[number]
        region = region or Region(0, 0, level.size.width, level.size.height)
        canvas = Image.new("RGB", (region.width, region.height))
        for row in range(region.y // level.tile.height, -(-(region.y + region.height) // level.tile.height)):
            for col in range(region.x // level.tile.width, -(-(region.x + region.width) // level.tile.width)):
                place = tile_region(level.size, level.tile, col, row)
                tile = Image.open(io.BytesIO(self.source.get(number, col, row))).convert("RGB")
                shown = tile.crop((0, 0, place.width, place.height))
                canvas.paste(shown, (place.x - region.x, place.y - region.y))
        return canvas

    def middle(self, number: int, size: Size) -> Region:
        """So much of a level around the middle of where there is anything to see."""
        level = self.index.levels[number]
        bounds = self.index.metadata.bounds or Region(0, 0, *_sides(self.index.levels[0].size))
        x = int((bounds.x + bounds.width / 2) / level.downsample - size.width / 2)
        y = int((bounds.y + bounds.height / 2) / level.downsample - size.height / 2)
        width, height = min(size.width, level.size.width), min(size.height, level.size.height)
        left, top = min(max(0, x), level.size.width - width), min(max(0, y), level.size.height - height)
        return Region(left, top, width, height)


@contextmanager
def viewed(sandbox: Sandbox, pool: CutterPool, files: Mapping[str, Path], *, key: str = "slide") -> Iterator[Viewed]:
    """The slide of these files (`tiler.slide.files_at`). `key` must be another one for each slide a pool sees. Raises
    TilerError."""
    indexed = sandbox.index_slide(files)
    index = TileIndex(indexed.index_bytes)
    with ExitStack() as opened:
        # A slide's blobs are in the order of its files' names.
        blobs: list[ByteSource] = [
            opened.enter_context(closing(LocalByteSource(path))) for _, path in sorted(files.items())
        ]
        check(index, blobs)
        yield Viewed(indexed, index, TileSource(index, blobs, pool, TileCache(_CACHE_BYTES), key, files))


def _sides(size: Size) -> tuple[int, int]:
    return size.width, size.height
