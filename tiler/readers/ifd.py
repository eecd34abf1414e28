"""The TIFF container (TIFF 6.0 and BigTIFF): directories and their tags, read from a file nobody vouches for.

Every count is checked against the file's length and a limit before anything is allocated, and every offset against
the file's end. What is inside the images is no concern of this module.
"""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Iterator
from typing import Final, NamedTuple

from tiler.errors import DamagedSlideError, NotASlideError, UnsupportedSlideError
from tiler.storage.base import ByteSource

MAX_DIRECTORIES: Final = 512
MAX_TAGS: Final = 512
MAX_CHILDREN: Final = 64
_SUB_IFDS: Final = 330

# TIFF field type → array code, for the unsigned integers.
_CODES: Final = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
_SIZES: Final = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_RATIONAL: Final = 5
# What marks a directory of Hamamatsu's: NDPI's format flag.
_NDPI: Final = 65420
_LONG, _LONG8 = 4, 16


class _Field(NamedTuple):
    kind: int
    values: int
    at: int  # where the value's bytes are in the file
    inline: bytes = b""  # or the bytes, when they are not in one place


class Layout(NamedTuple):
    """How this file writes its numbers: byte order, and the widths of classic TIFF or BigTIFF. Hamamatsu's NDPI is a
    classic TIFF with wide offsets of directories; behind each come the upper halves of its entries' values."""

    order: str
    number: struct.Struct
    entry: struct.Struct
    offset: struct.Struct
    room: int  # bytes of an entry for its value
    ndpi: bool = False

    @staticmethod
    def of(order: str, *, big: bool, ndpi: bool = False) -> Layout:
        count, entry, offset = ("Q", "HHQQ", "Q") if big else ("H", "HHII", "Q" if ndpi else "I")
        number, entries, offsets = (struct.Struct(order + width) for width in (count, entry, offset))
        return Layout(order, number, entries, offsets, 8 if big else 4, ndpi)


class Directory:
    """One image file directory. Values are read when they are asked for."""

    def __init__(self, source: ByteSource, layout: Layout, fields: dict[int, _Field]) -> None:
        self._source = source
        self._layout = layout
        self._fields = fields

    def __contains__(self, tag: int) -> bool:
        return tag in self._fields

    @property
    def order(self) -> str:
        """How the file's numbers are written, as `struct` says it: ``<`` or ``>``."""
        return self._layout.order

    def children(self) -> list[Directory]:
        """The directories that this one holds (SubIFDs, TIFF Technical Note 1), empty when there are none. Raises
        DamagedSlideError."""
        places = self.integers(_SUB_IFDS, at_most=MAX_CHILDREN)
        if len(set(places)) != len(places):
            raise DamagedSlideError("The slide's directories form a loop.")
        return [_directory(self._source, self._layout, at)[0] for at in places]

    def integers(self, tag: int, *, at_most: int) -> array[int]:
        """All values of an unsigned integer tag; empty when it is absent. Raises DamagedSlideError."""
        field = self._fields.get(tag)
        if field is None:
            return array("Q")
        code = _CODES.get(field.kind)
        if code is None or field.values > at_most:
            raise DamagedSlideError(f"The TIFF tag {tag} has a wrong type or too many values.")
        values = array(code, self._bytes(field))
        if (self._layout.order == "<") != (sys.byteorder == "little"):
            values.byteswap()
        return values

    def integer(self, tag: int, default: int | None = None) -> int:
        """The first value of an unsigned integer tag. Raises DamagedSlideError when it is absent without a default."""
        values = self.integers(tag, at_most=64)
        if values:
            return values[0]
        if default is None:
            raise DamagedSlideError(f"The TIFF tag {tag} is missing.")
        return default

    def rational(self, tag: int) -> float | None:
        """The value of a rational tag; None when it is absent, of another type or no number."""
        field = self._fields.get(tag)
        if field is None or field.kind != _RATIONAL or field.values != 1:
            return None
        above, below = struct.unpack(self._layout.order + "II", self._bytes(field))
        return above / below if below else None

    def data(self, tag: int, *, at_most: int) -> bytes | None:
        """The bytes of a tag, None when it is absent. Raises DamagedSlideError when there are more."""
        field = self._fields.get(tag)
        if field is None:
            return None
        if field.values * _SIZES.get(field.kind, 1) > at_most:
            raise DamagedSlideError(f"The TIFF tag {tag} has too many values.")
        return self._bytes(field)

    def text(self, tag: int, *, at_most: int = 64 * 1024) -> str:
        """The text of a tag up to its first zero byte, cut at `at_most` bytes; empty when it is absent."""
        field = self._fields.get(tag)
        if field is None or _SIZES.get(field.kind) != 1:
            return ""
        raw = self._bytes(field._replace(values=min(field.values, at_most)))
        return raw.split(b"\0", 1)[0].decode("utf-8", errors="replace")

    def _bytes(self, field: _Field) -> bytes:
        return field.inline or self._source.read_at(field.at, field.values * _SIZES.get(field.kind, 1))


