"""Hamamatsu NDPI: a TIFF of 64 bits whose levels are one JPEG image each, with restart marks all over. Their places
are known, so tiles are put together from the scanner's own bytes (`tiler.readers.restarts`)."""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from PIL import Image

from tiler.errors import DamagedSlideError, TilerError, UnsupportedSlideError
from tiler.formats import Cell, Format, Handling
from tiler.geometry import Region, Size
from tiler.index import MAX_LEVELS, MAX_SIDE_PIXELS
from tiler.metadata import (
    FOCAL_PLANE,
    MAX_FOCAL_PLANES,
    POWER_RANGE,
    SlideMetadata,
    clean_text,
    number_within,
)
from tiler.readers import restarts, tiff
from tiler.readers.ifd import Directory
from tiler.readers.raster import JPEG
from tiler.readers.restarts import Strip
from tiler.slide import DECODED_TILE, DecodedLevel, Picture, SlideFile, SlideFiles
from tiler.storage.base import ByteSource

FORMAT: Final = Format(
    "ndpi",
    "Hamamatsu NDPI",
    "OpenSlide; Pillow for whole levels",
    (
        Cell(
            "restart-marks",
            "JPEG with restart marks: put together anew in tiles, without decoding; also beyond 4 GB",
            Handling.DECODED,
        ),
        Cell("narrow", "the same, several intervals to the width of a tile", Handling.DECODED),
        Cell("wide", "intervals wider than 2048 pixels: decoded", Handling.DECODED),
        Cell("no-marks", "JPEG without restart marks, up to 64 million pixels: decoded", Handling.DECODED),
        Cell("grey", "grey JPEG: decoded", Handling.DECODED),
        Cell("focal-planes", "several focal planes: the one nearest to the scanner's focus is shown", Handling.DECODED),
        Cell(
            "one-piece",
            "JPEG without restart marks, larger than that",
            Handling.REFUSED,
            "in one piece without restart marks",
        ),
        Cell("progressive", "progressive JPEG", Handling.REFUSED, "progressive, lossless or arithmetic JPEG"),
        Cell("jpeg-xr", "JPEG XR and other compressions", Handling.REFUSED, "only baseline JPEG can be shown"),
        Cell("vms", "Hamamatsu VMS", Handling.REFUSED, "a Hamamatsu VMS slide"),
        Cell("vmu", "Hamamatsu VMU", Handling.REFUSED, "a Hamamatsu VMU slide"),
        Cell("ndpis", "Hamamatsu NDPIS, a list of NDPI files", Handling.REFUSED, "a Hamamatsu NDPIS image set"),
    ),
)

# Hamamatsu's own tags
FLAG: Final = 65420
LENS: Final = 65421  # objective power of a level, -1 of the macro, -2 of the map of focus
PLANE: Final = 65424  # nanometres from the focus
STARTS, STARTS_HIGH = 65426, 65432
LABEL_TEXT: Final = 65427
SERIAL: Final = 65442
FACTS: Final = 65449
_CHANNEL: Final = 65434
_COMPRESSIONS: Final = {1: "without compression", 22610: "with JPEG XR"}
_MACRO_LENS: Final = -1
_MAX_MACRO_PIXELS: Final = 64_000_000
_MAX_MACRO_BYTES: Final = 64 * 1024 * 1024
# A text that reads like a barcode: it may hold whatever was typed, even a name.
_CODE: Final = re.compile(r"(?=.*[0-9])[A-Za-z0-9][A-Za-z0-9._/+*-]{2,63}")
# Technical fields, under OpenSlide's names: tags, and keys of the table of facts.
_NUMBERS: Final = {
    65422: "hamamatsu.XOffsetFromSlideCentre",
    65423: "hamamatsu.YOffsetFromSlideCentre",
    65424: "hamamatsu.ZOffsetFromSlideCentre",
    65441: "hamamatsu.CaptureMode",
    65444: "hamamatsu.JpegQuality",
    65454: "hamamatsu.ExposureTime",
}
_KEYS: Final = ("Product", "Objective.Lens.Magnificant", "system.version", "Macro.S/N")


def recognises(found: Sequence[Directory]) -> bool:
    return FLAG in found[0]


def read(files: SlideFiles, source: ByteSource, found: Sequence[Directory]) -> SlideFile:
    """The slide of an NDPI file: the images with an objective are the levels, of one focal plane. Raises
    DamagedSlideError, UnsupportedSlideError."""
    scans = [one for one in found if (_real(one, LENS) or 0) > 0]
    if not scans:
        raise DamagedSlideError("The Hamamatsu file holds no scan.")
    planes = sorted({_plane(one) for one in scans})
    if len(planes) > MAX_FOCAL_PLANES:
        raise UnsupportedSlideError(f"The slide claims {len(planes)} focal planes.")
    shown = min(planes, key=abs)
    chosen = sorted((one for one in scans if _plane(one) == shown), key=lambda one: -_size(one).area)
    if len(chosen) > MAX_LEVELS:
        raise UnsupportedSlideError(f"The slide has more than {MAX_LEVELS} levels.")
    decoder = Levels([_strip(source, one) for one in chosen])
    pictures: dict[str, Picture] = {}
    for one in found:
        if _real(one, LENS) == _MACRO_LENS and "macro" not in pictures:
            pictures["macro"] = _macro(source, one)
    metadata = _metadata(chosen[0], planes, shown, tuple(pictures))
    return SlideFile(metadata, decoder.levels, tiff.profile(chosen[0]), decoder, pictures)


