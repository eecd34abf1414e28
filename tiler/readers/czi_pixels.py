"""The pixels of Zeiss CZI files: sub-blocks decoded, laid one over the other and shown through a window. Needs the
heavy libraries."""

from __future__ import annotations

import io
import struct
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from PIL import Image, JpegImagePlugin

from tiler import window
from tiler.errors import DamagedSlideError, TilerError, UnsupportedSlideError
from tiler.geometry import Region, Size
from tiler.metadata import PICTURES, SlideMetadata
from tiler.readers import czi_scan
from tiler.readers.openslide import MAX_PICTURE_PIXELS
from tiler.readers.zisraw import Attachment, Block, Container
from tiler.slide import DecodedLevel, Picture, SlideFile
from tiler.storage.base import ByteSource
from tiler.window import Display, Rgb

# A row of blocks of a wide slide: whoever goes through it row by row needs each again for the next row of tiles.
_KEPT_BYTES: Final = 448 * 1024 * 1024
_PICTURES: Final = {"Label": "label", "SlidePreview": "macro", "Thumbnail": "thumbnail"}
_ACROSS, _DOWN = 0xBC80, 0xBC81  # tags of a JPEG XR file
# Looked up here, while code can still be loaded.
_zstd, _jpeg_xr = imagecodecs.zstd_decode, imagecodecs.jpegxr_decode
Samples = NDArray[Any]


def opened(
    source: ByteSource,
    container: Container,
    scan: czi_scan.Scan,
    metadata: SlideMetadata,
    colours: Sequence[tuple[int, int, int] | None],
) -> SlideFile:
    """The slide of a CZI file of which everything but the pixels is known. Raises DamagedSlideError."""
    for plane in scan.planes:
        for blocks in plane.channels:
            for block in blocks:
                container.place(block)
    pixels = Pixels(source, container, scan, colours)
    pictures = _pictures(source, container)
    kept = tuple(name for name in PICTURES if name in pictures)
    levels = tuple(DecodedLevel(plane.size) for plane in scan.planes)
    return SlideFile(replace(window.stated(metadata, pixels.display), pictures=kept), levels, None, pixels, pictures)


class Pixels:
    """Decodes one scan (`tiler.slide.Decoder`). Between its blocks colours are white and grey is black."""

    def __init__(
        self,
        source: ByteSource,
        container: Container,
        scan: czi_scan.Scan,
        colours: Sequence[tuple[int, int, int] | None],
    ) -> None:
        window.check_channels(len(scan.channel_numbers))
        self._scan = scan
        self._coloured = scan.pixels in (czi_scan.COLOUR8, czi_scan.COLOUR16)
        self._kind = np.dtype("u1" if scan.pixels in (czi_scan.GREY8, czi_scan.COLOUR8) else "<u2")
        self._blocks = _Blocks(source, container)
        self._planes = [
            [czi_scan.Places([_place(scan, plane, block) for block in blocks]) for blocks in plane.channels]
            for plane in scan.planes
        ]
        self.display = self._display(colours)

    def tile(self, level: int, area: Region) -> Image.Image:
        return self.display.picture(self.samples(level, area))

    def samples(self, level: int, area: Region) -> Samples:
        """The values as they are stored: rows × columns × red, green and blue, or × channels."""
        plane = self._scan.planes[level]
        if self._coloured:
            paper = np.full((area.height, area.width, 3), np.iinfo(self._kind).max, self._kind)
            self._lay(paper, level, 0, plane.channels[0], area)
            return paper
        paper = np.zeros((area.height, area.width, len(plane.channels)), self._kind)
        for channel, blocks in enumerate(plane.channels):
            self._lay(paper[..., channel : channel + 1], level, channel, blocks, area)
        return paper

    def _lay(self, paper: Samples, level: int, channel: int, blocks: Sequence[Block], area: Region) -> None:
        plane = self._scan.planes[level]
        for number in self._planes[level][channel].touching(area):
            block = blocks[number]
            place = _place(self._scan, plane, block)
            found = self._blocks.samples(block)
            left, top = max(area.x, place.x), max(area.y, place.y)
            right = min(area.x + area.width, place.x + place.width)
            bottom = min(area.y + area.height, place.y + place.height)
            paper[top - area.y : bottom - area.y, left - area.x : right - area.x] = found[
                top - place.y : bottom - place.y, left - place.x : right - place.x
            ]

    def _display(self, colours: Sequence[tuple[int, int, int] | None]) -> Display:
        coarsest = len(self._scan.planes) - 1
        count = 3 if self._coloured else len(colours)
        size = self._scan.planes[coarsest].size
        looked_at = window.look(size, count, self._kind, partial(self.samples, coarsest))
        if self._coloured:
            return window.of_colour(looked_at[~(looked_at == np.iinfo(self._kind).max).all(axis=1)])
        return window.of_channels(looked_at, [Rgb(*colour) if colour else None for colour in colours])


