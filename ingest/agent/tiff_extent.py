"""The end of a TIFF (classic, BigTIFF, and Hamamatsu's NDPI with its 64-bit places): every directory, every value and
every strip and tile lies within the file."""

from __future__ import annotations

import operator
import struct
import sys
from array import array
from collections.abc import Iterator
from dataclasses import dataclass

from ingest.agent.extent import Bytes, OddError, UnfinishedError

MAX_DIRECTORIES = 4096
MAX_TAGS = 4096
_VALUES_AT_ONCE = 1 << 20
_NDPI = 65420
_SUB_IFDS = 330
_COMPRESSION = 259
# JPEG, JPEG 2000 as Aperio numbers it and as Adobe does. A copy sets room aside before it fills it, with zeros.
_PACKED = frozenset({7, 33003, 33005, 34712})
_ROOM = 16
# Where pieces of a picture begin, and how long they are.
_PIECES = ((273, 279), (324, 325), (513, 514))
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_CODES = {3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}


@dataclass(frozen=True, slots=True)
class _Form:
    """How the file writes its numbers; `room`: bytes of an entry for its value."""

    order: str
    number: str
    entry: str
    place: str
    room: int
    ndpi: bool = False


@dataclass(frozen=True, slots=True)
class _Values:
    """The values of one tag: where they are in the file, or themselves."""

    kind: int
    count: int
    at: int
    inline: bytes | None = None


def check_tiff(file: Bytes, *, ndpi: bool = False) -> None:
    """`ndpi`: by its name the file is one. Raises UnfinishedError, OddError."""
    form, at = _start(file, ndpi=ndpi)
    if not at:  # a writer's last act is to say where its first directory is
        raise UnfinishedError
    waiting, seen = [at], set[int]()
    while waiting:
        at = waiting.pop()
        if at in seen:
            raise OddError
        seen.add(at)
        if len(seen) > MAX_DIRECTORIES:
            raise OddError
        values, following = _directory(file, form, at)
        for places, lengths in _PIECES:
            if places in values and lengths in values:
                furthest = _reach_pieces(file, form, values[places], values[lengths])
                if _is_packed(file, form, values) and not any(
                    file.read(max(0, furthest - _ROOM), min(_ROOM, furthest))
                ):
                    raise UnfinishedError
        for child in _numbers(file, form, values[_SUB_IFDS]) if _SUB_IFDS in values else ():
            waiting += [each for each in child if each]
        if following:
            waiting.append(following)


def _start(file: Bytes, *, ndpi: bool) -> tuple[_Form, int]:
    head = file.read(0, 8)
    order = {b"II": "<", b"MM": ">"}.get(head[:2])
    if order is None:
        raise OddError
    (magic,) = struct.unpack_from(order + "H", head, 2)
    if magic == 43:
        return _Form(order, "Q", "HHQQ", "Q", 8), struct.unpack(order + "Q", file.read(8, 8))[0]
    if magic != 42:
        raise OddError
    (at,) = struct.unpack_from(order + "I", head, 4)
    if order == "<" and file.length >= 12:
        (wide,) = struct.unpack("<Q", file.read(4, 8))
        if ndpi or _is_ndpi(file, wide):
            return _Form("<", "H", "HHII", "Q", 4, ndpi=True), wide
    return _Form(order, "H", "HHII", "I", 4), at


def _is_ndpi(file: Bytes, at: int) -> bool:
    try:
        (count,) = struct.unpack("<H", file.read(at, 2))
        return any(tag == _NDPI for (tag,) in struct.iter_unpack("<H10x", file.read(at + 2, 12 * count)))
    except UnfinishedError:
        return False


def _directory(file: Bytes, form: _Form, at: int) -> tuple[dict[int, _Values], int]:
    """The values of a directory, all of which lie within the file, and where the next directory is."""
    number, entry, place = (struct.Struct(form.order + each) for each in (form.number, form.entry, form.place))
    (count,) = number.unpack(file.read(at, number.size))
    if not count:  # the room for it is there, and nothing in it yet
        raise UnfinishedError
    if count > MAX_TAGS:
        raise OddError
    first = at + number.size
    table = file.read(first, count * entry.size)
    (following,) = place.unpack(file.read(first + len(table), place.size))
    upper = bytes(4 * count)
    # A file within reach of 32 bits needs no upper halves of its values, and may have none.
    if form.ndpi and file.length >> 32:
        upper = file.read(first + len(table) + place.size, len(upper))
    found = {}
    for index, (tag, kind, values, value) in enumerate(entry.iter_unpack(table)):
        length = values * _SIZES.get(kind, 1)
        high = int.from_bytes(upper[4 * index : 4 * index + 4], "little") if form.ndpi else 0
        if length > form.room:
            file.reach((high << 32 | value) + length)
            found[tag] = _Values(kind, values, high << 32 | value)
        elif high and kind == 4 and values == 1:
            found[tag] = _Values(16, 1, 0, struct.pack("<Q", high << 32 | value))
        else:
            start = first + index * entry.size + entry.size - form.room
            found[tag] = _Values(kind, values, start)
    return found, following


def _is_packed(file: Bytes, form: _Form, values: dict[int, _Values]) -> bool:
    """Whether the pieces are compressed in a way that ends in no zeros."""
    found = _numbers(file, form, values[_COMPRESSION]) if _COMPRESSION in values else ()
    return any(kind in _PACKED for each in found for kind in each)


def _reach_pieces(file: Bytes, form: _Form, places: _Values, lengths: _Values) -> int:
    """Where the last strip or tile ends, all of which lie within the file; some are there at all. One that has no
    place and no length is none."""
    furthest = 0
    for starts, sizes in zip(_numbers(file, form, places), _numbers(file, form, lengths), strict=False):
        furthest = max(furthest, max(map(operator.add, starts, sizes), default=0))
    file.reach(furthest)
    if not furthest:
        raise UnfinishedError
    return furthest


def _numbers(file: Bytes, form: _Form, values: _Values) -> Iterator[array[int]]:
    """The values of an unsigned integer tag, some at a time."""
    code = _CODES.get(values.kind)
    if code is None:
        raise OddError
    size = _SIZES[values.kind]
    for done in range(0, values.count, _VALUES_AT_ONCE):
        count = min(_VALUES_AT_ONCE, values.count - done)
        data = values.inline or file.read(values.at + done * size, count * size)
        found = array(code, data)
        if (form.order == "<") != (sys.byteorder == "little"):
            found.byteswap()
        yield found
