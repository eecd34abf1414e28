"""The tile index: where each stored tile's bytes are, in a file that can be used without parsing.

All numbers are little-endian. The file has no offsets of its own: each part follows from the counts before it ::

    header    8s magic · u32 version · u32 levels · u32 blobs · u32 JPEG headers · u32 metadata bytes · u32 cutting
    levels    per level: u32 width · u32 height · u32 tile width · u32 tile height · u32 stored · u32 media type
    tiles     per tile of each stored level, row by row: u64 offset · u32 length · u16 blob · u16 header
    lengths   per JPEG header: u32
    headers   the JPEG headers, one after the other
    metadata  JSON

It is written by a worker that may have been taken over by a hostile slide, so opening it believes nothing about its own
form, and `tiler.verification.check` must pass once before it is kept. Afterwards its SHA-256 proves that it is still
that file."""

from __future__ import annotations

import hashlib
import itertools
import mmap
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tiler import address
from tiler.errors import BadIndexError, TileNotFoundError
from tiler.geometry import Size
from tiler.metadata import MAX_JSON_BYTES, SlideMetadata

MAGIC: Final = b"IAINTILE"
VERSION: Final = 1
# How derived tiles are cut (`tiler.pixels.cut`). Raise it when their bytes change: it is part of every slide's version,
# so no browser shows a tile cut one way beside a tile cut another.
CUTTING: Final = 0
MEDIA_TYPES: Final = ("image/jpeg",)
MAX_LEVELS: Final = 32
MAX_TILES: Final = 2_000_000
MAX_SIDE_PIXELS: Final = 2_000_000
TILE_SIDE_PIXELS: Final = (16, 2048)
MAX_HEADERS: Final = 256
MAX_HEADER_BYTES: Final = 64 * 1024

_HEADER: Final = struct.Struct("<8s6I")
_LEVEL: Final = struct.Struct("<6I")
_TILE: Final = struct.Struct("<QIHH")


@dataclass(frozen=True, slots=True)
class Level:
    """One resolution of the ladder. ``stored``: its tiles are bytes of the scanner's file; otherwise they are cut from
    the next finer level. ``downsample`` is relative to level 0, as in OpenSlide."""

    size: Size
    tile: Size
    stored: bool
    media_type: str
    downsample: float

    @property
    def grid(self) -> Size:
        return address.grid(self.size, self.tile)


@dataclass(frozen=True, slots=True)
class StoredTile:
    """Where one tile's bytes are, and which JPEG header makes them a whole image."""

    offset: int
    length: int
    blob: int
    header: int


