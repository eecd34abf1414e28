"""Independent readers, one of which says what a tile of a slide of any format must show."""

from __future__ import annotations

import contextlib
import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import openslide
import pydicom
import tifffile
import wsidicom
from PIL import Image

from benchmarks.torture_tiles.oracle import MIN_PSNR_DB, decoded, psnr
from tiler.address import TileAddress, tile_region
from tiler.geometry import Region, Size
from tiler.index import Level, LevelKind, TileIndex
from tiler.synthetic.texture import Pixels

# Levels up to this size are read at once and kept, so that no reader has to be asked for a place between two pixels.
_WHOLE_PIXELS: Final = 40_000_000
# Where colours are stored at half the resolution, two decoders may differ by so many grey levels.
ROUNDING: Final = 2
_ALPHA: Final = (tifffile.EXTRASAMPLE.ASSOCALPHA, tifffile.EXTRASAMPLE.UNASSALPHA)
_PAPER: Final = (255, 255, 255)


class Reader(Protocol):
    """One independent reader with one slide open."""

    name: str

    def knows(self, size: Size) -> bool:
        """Whether the slide has a level of this size for it."""
        ...

    def pixels(self, size: Size, region: Region) -> Pixels:
        """What that level shows there."""
        ...

    def close(self) -> None: ...


class OpenSlideReader:
    name = "OpenSlide"

    def __init__(self, files: Mapping[str, Path]) -> None:
        """Raises openslide.OpenSlideError."""
        self._slide = openslide.OpenSlide(entry(files))
        self._levels = [Size(*one) for one in self._slide.level_dimensions]
        self._whole: dict[Size, Pixels] = {}

    def knows(self, size: Size) -> bool:
        return size in self._levels

    def pixels(self, size: Size, region: Region) -> Pixels:
        if size.area > _WHOLE_PIXELS:
            return self._read(size, region)
        if size not in self._whole:
            self._whole[size] = self._read(size, Region(0, 0, size.width, size.height))
        return _part(self._whole[size], region)

    def close(self) -> None:
        self._slide.close()

    def _read(self, size: Size, region: Region) -> Pixels:
        level = self._levels.index(size)
        by = self._slide.level_downsamples[level]
        corner = (round(region.x * by), round(region.y * by))
        found = self._slide.read_region(corner, level, (region.width, region.height))
        paper = Image.new("RGB", found.size, _PAPER)
        paper.paste(found, mask=found.getchannel("A"))
        return np.asarray(paper)


class TifffileReader:
    name = "tifffile"

    def __init__(self, files: Mapping[str, Path]) -> None:
        """Raises tifffile.TiffFileError."""
        self._file = tifffile.TiffFile(entry(files))
        self._pages: dict[Size, Any] = {}
        for page in self._all():
            if page.dtype == np.uint8 and page.imagedepth == 1:
                self._pages.setdefault(Size(page.imagewidth, page.imagelength), page)
        self._whole: dict[Size, Pixels] = {}

    def knows(self, size: Size) -> bool:
        return size in self._pages and size.area <= _WHOLE_PIXELS

    def pixels(self, size: Size, region: Region) -> Pixels:
        if size not in self._whole:
            self._whole[size] = self._read(self._pages[size])
        return _part(self._whole[size], region)

    def close(self) -> None:
        self._file.close()

    def _all(self) -> Iterator[Any]:
        for page in self._file.pages:
            yield page
            yield from page.pages or () if isinstance(page, tifffile.TiffPage) else ()

    @staticmethod
    def _read(page: Any) -> Pixels:
        found = page.asarray()
        if page.photometric == tifffile.PHOTOMETRIC.PALETTE:
            found = np.moveaxis(page.colormap[:, found] >> 8, 0, -1).astype(np.uint8)
        if page.photometric == tifffile.PHOTOMETRIC.MINISWHITE:
            found = 255 - found
        if found.ndim == 3 and page.planarconfig == tifffile.PLANARCONFIG.SEPARATE:
            found = np.moveaxis(found, 0, -1)
        if found.ndim == 3 and found.shape[2] == 4 and page.extrasamples and page.extrasamples[0] in _ALPHA:
            alpha = found[..., 3:] / 255.0
            shown = found[..., :3] * (alpha if page.extrasamples[0] == tifffile.EXTRASAMPLE.UNASSALPHA else 1)
            found = (shown + 255 * (1 - alpha)).round().clip(0, 255).astype(np.uint8)
        return _rgb(found)