def directories(source: ByteSource) -> list[Directory]:
    """All directories of a TIFF or BigTIFF file, in order. Raises NotASlideError when it is neither, DamagedSlideError
    when a directory lies outside the file, contradicts itself or comes round again."""
    layout, at = _start(source)
    found: list[Directory] = []
    visited: set[int] = set()
    while at:
        if at in visited:
            raise DamagedSlideError("The slide's directories form a loop.")
        if len(found) == MAX_DIRECTORIES:
            raise UnsupportedSlideError(f"The file holds more than {MAX_DIRECTORIES} images; it is not one slide.")
        visited.add(at)
        directory, at = _directory(source, layout, at)
        found.append(directory)
    if not found:
        raise DamagedSlideError("The TIFF file holds no image.")
    return found


def _start(source: ByteSource) -> tuple[Layout, int]:
    head = source.read_at(0, min(16, source.length))
    order = {b"II": "<", b"MM": ">"}.get(head[:2], "")
    if not order or len(head) < 8:
        raise NotASlideError("The file is not a TIFF slide.")
    magic = struct.unpack_from(order + "H", head, 2)[0]
    if magic == 42:
        if order == "<" and len(head) == 16 and _is_ndpi(source, at := struct.unpack_from("<Q", head, 4)[0]):
            return Layout.of(order, big=False, ndpi=True), at
        return Layout.of(order, big=False), struct.unpack_from(order + "I", head, 4)[0]
    if magic == 43 and len(head) == 16 and struct.unpack_from(order + "HH", head, 4) == (8, 0):
        return Layout.of(order, big=True), struct.unpack_from(order + "Q", head, 8)[0]
    raise NotASlideError("The file is not a TIFF slide.")


def _is_ndpi(source: ByteSource, at: int) -> bool:
    """Whether there is a directory of Hamamatsu's at this offset, which has 64 bits only if there is."""
    if not 8 <= at <= source.length - 2:
        return False
    count = int.from_bytes(source.read_at(at, 2), "little")
    if not 0 < count <= MAX_TAGS or at + 2 + 12 * count > source.length:
        return False
    return any(entry[0] == _NDPI for entry in struct.iter_unpack("<H10x", source.read_at(at + 2, 12 * count)))


def _directory(source: ByteSource, layout: Layout, at: int) -> tuple[Directory, int]:
    """The directory at an offset and the offset of the next one, 0 at the end."""
    count = layout.number.unpack(source.read_at(at, layout.number.size))[0]
    if not 0 < count <= MAX_TAGS:
        raise DamagedSlideError("A directory of the slide is damaged.")
    first = at + layout.number.size
    table = source.read_at(first, count * layout.entry.size + layout.offset.size)
    entries = table[: -layout.offset.size]
    upper = bytes(4 * count)
    # A file within reach of 32 bits needs no upper halves, and may have none.
    if layout.ndpi and source.length >> 32:
        upper = source.read_at(first + len(table), len(upper))
    fields = dict(_fields(source, layout, entries, upper, first))
    return Directory(source, layout, fields), layout.offset.unpack(table[-layout.offset.size :])[0]


def _fields(source: ByteSource, layout: Layout, table: bytes, upper: bytes, first: int) -> Iterator[tuple[int, _Field]]:
    for number, (tag, kind, count, value) in enumerate(layout.entry.iter_unpack(table)):
        length = count * _SIZES.get(kind, 1)
        if layout.ndpi:
            value |= int.from_bytes(upper[4 * number : 4 * number + 4], "little") << 32
        if length <= layout.room:  # the value itself stands where otherwise its offset would
            if value >> 32 and layout.ndpi and kind == _LONG and count == 1:
                yield tag, _Field(_LONG8, 1, 0, value.to_bytes(8, "little"))
                continue
            value = first + (number + 1) * layout.entry.size - layout.room
        if value + length > source.length:
            raise DamagedSlideError(f"The slide is cut short: the TIFF tag {tag} lies behind the end of the file.")
        yield tag, _Field(kind, count, value)
