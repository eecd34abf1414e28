"""The end of a DICOM file (PS3.5, PS3.10), and what it says of the files beside it."""

import struct
import zlib
from dataclasses import dataclass, field

from ingest.agent.dicom import WHOLE_SLIDE
from ingest.agent.extent import Bytes, OddError, UnfinishedError

_IMPLICIT, _BIG_ENDIAN = "1.2.840.10008.1.2", "1.2.840.10008.1.2.2"
_DEFLATED = "1.2.840.10008.1.2.1.99"
_SYNTAX, _CLASS, _IMAGE_TYPE = 0x00020010, 0x00080016, 0x00080008
_RECORDS, _FILE_ID = 0x00041220, 0x00041500
_PIXELS = frozenset({0x7FE00010, 0x7FE00008, 0x7FE00009})
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_LONG_FORM = frozenset({b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"})
_UNDEFINED = 0xFFFFFFFF
_DEEPEST = 16
_TEXT_MAX = 1024
_READ = 1 << 20
_ROOM = 512  # zeros at the end of what makes no sense: a copy sets room aside before it fills it


@dataclass(slots=True)
class Extent:
    """What a DICOM file turned out to be: SOP Class UID (0008,0016), Image Type (0008,0008), and of a DICOMDIR the
    files that it lists (Referenced File ID, 0004,1500)."""

    sop_class: str = ""
    image_type: tuple[str, ...] = ()
    listed: list[tuple[str, ...]] = field(default_factory=list)


def check_dicom(file: Bytes) -> Extent:
    """Raises UnfinishedError, OddError."""
    if file.read(128, 4) != b"DICM":
        raise OddError
    walk = _Walk(file)
    try:
        at = walk.meta(132)
        syntax = walk.texts.get(_SYNTAX, "")
        if syntax == _DEFLATED:
            _inflate(file, at)
            return walk.found
        walk.explicit, walk.order = syntax != _IMPLICIT, ">" if syntax == _BIG_ENDIAN else "<"
        walk.elements(at, file.length, 0)
    except OddError as error:
        if not walk.pixels:
            if not any(file.read(max(0, file.length - _ROOM), min(_ROOM, file.length))):
                raise UnfinishedError from error
            raise
    walk.found.sop_class = walk.texts.get(_CLASS, "")
    walk.found.image_type = tuple(walk.texts.get(_IMAGE_TYPE, "").split("\\"))
    if walk.found.sop_class in (WHOLE_SLIDE, "") and not walk.pixels and not walk.found.listed:
        raise UnfinishedError
    return walk.found


class _Walk:
    """From element to element, through what does not say its length; values are passed over."""

    def __init__(self, file: Bytes) -> None:
        self._file = file
        self.explicit, self.order = True, "<"
        self.texts: dict[int, str] = {}
        self.found = Extent()
        self.pixels = False

    def meta(self, at: int) -> int:
        """Where the file meta information ends."""
        while self._file.length - at >= 8 and self._file.read(at, 2) == b"\2\0":
            at = self._element(at, 0)[1]
        return at

    def elements(self, at: int, end: int, depth: int) -> int:
        """Passes all elements up to an end, or to the mark at the end of what holds them; where that is."""
        while at < end:
            tag, at = self._element(at, depth)
            if tag in (_ITEM_END, _SEQUENCE_END):
                return at
        if end == _UNDEFINED << 32:
            raise UnfinishedError
        return at

    def _element(self, at: int, depth: int) -> tuple[int, int]:
        """The tag of an element, and where it ends."""
        head = self._file.read(at, 8)
        if not any(head):
            raise OddError
        group, element = struct.unpack_from(self.order + "HH", head)
        tag, kind = group << 16 | element, head[4:6]
        if tag in (_ITEM_END, _SEQUENCE_END):
            return tag, at + 8
        start = at + 8
        if tag == _ITEM or not self.explicit:
            (length,) = struct.unpack_from(self.order + "I", head, 4)
        elif not (kind.isalpha() and kind.isupper()):
            raise OddError
        elif kind in _LONG_FORM:
            (length,), start = struct.unpack(self.order + "I", self._file.read(at + 8, 4)), at + 12
        else:
            (length,) = struct.unpack_from(self.order + "H", head, 6)
        end = self._undefined(start, kind, depth + 1) if length == _UNDEFINED else start + length
        self._file.reach(end)
        if tag in _PIXELS and not depth:
            self.pixels = True
        if length == _UNDEFINED:
            return tag, end
        if tag == _RECORDS or (tag == _ITEM and _RECORDS in self.texts):
            self.texts[_RECORDS] = ""
            self.elements(start, start + length, self._deeper(depth))
        elif length <= _TEXT_MAX and (tag == _FILE_ID or (tag in (_SYNTAX, _CLASS, _IMAGE_TYPE) and not depth)):
            self._text(tag, self._file.read(start, length))
        return tag, start + length

    def _undefined(self, start: int, kind: bytes, depth: int) -> int:
        explicit, self.explicit = self.explicit, self.explicit and kind != b"UN"
        at = self.elements(start, _UNDEFINED << 32, self._deeper(depth))
        self.explicit = explicit
        return at

    def _deeper(self, depth: int) -> int:
        if depth >= _DEEPEST:
            raise OddError
        return depth + 1

    def _text(self, tag: int, value: bytes) -> None:
        text = value.decode("ascii", "replace").strip(" \0")
        if tag == _FILE_ID:
            self.found.listed.append(tuple(part.strip() for part in text.split("\\")))
        else:
            self.texts[tag] = text


def _inflate(file: Bytes, at: int) -> None:
    unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
    data = b""
    while not unpacker.eof:
        if not data:
            if at >= file.length:
                raise UnfinishedError
            data = file.read(at, min(_READ, file.length - at))
            at += len(data)
        try:
            unpacker.decompress(data, _READ)
        except zlib.error as error:
            raise OddError from error
        data = unpacker.unconsumed_tail
