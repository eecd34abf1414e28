"""ICC colour profiles (ICC.1:2022, ISO 15076-1) made anew from their numbers alone.

A scanner's profile says what its colours mean, and beside it whatever somebody typed: descriptions, copyright, device
names, private tags, text between the tags. `rebuilt` keeps the curves, matrices and tables that lead from the scanner's
colours to known ones, each proved to be just that, and writes a header and two texts of its own around them. A rebuilt
profile rebuilds to itself, so whoever does not trust the one who made it does it again and compares.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Final

MAX_BYTES: Final = 4 * 1024 * 1024
_MAX_TAGS: Final = 64
# Size, CMM, version, class, colours, connection space, date, signature, platform, flags, manufacturer, model,
# attributes, intent, illuminant, creator, id, reserved (7.2).
_HEAD: Final = struct.Struct(">I4sI4s4s4s12s4s4sI4s4sQI12s4s16s28s")
_COUNT: Final = struct.Struct(">I")
_ENTRY: Final = struct.Struct(">4sII")
_NOTHING: Final = bytes(4)
# A profile must have a date and an illuminant (7.2.8, 7.2.16): the first of January 2000, D50.
_DATE: Final = struct.pack(">6H", 2000, 1, 1, 0, 0, 0)
_D50: Final = bytes.fromhex("0000f6d6000100000000d32d")
_CLASSES: Final = (b"scnr", b"mntr", b"spac")
_SPACES: Final = (b"XYZ ", b"Lab ")
_INTENTS: Final = range(4)
# What a transform from the scanner's colours is computed with (9.2), and the types it may have.
_CURVE: Final = (b"curv", b"para")
_TABLE: Final = (b"mft1", b"mft2", b"mAB ")
_KEPT: Final[Mapping[bytes, tuple[bytes, ...]]] = {
    **dict.fromkeys((b"rXYZ", b"gXYZ", b"bXYZ", b"wtpt"), (b"XYZ ",)),
    **dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), _CURVE),
    **dict.fromkeys((b"A2B0", b"A2B1", b"A2B2"), _TABLE),
    b"chad": (b"sf32",),
}
_MATRIX: Final = {b"rXYZ", b"gXYZ", b"bXYZ", b"rTRC", b"gTRC", b"bTRC"}
_PARAMETERS: Final = (1, 3, 4, 5, 7)
_DESCRIPTION: Final = "Colours of the scanner"
_COPYRIGHT: Final = "No text of the original profile is kept"


class NotAProfileError(ValueError):
    """The bytes are no profile of a colour scanner that can be passed on. That is no reason to refuse a slide."""


def rebuilt(profile: bytes) -> bytes:
    """A profile with the same effect on the scanner's colours and nothing else in it. Raises NotAProfileError."""
    if len(profile) > MAX_BYTES:
        raise NotAProfileError("The colour profile is larger than one needs to be.")
    try:
        header, kept = _header(profile), _tags(profile)
    except struct.error as error:
        raise NotAProfileError("The colour profile is cut short.") from error
    if b"A2B0" not in kept and not kept.keys() >= _MATRIX:
        raise NotAProfileError("The colour profile does not say what its colours are.")
    words = _words_of_version_2 if profile[8] == 2 else _words_of_version_4
    made = _written(header, {**words(), **kept})
    if len(made) > MAX_BYTES:  # tags may lie over one another, and no longer do
        raise NotAProfileError("The colour profile is larger than one needs to be.")
    return made


def is_rebuilt(profile: bytes) -> bool:
    """Whether it is one that `rebuilt` made, and so holds nothing but numbers."""
    try:
        return rebuilt(profile) == profile
    except NotAProfileError:
        return False


def _header(profile: bytes) -> bytes:
    """The header with those fields that change colours; the size is filled in with the tags."""
    size, _, version, kind, colours, between, _, magic, *_, intent, _, _, _, _ = _HEAD.unpack_from(profile)
    if magic != b"acsp" or size > len(profile):
        raise NotAProfileError("The colour profile is cut short, or is none.")
    if version >> 24 not in (2, 4) or kind not in _CLASSES or colours != b"RGB " or between not in _SPACES:
        raise NotAProfileError("The colour profile is not one of a colour scanner.")
    if intent not in _INTENTS:
        raise NotAProfileError("The colour profile has an unknown rendering intent.")
    # Of the version, the rest is reserved; of the flags, the first says that the profile comes with a picture.
    number, embedded = version & 0xFFF00000, 1
    return _HEAD.pack(
        0, _NOTHING, number, b"scnr", colours, between, _DATE, magic, _NOTHING, embedded, _NOTHING, _NOTHING, 0, intent,
        _D50, _NOTHING, bytes(16), bytes(28),
    )  # fmt: skip


def _tags(profile: bytes) -> dict[bytes, bytes]:
    (count,) = _COUNT.unpack_from(profile, _HEAD.size)
    if count > _MAX_TAGS:
        raise NotAProfileError("The colour profile has more tags than there are kinds of them.")
    found: dict[bytes, bytes] = {}
    for number in range(count):
        name, offset, length = _ENTRY.unpack_from(profile, _HEAD.size + _COUNT.size + number * _ENTRY.size)
        if name not in _KEPT:
            continue
        if name in found or offset < _HEAD.size or offset + length > len(profile):
            raise NotAProfileError("A tag of the colour profile lies outside it, or is there twice.")
        found[name] = _element(profile[offset : offset + length], _KEPT[name])
    return found


