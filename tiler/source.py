"""From an address to the bytes of a tile: one index look-up and one read, or one cut in the sandbox."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from tiler.address import tile_region
from tiler.cache import TileCache
from tiler.geometry import Size
from tiler.index import TileIndex
from tiler.storage.base import ByteSource


class Cutter(Protocol):
    """Makes one tile of a derived level from the four tiles below it (see `tiler.cutters.CutterPool`)."""

    def cut(self, slide_key: str, children: Sequence[bytes | None], sizes: Sequence[Size], out: Size) -> bytes:
        """One JPEG of `out` pixels. `children` run (left, right) of the upper, then of the lower row, None outside the
        grid; `sizes` are their real sizes, without padding. Raises SandboxError."""
        ...


class TileSource:
    """Tiles of one slide; safe to use from several threads. Closes nothing: the blobs belong to who opened them."""

    def __init__(
        self, index: TileIndex, blobs: Sequence[ByteSource], cutter: Cutter, cache: TileCache, slide_key: str
    ) -> None:
        self.index = index
        self._blobs = tuple(blobs)
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

    def get(self, level: int, col: int, row: int) -> bytes:
        """The tile; may wait for a disk or a worker. Raises TileNotFoundError outside the grid, TilerError
        otherwise."""
        found = self.index.locate(level, col, row)
        if found is not None:
            blob, offset, length, header = found
            return header + self._blobs[blob].read_at(offset, length)
        key = (self._key, self.index.version, level, col, row)
        return self._cache.get_or_make(key, lambda: self._cut(level, col, row))

    def _cut(self, level: int, col: int, row: int) -> bytes:
        finer = self.index.levels[level - 1]
        children: list[bytes | None] = []
        sizes: list[Size] = []
        for child_row in (2 * row, 2 * row + 1):
            for child_col in (2 * col, 2 * col + 1):
                inside = child_col < finer.grid.width and child_row < finer.grid.height
                children.append(self.get(level - 1, child_col, child_row) if inside else None)
                sizes.append(tile_region(finer.size, finer.tile, child_col, child_row).size if inside else Size(0, 0))
        here = self.index.levels[level]
        return self._cutter.cut(self._key, children, sizes, tile_region(here.size, here.tile, col, row).size)