class WsiDicomReader:
    name = "wsidicom"

    def __init__(self, files: Mapping[str, Path]) -> None:
        """Raises wsidicom.errors.WsiDicomError."""
        self._slide = wsidicom.WsiDicom.open([path for path in files.values()])
        self._levels = {Size(each.size.width, each.size.height): each for each in self._slide.pyramids[0]}

    def knows(self, size: Size) -> bool:
        return size in self._levels

    def pixels(self, size: Size, region: Region) -> Pixels:
        number = self._levels[size].level
        found = self._slide.read_region((region.x, region.y), number, (region.width, region.height))
        return np.asarray(found.convert("RGB"))

    def close(self) -> None:
        self._slide.close()


_READERS: Final = (OpenSlideReader, WsiDicomReader, TifffileReader)


@dataclass(slots=True)
class Reference:
    """A slide as the reader sees it that knows most levels of its scanner. `levels` are those that are served, `known`
    the sizes of those that the reader has; `near` counts tiles served as they are whose pixels differ by rounding."""

    reader: Reader
    levels: Sequence[Level]
    known: frozenset[Size]
    near: int = 0
    _reduced: dict[TileAddress, Pixels] = field(default_factory=dict)

    def tells(self, level: int) -> bool:
        """Whether the reader knows this level, or the one that it is made from."""
        return self._finer(level) is not None

    def fault(self, address: TileAddress, served: bytes) -> str | None:
        """What is wrong with a tile, None when it is the right one."""
        level = self.levels[address.level]
        place = tile_region(level.size, level.tile, address.col, address.row)
        found = decoded(served)
        whole = level.tile if level.kind is LevelKind.STORED else place.size
        if found.shape[:2] != (whole.height, whole.width):
            return f"{found.shape[1]} × {found.shape[0]} pixels instead of {whole.width} × {whole.height}"
        wanted = self.wanted(address)
        found = found[: place.height, : place.width]
        if found.shape != wanted.shape:
            return f"the reader gives {wanted.shape[1]} × {wanted.shape[0]} pixels"
        if level.kind is not LevelKind.STORED:
            reached = psnr(found, wanted)
            if level.kind is LevelKind.DERIVED and reached < MIN_PSNR_DB:
                reached = _apart(found, wanted)
            return None if reached >= MIN_PSNR_DB else f"{reached:.1f} dB"
        most = int(np.abs(found.astype(np.int16) - wanted).max())
        self.near += 0 < most <= ROUNDING
        return None if most <= ROUNDING else f"up to {most} grey levels apart"

    def wanted(self, address: TileAddress) -> Pixels:
        """What the tile must show."""
        held = self._reduced.get(address)
        if held is None:
            held = self._reduced[address] = self._made(address)
        return held

    def _made(self, address: TileAddress) -> Pixels:
        source, by = self._source(address)
        return source if by == 1 else np.asarray(Image.fromarray(source).reduce(by))

    def _source(self, address: TileAddress) -> tuple[Pixels, int]:
        """The pixels of the scanner's level from which a tile is made, and how many times they are to be reduced."""
        level = self.levels[address.level]
        place = tile_region(level.size, level.tile, address.col, address.row)
        finer = self._finer(address.level)
        if finer is None:
            raise ValueError(f"{self.reader.name} does not know level {address.level}.")
        whole = self.levels[finer].size
        by = 1 if finer == address.level else 2 ** round(math.log2(whole.width / level.size.width))
        width = min(place.width * by, whole.width - place.x * by)
        height = min(place.height * by, whole.height - place.y * by)
        return self.reader.pixels(whole, Region(place.x * by, place.y * by, width, height)), by

    def _finer(self, number: int) -> int | None:
        while not self.levels[number].native:
            number -= 1
        return number if self.levels[number].size in self.known else None


