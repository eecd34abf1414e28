"""A pyramid of JPEG tiles written to a TIFF in one pass over the rows of level 0; only one row of tiles a level is
held."""

from __future__ import annotations

import io
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import BinaryIO, Final

import numpy as np
from PIL import Image

from tiler import jpeg
from tiler.address import grid
from tiler.geometry import Size
from tiler.jpeg import Colour
from tiler.readers import tiff
from tiler.synthetic.texture import Pixels

_SHORT, _LONG, _ASCII, _RATIONAL, _UNDEFINED, _LONG8 = 3, 4, 2, 5, 7, 16
_BYTES: Final = {_SHORT: 2, _LONG: 4, _ASCII: 1, _RATIONAL: 8, _UNDEFINED: 1, _LONG8: 8}
_JPEG: Final = 7


@dataclass(frozen=True, slots=True)
class Coding:
    """How tiles are compressed."""

    colour: Colour
    quality: int

    def encode(self, pixels: Pixels) -> bytes:
        """A whole JPEG image."""
        out = io.BytesIO()
        rgb = self.colour is Colour.RGB
        Image.fromarray(pixels).save(
            out, "JPEG", quality=self.quality, subsampling="4:4:4" if rgb else "4:2:0", keep_rgb=rgb
        )
        return out.getvalue()

    @property
    def photometric(self) -> int:
        return 2 if self.colour is Colour.RGB else 6

    @property
    def subsampling(self) -> tuple[int, int]:
        return (1, 1) if self.colour is Colour.RGB else (2, 2)


@dataclass(slots=True)
class Level:
    """One level in the making: rows come in, tiles go out."""

    size: Size
    tile: Size
    downsample: int
    offsets: list[int] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)
    waiting: list[Pixels] = field(default_factory=list)
    rows_in: int = 0


