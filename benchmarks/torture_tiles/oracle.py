"""Is this the right tile? OpenSlide's pixels of the same file decide, read in this process at the same place."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import openslide
from PIL import Image

from tiler.address import TileAddress, grid, tile_region
from tiler.geometry import Size
from tiler.synthetic.texture import Pixels

# What a tile that was encoded anew must reach beside the same reduction of the slide's own pixels.
MIN_PSNR_DB: Final = 40.0


class Oracle:
    """One slide as OpenSlide reads it; safe to use from several threads. `levels` are those that are served, finest
    first, as (size, tile): one whose size OpenSlide knows must carry the file's own pixels."""

    def __init__(self, path: Path, levels: Sequence[tuple[Size, Size]]) -> None:
        self._slide = openslide.OpenSlide(path)
        self._stored = [Size(*each) for each in self._slide.level_dimensions]
        self.levels = tuple(levels)
        self._reduced: dict[TileAddress, Pixels] = {}
        if not set(self._stored) <= {size for size, _ in levels}:
            raise ValueError(f"{path.name} has levels that are not served.")

    def close(self) -> None:
        self._slide.close()

    def cells(self, level: int) -> Size:
        """Columns and rows of a level."""
        return grid(*self.levels[level])

    def is_stored(self, level: int) -> bool:
        return self.levels[level][0] in self._stored

    def fault(self, address: TileAddress, served: bytes) -> str | None:
        """What is wrong with a tile, None when it is the right one."""
        size, tile = self.levels[address.level]
        region = tile_region(size, tile, address.col, address.row)
        found = decoded(served)
        if not self.is_stored(address.level):
            wanted = self.wanted(address)
            if found.shape != wanted.shape:
                return f"{found.shape[1]} × {found.shape[0]} pixels instead of {region.width} × {region.height}"
            near = psnr(found, wanted)
            return None if near >= MIN_PSNR_DB else f"{near:.1f} dB"
        if found.shape[:2] != (tile.height, tile.width):
            return f"{found.shape[1]} × {found.shape[0]} pixels instead of {tile.width} × {tile.height}"
        wanted = self._read(self._stored.index(size), region.x, region.y, region.size)
        same = np.array_equal(found[: region.height, : region.width], wanted)
        return None if same else "other pixels than the file's"

    def piece_fault(self, address: TileAddress, served: bytes) -> str | None:
        """As `fault`, of a tile in its true size: one at an edge, which had to be cropped, is encoded anew."""
        size, tile = self.levels[address.level]
        region = tile_region(size, tile, address.col, address.row)
        if region.size == tile or not self.is_stored(address.level):
            return self.fault(address, served)
        found = decoded(served)
        if found.shape[:2] != (region.height, region.width):
            return f"{found.shape[1]} × {found.shape[0]} pixels instead of {region.width} × {region.height}"
        near = psnr(found, self._read(self._stored.index(size), region.x, region.y, region.size))
        return None if near >= MIN_PSNR_DB else f"{near:.1f} dB"

    def near(self, address: TileAddress, served: bytes) -> float:
        """How near a derived tile is to the reduction of the file's pixels, in dB."""
        return psnr(decoded(served), self.wanted(address))

    def wanted(self, address: TileAddress) -> Pixels:
        """The pixels of a derived tile, averaged from the next finer level that the file has."""
        held = self._reduced.get(address)
        if held is None:
            held = self._reduced[address] = self._reduce(address)
        return held

    def _reduce(self, address: TileAddress) -> Pixels:
        size, tile = self.levels[address.level]
        region = tile_region(size, tile, address.col, address.row)
        finer = max(number for number, each in enumerate(self._stored) if each.width >= size.width)
        by = 2 ** round(math.log2(self._stored[finer].width / size.width))
        whole = self._stored[finer]
        reach = Size(
            min(region.width * by, whole.width - region.x * by), min(region.height * by, whole.height - region.y * by)
        )
        return np.asarray(Image.fromarray(self._read(finer, region.x * by, region.y * by, reach)).reduce(by))

    def _read(self, level: int, x: int, y: int, size: Size) -> Pixels:
        by = self._slide.level_downsamples[level]
        if by != int(by):
            raise ValueError("The slide does not let places be named exactly.")
        region = self._slide.read_region((x * int(by), y * int(by)), level, (size.width, size.height))
        return np.asarray(region)[..., :3]


def decoded(data: bytes) -> Pixels:
    """The RGB pixels of a JPEG image."""
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def psnr(one: npt.NDArray[np.uint8], other: npt.NDArray[np.uint8]) -> float:
    """Peak signal-to-noise ratio of two pictures of one size, in dB; infinite when they are equal."""
    error = float(np.mean((one.astype(np.float64) - other) ** 2))
    return math.inf if error == 0 else 10 * math.log10(255**2 / error)
