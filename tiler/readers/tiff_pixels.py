"""The pixels of what a TIFF stores in any other way than a browser could show: the heavy half of `tiler.readers.tiff`,
which has checked all that is decoded here."""

from __future__ import annotations

import io
import struct
import zlib
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, Final, NoReturn

import numpy as np

# By name: the library loads each codec when it is first named, and afterwards a worker loads nothing any more.
from imagecodecs import jpeg2k_decode, lzw_decode, packbits_decode, zstd_decode
from numpy.typing import NDArray
from PIL import Image, JpegImagePlugin

from tiler import jpeg
from tiler.errors import DamagedSlideError, TilerError
from tiler.geometry import Region, Size
from tiler.jpeg import Colour
from tiler.readers import raster as kinds
from tiler.readers.raster import Raster
from tiler.storage.base import ByteSource

Samples = NDArray[Any]
"""Rows × columns × samples."""

# Pieces that were just decoded: neighbouring tiles are cut from the same ones.
_KEPT_BYTES: Final = 192 * 1024 * 1024
_PAPER: Final = 255
# JPEG 2000 (T.800, annex A): start of codestream and the SIZ segment up to its components; each of its tiles costs
# memory.
_CODESTREAM: Final = b"\xff\x4f\xff\x51"
_SIZ: Final = struct.Struct(">8x8IH")
_MAX_CODESTREAM_TILES: Final = 1024
_MAX_BOXES_BYTES: Final = 4096