class TileIndex:
    """A tile index, ready for look-ups; immutable, safe to use from several threads."""

    def __init__(self, data: bytes | mmap.mmap) -> None:
        self.digest: str = hashlib.sha256(data).hexdigest()
        self.version: str = self.digest[:16]
        view = memoryview(data)
        try:
            magic, version, levels, self.blob_count, headers, metadata_bytes, cutting = _HEADER.unpack_from(view)
            if magic != MAGIC or version != VERSION or cutting != CUTTING:
                raise BadIndexError("The file is not a tile index of this version; register the slide again.")
            if not (0 < levels <= MAX_LEVELS and headers <= MAX_HEADERS and metadata_bytes <= MAX_JSON_BYTES):
                raise BadIndexError("The tile index is larger than any slide needs.")
            at = _HEADER.size
            self.levels: tuple[Level, ...] = _levels(view, at, levels)
            at += levels * _LEVEL.size
            stored_tiles = [level.grid.area if level.stored else 0 for level in self.levels]
            if sum(stored_tiles) > MAX_TILES:
                raise BadIndexError("The tile index is larger than any slide needs.")
            first_tiles = itertools.accumulate(stored_tiles, initial=0)
            # Per level, what a look-up needs as plain integers: columns, rows, first tile (-1: derived).
            self._grids: tuple[tuple[int, int, int], ...] = tuple(
                (level.grid.width, level.grid.height, first if level.stored else -1)
                for level, first in zip(self.levels, first_tiles, strict=False)
            )
            end = at + sum(stored_tiles) * _TILE.size
            self._tiles: memoryview = view[at:end].cast("Q")
            lengths = struct.unpack_from(f"<{headers}I", view, end)
            at = end + 4 * headers
            self.headers: tuple[bytes, ...] = ()
            for length in lengths:
                if length > MAX_HEADER_BYTES:
                    raise BadIndexError("A JPEG header in the tile index is larger than 64 kB.")
                self.headers += (bytes(view[at : at + length]),)
                at += length
            if at + metadata_bytes != len(view) or len(self._tiles) != 2 * sum(stored_tiles):
                raise BadIndexError("The tile index is longer or shorter than it says.")
            self.metadata: SlideMetadata = SlideMetadata.from_json(bytes(view[at:]))
        except (struct.error, TypeError, ValueError) as error:
            raise BadIndexError("The tile index is cut short.") from error

    @staticmethod
    def open(path: Path, *, digest: str | None) -> TileIndex:
        """The index in a file, mapped into memory. `digest` is the SHA-256 recorded at registration (None: not known
        yet); raises BadIndexError when the file is another one, or none."""
        try:
            with path.open("rb") as file:
                data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError) as error:
            raise BadIndexError(f"The tile index {path.name} is missing or empty; register the slide again.") from error
        index = TileIndex(data)
        if digest is not None and index.digest != digest:
            raise BadIndexError(f"The tile index {path.name} was changed after registration; register the slide again.")
        return index

    def locate(self, level: int, col: int, row: int) -> tuple[int, int, int, bytes] | None:
        """(blob, offset, length, JPEG header) of a stored tile, None for a derived one; TileNotFoundError outside the
        grid."""
        if level < 0 or level >= len(self._grids):
            raise TileNotFoundError(f"The slide has no level {level}.")
        cols, rows, first = self._grids[level]
        if col < 0 or row < 0 or col >= cols or row >= rows:
            raise TileNotFoundError(f"Level {level} has no tile in column {col}, row {row}.")
        if first < 0:
            return None
        at = 2 * (first + row * cols + col)
        packed = self._tiles[at + 1]
        return packed >> 32 & 0xFFFF, self._tiles[at], packed & 0xFFFFFFFF, self.headers[packed >> 48]

    def stored_tiles(self, level: int) -> Iterator[StoredTile]:
        """All tiles of a stored level, row by row, as the file has them: numbers nobody has checked."""
        cols, rows, first = self._grids[level]
        for at in range(2 * first, 2 * (first + cols * rows), 2):
            packed = self._tiles[at + 1]
            yield StoredTile(self._tiles[at], packed & 0xFFFFFFFF, packed >> 32 & 0xFFFF, packed >> 48)


def build(
    levels: Sequence[Level], tiles: bytes, headers: Sequence[bytes], metadata: SlideMetadata, *, blobs: int = 1
) -> bytes:
    """The index file. `tiles` are packed StoredTiles of the stored levels in order (see `pack_tile`)."""
    encoded = metadata.to_json()
    parts = [_HEADER.pack(MAGIC, VERSION, len(levels), blobs, len(headers), len(encoded), CUTTING)]
    for level in levels:
        parts.append(
            _LEVEL.pack(
                level.size.width,
                level.size.height,
                level.tile.width,
                level.tile.height,
                level.stored,
                MEDIA_TYPES.index(level.media_type),
            )
        )
    lengths = struct.pack(f"<{len(headers)}I", *map(len, headers))
    return b"".join([*parts, tiles, lengths, *headers, encoded])


def pack_tile(tile: StoredTile) -> bytes:
    return _TILE.pack(tile.offset, tile.length, tile.blob, tile.header)


def _levels(view: memoryview, at: int, count: int) -> tuple[Level, ...]:
    levels: list[Level] = []
    for number in range(count):
        width, height, tile_width, tile_height, stored, media_type = _LEVEL.unpack_from(view, at + number * _LEVEL.size)
        low, high = TILE_SIDE_PIXELS
        if not (0 < width <= MAX_SIDE_PIXELS and 0 < height <= MAX_SIDE_PIXELS):
            raise BadIndexError(f"Level {number} of the tile index has an impossible size.")
        if not (low <= tile_width <= high and low <= tile_height <= high):
            raise BadIndexError(f"Level {number} of the tile index has an impossible tile size.")
        if stored not in (0, 1) or media_type >= len(MEDIA_TYPES):
            raise BadIndexError(f"Level {number} of the tile index is of no known kind.")
        size = Size(width, height)
        full = levels[0].size if levels else size
        downsample = (full.width / width + full.height / height) / 2
        levels.append(Level(size, Size(tile_width, tile_height), bool(stored), MEDIA_TYPES[media_type], downsample))
    return tuple(levels)
