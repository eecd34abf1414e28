"""JPEG images as large as a slide, taken apart at their restart marks and put together again in tiles.

At a restart mark (ITU-T T.81, F.1.1.5) a decoder forgets what came before. So the pieces between them, *intervals*, can
be put under a header that tells another size: which picture they make is decided by their order alone, and not a
single coefficient is decoded. Only the marks between them are numbered anew."""

from __future__ import annotations

import io
import operator
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Final

from PIL import Image, JpegImagePlugin

from tiler import jpeg
from tiler.errors import DamagedSlideError, TilerError, UnsupportedSlideError
from tiler.geometry import Region, Size
from tiler.index import TILE_SIDE_PIXELS
from tiler.jpeg import Colour, Segment
from tiler.slide import DECODED_TILE
from tiler.storage.base import ByteSource

MAX_INTERVALS: Final = 8_000_000
# An image without marks is decoded as a whole each time a worker is started, and kept: 256 MB, a second or two.
MAX_WHOLE_PIXELS: Final = 64_000_000
_MAX_WHOLE_BYTES: Final = 256 * 1024 * 1024
_MAX_ROW_BYTES: Final = 16 * 1024 * 1024
_MAX_HEADER_BYTES: Final = 64 * 1024
_JPEG_SIDE: Final = 65_535
_SAYABLE: Final = 65_500  # beyond that, a scanner writes into the frame header what it likes
# The sides a tile should have: narrow intervals are put side by side, wide ones make flat tiles.
_SIDE: Final = 512
_LARGEST_SQUARE: Final = 768
_FLAT: Final = 256

_SOF: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_BASELINE: Final = (0xC0, 0xC1)
_DRI: Final = 0xDD
_SOS: Final = 0xDA
_APP0, _APP14 = 0xE0, 0xEE
_TABLES: Final = frozenset({jpeg.DQT, jpeg.DHT})


@dataclass(frozen=True, slots=True)
class _Header:
    """What stands before the image data."""

    size: Size  # as the stream says
    mcu: Size  # pixels
    colour: Colour
    tables: bytes
    frame: bytes
    scan: bytes
    interval: int  # MCUs, 0 without marks
    end: int

    def told(self, size: Size, interval: int) -> bytes:
        """All that a stream of another size has before its image data."""
        frame = self.frame[:5] + size.height.to_bytes(2) + size.width.to_bytes(2) + self.frame[9:]
        restarts = bytes((0xFF, _DRI, 0, 4)) + interval.to_bytes(2) if interval else b""
        return jpeg.header(None, self.colour) + self.tables + frame + restarts + self.scan