def _place(scan: czi_scan.Scan, plane: czi_scan.Plane, block: Block) -> Region:
    """Where on the pixels of its plane a block lies."""
    down = plane.down
    # Halves always in one direction: neighbours that are rounded apart would leave a line of paper between them.
    x, y = ((2 * away + down) // (2 * down) for away in (block.area.x - scan.left, block.area.y - scan.top))
    return Region(x, y, block.stored.width, block.stored.height)


class _Blocks:
    """The pixels of sub-blocks; those used last are kept."""

    def __init__(self, source: ByteSource, container: Container) -> None:
        self._source = source
        self._container = container
        self._kept: OrderedDict[int, Samples] = OrderedDict()
        self._bytes = 0

    def samples(self, block: Block) -> Samples:
        """Rows × columns × red, green and blue, or × 1. Raises DamagedSlideError."""
        found = self._kept.get(block.at)
        if found is not None:
            self._kept.move_to_end(block.at)
            return found
        found = self._decoded(block)
        self._kept[block.at] = found
        self._bytes += found.nbytes
        while self._bytes > _KEPT_BYTES and len(self._kept) > 1:
            self._bytes -= self._kept.popitem(last=False)[1].nbytes
        return found

    def _decoded(self, block: Block) -> Samples:
        data = self._source.read_at(*self._container.place(block))
        try:
            found = _image(data, block.stored) if block.compression == czi_scan.JPEG_XR else _array(data, block)
        except (RuntimeError, ValueError, TypeError) as error:  # what imagecodecs raises
            raise DamagedSlideError("A sub-block of the CZI file cannot be decoded.") from error
        depth = 3 if block.pixels in (czi_scan.COLOUR8, czi_scan.COLOUR16) else 1
        kind = np.dtype("u1" if block.pixels in (czi_scan.GREY8, czi_scan.COLOUR8) else "u2")
        if found.shape != (block.stored.height, block.stored.width, depth) or found.dtype != kind:
            raise DamagedSlideError("A sub-block of the CZI file has another size than it says.")
        return found


def _image(data: bytes, size: Size) -> Samples:
    """JPEG XR, which tells its colours itself: red comes first."""
    if _stated_size(data) != size:
        raise DamagedSlideError("A sub-block of the CZI file has another size than it says.")
    found: Samples = _jpeg_xr(data)
    return found[..., None] if found.ndim == 2 else found


def _stated_size(data: bytes) -> Size | None:
    """Of a JPEG XR file, in the directory that it begins with (T.832, annex A); so nothing larger is ever decoded."""
    if data[:3] != b"II\xbc" or len(data) < 8:
        return None
    at = int.from_bytes(data[4:8], "little")
    count = int.from_bytes(data[at : at + 2], "little")
    table = data[at + 2 : at + 2 + 12 * count]
    if len(table) != 12 * count:
        return None
    wide = {1: 0xFF, 3: 0xFFFF}  # bytes, shorts
    said = {tag: value & wide.get(kind, 0xFFFFFFFF) for tag, kind, _, value in struct.iter_unpack("<HHII", table)}
    return Size(said.get(_ACROSS, 0), said.get(_DOWN, 0))


def _array(data: bytes, block: Block) -> Samples:
    """Plain values, blue before red, packed or not."""
    wanted = block.stored.area * czi_scan.bytes_per_pixel(block.pixels)
    halves = False
    if block.compression == czi_scan.ZSTD1:
        data, halves = _without_header(data)
    if block.compression in (czi_scan.ZSTD0, czi_scan.ZSTD1):
        data = bytes(_zstd(data, out=wanted))
    if len(data) != wanted:
        raise DamagedSlideError("A sub-block of the CZI file has another size than it says.")
    kind = np.dtype("u1" if block.pixels in (czi_scan.GREY8, czi_scan.COLOUR8) else "<u2")
    if halves and kind.itemsize == 2:  # all the low bytes, then all the high ones
        data = np.frombuffer(data, np.uint8).reshape(2, -1).T.tobytes()
    values = np.frombuffer(data, kind)
    if block.pixels in (czi_scan.GREY8, czi_scan.GREY16):
        return values.reshape(block.stored.height, block.stored.width, 1)
    return values.reshape(block.stored.height, block.stored.width, 3)[..., ::-1]


def _without_header(data: bytes) -> tuple[bytes, bool]:
    """What follows the header of the second Zstandard scheme, and whether the bytes of each value stand apart."""
    if data[:1] == b"\x01":
        return data[1:], False
    if data[:2] == b"\x03\x01":
        return data[3:], bool(data[2] & 1)
    raise DamagedSlideError("A sub-block of the CZI file cannot be decoded.")


def _pictures(source: ByteSource, container: Container) -> Mapping[str, Picture]:
    """Those of the attachments that are known; none when their directory is damaged."""

    def reader(attachment: Attachment) -> Picture:
        return lambda: _picture(source, attachment)

    try:
        found = {_PICTURES[one.name]: reader(one) for one in container.attachments() if one.name in _PICTURES}
    except TilerError:
        return {}
    return found


def _picture(source: ByteSource, attachment: Attachment) -> Image.Image | None:
    """None when it cannot be read or is larger than any should be."""
    try:
        if attachment.kind == "JPG":
            image = JpegImagePlugin.JpegImageFile(io.BytesIO(source.read_at(attachment.offset, attachment.length)))
            if image.width * image.height > MAX_PICTURE_PIXELS:
                return None
            return image.convert("RGB")
        container = Container(source, attachment.offset)
        scan = czi_scan.scan(container.blocks)
        size: Size = scan.planes[0].size
        if size.area > MAX_PICTURE_PIXELS:
            return None
        return Pixels(source, container, scan, [None] * len(scan.channel_numbers)).tile(
            0, Region(0, 0, size.width, size.height)
        )
    except (DamagedSlideError, UnsupportedSlideError, OSError, SyntaxError, ValueError):
        return None
