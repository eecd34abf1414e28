"""The container of Zeiss CZI files (ZISRAW): segments, the directory of sub-blocks, attachments and the description,
read from a file nobody vouches for. What is inside the sub-blocks is no concern of this module."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple
from xml.etree.ElementTree import Element

from tiler.errors import DamagedSlideError, UnsupportedSlideError
from tiler.geometry import Region, Size
from tiler.index import MAX_SIDE_PIXELS
from tiler.readers import xml
from tiler.storage.base import ByteSource

MAGIC: Final = b"ZISRAWFILE"
MAX_BLOCKS: Final = 300_000
MAX_ATTACHMENTS: Final = 64
MAX_DIMENSIONS: Final = 16

# A segment: what it is, bytes set aside, bytes used.
_SEGMENT: Final = struct.Struct("<16sqq")
# After the header of the first: version, two unused, GUIDs of the first file and this one, which part this file is,
# where the directory and the description are, whether it is being written, where the attachments are.
_FILE: Final = struct.Struct("<iiii16s16siqqiq")
_COUNT: Final = struct.Struct("<i")
_DIRECTORY_HEAD: Final = 128
_ATTACHMENTS_HEAD: Final = 256
_ENTRY: Final = struct.Struct("<2siqiiBB4si")
_DIMENSION: Final = struct.Struct("<4siifi")
_ATTACHMENT: Final = struct.Struct("<2s10sqi16s8s80s")
_BLOCK_HEAD: Final = struct.Struct("<iiq")  # bytes of metadata, attachment and data
_FAR: Final = 2**30


class Block(NamedTuple):
    """One sub-block: where it is in the file, how its pixels are stored, how many, and what part of the slide they
    show, in pixels of full resolution. ``others`` are its places in the other dimensions, by their letter: C channel,
    Z focal plane, T time, S scene, M number in the mosaic."""

    at: int
    pixels: int
    compression: int
    area: Region
    stored: Size
    others: Mapping[str, int]


class Attachment(NamedTuple):
    """A file within the file."""

    name: str
    kind: str
    offset: int
    length: int


class Container:
    """A CZI file from `start` on, where it may lie within another one. Raises DamagedSlideError,
    UnsupportedSlideError."""

    def __init__(self, source: ByteSource, start: int = 0) -> None:
        self._source = source
        self._start = start
        found = self._segment(0, MAGIC)
        *_, part, directory, description, pending, attachments = _FILE.unpack(self._read(found, _FILE.size))
        if part:
            raise UnsupportedSlideError("The CZI slide is spread over several files; only whole ones can be shown.")
        if pending:
            raise DamagedSlideError("The CZI file was not finished when it was written.")
        self.blocks = tuple(self._blocks(directory))
        self._description = description
        self._attachments = attachments

    def description(self) -> Element | None:
        """The XML metadata; None without any."""
        if self._description <= 0:
            return None
        data = self._segment(self._description, b"ZISRAWMETADATA")
        length = _COUNT.unpack(self._read(data, _COUNT.size))[0]
        if not 0 < length <= xml.MAX_BYTES:
            raise DamagedSlideError("The slide's XML description is larger than any scanner writes.")
        return xml.document(self._read(data + 256, length))

    def attachments(self) -> Iterator[Attachment]:
        """Label, preview and their like, as far as they lie within the file."""
        if self._attachments <= 0:
            return
        data = self._segment(self._attachments, b"ZISRAWATTDIR")
        count = _COUNT.unpack(self._read(data, _COUNT.size))[0]
        if not 0 <= count <= MAX_ATTACHMENTS:
            raise DamagedSlideError("The CZI file claims more attachments than any scanner writes.")
        table = self._read(data + _ATTACHMENTS_HEAD, count * _ATTACHMENT.size)
        for _, _, at, _, _, kind, name in _ATTACHMENT.iter_unpack(table):
            content = self._segment(at, b"ZISRAWATTACH")
            length = _COUNT.unpack(self._read(content, _COUNT.size))[0]
            offset = self._start + content + 256
            if length <= 0 or offset + length > self._source.length:
                raise DamagedSlideError("An attachment of the CZI file lies behind the end of the file.")
            yield Attachment(_text(name), _text(kind), offset, length)

    def place(self, block: Block) -> tuple[int, int]:
        """Offset and length in the file of the pixels of a block."""
        data = self._segment(block.at, b"ZISRAWSUBBLOCK")
        head = self._read(data, _BLOCK_HEAD.size + _ENTRY.size)
        described, _, length = _BLOCK_HEAD.unpack_from(head)
        dimensions = _ENTRY.unpack_from(head, _BLOCK_HEAD.size)[-1]
        if not 0 <= dimensions <= MAX_DIMENSIONS or described < 0 or length <= 0:
            raise DamagedSlideError("A sub-block of the CZI file is damaged.")
        entry = _BLOCK_HEAD.size + _ENTRY.size + dimensions * _DIMENSION.size
        offset = self._start + data + max(256, entry) + described
        if offset + length > self._source.length:
            raise DamagedSlideError("The slide is cut short: some of its sub-blocks lie behind the end of the file.")
        return offset, length

    def _blocks(self, at: int) -> Iterator[Block]:
        data = self._segment(at, b"ZISRAWDIRECTORY")
        count = _COUNT.unpack(self._read(data, _COUNT.size))[0]
        if not 0 < count <= MAX_BLOCKS:
            raise DamagedSlideError(f"The CZI file claims {count} sub-blocks.")
        table = data + _DIRECTORY_HEAD
        room = self._source.length - self._start - table
        view = memoryview(self._read(table, min(room, count * (_ENTRY.size + MAX_DIMENSIONS * _DIMENSION.size))))
        here = 0
        for _ in range(count):
            if here + _ENTRY.size > len(view):
                raise DamagedSlideError("The slide is cut short: its directory lies behind the end of the file.")
            schema, pixels, position, part, compression, *_, dimensions = _ENTRY.unpack_from(view, here)
            here += _ENTRY.size
            if schema != b"DV" or not 0 < dimensions <= MAX_DIMENSIONS:
                raise DamagedSlideError("The directory of the CZI file is damaged.")
            if part:
                raise UnsupportedSlideError("The CZI slide is spread over several files; only whole ones can be shown.")
            end = here + dimensions * _DIMENSION.size
            if end > len(view):
                raise DamagedSlideError("The slide is cut short: its directory lies behind the end of the file.")
            yield _block(position, pixels, compression, view[here:end])
            here = end

    def _segment(self, at: int, kind: bytes) -> int:
        """Where the content of the segment at this place begins."""
        if at < 0 or _SEGMENT.unpack(self._read(at, _SEGMENT.size))[0].rstrip(b"\0") != kind:
            raise DamagedSlideError("The CZI file is damaged: a part is not where its directory says.")
        return at + _SEGMENT.size

    def _read(self, at: int, length: int) -> bytes:
        return self._source.read_at(self._start + at, length)


def _block(position: int, pixels: int, compression: int, table: memoryview) -> Block:
    found = {_text(letter): (start, size, stored) for letter, start, size, _, stored in _DIMENSION.iter_unpack(table)}
    try:
        (left, width, across), (top, height, down) = found.pop("X"), found.pop("Y")
    except KeyError:
        raise DamagedSlideError("A sub-block of the CZI file has no place.") from None
    sides = (width, height, across, down)
    if not all(0 < side <= MAX_SIDE_PIXELS for side in sides) or max(abs(left), abs(top)) > _FAR:
        raise DamagedSlideError("A sub-block of the CZI file has an impossible place or size.")
    others = {letter: start for letter, (start, _, _) in found.items()}
    return Block(position, pixels, compression, Region(left, top, width, height), Size(across, down), others)


def _text(raw: bytes) -> str:
    return raw.split(b"\0", 1)[0].decode("ascii", errors="replace").strip()