class Strip:
    """One JPEG image at a place in a file, whose intervals begin at `starts`, counted from its own beginning; without
    these, or where they do not fit it, it is decoded as a whole. Used by one thread. Raises DamagedSlideError,
    UnsupportedSlideError."""

    def __init__(self, source: ByteSource, offset: int, length: int, size: Size, starts: Sequence[int]) -> None:
        if not 0 <= offset <= offset + length <= source.length:
            raise DamagedSlideError("The slide is cut short: one of its images lies behind the end of the file.")
        self.size = size
        self._source = source
        self._offset = offset
        self._length = length
        self._header = header = _header(source.read_at(offset, min(length, _MAX_HEADER_BYTES)))
        said = zip((header.size.width, header.size.height), (size.width, size.height), strict=True)
        if any(says not in (0, pixels) and pixels <= _SAYABLE for says, pixels in said):
            raise DamagedSlideError(
                f"A JPEG image of the slide says that it is {header.size.width} × {header.size.height} pixels, "
                f"where the slide says {size.width} × {size.height}."
            )
        self._mcus = Size(-(-size.width // header.mcu.width), -(-size.height // header.mcu.height))
        self._starts = starts
        self._across = self._mcus.width // header.interval if self._marked() else 0  # intervals in a row of MCUs
        if not self._across:
            self._require_small()
        self._pixels: tuple[tuple[int, int, int, int], Image.Image] | None = None

    @property
    def tile(self) -> Size:
        """The tiles that come out whole, without decoding; those of any decoded level where none do."""
        if not self._across:
            return DECODED_TILE
        width, height = self._interval.width, self._interval.height
        width *= max(1, _SIDE // width)
        low, high = TILE_SIDE_PIXELS
        for side in (width if width <= _LARGEST_SQUARE else _FLAT, _FLAT):
            tile = Size(width, side // height * height)
            if low <= tile.width <= high and low <= tile.height <= high and self.makes(tile):
                return tile
        return DECODED_TILE

    def makes(self, tile: Size) -> bool:
        """Whether tiles of this size can be put together without decoding."""
        if not self._across or self._header.colour is not Colour.YCBCR:
            return False
        fits = tile.width % self._interval.width == 0 or self.size.width <= tile.width
        if not fits or tile.height % self._interval.height:
            return False
        first = Size(min(tile.width, self.size.width), min(tile.height, self.size.height))
        try:
            whole = self._put_together(Region(0, 0, first.width, first.height))
            jpeg.body(whole, first, jpeg.header(None, Colour.YCBCR))
        except TilerError:
            return False
        return True

    def put_together(self, area: Region) -> bytes:
        """A whole JPEG image of an area that is made of intervals, but for the image's own edges. Raises
        DamagedSlideError."""
        return self._put_together(area)

    def pixels(self, area: Region) -> Image.Image:
        """What is in an area, decoded. Raises DamagedSlideError."""
        if not self._across:
            box = (0, 0, self.size.width, self.size.height)
        else:
            one = self._interval
            right, bottom = area.x + area.width, area.y + area.height
            box = (
                area.x // one.width * one.width,
                area.y // one.height * one.height,
                min(self.size.width, -(-right // one.width) * one.width),
                min(self.size.height, -(-bottom // one.height) * one.height),
            )
        if self._pixels is None or self._pixels[0] != box:
            self._pixels = box, self._decoded(Region(box[0], box[1], box[2] - box[0], box[3] - box[1]))
        left, top = area.x - box[0], area.y - box[1]
        return self._pixels[1].crop((left, top, left + area.width, top + area.height))

    @property
    def _interval(self) -> Size:
        mcu = self._header.mcu
        return Size(self._header.interval * mcu.width, mcu.height)

    def _marked(self) -> bool:
        """Whether the image has restart marks in a regular grid, and they are where they are said to be."""
        header, starts = self._header, self._starts
        return (
            0 < header.interval <= min(self._mcus.width, _JPEG_SIDE // header.mcu.width)
            and self._mcus.width % header.interval == 0
            and len(starts) == self._mcus.width // header.interval * self._mcus.height
            and starts[0] == header.end
            and starts[-1] < self._length
            and all(map(operator.lt, starts, starts[1:]))
        )

    def _require_small(self) -> None:
        if self._header.interval * self._header.mcu.width > _JPEG_SIDE:
            raise UnsupportedSlideError(
                "The slide's restart marks are more than 65,535 pixels apart; no decoder takes such a piece."
            )
        if self.size.area > MAX_WHOLE_PIXELS or self._length > _MAX_WHOLE_BYTES:
            raise UnsupportedSlideError(
                f"The slide stores {self.size.width} × {self.size.height} pixels in one piece without restart marks; "
                "no part of it can be shown without decoding all of it."
            )
        if max(self.size.width, self.size.height) > _JPEG_SIDE:
            raise DamagedSlideError(f"The slide claims an image of {self.size.width} × {self.size.height} pixels.")

    def _decoded(self, area: Region) -> Image.Image:
        data = self._put_together(area) if self._across else self._whole()
        return decoded(data, area.size)

    def _whole(self) -> bytes:
        header = self._header
        data = self._source.read_at(self._offset + header.end, self._length - header.end)
        return header.told(self.size, header.interval) + data

    def _put_together(self, area: Region) -> bytes:
        one, parts = self._interval, [self._header.told(area.size, self._header.interval)]
        cols = range(area.x // one.width, -(-(area.x + area.width) // one.width))
        number = 0
        for row in range(area.y // one.height, -(-(area.y + area.height) // one.height)):
            for interval in self._intervals(row * self._across + cols.start, len(cols)):
                if number:
                    parts.append(bytes((0xFF, 0xD0 + (number - 1) % 8)))
                parts.append(interval)
                number += 1
        return b"".join((*parts, jpeg.EOI))

    def _intervals(self, first: int, count: int) -> list[bytes]:
        """The image data of some that follow each other, without the marks between them."""
        starts = [*self._starts[first : first + count + 1]]
        if len(starts) == count:
            starts.append(self._length)
        if starts[-1] - starts[0] > _MAX_ROW_BYTES:
            raise DamagedSlideError("The slide's restart marks are farther apart than its pixels can be.")
        data = self._source.read_at(self._offset + starts[0], starts[-1] - starts[0])
        found: list[bytes] = []
        for start, end in pairwise(starts):
            piece = data[start - starts[0] : end - starts[0]]
            if end == self._length:
                piece = piece[: piece.rfind(jpeg.EOI) + 2]
            if len(piece) < 3 or piece[-2] != 0xFF or not (0xD0 <= piece[-1] <= 0xD7 or end == self._length):
                raise DamagedSlideError("The slide's restart marks are not where it says they are.")
            piece = piece[:-2]
            if piece.count(b"\xff") != piece.count(b"\xff\x00"):
                raise DamagedSlideError("The slide has foreign data between its restart marks.")
            found.append(piece)
        return found


def starts_of(low: array[int], high: array[int]) -> Sequence[int]:
    """Where intervals begin, from the halves of their offsets. Without upper halves they are known all the same: each
    interval is far shorter than the 4 GB after which the lower halves begin again."""
    if len(high) == len(low) and any(high):
        return array("Q", (above << 32 | below for above, below in zip(high, low, strict=True)))
    if not any(map(operator.gt, low, low[1:])):
        return low
    turns = accumulate((one < before for before, one in pairwise(low)), initial=0)
    return array("Q", (turn << 32 | below for turn, below in zip(turns, low, strict=True)))


def decoded(data: bytes, size: Size) -> Image.Image:
    """The pixels of a JPEG image, RGB or grey. Raises DamagedSlideError."""
    try:
        image = JpegImagePlugin.JpegImageFile(io.BytesIO(data))
        if image.size != (size.width, size.height) or image.mode not in ("RGB", "L"):
            raise DamagedSlideError("A JPEG image of the slide is of another size or colour than it says.")
        image.load()
    except (OSError, SyntaxError, ValueError) as error:
        raise DamagedSlideError("A JPEG image of the slide cannot be decoded.") from error
    return image


def _header(prefix: bytes) -> _Header:
    if prefix[:2] != jpeg.SOI:
        raise DamagedSlideError("A JPEG stream of the slide does not begin as one.")
    tables, interval, last = b"", 0, None
    seen: dict[int, bytes] = {}
    for segment in jpeg.segments(prefix):
        data = prefix[segment.start : segment.end]
        if segment.marker in _TABLES:
            tables += data
        elif segment.marker in _SOF and segment.marker not in _BASELINE:
            raise UnsupportedSlideError(
                "The slide's images are progressive, lossless or arithmetic JPEG; only baseline JPEG can be shown."
            )
        elif segment.marker == _DRI and len(data) == 6:
            interval = int.from_bytes(data[4:6])
        seen.setdefault(segment.marker, data)
        last = segment
    frame = seen.get(0xC0) or seen.get(0xC1) or b""
    if last is None or last.marker != _SOS or len(frame) < 10 or len(frame) != 10 + 3 * frame[9]:
        raise DamagedSlideError("A JPEG stream of the slide has no image.")
    return _read(seen, frame, tables, interval, last, prefix)


def _read(seen: dict[int, bytes], frame: bytes, tables: bytes, interval: int, last: Segment, prefix: bytes) -> _Header:
    components, scan = frame[9], prefix[last.start : last.end]
    if frame[4] != 8 or components not in (1, 3) or scan[4] != components:
        raise UnsupportedSlideError("The slide's JPEG images are neither 8-bit colour nor 8-bit grey.")
    factors = [frame[at] for at in range(11, len(frame), 3)]
    across, down = max(one >> 4 for one in factors), max(one & 15 for one in factors)
    if not (1 <= across <= 4 and 1 <= down <= 4) or not all(one >> 4 and one & 15 for one in factors):
        raise DamagedSlideError("A JPEG image of the slide has a damaged frame header.")
    mcu = Size(8 * across, 8 * down) if components == 3 else Size(8, 8)
    size = Size(int.from_bytes(frame[7:9]), int.from_bytes(frame[5:7]))
    return _Header(size, mcu, _colour(seen, frame), tables, frame, scan, interval, last.end)


def _colour(seen: dict[int, bytes], frame: bytes) -> Colour:
    """What the components are, as every decoder guesses it (libjpeg, default_decompress_parms)."""
    if frame[9] == 1:
        return Colour.GREY
    adobe = seen.get(_APP14, b"")
    if seen.get(_APP0, b"")[4:9] == b"JFIF\0":
        return Colour.YCBCR
    if adobe[4:9] == b"Adobe" and len(adobe) >= 16:
        return Colour.RGB if adobe[15] == 0 else Colour.YCBCR
    return Colour.RGB if bytes(frame[at] for at in range(10, len(frame), 3)) == b"RGB" else Colour.YCBCR
