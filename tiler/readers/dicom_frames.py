"""Where the frames of a DICOM instance lie (PS3.5 annex A.4): behind one another, or as fragments in a sequence of
items, with a table that says where each frame begins, or two, or none."""

from __future__ import annotations

import struct
from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from tiler.errors import DamagedSlideError, UnsupportedSlideError
from tiler.index import MAX_TILES
from tiler.readers.dicom_dataset import DicomFile
from tiler.readers.dicom_tags import Tag
from tiler.storage.base import ByteSource

_HEAD: Final = struct.Struct("<HHI")
_ITEM: Final = (0xFFFE, 0xE000)
_END: Final = (0xFFFE, 0xE0DD)
# With no table, a frame of several fragments begins where a JPEG (T.81, T.87) or JPEG 2000 (T.800) stream does.
_BEGINNINGS: Final = (b"\xff\xd8", b"\xff\x4f")

Piece = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Frames:
    """Offset and length of each frame in the instance; of one in several fragments, of its first, and ``pieces`` has
    all of them."""

    offsets: array[int]
    lengths: array[int]
    pieces: Mapping[int, tuple[Piece, ...]] = field(default_factory=dict)

    def read(self, source: ByteSource, number: int) -> bytes:
        pieces = self.pieces.get(number) or ((self.offsets[number], self.lengths[number]),)
        return b"".join(source.read_at(offset, length) for offset, length in pieces)


def frames_of(file: DicomFile, count: int, raw_bytes: int, source: ByteSource) -> Frames:
    """The frames of an instance that says it has `count` of them, of `raw_bytes` each when decoded. Raises
    DamagedSlideError, UnsupportedSlideError."""
    if file.pixels_at == 0:
        raise DamagedSlideError("The DICOM file holds no pixels.")
    if count > MAX_TILES:
        raise UnsupportedSlideError(f"The DICOM file claims {count} frames, more than can be served.")
    if file.pixels_length is not None:
        if count * raw_bytes > file.pixels_length:
            raise DamagedSlideError("The DICOM file holds fewer pixels than it says.")
        first = file.pixels_at
        return Frames(array("Q", range(first, first + count * raw_bytes, raw_bytes)), array("Q", [raw_bytes]) * count)
    table, offsets, lengths = _fragments(source, file.pixels_at, count)
    base = file.pixels_at + 8 + 4 * len(table)
    if len(offsets) == count:
        _check_table(table, offsets, base)
        return Frames(offsets, _without_padding(file, offsets, lengths, base))
    if Tag.EXTENDED_OFFSETS in file.facts or len(offsets) < count:
        raise DamagedSlideError(f"The DICOM file says that it has {count} frames, and holds {len(offsets)}.")
    return _grouped(offsets, lengths, _starts(source, offsets, table, base, count))


def _fragments(source: ByteSource, at: int, count: int) -> tuple[array[int], array[int], array[int]]:
    """The Basic Offset Table, and offset and length of each fragment."""
    at_most = 4 * count + 4096
    table, offsets, lengths = array("I"), array("Q"), array("Q")
    first = True
    while at + 8 <= source.length:
        group, element, length = _HEAD.unpack(source.read_at(at, 8))
        if (group, element) == _END and not first:
            return table, offsets, lengths
        if (group, element) != _ITEM:
            raise DamagedSlideError("The DICOM file is damaged: something else stands where a frame should.")
        if length > source.length - at - 8:
            break
        if first:
            if length not in (0, 4 * count):
                raise DamagedSlideError("The DICOM file's table of frames has another length than it should.")
            table.frombytes(source.read_at(at + 8, length))
        else:
            if len(offsets) == at_most:
                raise UnsupportedSlideError("The DICOM file's frames are in more pieces than any need to be.")
            offsets.append(at + 8)
            lengths.append(length)
        first = False
        at += 8 + length
    raise DamagedSlideError("The DICOM file is cut short: some of its frames lie behind the end of the file.")


def _check_table(table: array[int], offsets: array[int], base: int) -> None:
    """The table has 32 bits, and some writers of larger files let it run over."""
    if any(said != (offset - 8 - base) & 0xFFFFFFFF for said, offset in zip(table, offsets, strict=False)):
        raise DamagedSlideError("The DICOM file's table says that frames lie where none are.")


def _without_padding(file: DicomFile, offsets: array[int], lengths: array[int], base: int) -> array[int]:
    """The true lengths of the frames, if the extended tables say them."""
    if not file.facts.data(Tag.EXTENDED_OFFSETS):
        return lengths
    tables = [file.facts.data(tag) or b"" for tag in (Tag.EXTENDED_OFFSETS, Tag.EXTENDED_LENGTHS)]
    if {*map(len, tables)} != {8 * len(offsets)}:
        raise DamagedSlideError("The DICOM file's table of frames has another length than it should.")
    places, said = (array("Q", table) for table in tables)
    for offset, place, whole, length in zip(offsets, places, lengths, said, strict=True):
        if place != offset - 8 - base or not whole - 1 <= length <= whole:
            raise DamagedSlideError("The DICOM file's table says that frames lie where none are.")
    return said


def _starts(source: ByteSource, offsets: array[int], table: array[int], base: int, count: int) -> list[int]:
    """Which fragments begin a frame."""
    if table:
        by_place = {offset - 8 - base: number for number, offset in enumerate(offsets)}
        starts = [by_place.get(said, -1) for said in table]
        if starts[0] or starts != sorted(set(starts)):
            raise DamagedSlideError("The DICOM file's table says that frames lie where none are.")
        return starts
    if count == 1:
        return [0]
    starts = [number for number, offset in enumerate(offsets) if source.read_at(offset, 2) in _BEGINNINGS]
    if len(starts) != count or starts[0]:
        raise UnsupportedSlideError(
            "The DICOM file does not say which of its fragments are which frame; export it with an offset table."
        )
    return starts


def _grouped(offsets: array[int], lengths: array[int], starts: list[int]) -> Frames:
    first, total = array("Q"), array("Q")
    pieces: dict[int, tuple[Piece, ...]] = {}
    for number, (start, end) in enumerate(zip(starts, [*starts[1:], len(offsets)], strict=True)):
        first.append(offsets[start])
        total.append(sum(lengths[start:end]))
        if end - start > 1:
            pieces[number] = tuple(zip(offsets[start:end], lengths[start:end], strict=True))
    return Frames(first, total, pieces)
