"""Files that are almost right: slides and indexes with damage where parsers look, reproducible from a seed."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

_NUMBERS: Final = (0, 1, 2, 3, 7, 8, 15, 16, 255, 256, 2**15, 2**16 - 1, 2**24, 2**31 - 1, 2**31, 2**32 - 1)
_LONG_NUMBERS: Final = (*_NUMBERS, 2**32, 2**40, 2**62, 2**63 - 1, 2**63, 2**64 - 5, 2**64 - 1)
_SIZES: Final = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 16: 8, 17: 8, 18: 8}
# The tags that decide how much is read, from where, and as what (TIFF 6.0).
_TELLING: Final = frozenset({254, 256, 257, 258, 259, 262, 270, 273, 277, 278, 279, 322, 323, 324, 325, 347, 530})
_DIRECTORIES: Final = 64
# Second bytes that mean something to a JPEG decoder: frames, tables, start and end, fill; and one that means nothing.
_MARKERS: Final = (0, 0xC0, 0xC4, 0xD8, 0xD9, 0xDA, 0xFF, 0x7F)


class _Entry(NamedTuple):
    """One tag of a directory: where its twelve or twenty bytes are, and where its value's."""

    at: int
    tag: int
    value_at: int
    length: int


class _Container(NamedTuple):
    """Where the telling parts of a TIFF are."""

    big: bool
    links: tuple[int, ...]
    entries: tuple[_Entry, ...]


class SlideMutator:
    """Damages sound slides, each time in one of several ways. `others` lend pieces to splices."""

    def __init__(self, seeds: Sequence[bytes]) -> None:
        self._seeds = tuple((data, _container(data)) for data in seeds)

    def mutated(self, number: int) -> bytes:
        """The slide with this number, always the same."""
        chance = random.Random(number)
        damaged, container = chance.choice(self._seeds)
        return self._damaged(chance, damaged, container)

    def damaged(self, chance: random.Random, seed: int) -> bytes:
        """The seed with this number, damaged as chance will have it."""
        return self._damaged(chance, *self._seeds[seed])

    def _damaged(self, chance: random.Random, data: bytes, container: _Container) -> bytes:
        damaged = bytearray(data)
        for _ in range(chance.choice((1, 1, 1, 2, 4))):
            chance.choice(self._ways)(self, chance, damaged, container)
        return bytes(damaged)

    def _tag(self, chance: random.Random, data: bytearray, container: _Container) -> None:
        """A tag, type, count or value of one entry becomes a number that parsers stumble over."""
        telling = [entry for entry in container.entries if entry.tag in _TELLING]
        entry = chance.choice(telling if telling and chance.random() < 0.8 else container.entries)
        wide = 8 if container.big else 4
        at, width = chance.choice(((0, 2), (2, 2), (4, wide), (4 + wide, wide)))
        _put(chance, data, entry.at + at, width)

    def _value(self, chance: random.Random, data: bytearray, container: _Container) -> None:
        """A number in a list that a tag points to: offsets and lengths of tiles, tables, texts."""
        entry = chance.choice(container.entries)
        if entry.length:
            width = chance.choice((1, 2, 4, 8))
            at = entry.value_at + chance.randrange(entry.length) // width * width
            _put(chance, data, at, width)

    def _link(self, chance: random.Random, data: bytearray, container: _Container) -> None:
        """The way from one directory to the next leads elsewhere."""
        at = chance.choice(container.links)
        wide = 8 if container.big else 4
        target = chance.choice((*container.links, chance.randrange(len(data)), chance.choice(_LONG_NUMBERS)))
        _write(data, at, target, wide)

    def _marker(self, chance: random.Random, data: bytearray, container: _Container) -> None:
        """A byte after a 0xFF: JPEG markers, and what must not look like one."""
        at = data.find(b"\xff", chance.randrange(len(data)))
        if 0 <= at < len(data) - 6:
            data[at + chance.choice((1, 1, 2, 3, 4, 5, 6))] = chance.choice(
                (0, 0xC0, 0xC4, 0xD8, 0xD9, 0xDA, 0xFF, 0x7F)
            )

    def _pixels(self, chance: random.Random, data: bytearray, container: _Container) -> None:
        """Other coefficients in the image data of one tile, no marker among them: only a decoder can tell."""
        width = 8 if container.big else 4
        places = [entry for entry in container.entries if entry.tag in (273, 324) and entry.length >= width]
        if not places:
            return
        entry = chance.choice(places)
        first = entry.value_at + chance.randrange(entry.length // width) * width
        start = int.from_bytes(data[first : first + width], "little") + 40
        for _ in range(chance.choice((1, 5, 40))):
            at = start + chance.randrange(600)
            if at < len(data) and 0xFF not in data[at - 1 : at + 2]:
                data[at] = chance.randrange(255)

    def _rot(self, chance: random.Random, data: bytearray, container: _Container) -> None:
        for _ in range(chance.choice((1, 10, 200))):
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)

    def _cut(self, chance: random.Random, data: bytearray, container: _Container) -> None:
        del data[chance.randrange(8, max(9, len(data))) :]

    def _blank(self, chance: random.Random, data: bytearray, container: _Container) -> None:
        at = chance.randrange(len(data))
        length = min(len(data) - at, chance.choice((4, 64, 4096, 65_536)))
        data[at : at + length] = bytes([chance.choice((0, 0xFF))]) * length

    def _splice(self, chance: random.Random, data: bytearray, container: _Container) -> None:
        """A piece of another slide in the place of one of this."""
        other, _ = chance.choice(self._seeds)
        length = chance.choice((8, 256, 8192))
        at, source = chance.randrange(len(data)), chance.randrange(len(other))
        piece = other[source : source + length][: len(data) - at]
        data[at : at + len(piece)] = piece

    _ways: tuple[Callable[[SlideMutator, random.Random, bytearray, _Container], None], ...] = (
        *(_tag, _tag, _tag, _value, _value, _link),
        *(_pixels, _pixels, _pixels, _marker, _marker),
        *(_rot, _cut, _blank, _splice),
    )