class Levels:
    """Puts tiles together or, where that cannot be done, decodes them (`tiler.slide.Decoder`)."""

    def __init__(self, strips: Sequence[Strip]) -> None:
        self._strips = strips
        # One size of tiles for all levels, if possible: other viewers want it so.
        common = strips[0].tile
        tiles = [common if strip.makes(common) else strip.tile for strip in strips]
        if not strips[0].makes(common):
            tiles = [DECODED_TILE] * len(strips)
        self._whole = [strip.makes(tile) for strip, tile in zip(strips, tiles, strict=True)]
        self.levels = tuple(DecodedLevel(strip.size, tile) for strip, tile in zip(strips, tiles, strict=True))

    def tile(self, level: int, area: Region) -> Image.Image | bytes:
        tile, strip = self.levels[level].tile, self._strips[level]
        whole = (min(tile.width, strip.size.width - area.x), min(tile.height, strip.size.height - area.y))
        on_grid = not (area.x % tile.width or area.y % tile.height) and (area.width, area.height) == whole
        if self._whole[level] and on_grid:
            return strip.put_together(area)
        return strip.pixels(area)


def _size(directory: Directory) -> Size:
    size = Size(directory.integer(tiff.WIDTH), directory.integer(tiff.HEIGHT))
    if not (0 < size.width <= MAX_SIDE_PIXELS and 0 < size.height <= MAX_SIDE_PIXELS):
        raise DamagedSlideError(f"The slide claims an image of {size.width} × {size.height} pixels.")
    return size


def _strip(source: ByteSource, directory: Directory) -> Strip:
    compression = directory.integer(tiff.COMPRESSION, 1)
    if compression != JPEG:
        how = _COMPRESSIONS.get(compression, f"with an unknown compression ({compression})")
        raise UnsupportedSlideError(f"The slide's images are stored {how}; only baseline JPEG can be shown.")
    low = directory.integers(STARTS, at_most=restarts.MAX_INTERVALS)
    high = directory.integers(STARTS_HIGH, at_most=restarts.MAX_INTERVALS)
    return Strip(source, *_place(directory), _size(directory), restarts.starts_of(low, high))


def _place(directory: Directory) -> tuple[int, int]:
    if len(directory.integers(tiff.STRIP_OFFSETS, at_most=2)) != 1:
        raise DamagedSlideError("An image of the Hamamatsu file is not in one piece.")
    return directory.integer(tiff.STRIP_OFFSETS), directory.integer(tiff.STRIP_LENGTHS)


def _macro(source: ByteSource, directory: Directory) -> Picture:
    def picture() -> Image.Image | None:
        try:
            size, (offset, length) = _size(directory), _place(directory)
            if size.area > _MAX_MACRO_PIXELS or length > _MAX_MACRO_BYTES:
                return None
            return restarts.decoded(source.read_at(offset, length), size)
        except TilerError:
            return None

    return picture


def _metadata(main: Directory, planes: Sequence[int], shown: int, pictures: tuple[str, ...]) -> SlideMetadata:
    mpp_x, mpp_y = tiff.spacing(main)
    facts = dict(_facts(main.text(FACTS)))
    text = clean_text(main.text(LABEL_TEXT))
    several = len(planes) > 1
    return SlideMetadata(
        format="ndpi",
        vendor="hamamatsu",
        size=_size(main),
        mpp_x=mpp_x,
        mpp_y=mpp_y,
        objective_power=number_within(_real(main, LENS), POWER_RANGE),
        scanner_manufacturer=clean_text(main.text(tiff.MAKE)),
        scanner_model=clean_text(main.text(tiff.MODEL)),
        scanner_serial=clean_text(main.text(SERIAL)) or clean_text(facts.get("NDP.S/N")),
        acquired_at=_acquired(main.text(tiff.DATE_TIME)),
        icc_profile_present=tiff.ICC_PROFILE in main,
        barcode=text if text and _CODE.fullmatch(text) else None,
        focal_planes=len(planes) if several else None,
        pictures=pictures,
        properties=_properties(main, facts)
        | ({FOCAL_PLANE: f"{planes.index(shown) + 1} of {len(planes)}"} if several else {}),
    )


def _properties(main: Directory, facts: dict[str, str]) -> dict[str, str]:
    found = {name: str(number) for tag, name in _NUMBERS.items() if (number := _whole_number(main, tag)) is not None}
    lens = _real(main, LENS)
    if lens is not None:
        found["hamamatsu.SourceLens"] = f"{lens:g}"
    found |= {f"hamamatsu.{key}": value for key in _KEYS if (value := clean_text(facts.get(key)))}
    if channel := clean_text(main.text(_CHANNEL)):
        found["hamamatsu.Channel"] = channel  # of a fluorescence scan: its filter
    if software := clean_text(main.text(tiff.SOFTWARE)):
        found["tiff.Software"] = software
    return found


def _facts(table: str) -> list[tuple[str, str]]:
    pairs = (line.partition("=") for line in table.splitlines())
    return [(key, value) for key, _, value in pairs if value]


def _plane(directory: Directory) -> int:
    return _whole_number(directory, PLANE) or 0


def _whole_number(directory: Directory, tag: int) -> int | None:
    """Of a tag that holds one signed number; None without it."""
    data = directory.data(tag, at_most=8) or b""
    return int.from_bytes(data, "little", signed=True) if len(data) in (2, 4) else None


def _real(directory: Directory, tag: int) -> float | None:
    """Of a tag that holds one number of IEEE 754, 32 bits; None without it."""
    data = directory.data(tag, at_most=8) or b""
    value: float = struct.unpack("<f", data)[0] if len(data) == 4 else math.nan
    return value if math.isfinite(value) else None


def _acquired(text: str) -> datetime | None:
    try:
        return datetime.strptime(text, "%Y:%m:%d %H:%M:%S")
    except ValueError:
        return None