@contextlib.contextmanager
def reference(files: Mapping[str, Path], index: TileIndex) -> Iterator[Reference | None]:
    """The reader that knows most of a slide's levels, the first of those that know equally many; None when no reader
    knows any."""
    levels = index.levels
    native = [level.size for level in levels if level.native]
    told = index.metadata.properties
    # Through a window of ours, nobody else's pixels look the same.
    readers: list[Reader] = [] if "iain.display-window" in told or _called_rgb(files) else list(_opened(files))
    if "iain.focal-plane" in told:
        # Of the others, nobody knows which plane they give.
        readers = [reader for reader in readers if isinstance(reader, WsiDicomReader)]
    known = {reader: frozenset(size for size in native if _reads(reader, size)) for reader in readers}
    best = max(readers, key=lambda reader: len(known[reader]), default=None)
    try:
        yield Reference(best, levels, known[best]) if best and known[best] else None
    finally:
        for reader in readers:
            reader.close()


def _called_rgb(files: Mapping[str, Path]) -> bool:
    """Whether frames of a DICOM slide are JFIF, whose colours are YCbCr, and its data set says RGB: OpenSlide and
    wsidicom believe the data set, and show other colours than every JPEG decoder."""
    for path in files.values():
        data = path.read_bytes() if path.stat().st_size < _WHOLE_PIXELS else b""
        if data[128:132] == b"DICM" and b"\xff\xd8\xff\xe0\x00\x10JFIF" in data:
            instance = pydicom.dcmread(path, stop_before_pixels=True, force=True)
            if instance.get("PhotometricInterpretation") == "RGB":
                return True
    return False


def _reads(reader: Reader, size: Size) -> bool:
    """Whether the reader has the level, and can decode it."""
    with contextlib.suppress(Exception):
        return reader.knows(size) and reader.pixels(size, Region(0, 0, 1, 1)).size > 0
    return False


def _opened(files: Mapping[str, Path]) -> Iterator[Reader]:
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # it has a word to say about every vendor
    for opener in _READERS:
        # Each of them raises many kinds of errors at what it does not know.
        with contextlib.suppress(Exception):
            yield opener(files)


def entry(files: Mapping[str, Path]) -> Path:
    """The file by which other readers know a set."""
    named = [path for name, path in sorted(files.items()) if name.endswith((".mrxs", ".tif"))]
    return named[0] if named else min(files.items())[1]


def _apart(found: Pixels, wanted: Pixels) -> float:
    """How near the brightness is, and how near the colours of every two by two pixels, in dB; the farther counts. Where
    a JPEG has colours at half the resolution, one reader smooths them before it reduces, another does not have to."""
    ours, theirs = (np.asarray(Image.fromarray(each).convert("YCbCr")) for each in (found, wanted))
    coarse, wanted_coarse = (np.asarray(Image.fromarray(each).reduce(2)) for each in (ours, theirs))
    return min(psnr(ours[..., 0], theirs[..., 0]), psnr(coarse[..., 1:], wanted_coarse[..., 1:]))


def _part(pixels: Pixels, region: Region) -> Pixels:
    return pixels[region.y : region.y + region.height, region.x : region.x + region.width]


def _rgb(found: Any) -> Pixels:
    if found.ndim == 2:
        found = found[..., None]
    return np.ascontiguousarray(np.repeat(found, 3, axis=2) if found.shape[2] < 3 else found[..., :3])