def mutated_indexes(index: bytes, blob_length: int, seed: int) -> Iterator[bytes]:
    """Endlessly, a good tile index with one to six fields or bytes changed; half of them in its first 300 bytes, where
    counts and levels are, and numbers mostly such that they point near or far outside of the blob."""
    chance = random.Random(seed)
    near = [blob_length + by for by in (-70_000, -100, -1, 0, 1, 100, 2**32, -(2**32))]
    while True:
        damaged = bytearray(index)
        for _ in range(chance.choice((1, 1, 2, 6))):
            end = 300 if chance.random() < 0.5 else len(index)
            width = chance.choice((1, 2, 4, 8))
            at = chance.randrange(min(end, len(index)) // width) * width
            match chance.randrange(4):
                case 0:
                    _write(damaged, at, chance.choice(_LONG_NUMBERS), width)
                case 1:
                    _write(damaged, at, chance.choice(near) % 2**64, width)
                case 2:
                    _write(damaged, at, chance.getrandbits(8 * width), width)
                case _:
                    piece = chance.randrange(len(index) - 16)
                    damaged[at : at + 16] = index[piece : piece + 16]
        match chance.randrange(20):
            case 0:
                del damaged[chance.randrange(len(damaged)) :]
            case 1:
                damaged += chance.randbytes(chance.randrange(1, 40))
        yield bytes(damaged)


def _container(data: bytes) -> _Container:
    """The directories of a sound little-endian TIFF."""
    big = data[2] == 43
    count_form, entry_form, offset_form = ("<Q", "<HHQQ", "<Q") if big else ("<H", "<HHII", "<I")
    links, entries = [8 if big else 4], []
    while (at := struct.unpack_from(offset_form, data, links[-1])[0]) and len(links) <= _DIRECTORIES:
        [count] = struct.unpack_from(count_form, data, at)
        at += struct.calcsize(count_form)
        for number in range(count):
            here = at + number * struct.calcsize(entry_form)
            tag, kind, values, value = struct.unpack_from(entry_form, data, here)
            length = values * _SIZES.get(kind, 1)
            inside = length <= struct.calcsize(offset_form)
            entries.append(_Entry(here, tag, here + (12 if big else 8) if inside else value, length))
        links.append(at + count * struct.calcsize(entry_form))
    return _Container(big, tuple(links), tuple(entries))


def _put(chance: random.Random, data: bytearray, at: int, width: int) -> None:
    """A telling number, or the one that is there moved a little."""
    there = int.from_bytes(data[at : at + width], "little")
    moved = there + chance.choice((-1, 1, 2, 16, -16, 256, there))
    _write(data, at, chance.choice((moved, chance.choice(_LONG_NUMBERS), chance.getrandbits(8 * width))), width)


def _write(data: bytearray, at: int, number: int, width: int) -> None:
    encoded = (number % 2 ** (8 * width)).to_bytes(width, "little")
    data[at : at + width] = encoded[: max(0, len(data) - at)]
