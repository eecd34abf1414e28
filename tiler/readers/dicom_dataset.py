"""The DICOM data set (PS3.5 chapter 7, PS3.10 chapter 7): the elements a slide is read from, of a file nobody vouches
for.

Only elements that somebody asks for are kept (`tiler.readers.dicom_tags`), each proved to be of the kind it should be.
Every length is checked against the file before anything is read. Elements must stand in the order of their tags, as the
standard demands, and be there once: so no two readers can see different values.
"""

from __future__ import annotations

import math
import re
import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tiler.errors import DamagedSlideError, NotASlideError, UnsupportedSlideError
from tiler.readers.dicom_tags import BYTES, KEPT, NUMBERS, SEQUENCES, Tag
from tiler.storage.base import ByteSource
from tiler.storage.memory import MemoryByteSource

PREAMBLE: Final = 128
MAGIC: Final = b"DICM"
IMPLICIT: Final = "1.2.840.10008.1.2"
DEFLATED: Final = "1.2.840.10008.1.2.1.99"
_BIG_ENDIAN: Final = "1.2.840.10008.1.2.2"

_MAX_ELEMENTS: Final = 8_000_000  # a frame's position takes ten
_MAX_DEPTH: Final = 24
_MAX_INFLATED: Final = 256 * 1024 * 1024
_MAX_VALUE: Final = 64 * 1024
_WINDOW: Final = 256 * 1024
_UNDEFINED: Final = 0xFFFFFFFF
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_LONG: Final = frozenset({b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"})
_BINARY: Final = {b"US": "H", b"UL": "I", b"SS": "h", b"SL": "i", b"FL": "f", b"FD": "d"}
_TEXT: Final = frozenset({b"CS", b"DA", b"DS", b"DT", b"IS", b"LO", b"LT", b"SH", b"ST", b"TM", b"UI", b"UT", b"UC"})
_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,12}")


class DataSet:
    """Elements by tag. What is absent, empty or no number where one should be is None."""

    def __init__(self, fields: Mapping[int, Any]) -> None:
        self._fields = fields

    def __contains__(self, tag: Tag) -> bool:
        return tag in self._fields

    def text(self, tag: Tag) -> str | None:
        """The first value; written in the character set the data set names, as far as that is one of the usual."""
        return next(iter(self.texts(tag)), None)

    def texts(self, tag: Tag) -> list[str]:
        raw: bytes = self._fields.get(tag, b"")
        named: bytes = self._fields.get(Tag.CHARACTER_SET, b"")
        encoding = "latin-1" if b"ISO_IR 100" in named else "utf-8"
        values = raw.decode(encoding, errors="replace").split("\\")
        return [value.strip(" \0") for value in values] if raw.strip(b" \0") else []

    def numbers(self, tag: Tag) -> list[float]:
        """The values of a Decimal String; empty when one of them is no finite number."""
        try:
            found = [float(text) for text in self.texts(tag)]
        except ValueError:
            return []
        return found if all(map(math.isfinite, found)) else []

    def number(self, tag: Tag) -> float | None:
        """Of a binary number or a Decimal String with one value."""
        value = self._fields.get(tag)
        if isinstance(value, bytes):
            found = self.numbers(tag)
            return found[0] if len(found) == 1 else None
        return value if value is not None and math.isfinite(value) else None

    def integer(self, tag: Tag) -> int | None:
        """Of a binary number or an Integer String. Raises DamagedSlideError when it is none."""
        value = self._fields.get(tag)
        if isinstance(value, bytes):
            text = self.text(tag)
            if text is None:
                return None
            if not _INTEGER.fullmatch(text):
                raise DamagedSlideError("The DICOM file has text where a number should be.")
            return int(text)
        if isinstance(value, float) and not value.is_integer():
            raise _wrong_kind()
        return int(value) if value is not None else None

    def data(self, tag: Tag) -> bytes | None:
        return self._fields.get(tag) or None

    def items(self, tag: Tag) -> Sequence[Any]:
        """Of a sequence: data sets, or what `read` was told to make of them."""
        found: Sequence[Any] = self._fields.get(tag, ())
        return found

    def first(self, tag: Tag) -> DataSet:
        """The first item of a sequence; an empty data set when there is none."""
        return next(iter(self.items(tag)), _NOTHING)


_NOTHING: Final = DataSet({})


@dataclass(frozen=True, slots=True)
class DicomFile:
    """One instance. The value of Pixel Data begins `pixels_at`; it has `pixels_length` bytes, or is encapsulated when
    that is None. ``source`` is the file, or what it holds inflated."""

    source: ByteSource
    transfer_syntax: str
    media_storage: str
    facts: DataSet
    pixels_at: int
    pixels_length: int | None

    @property
    def inflated(self) -> bool:
        return self.transfer_syntax == DEFLATED


def is_dicom(source: ByteSource) -> bool:
    return source.length >= PREAMBLE + 4 and source.read_at(PREAMBLE, 4) == MAGIC


def read(source: ByteSource, reductions: Mapping[Tag, Callable[[DataSet], object]]) -> DicomFile:
    """The elements of one file. ``reductions`` tell what to keep of each item of a sequence that may be long. Raises
    NotASlideError, DamagedSlideError, UnsupportedSlideError."""
    if not is_dicom(source):
        raise NotASlideError("The file is no DICOM file.")
    walk = _Walk(source, PREAMBLE + 4, implicit=False)
    meta = DataSet(walk.elements(source.length, before=0x00030000))
    syntax, media = meta.text(Tag.TRANSFER_SYNTAX) or "", meta.text(Tag.MEDIA_STORAGE_SOP_CLASS) or ""
    if not syntax:
        raise DamagedSlideError("The DICOM file does not say how it is written: its transfer syntax is missing.")
    if syntax == _BIG_ENDIAN:
        raise UnsupportedSlideError("The DICOM file is written big endian, a form that was given up long ago.")
    at = walk.at
    if syntax == DEFLATED:
        source, at = _inflated(source, at), 0
    body = _Walk(source, at, implicit=syntax == IMPLICIT, reductions=reductions)
    facts = DataSet(body.elements(source.length, before=Tag.PIXELS + 1))
    return DicomFile(source, syntax, media, facts, body.pixels_at, body.pixels_length)


def _inflated(source: ByteSource, at: int) -> MemoryByteSource:
    """PS3.5 A.5: all after the file's own group is one deflated stream."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    parts: list[bytes] = []
    total = 0
    try:
        while at < source.length and not inflater.eof:
            step = min(1 << 20, source.length - at)
            part = inflater.decompress(source.read_at(at, step), _MAX_INFLATED + 1 - total)
            parts.append(part)
            at, total = at + step, total + len(part)
            if total > _MAX_INFLATED:
                raise UnsupportedSlideError("The DICOM file is deflated as a whole and too large for that.")
    except zlib.error as error:
        raise DamagedSlideError("The DICOM file's deflated data are damaged.") from error
    return MemoryByteSource(b"".join(parts))


class _Walk:
    """A way through one file, element by element."""

    def __init__(
        self,
        source: ByteSource,
        at: int,
        *,
        implicit: bool,
        reductions: Mapping[Tag, Callable[[DataSet], object]] | None = None,
    ) -> None:
        self.at = at
        self.pixels_at = 0
        self.pixels_length: int | None = 0
        self._source = source
        self._implicit = implicit
        self._reductions = reductions or {}
        self._left = _MAX_ELEMENTS
        self._start, self._window = 0, b""

    def elements(self, end: int, *, before: int = _ITEM, depth: int = 0) -> dict[int, Any]:
        """The elements up to `end`, or to the end of the item, or to the first tag that is not `before`. Of an element
        kept, text and bytes as they are, numbers, or the items of a sequence."""
        if depth > _MAX_DEPTH:
            raise DamagedSlideError("The DICOM file's sequences are nested deeper than any need to be.")
        found: dict[int, Any] = {}
        last = -1
        while self.at < end:
            tag = self._tag()
            if tag >= before:
                if tag == _ITEM_END and before == _ITEM:
                    self.at += 8
                    break
                if before == _ITEM:
                    raise DamagedSlideError("The DICOM file's elements are out of order.")
                break
            # Within items some writers are less careful; there it is enough that nothing is said twice.
            if tag in found or (tag <= last and not depth):
                raise DamagedSlideError("The DICOM file's elements are out of order.")
            last = tag
            kind, length = self._head()
            if tag == Tag.PIXELS and not depth:
                self._note_pixels(length)
                break
            if length != _UNDEFINED and length > end - self.at:
                raise DamagedSlideError("The DICOM file is cut short.")
            if tag in KEPT:
                found[tag] = self._value(Tag(tag), kind, length, end, depth)
            elif length == _UNDEFINED:
                self._items(kind, length, end, depth)
            else:
                self.at += length
        return found

    def _tag(self) -> int:
        self._left -= 1
        if not self._left:
            raise UnsupportedSlideError("The DICOM file has more elements than any slide needs.")
        group, element = struct.unpack("<HH", self._bytes(4))
        return int(group << 16 | element)

    def _head(self) -> tuple[bytes, int]:
        """Value representation (none where it is implicit) and length of the element here; the value comes next."""
        head = self._bytes(8)
        if self._implicit:
            self.at += 8
            return b"", int.from_bytes(head[4:8], "little")
        kind = head[4:6]
        if not (kind.isalpha() and kind.isupper()):
            raise DamagedSlideError("The DICOM file is damaged: an element is of no known kind.")
        if kind in _LONG:
            length = int.from_bytes(self._bytes(12)[8:12], "little")
            self.at += 12
            if length == _UNDEFINED and kind not in (b"SQ", b"UN", b"OB", b"OW"):
                raise DamagedSlideError("The DICOM file is damaged: an element has no length.")
            return kind, length
        self.at += 8
        return kind, int.from_bytes(head[6:8], "little")

    def _note_pixels(self, length: int) -> None:
        self.pixels_at = self.at
        self.pixels_length = None if length == _UNDEFINED else length
        if length != _UNDEFINED and length > self._source.length - self.at:
            raise DamagedSlideError("The DICOM file is cut short: its pixels end behind the end of the file.")

    def _value(self, tag: Tag, kind: bytes, length: int, end: int, depth: int) -> Any:
        if tag in SEQUENCES:
            if kind not in (b"", b"SQ", b"UN"):
                raise _wrong_kind()
            return self._items(kind, length, end, depth, self._reductions.get(tag, _as_it_is))
        limit = BYTES.get(tag, _MAX_VALUE)
        if length > limit:
            raise UnsupportedSlideError("An element of the DICOM file is longer than any needs to be.")
        data = self._bytes(length)
        self.at += length
        if tag in BYTES:
            return data
        if tag not in NUMBERS:
            if kind not in _TEXT and kind not in (b"", b"UN"):
                raise _wrong_kind()
            return data
        code = _BINARY.get(kind if kind not in (b"", b"UN") else NUMBERS[tag])
        if code is None:
            raise _wrong_kind()
        if not data:
            return None
        try:
            return struct.unpack("<" + code, data)[0]
        except struct.error:
            raise _wrong_kind() from None

    def _items(
        self,
        kind: bytes,
        length: int,
        end: int,
        depth: int,
        reduction: Callable[[DataSet], object] | None = None,
    ) -> list[object]:
        """The items of a sequence, or of fragments nobody asks for; all are passed, and kept if there is a
        reduction."""
        implicit, self._implicit = self._implicit, self._implicit or kind == b"UN"  # PS3.5 6.2.2
        stop = end if length == _UNDEFINED else self.at + length
        found: list[object] = []
        while self.at < stop:
            tag = self._tag()
            size = int.from_bytes(self._bytes(8)[4:8], "little")
            self.at += 8
            if tag == _SEQUENCE_END and length == _UNDEFINED:
                break
            if tag != _ITEM or (size != _UNDEFINED and size > stop - self.at):
                raise DamagedSlideError("The DICOM file is damaged: a sequence holds something that is no item.")
            if reduction is None and size != _UNDEFINED:
                self.at += size
                continue
            fields = self.elements(stop if size == _UNDEFINED else self.at + size, depth=depth + 1)
            if reduction is not None:
                found.append(reduction(DataSet(fields)))
        else:
            if length == _UNDEFINED:
                raise DamagedSlideError("The DICOM file is cut short.")
        self._implicit = implicit
        return found

    def _bytes(self, length: int) -> bytes:
        """So many from here on."""
        low = self.at - self._start
        if low < 0 or low + length > len(self._window):
            if self.at + length > self._source.length:
                raise DamagedSlideError("The DICOM file is cut short.")
            step = min(max(length, _WINDOW), self._source.length - self.at)
            self._start, self._window, low = self.at, self._source.read_at(self.at, step), 0
        return self._window[low : low + length]


def _as_it_is(item: DataSet) -> object:
    return item


def _wrong_kind() -> DamagedSlideError:
    return DamagedSlideError("The DICOM file is damaged: an element is of another kind than it should be.")