class Rasters:
    """Decodes images of one TIFF, by their number (`tiler.slide.Decoder`). Used by one thread."""

    def __init__(self, source: ByteSource, rasters: Sequence[Raster]) -> None:
        self._source = source
        self._rasters = tuple(rasters)
        self._kept: OrderedDict[tuple[int, int], Samples] = OrderedDict()
        self._kept_bytes = 0

    def tile(self, level: int, area: Region) -> Image.Image:
        return picture(self._rasters[level], self.samples(level, area))

    def samples(self, number: int, area: Region) -> Samples:
        """What is stored in `area` of an image, which is within it: colours of JPEG as RGB, others as they are. A place
        left empty is all zeros. Raises DamagedSlideError."""
        raster = self._rasters[number]
        out = np.zeros((area.height, area.width, raster.samples), _dtype(raster))
        piece, grid = raster.piece, raster.grid
        for plane in range(raster.samples if raster.planar else 1):
            channels = slice(plane, plane + 1) if raster.planar else slice(None)
            for row in range(area.y // piece.height, -(-(area.y + area.height) // piece.height)):
                for col in range(area.x // piece.width, -(-(area.x + area.width) // piece.width)):
                    at = plane * grid.area + row * grid.width + col
                    left, top = max(area.x, col * piece.width), max(area.y, row * piece.height)
                    right = min(area.x + area.width, (col + 1) * piece.width)
                    bottom = min(area.y + area.height, (row + 1) * piece.height)
                    if raster.lengths[at] == 0:
                        continue
                    within = Region(left - col * piece.width, top - row * piece.height, right - left, bottom - top)
                    place = (slice(top - area.y, bottom - area.y), slice(left - area.x, right - area.x), channels)
                    out[place] = self._part(number, at, within)
        return out

    def _part(self, number: int, at: int, within: Region) -> Samples:
        raster = self._rasters[number]
        if raster.compression == kinds.PLAIN:
            return self._plain(raster, at, within)
        found = self._piece(number, at)
        return found[within.y : within.y + within.height, within.x : within.x + within.width]

    def _plain(self, raster: Raster, at: int, within: Region) -> Samples:
        """Of a piece without compression, which may be the whole slide, only what is asked for."""
        wide = raster.pixel_bytes
        rows = [
            self._source.read_at(raster.offsets[at] + (row * raster.piece.width + within.x) * wide, within.width * wide)
            for row in range(within.y, within.y + within.height)
        ]
        return _samples(raster, b"".join(rows), within.size)

    def _piece(self, number: int, at: int) -> Samples:
        key = (number, at)
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        raster = self._rasters[number]
        found = _decoded(raster, self._source.read_at(raster.offsets[at], raster.lengths[at]), _shape(raster, at))
        self._kept[key] = found
        self._kept_bytes += found.nbytes
        while self._kept_bytes > _KEPT_BYTES and len(self._kept) > 1:
            self._kept_bytes -= self._kept.popitem(last=False)[1].nbytes
        return found


def picture(raster: Raster, samples: Samples) -> Image.Image:
    """Samples of 8 bits as they are to be seen: alpha on white paper."""
    if raster.extra:
        alpha = samples[..., -1:].astype(np.uint16)
        colours = samples[..., :-1].astype(np.uint16)
        if raster.photometric == kinds.WHITE_IS_ZERO:
            colours = _PAPER - colours
        if raster.extra == kinds.UNASSOCIATED:
            colours = (colours * alpha + 127) // 255
        samples = np.minimum(colours + (_PAPER - alpha), 255).astype(np.uint8)
    elif raster.photometric == kinds.WHITE_IS_ZERO:
        samples = _PAPER - samples
    elif raster.photometric == kinds.PALETTE:
        samples = _colours(raster)[samples[..., 0]]
    return Image.fromarray(np.ascontiguousarray(samples[..., 0] if samples.shape[2] == 1 else samples))


def _colours(raster: Raster) -> NDArray[np.uint8]:
    """The palette, 256 × RGB. It has 16 bits a colour, of which some writers forget that."""
    table = np.asarray(raster.palette, np.uint16).reshape(3, 256).T
    return (table >> 8 if table.max() > 255 else table).astype(np.uint8)


def _dtype(raster: Raster) -> np.dtype[Any]:
    return np.dtype(f"{'i' if raster.signed else 'u'}{raster.bits // 8}")


def _shape(raster: Raster, at: int) -> Size:
    """The pixels of a piece: those of a tile always, of the last strip what is left of the image."""
    row = at % raster.grid.area // raster.grid.width
    rows = (
        raster.piece.height
        if raster.tiled
        else min(raster.piece.height, raster.size.height - row * raster.piece.height)
    )
    return Size(raster.piece.width, rows)


def _decoded(raster: Raster, data: bytes, size: Size) -> Samples:
    try:
        if raster.compression == kinds.JPEG:
            found = _jpeg(raster, data, size)
        elif raster.compression in kinds.ANY_JPEG_2000:
            found = _jpeg_2000(raster, data, size)
        elif raster.compression in kinds.WEBP_TILES:
            found = _webp(data, size)
        else:
            found = _samples(raster, _unpacked(raster, data, size.area * raster.pixel_bytes), size)
            if raster.predictor:
                found = np.cumsum(found, axis=1, dtype=found.dtype)
    except TilerError:
        raise
    except (OSError, RuntimeError, ValueError, TypeError, SyntaxError, struct.error, zlib.error) as error:
        raise DamagedSlideError("A tile of the slide cannot be decoded.") from error
    if found.ndim == 2:
        found = found[..., np.newaxis]
    expected = (size.height, size.width, 1 if raster.planar else raster.samples)
    if found.shape != expected or found.dtype != _dtype(raster):
        _refuse_size()
    return found


def _unpacked(raster: Raster, data: bytes, length: int) -> bytes:
    """No more than `length` bytes, whatever the data claim to hold."""
    match raster.compression:
        case kinds.DEFLATE | kinds.OLD_DEFLATE:
            return zlib.decompressobj().decompress(data, length)
        case kinds.LZW:
            return bytes(lzw_decode(data, out=length))
        case kinds.PACKBITS:
            return bytes(packbits_decode(data, out=length))
        case _:
            return bytes(zstd_decode(data, out=length))


def _samples(raster: Raster, data: bytes, size: Size) -> Samples:
    if len(data) < size.area * raster.pixel_bytes:
        raise DamagedSlideError("A tile of the slide is shorter than its pixels are.")
    kind = _dtype(raster)
    flat = np.frombuffer(
        data, kind.newbyteorder("<" if raster.order == "<" else ">"), size.area * raster.pixel_bytes // kind.itemsize
    )
    return flat.astype(kind).reshape(size.height, size.width, -1)


def _jpeg(raster: Raster, data: bytes, size: Size) -> Samples:
    coloured = raster.samples == 3 and not raster.planar
    said = Colour.RGB if raster.photometric == kinds.RGB else Colour.YCBCR
    colour = jpeg.stated_colour(data, said) if coloured else Colour.GREY
    start = len(jpeg.SOI)
    if not data.startswith(jpeg.SOI):
        _refuse_size()
    for segment in jpeg.segments(data):
        if not (0xE0 <= segment.marker <= 0xEF or segment.marker == 0xFE):  # APPn, COM
            break
        start = segment.end
    image = JpegImagePlugin.JpegImageFile(io.BytesIO(jpeg.header(raster.tables, colour) + data[start:]))
    if image.size != (size.width, size.height) or image.mode != ("RGB" if coloured else "L"):
        _refuse_size()
    return np.asarray(image)


def _jpeg_2000(raster: Raster, data: bytes, size: Size) -> Samples:
    """A codestream, or one in boxes. Where its colours have fewer samples than its brightness they can only be YCbCr,
    and the library gives RGB."""
    at = data.find(_CODESTREAM, 0, _MAX_BOXES_BYTES)
    if at < 0:
        raise DamagedSlideError("A JPEG 2000 tile of the slide has no image.")
    x1, y1, x0, y0, across, down, left, top, components = _SIZ.unpack_from(data, at)
    tiles = -(-(x1 - left) // max(across, 1)) * -(-(y1 - top) // max(down, 1))
    if (x1 - x0, y1 - y0, components) != (size.width, size.height, 1 if raster.planar else raster.samples):
        _refuse_size()
    if tiles > _MAX_CODESTREAM_TILES:
        raise DamagedSlideError("A JPEG 2000 tile of the slide is divided into too many parts.")
    steps = data[at + _SIZ.size : at + _SIZ.size + 3 * components]  # depth, then the steps across and down
    sampled = any(step != 1 for number in (1, 2) for step in steps[number::3])
    if raster.bits == 8 and any(depth & 0x7F != 7 for depth in steps[::3]):  # of fewer bits, all would be nearly black
        raise DamagedSlideError("A tile of the slide cannot be decoded.")
    found = jpeg2k_decode(data[at:])  # what its boxes say of colours, the TIFF says
    if sampled and raster.photometric != kinds.YCBCR:
        _refuse_size()
    if raster.photometric == kinds.YCBCR and not sampled:
        found = np.asarray(Image.fromarray(found, "YCbCr").convert("RGB"))
    return found


def _webp(data: bytes, size: Size) -> Samples:
    with Image.open(io.BytesIO(data), formats=["WEBP"]) as image:
        if image.size != (size.width, size.height):
            _refuse_size()
        return np.asarray(image)


def _refuse_size() -> NoReturn:
    raise DamagedSlideError("A tile of the slide has another size than it says.")