def _element(data: bytes, kinds: tuple[bytes, ...]) -> bytes:
    """The numbers of one tag up to where they end; whatever stands behind them is dropped."""
    kind = data[:4]
    if kind not in kinds:
        raise NotAProfileError("A tag of the colour profile is of a kind that cannot be passed on.")
    if kind == b"mAB ":
        return _chain(data)
    length = _length(kind, data)
    if len(data) < length:
        raise NotAProfileError("A tag of the colour profile is cut short.")
    # Bytes 4 to 7 of every element are reserved. So are bytes 10 and 11 of a parametric curve, byte 11 of a table.
    unused = {b"para": (10, 12), b"mft1": (11, 12), b"mft2": (11, 12)}.get(kind, (8, 8))
    return kind + _NOTHING + data[8 : unused[0]] + bytes(unused[1] - unused[0]) + data[unused[1] : length]


def _length(kind: bytes, data: bytes) -> int:
    """In bytes, from what the element says at its beginning (10.6, 10.10, 10.11, 10.18, 10.22, 10.31)."""
    if kind == b"XYZ ":
        return 8 + 12
    if kind == b"sf32":
        return 8 + 36
    if kind == b"curv":
        return 12 + 2 * int(_COUNT.unpack_from(data, 8)[0])
    if kind == b"para":
        shape = int.from_bytes(data[8:10])
        if shape >= len(_PARAMETERS):
            raise NotAProfileError("A curve of the colour profile is of no known shape.")
        return 12 + 4 * _PARAMETERS[shape]
    inputs, outputs, points = struct.unpack_from(">3B", data, 8)
    if (inputs, outputs) != (3, 3) or points < 2:
        raise NotAProfileError("A table of the colour profile does not lead from three colours to three.")
    before, after = (256, 256) if kind == b"mft1" else struct.unpack_from(">2H", data, 48)
    entries = 3 * int(before) + 3 * int(points) ** 3 + 3 * int(after)
    return 48 + entries if kind == b"mft1" else 52 + 2 * entries


def _chain(data: bytes) -> bytes:
    """lutAToBType (10.12): B curves, matrix, M curves, grid of colours, A curves, as far as they are there."""
    if data[8:10] != b"\3\3":
        raise NotAProfileError("A table of the colour profile does not lead from three colours to three.")
    offsets = struct.unpack_from(">5I", data, 12)
    places, parts = [], b""
    for offset, numbers in zip(offsets, (_curves, _matrix, _curves, _grid, _curves), strict=True):
        places.append(32 + len(parts) if offset else 0)
        if offset:
            part = numbers(data[offset:])
            parts += part + bytes(-len(part) % 4)
    if not offsets[0]:
        raise NotAProfileError("A table of the colour profile has no curves.")
    return b"mAB " + _NOTHING + struct.pack(">2BH5I", 3, 3, 0, *places) + parts


def _curves(data: bytes) -> bytes:
    """One for each of three colours, each at a multiple of four bytes."""
    found = b""
    for _ in range(3):
        curve = _element(data[len(found) :], _CURVE)
        found += curve + bytes(-len(curve) % 4)
    return found


def _matrix(data: bytes) -> bytes:
    if len(data) < 48:
        raise NotAProfileError("A matrix of the colour profile is cut short.")
    return data[:48]


def _grid(data: bytes) -> bytes:
    """Points along each of three colours, bytes to a number, and the numbers (10.12.3)."""
    red, green, blue, width = struct.unpack_from(">3B13xB", data)
    length = 3 * red * green * blue * width
    if min(red, green, blue) < 2 or width not in (1, 2) or len(data) < 20 + length:
        raise NotAProfileError("A table of the colour profile is cut short.")
    return struct.pack(">3B13xB3x", red, green, blue, width) + data[20 : 20 + length]


def _words_of_version_2() -> dict[bytes, bytes]:
    """textDescriptionType and textType (ICC.1:2001-04, 6.5.17 and 6.5.18); only the first, plain form is filled in."""
    said = _DESCRIPTION.encode() + b"\0"
    description = b"desc" + _NOTHING + _COUNT.pack(len(said)) + said + bytes(8 + 3 + 67)
    return {b"desc": description, b"cprt": b"text" + _NOTHING + _COPYRIGHT.encode() + b"\0"}


def _words_of_version_4() -> dict[bytes, bytes]:
    """multiLocalizedUnicodeType (10.15) with one record, in English."""
    encoded = {b"desc": _DESCRIPTION.encode("utf-16-be"), b"cprt": _COPYRIGHT.encode("utf-16-be")}
    return {
        name: b"mluc" + _NOTHING + struct.pack(">II2s2sII", 1, 12, b"en", b"US", len(said), 28) + said
        for name, said in encoded.items()
    }


def _written(header: bytes, tags: Mapping[bytes, bytes]) -> bytes:
    """The tags in the order of their names, each at a multiple of four bytes."""
    table, data = b"", b""
    start = _HEAD.size + _COUNT.size + len(tags) * _ENTRY.size
    for name in sorted(tags):
        table += _ENTRY.pack(name, start + len(data), len(tags[name]))
        data += tags[name] + bytes(-len(tags[name]) % 4)
    return _COUNT.pack(start + len(data)) + header[_COUNT.size :] + _COUNT.pack(len(tags)) + table + data
