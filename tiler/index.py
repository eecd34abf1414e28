"""The tile index: where each stored tile's bytes are, in a file that can be used without parsing.

All numbers are little-endian. The file has no offsets of its own: each part follows from the counts before it ::

    header    8s magic · u32 version · u32 levels · u32 blobs · u32 JPEG headers · u32 metadata bytes · u32 cutting
              · u32 generation · 8s identity
    levels    per level: u32 width · u32 height · u32 tile width · u32 tile height · u16 kind · u16 built
              · u32 media type
    tiles     per tile of each stored or built level, row by row: u64 offset · u32 length · u16 blob · u16 header
    lengths   per JPEG header: u32
    headers   the JPEG headers, one after the other; of a place the scanner left empty, a whole blank image
    metadata  JSON

Generation 0 is written by a worker that may have been taken over by a hostile slide, so opening it believes nothing
about its own form, and `tiler.verification.check` must pass once before it is kept. Afterwards its SHA-256 proves that
it is still that file.

Generation 1 is written by the parent when the derived levels have been built: the same levels, of which the derived
ones now point into a blob of their own. It carries the identity of generation 0, from which the version in addresses
comes: what a browser has of a slide stays right."""

from __future__ import annotations

import hashlib
import itertools
import mmap
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Final

from tiler import address
from tiler.errors import BadIndexError, TileNotFoundError
from tiler.geometry import Size
from tiler.metadata import MAX_JSON_BYTES, SlideMetadata

MAGIC: Final = b"IAINTILE"
VERSION: Final = 3
# How derived tiles are cut (`tiler.pixels.cut`). Raise it when their bytes change: it is part of every slide's version,
# so no browser shows a tile cut one way beside a tile cut another.
CUTTING: Final = 1
JPEG: Final = "image/jpeg"
WEBP: Final = "image/webp"
MEDIA_TYPES: Final = (JPEG, WEBP)
MAX_LEVELS: Final = 32
MAX_TILES: Final = 2_000_000
MAX_SIDE_PIXELS: Final = 2_000_000
TILE_SIDE_PIXELS: Final = (16, 2048)
MAX_HEADERS: Final = 256
MAX_HEADER_BYTES: Final = 64 * 1024

_HEADER: Final = struct.Struct("<8s7I8s")
_LEVEL: Final = struct.Struct("<4I2HI")
_TILE: Final = struct.Struct("<QIHH")
_NOBODY: Final = bytes(8)


class LevelKind(IntEnum):
    """Where the pixels of a level come from: those of a finer level, bytes of the scanner's file as they are, or what a
    decoder makes of these."""

    DERIVED = 0
    STORED = 1
    DECODED = 2


_KINDS: Final = frozenset(LevelKind)


