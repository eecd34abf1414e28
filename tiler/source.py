"""From an address to the bytes of a tile: one index look-up and one read, or one cut in the sandbox."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

from tiler.address import tile_region
from tiler.cache import TileCache
from tiler.descriptor import Piece
from tiler.geometry import Region, Size
from tiler.index import Level, LevelKind, TileIndex
from tiler.ladder import origin
from tiler.mosaic import Mosaic
from tiler.storage.base import ByteSource


class Cutter(Protocol):
    """Makes the tiles that are not stored as they are shown (see `tiler.cutters.CutterPool`)."""

    def cut(self, slide_key: str, mosaic: Mosaic) -> bytes:
        """One JPEG of `mosaic.out` pixels, from finer tiles. Raises SandboxError, DamagedSlideError."""
        ...

    def decode(self, slide_key: str, files: Mapping[str, Path], level: int, area: Region) -> bytes:
        """One JPEG of what the slide shows in `area` of its native level number `level`. Raises SandboxError,
        DamagedSlideError."""
        ...


class TileSource:
    """Tiles of one slide; safe to use from several threads. Closes nothing: the blobs belong to who opened them."""

    def __init__(
        self,
        index: TileIndex,
        blobs: Sequence[ByteSource] | Mapping[int, ByteSource],
        cutter: Cutter,
        cache: TileCache,
        slide_key: str,
        files: Mapping[str, Path] = MappingProxyType({}),
    ) -> None:
        """`blobs` are those that the index uses, by number; `files` the slide's own, for a decoder, under the names
        they have beside each other."""
        self.index = index
        self._files = files
        self._blobs = blobs
        self._cutter = cutter
        self._cache = cache
        self._key = slide_key

    def resident(self, level: int, col: int, row: int) -> bytes | None:
        """The tile if it is in memory already, else None; never waits. Raises TileNotFoundError outside the grid."""
        found = self.index.locate(level, col, row)
        if found is None:
            return self._cache.get((self._key, self.index.version, level, col, row))
        blob, offset, length, header = found
        body = self._blobs[blob].resident_at(offset, length)
        return None if body is None else header + body

    def resident_in(self, room: memoryview, level: int, col: int, row: int) -> tuple[bytes, bytes | memoryview] | None:
        """As `resident`, in two parts, of which the second may lie in `room`: for a sender that copies nothing. None
        also for a tile that `room` is too small for."""
        found = self.index.locate(level, col, row)
        if found is None:
            tile = self._cache.get((self._key, self.index.version, level, col, row))
            return None if tile is None else (b"", tile)
        blob, offset, length, header = found
        body = room[:length]
        if len(body) == length and self._blobs[blob].resident_into(body, offset):
            return header, body
        return None

    def get(self, level: int, col: int, row: int) -> bytes:
        """The tile; may wait for a disk or a worker. Raises TileNotFoundError outside the grid, TilerError
        otherwise."""
        found = self.index.locate(level, col, row)
        if found is not None:
            blob, offset, length, header = found
            return header + self._blobs[blob].read_at(offset, length)
        key = (self._key, self.index.version, level, col, row)
        return self._cache.get_or_make(key, lambda: self._cut(level, col, row))

    def resident_piece(self, piece: Piece) -> bytes | None:
        """What `piece` gives, if it is in memory already, else None; never waits."""
        if piece.whole:
            return self.resident(piece.level, piece.col, piece.row)
        return self._cache.get((self._key, self.index.version, piece))

    def piece(self, piece: Piece) -> bytes:
        """A picture of another form than the tiles have; may wait. Raises TilerError."""
        if piece.whole:
            return self.get(piece.level, piece.col, piece.row)
        key = (self._key, self.index.version, piece)
        return self._cache.get_or_make(key, lambda: self._put_together(piece))

    def _put_together(self, piece: Piece) -> bytes:
        level = self.index.levels[piece.level]
        addresses = [
            (piece.col + across, piece.row + down) for down in range(piece.rows) for across in range(piece.cols)
        ]
        children = [self.get(piece.level, col, row) for col, row in addresses]
        sizes = [tile_region(level.size, level.tile, col, row).size for col, row in addresses]
        return self._cutter.cut(self._key, Mosaic(children, sizes, piece.cols, piece.size, piece.reduction))

    def _cut(self, level: int, col: int, row: int) -> bytes:
        levels = self.index.levels
        if levels[level].kind is LevelKind.DECODED:
            return self._cutter.decode(self._key, self._files, *decoded_part(levels, level, col, row))
        return self._cutter.cut(self._key, mosaic_of(levels, level, col, row, self.get))


def decoded_part(levels: Sequence[Level], level: int, col: int, row: int) -> tuple[int, Region]:
    """What a decoder is asked for one tile of a decoded level: the number of this level among those of the scanner, and
    which of its pixels."""
    here = levels[level]
    return sum(one.native for one in levels[:level]), tile_region(here.size, here.tile, col, row)


def mosaic_of(levels: Sequence[Level], level: int, col: int, row: int, get: Callable[[int, int, int], bytes]) -> Mosaic:
    """What makes one derived tile: the tiles of its level's origin that it covers, each as `get` gives it. Cut on
    demand or built in the background, a tile is made from this alone, so both give the same bytes."""
    here = levels[level]
    finer_number, reduction = origin(levels, level)
    finer = levels[finer_number]
    cols = range(col * reduction, min((col + 1) * reduction, finer.grid.width))
    rows = range(row * reduction, min((row + 1) * reduction, finer.grid.height))
    children: list[bytes] = []
    sizes: list[Size] = []
    for child_row in rows:
        for child_col in cols:
            children.append(get(finer_number, child_col, child_row))
            sizes.append(tile_region(finer.size, finer.tile, child_col, child_row).size)
    return Mosaic(children, sizes, len(cols), tile_region(here.size, here.tile, col, row).size, reduction)
