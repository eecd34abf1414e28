"""Slides of every format that are almost right, those of several files among them: damage where the readers of each
kind of file look, reproducible from a seed."""

from __future__ import annotations

import random
import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from benchmarks.torture_tiles.mutations import SlideMutator

Files = Mapping[str, bytes]

_NUMBERS: Final = (0, 1, 2, 255, 256, 2**15, 2**16 - 1, 2**24, 2**31 - 1, 2**31, 2**32 - 1, 2**63, 2**64 - 1)
_WORDS: Final = (
    b"",
    b"0",
    b"-1",
    b"1e999",
    b"nan",
    b"99999999999999999999",
    b"../../etc/passwd",
    b"\xff\xfe",
    b"%s" * 40,
)
_TOKEN: Final = re.compile(rb"[-+.\w]{1,40}")
_NUMBER: Final = re.compile(rb"\d{1,12}(?:\.\d{1,12})?")
_TAG: Final = re.compile(rb"<[^<>]{1,200}>")
_LINE: Final = re.compile(rb"(?<=\n)[^\r\n]{1,400}\r?\n")
_DECLARATIONS: Final = (
    b'<!DOCTYPE a [<!ENTITY b "ccccc"><!ENTITY d "&b;&b;&b;&b;">]>',
    b'<!DOCTYPE a SYSTEM "file:///etc/passwd">',
    b"<![CDATA[",
    b"<!--",
)
_XML_STARTS: Final = (b"<?xml", b"<OME", b"<scn", b"<DataObject", b"<ImageDocument", b"<Metadata", b"<EncodeInfo")
# Value representations whose length has four bytes (PS3.5, 7.1.2).
_LONG_VR: Final = frozenset({b"OB", b"OW", b"OF", b"OD", b"OL", b"OV", b"SQ", b"UC", b"UR", b"UT", b"UN", b"SV", b"UV"})
_VRS: Final = (b"US", b"UL", b"OB", b"OW", b"SQ", b"UI", b"UN", b"DS", b"CS", b"zz")
_SYNTAXES: Final = (
    b"1.2.840.10008.1.2",
    b"1.2.840.10008.1.2.1",
    b"1.2.840.10008.1.2.1.99",
    b"1.2.840.10008.1.2.2",
    b"1.2.840.10008.1.2.5",
    b"1.2.840.10008.1.2.4.50",
    b"1.2.840.10008.1.2.4.70",
    b"1.2.840.10008.1.2.4.80",
    b"1.2.840.10008.1.2.4.90",
    b"1.2.840.10008.1.2.4.201",
)
_UNDEFINED: Final = 0xFFFFFFFF
_MAX_ELEMENTS: Final = 5000


@dataclass(frozen=True, slots=True)
class _Element:
    """Where a DICOM data element is: its tag, its length field of 2 or 4 bytes, its value."""

    at: int
    length_at: int
    wide: int
    value_at: int
    length: int


class Mutator:
    """Damages the slides of one format, each time in one of several ways."""

    def __init__(self, seeds: Sequence[Files]) -> None:
        self._seeds = tuple(seeds)
        tiffs = sorted({data for files in seeds for data in files.values() if data[:2] == b"II"})
        self._tiffs = {data: number for number, data in enumerate(tiffs)}
        self._tiff = SlideMutator(tiffs) if tiffs else None
        self._texts = {data: _xml_start(data) for files in seeds for data in files.values()}
        self._elements = {data: _elements(data) for files in seeds for data in files.values() if _is_dicom(data)}

    def mutated(self, number: int) -> dict[str, bytes]:
        """The slide with this number, always the same."""
        chance = random.Random(number)
        files = dict(chance.choice(self._seeds))
        if len(files) > 1 and chance.random() < 0.25:
            self._regroup(chance, files)
            if chance.random() < 0.5:
                return files
        # Small files say what is in the large ones: they are damaged more often.
        names = sorted(files, key=lambda name: len(files[name]))
        name = names[min(chance.randrange(len(names)), chance.randrange(len(names)))]
        files[name] = self._damaged(chance, files[name])
        return files

    def _regroup(self, chance: random.Random, files: dict[str, bytes]) -> None:
        """Damage to the set: a file is missing, empty, cut, somebody else's, there twice or under another's name."""
        name, other = chance.choice(sorted(files)), chance.choice(sorted(files))
        match chance.randrange(7):
            case 0 | 1:
                del files[name]
            case 2:
                files[name] = b""
            case 3:
                files[name] = files[name][: chance.randrange(len(files[name]) + 1)]
            case 4:
                strangers = chance.choice(self._seeds)
                files[name] = strangers[chance.choice(sorted(strangers))]
            case 5:
                files[f"{name}.2"] = files[name] + b"\0"
            case _:
                files[name], files[other] = files[other], files[name]

    def _damaged(self, chance: random.Random, data: bytes) -> bytes:
        if not data:
            return chance.randbytes(64)
        start = self._texts.get(data)
        if start is not None and chance.random() < 0.3:
            return _words(chance, data, start, min(len(data), start + 20_000))
        if data in self._tiffs and self._tiff is not None:
            return self._tiff.damaged(chance, self._tiffs[data])
        if elements := self._elements.get(data):
            return _dicom(chance, data, elements)
        if data[:1] == b"[" or data[:4] == b"\xef\xbb\xbf[":
            return _words(chance, data, 0, len(data))
        return _numbers(chance, data)