@dataclass(frozen=True, slots=True)
class Level:
    """One resolution of the ladder. ``downsample`` is relative to level 0, as in OpenSlide. A derived or decoded level
    is ``built`` when its tiles, too, lie in a blob; otherwise they are made when somebody asks."""

    size: Size
    tile: Size
    kind: LevelKind
    media_type: str
    downsample: float
    built: bool = False

    @property
    def stored(self) -> bool:
        return self.kind is LevelKind.STORED

    @property
    def native(self) -> bool:
        """Whether the scanner made this level, in whatever form it is stored."""
        return self.kind is not LevelKind.DERIVED

    @property
    def placed(self) -> bool:
        """Whether the index says where the bytes of its tiles are."""
        return self.stored or self.built

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
        view = memoryview(data)
        self.generation: int
        try:
            (magic, version, levels, self.blob_count, headers, metadata_bytes, cutting, self.generation, identity) = (
                _HEADER.unpack_from(view)
            )
            if magic != MAGIC or version != VERSION or cutting != CUTTING:
                raise BadIndexError("The file is not a tile index of this version; register the slide again.")
            if not (0 < levels <= MAX_LEVELS and headers <= MAX_HEADERS and metadata_bytes <= MAX_JSON_BYTES):
                raise BadIndexError("The tile index is larger than any slide needs.")
            at = _HEADER.size
            self.levels: tuple[Level, ...] = _levels(view, at, levels)
            at += levels * _LEVEL.size
            if (identity == _NOBODY) != (self.generation == 0):
                raise BadIndexError("The tile index does not say of which slide it is a later generation.")
            if self.generation == 0 and any(level.built for level in self.levels):
                raise BadIndexError("A first tile index cannot have built levels.")
            # The part of a tile's address that changes with the slide's source or with the way tiles are cut.
            self.version: str = identity.hex() if self.generation else self.digest[:16]
            placed_tiles = [level.grid.area if level.placed else 0 for level in self.levels]
            # What is built comes on top, in indexes that only the parent writes.
            if sum(placed_tiles) > MAX_TILES * (2 if self.generation else 1):
                raise BadIndexError("The tile index is larger than any slide needs.")
            first_tiles = itertools.accumulate(placed_tiles, initial=0)
            # Per level, what a look-up needs as plain integers: columns, rows, first tile (-1: cut on demand).
            self._grids: tuple[tuple[int, int, int], ...] = tuple(
                (level.grid.width, level.grid.height, first if level.placed else -1)
                for level, first in zip(self.levels, first_tiles, strict=False)
            )
            end = at + sum(placed_tiles) * _TILE.size
            self._tiles: memoryview = view[at:end].cast("Q")
            lengths = struct.unpack_from(f"<{headers}I", view, end)
            at = end + 4 * headers
            self.headers: tuple[bytes, ...] = ()
            for length in lengths:
                if length > MAX_HEADER_BYTES:
                    raise BadIndexError("A JPEG header in the tile index is larger than 64 kB.")
                self.headers += (bytes(view[at : at + length]),)
                at += length
            if at + metadata_bytes != len(view) or len(self._tiles) != 2 * sum(placed_tiles):
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
        # Its digest took every page of the file; look-ups need few of them at a time.
        data.madvise(mmap.MADV_DONTNEED)
        return index

    def locate(self, level: int, col: int, row: int) -> tuple[int, int, int, bytes] | None:
        """(blob, offset, length, JPEG header) of a stored or built tile, None for one that must be cut;
        TileNotFoundError outside the grid."""
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
        """All tiles of a stored or built level, row by row, as the file has them: numbers nobody has checked."""
        cols, rows, first = self._grids[level]
        for at in range(2 * first, 2 * (first + cols * rows), 2):
            packed = self._tiles[at + 1]
            yield StoredTile(self._tiles[at], packed & 0xFFFFFFFF, packed >> 32 & 0xFFFF, packed >> 48)

    @property
    def used_blobs(self) -> frozenset[int]:
        """The numbers of the files in which stored and built tiles lie; what is only decoded lies in others. Of one or
        two files no tile is looked at, which would bring the whole index into memory: they are all."""
        if self.blob_count <= 2:
            return frozenset(range(self.blob_count))
        return frozenset(self._tiles.cast("B").cast("H")[6::8])

    def packed(self, level: int) -> bytes:
        """The tiles of a stored or built level as `build` takes them."""
        cols, rows, first = self._grids[level]
        return self._tiles[2 * first : 2 * (first + cols * rows)].tobytes()


def file_name(digest: str) -> str:
    """What an index file is called in the directory of its slide, where each generation stays."""
    return f"{digest}.index"


def build(
    levels: Sequence[Level],
    tiles: bytes,
    headers: Sequence[bytes],
    metadata: SlideMetadata,
    *,
    blobs: int = 1,
    generation: int = 0,
    version: str = "",
) -> bytes:
    """The index file. `tiles` are packed StoredTiles of the stored and built levels in order (see `pack_tile`);
    `version` is that of generation 0, for a later one."""
    encoded = metadata.to_json()
    identity = bytes.fromhex(version) if generation else _NOBODY
    counts = (len(levels), blobs, len(headers), len(encoded), CUTTING, generation)
    parts = [_HEADER.pack(MAGIC, VERSION, *counts, identity)]
    for level in levels:
        parts.append(
            _LEVEL.pack(
                level.size.width,
                level.size.height,
                level.tile.width,
                level.tile.height,
                level.kind,
                level.built,
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
        width, height, tile_width, tile_height, kind, built, media_type = _LEVEL.unpack_from(
            view, at + number * _LEVEL.size
        )
        low, high = TILE_SIDE_PIXELS
        if not (0 < width <= MAX_SIDE_PIXELS and 0 < height <= MAX_SIDE_PIXELS):
            raise BadIndexError(f"Level {number} of the tile index has an impossible size.")
        if not (low <= tile_width <= high and low <= tile_height <= high):
            raise BadIndexError(f"Level {number} of the tile index has an impossible tile size.")
        if kind not in _KINDS or built not in (0, 1) or (built and kind == LevelKind.STORED):
            raise BadIndexError(f"Level {number} of the tile index is of no known kind.")
        if media_type >= len(MEDIA_TYPES):
            raise BadIndexError(f"Level {number} of the tile index is of no known kind.")
        size = Size(width, height)
        full = levels[0].size if levels else size
        downsample = (full.width / width + full.height / height) / 2
        tile = Size(tile_width, tile_height)
        levels.append(Level(size, tile, LevelKind(kind), MEDIA_TYPES[media_type], downsample, bool(built)))
    return tuple(levels)
