"""Which series a DICOM file belongs to, read from its first elements (PS3.5, PS3.10); the server reads the rest."""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

HEAD_BYTES = 1024 * 1024
WHOLE_SLIDE = "1.2.840.10008.5.1.4.1.1.77.1.6"  # VL Whole Slide Microscopy Image Storage

_DEFLATED = "1.2.840.10008.1.2.1.99"
_IMPLICIT = "1.2.840.10008.1.2"
_BIG_ENDIAN = "1.2.840.10008.1.2.2"
_FILE_CLASS, _SYNTAX, _CLASS, _INSTANCE, _SERIES = 0x00020002, 0x00020010, 0x00080016, 0x00080018, 0x0020000E
_CONCATENATION, _NUMBER, _TOTAL = 0x00209161, 0x00209162, 0x00209163
_WANTED = frozenset({_FILE_CLASS, _SYNTAX, _CLASS, _INSTANCE, _SERIES, _CONCATENATION, _NUMBER, _TOTAL})
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_LONG_FORM = frozenset({b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"})
_UNDEFINED = 0xFFFFFFFF
_DEEPEST = 16


@dataclass(frozen=True, slots=True)
class Instance:
    """One file of a series: SOP Class UID (0008,0016, else 0002,0002), SOP Instance UID (0008,0018), Series Instance
    UID (0020,000E); of an image that was cut into several files Concatenation UID (0020,9161), the number of this one
    and how many there are. Empty, or 0, for what the file does not say."""

    sop_class: str
    uid: str
    series: str
    concatenation: str = ""
    number: int = 0
    total: int = 0


def instance_in(head: bytes) -> Instance | None:
    """What the first `HEAD_BYTES` of a file say; None when it is no DICOM file."""
    if head[128:132] != b"DICM":
        return None
    found: dict[int, bytes] = {}
    order = "<"
    try:
        at = 132
        while head[at : at + 2] == b"\2\0":
            tag, value, at = next(_elements(head, at, explicit=True, order="<"))
            found[tag] = value
        syntax = _text(found.get(_SYNTAX))
        body, order = head[at:], ">" if syntax == _BIG_ENDIAN else "<"
        if syntax == _DEFLATED:
            body = zlib.decompressobj(-zlib.MAX_WBITS).decompress(body, HEAD_BYTES)
        for tag, value, _ in _elements(body, 0, explicit=syntax != _IMPLICIT, order=order):
            if tag > _TOTAL:
                break
            if tag in _WANTED:
                found[tag] = value
    except (struct.error, zlib.error):  # cut short, or no DICOM after all: the server will say what is wrong
        pass
    count = struct.Struct(order + "H")
    number, total = (count.unpack(found[tag])[0] if len(found.get(tag, b"")) == 2 else 0 for tag in (_NUMBER, _TOTAL))
    uid, series, concatenation = (_text(found.get(tag)) for tag in (_INSTANCE, _SERIES, _CONCATENATION))
    sop_class = _text(found.get(_CLASS)) or _text(found.get(_FILE_CLASS))
    return Instance(sop_class, uid, series, concatenation, number, total)


def _elements(data: bytes, at: int, *, explicit: bool, order: str, depth: int = 0) -> Iterator[tuple[int, bytes, int]]:
    """Tag, value and end of each element of one level. Raises struct.error where the data end or make no sense."""
    while at < len(data):
        group, element = struct.unpack_from(order + "HH", data, at)
        tag, kind = group << 16 | element, data[at + 4 : at + 6]
        inner_explicit = explicit
        if tag in (_ITEM_END, _SEQUENCE_END):
            yield tag, b"", at + 8
            return
        if explicit and tag != _ITEM and kind not in _LONG_FORM:
            (length,), start = struct.unpack_from(order + "H", data, at + 6), at + 8
        else:
            start = at + (12 if explicit and tag != _ITEM else 8)
            (length,) = struct.unpack_from(order + "I", data, start - 4)
            inner_explicit = explicit and kind != b"UN"
        if length == _UNDEFINED:
            end = _end_of_undefined(data, start, inner_explicit, order, depth + 1)
        else:
            end = start + length
        if end > len(data):
            raise struct.error
        yield tag, data[start:end] if length <= 256 else b"", end
        at = end


def _end_of_undefined(data: bytes, at: int, explicit: bool, order: str, depth: int) -> int:
    """Where a sequence or an item that does not say its length ends."""
    if depth > _DEEPEST:
        raise struct.error
    for tag, _, end in _elements(data, at, explicit=explicit, order=order, depth=depth):
        if tag in (_ITEM_END, _SEQUENCE_END):
            return end
    raise struct.error


def _text(value: bytes | None) -> str:
    return (value or b"").decode("ascii", "replace").strip(" \0")