def _words(chance: random.Random, data: bytes, start: int, end: int) -> bytes:
    """Text between these places with another number, word or tag, or one line or tag less, or twice."""
    text = data[start:end]
    for _ in range(chance.choice((1, 1, 2, 4))):
        pattern = chance.choice((_NUMBER, _NUMBER, _TOKEN, _TAG, _LINE))
        found = list(pattern.finditer(text))
        if not found:
            continue
        one = chance.choice(found)
        match chance.randrange(5):
            case 0:
                put = b""
            case 1:
                put = one[0] * chance.choice((2, 3, 50))
            case 2:
                put = str(chance.choice(_NUMBERS)).encode()
            case 3:
                put = chance.choice((*_WORDS, *_DECLARATIONS))
            case _:
                put = chance.choice(found)[0]
        # In a container whose offsets count, the rest stays where it is.
        if start:
            put = put[: len(one[0])].ljust(len(one[0]))
        text = text[: one.start()] + put + text[one.end() :]
    return data[:start] + text + data[end:]


def _numbers(chance: random.Random, data: bytes) -> bytes:
    """Other numbers at the start or anywhere, bits turned over, a piece blank or gone."""
    damaged = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 8))):
        width = chance.choice((1, 2, 4, 8))
        end = chance.choice((64, 1024, len(damaged), len(damaged)))
        at = chance.randrange(max(1, min(end, len(damaged)) - width))
        match chance.randrange(5):
            case 0 | 1:
                number = chance.choice((*_NUMBERS, chance.getrandbits(8 * width)))
                damaged[at : at + width] = (number % 2 ** (8 * width)).to_bytes(width, "little")
            case 2:
                damaged[at] ^= 1 << chance.randrange(8)
            case 3:
                damaged[at : at + 256] = bytes(len(damaged[at : at + 256]))
            case _ if len(damaged) > 16:
                del damaged[chance.randrange(8, len(damaged)) :]
    return bytes(damaged)


def _dicom(chance: random.Random, data: bytes, elements: Sequence[_Element]) -> bytes:
    """One element with another tag, VR, length or value, gone or there twice; another transfer syntax; fewer bytes."""
    damaged = bytearray(data)
    for _ in range(chance.choice((1, 1, 1, 3))):
        one = chance.choice(elements)
        end = one.value_at + (one.length if one.length != _UNDEFINED else 0)
        match chance.randrange(10):
            case 0:
                other = chance.choice(elements)
                damaged[one.at : one.at + 4] = data[other.at : other.at + 4]
            case 1 if one.length_at - one.at > 4:
                damaged[one.at + 4 : one.at + 6] = chance.choice(_VRS)
            case 2:
                number = chance.choice((*_NUMBERS, one.length + 2, one.length - 2, one.length * 2))
                damaged[one.length_at : one.length_at + one.wide] = (number % 2 ** (8 * one.wide)).to_bytes(
                    one.wide, "little"
                )
            case 3 | 4 | 5 if 0 < one.length < 64:
                digits = chance.choice((*_WORDS, str(chance.choice(_NUMBERS)).encode()))
                plain = (chance.choice(_NUMBERS) % 2**64).to_bytes(8, "little")
                damaged[one.value_at : end] = chance.choice((digits, plain))[: one.length].ljust(one.length, b"\0")
            case 6:
                return bytes(damaged[: one.at] + damaged[end:])
            case 7:
                return bytes(damaged[:end] + damaged[one.at : end] + damaged[end:])
            case 8:
                syntax = next((each for each in elements if data[each.at : each.at + 4] == b"\x02\x00\x10\x00"), one)
                put = chance.choice(_SYNTAXES)[: syntax.length].ljust(min(syntax.length, 64), b"\0")
                damaged[syntax.value_at : syntax.value_at + len(put)] = put
            case _:
                return _numbers(chance, bytes(damaged))
    return bytes(damaged)


def _is_dicom(data: bytes) -> bool:
    return data[128:132] == b"DICM"


def _elements(data: bytes) -> list[_Element]:
    """The data elements of a sound file in Explicit VR Little Endian, those within sequences too."""
    found: list[_Element] = []
    at = 132
    while at + 8 <= len(data) and len(found) < _MAX_ELEMENTS:
        group, vr = struct.unpack_from("<H", data, at)[0], data[at + 4 : at + 6]
        if group == 0xFFFE:
            one = _Element(at, at + 4, 4, at + 8, struct.unpack_from("<I", data, at + 4)[0])
        elif vr in _LONG_VR:
            one = _Element(at, at + 8, 4, at + 12, struct.unpack_from("<I", data, at + 8)[0])
        else:
            one = _Element(at, at + 6, 2, at + 8, struct.unpack_from("<H", data, at + 6)[0])
        found.append(one)
        # Sequences and items are entered, so that what is in them is found too.
        enter = vr == b"SQ" or (group == 0xFFFE and not _in_pixels(data, found)) or one.length == _UNDEFINED
        at = one.value_at if enter else one.value_at + one.length
    return found


def _in_pixels(data: bytes, found: Sequence[_Element]) -> bool:
    """Whether the last item is a fragment of encapsulated Pixel Data."""
    for one in reversed(found[:-1]):
        if data[one.at : one.at + 2] != b"\xfe\xff":
            return data[one.at : one.at + 4] == b"\xe0\x7f\x10\x00"
    return False


def _xml_start(data: bytes) -> int | None:
    places = [at for start in _XML_STARTS if (at := data.find(start)) >= 0]
    return min(places, default=None)