class TiffWriter:
    """Images appended to a TIFF, classic or BigTIFF, in the order in which their directories are to be."""

    def __init__(self, file: BinaryIO, *, big: bool) -> None:
        self._file = file
        self._big = big
        file.write(struct.pack("<2sHHHQ", b"II", 43, 8, 0, 0) if big else struct.pack("<2sHI", b"II", 42, 0))
        self._link = 8 if big else 4  # where the offset of the next directory is to be written

    def append(self, data: bytes) -> int:
        """Where these bytes now begin."""
        if self._file.tell() % 2:
            self._file.write(b"\0")
        at = self._file.tell()
        self._file.write(data)
        return at

    def directory(self, tags: dict[int, tuple[int, Sequence[int] | bytes]]) -> None:
        """One directory; values are given as (type, numbers or bytes), a rational as its two numbers."""
        offset = "Q" if self._big else "I"
        room = struct.calcsize(offset)
        entries = b""
        for tag, (kind, value) in sorted(tags.items()):
            data = value if isinstance(value, bytes) else struct.pack(f"<{len(value)}{_code(kind)}", *value)
            held = data.ljust(room, b"\0") if len(data) <= room else struct.pack("<" + offset, self.append(data))
            entries += struct.pack(f"<HH{offset}", tag, kind, len(data) // _BYTES[kind]) + held
        count = struct.pack("<Q" if self._big else "<H", len(tags))
        at = self.append(count + entries + bytes(room))
        self._file.seek(self._link)
        self._file.write(struct.pack("<" + offset, at))
        self._file.seek(0, io.SEEK_END)
        self._link = at + len(count) + len(entries)

    @property
    def place(self) -> int:
        """The type of an offset in this file."""
        return _LONG8 if self._big else _LONG


class Pyramid:
    """All levels of one slide; feed it the rows of level 0 from top to bottom, tile row by tile row."""

    def __init__(self, writer: TiffWriter, size: Size, tile: int, downsamples: Sequence[int], coding: Coding) -> None:
        self._writer = writer
        self._coding = coding
        self.tables: bytes = _tables(coding)
        self.levels = [Level(Size(size.width // by, size.height // by), Size(tile, tile), by) for by in downsamples]

    def feed(self, rows: Pixels) -> None:
        self._feed(0, rows)

    def tags(self, level: Level, *, reduced: bool) -> dict[int, tuple[int, Sequence[int] | bytes]]:
        """The directory of a finished level."""
        return {
            **image_tags(level.size, self._coding, reduced=reduced),
            tiff.TILE_WIDTH: (_SHORT, [level.tile.width]),
            tiff.TILE_HEIGHT: (_SHORT, [level.tile.height]),
            tiff.TILE_OFFSETS: (self._writer.place, level.offsets),
            tiff.TILE_LENGTHS: (_LONG, level.lengths),
            tiff.JPEG_TABLES: (_UNDEFINED, self.tables),
        }

    def _feed(self, number: int, rows: Pixels) -> None:
        level = self.levels[number]
        rows = rows[: level.size.height - level.rows_in, : level.size.width]
        level.waiting.append(rows)
        level.rows_in += len(rows)
        whole = level.rows_in == level.size.height
        while (held := sum(map(len, level.waiting))) >= level.tile.height or (whole and held):
            strip = np.concatenate(level.waiting)
            level.waiting = [strip[level.tile.height :]]
            self._write(level, strip[: level.tile.height])
            if number + 1 < len(self.levels):
                by = self.levels[number + 1].downsample // level.downsample
                self._feed(number + 1, np.asarray(Image.fromarray(strip[: level.tile.height]).reduce(by)))

    def _write(self, level: Level, strip: Pixels) -> None:
        height, width = level.tile.height, level.tile.width
        across = grid(level.size, level.tile).width * width - strip.shape[1]
        padded = np.pad(strip, ((0, height - len(strip)), (0, across), (0, 0)), mode="edge")
        for left in range(0, padded.shape[1], width):
            tile = self._coding.encode(np.ascontiguousarray(padded[:, left : left + width]))
            short = _abbreviated(tile)
            level.offsets.append(self._writer.append(short))
            level.lengths.append(len(short))


def image_tags(size: Size, coding: Coding, *, reduced: bool) -> dict[int, tuple[int, Sequence[int] | bytes]]:
    """What every JPEG-compressed image of a TIFF says about itself."""
    tags: dict[int, tuple[int, Sequence[int] | bytes]] = {
        tiff.SUBFILE_TYPE: (_LONG, [int(reduced)]),
        tiff.WIDTH: (_LONG, [size.width]),
        tiff.HEIGHT: (_LONG, [size.height]),
        tiff.BITS: (_SHORT, [8, 8, 8]),
        tiff.COMPRESSION: (_SHORT, [_JPEG]),
        tiff.PHOTOMETRIC: (_SHORT, [coding.photometric]),
        tiff.SAMPLES: (_SHORT, [3]),
        tiff.PLANAR: (_SHORT, [1]),
    }
    if coding.colour is Colour.YCBCR:
        tags[530] = (_SHORT, coding.subsampling)  # YCbCrSubSampling
    return tags


def picture_tags(writer: TiffWriter, pixels: Pixels, coding: Coding) -> dict[int, tuple[int, Sequence[int] | bytes]]:
    """An image in a single strip: thumbnail, label, macro."""
    data = coding.encode(pixels)
    height, width = pixels.shape[:2]
    return {
        **image_tags(Size(width, height), coding, reduced=False),
        273: (writer.place, [writer.append(data)]),  # StripOffsets
        278: (_LONG, [height]),  # RowsPerStrip
        279: (_LONG, [len(data)]),  # StripByteCounts
    }


def description(text: str) -> tuple[int, bytes]:
    """The value of ImageDescription."""
    return _ASCII, text.encode("ascii", errors="replace") + b"\0"


def resolution(um_per_pixel: float) -> dict[int, tuple[int, Sequence[int] | bytes]]:
    """Pixels per centimetre, in both directions."""
    per_cm = [round(10_000_000 / um_per_pixel), 1000]
    return {
        tiff.X_RESOLUTION: (_RATIONAL, struct.pack("<II", *per_cm)),
        tiff.Y_RESOLUTION: (_RATIONAL, struct.pack("<II", *per_cm)),
        tiff.RESOLUTION_UNIT: (_SHORT, [3]),
    }


def _tables(coding: Coding) -> bytes:
    """The tables that all tiles share: with fixed Huffman tables they depend on the quality alone."""
    image = coding.encode(np.zeros((16, 16, 3), np.uint8))
    parts = [image[at:end] for marker, at, end in jpeg.segments(image) if marker in (jpeg.DQT, jpeg.DHT)]
    return jpeg.SOI + b"".join(parts) + jpeg.EOI


def _abbreviated(image: bytes) -> bytes:
    """The image without what the shared tables and the TIFF say already."""
    kept, end = [jpeg.SOI], 2
    for marker, at, end in jpeg.segments(image):
        if marker not in (jpeg.DQT, jpeg.DHT) and not 0xE0 <= marker <= 0xEF:
            kept.append(image[at:end])
    return b"".join([*kept, image[end:]])


def _code(kind: int) -> str:
    return {_SHORT: "H", _LONG: "I", _LONG8: "Q"}[kind]
