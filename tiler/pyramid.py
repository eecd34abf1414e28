"""The derived and decoded levels of a slide built once, so that no tile has to be made while somebody waits.

Each level becomes a file of the build's own directory, finest first: the bodies of its tiles, row by row, then the
length of each (u32). It gets its name when it is whole and durable, and a build that was killed goes on after it.
In the end the finished levels are put one after the other into what becomes a blob, and the index that points there is
written.

At no time is more in memory than the tiles that one tile is cut from, and sixteen bytes for each tile of the slide.
"""

from __future__ import annotations

import hashlib
import os
from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path
from types import MappingProxyType
from typing import Final

from tiler import index as index_file
from tiler.address import scaled, tile_region, tiles_of
from tiler.cutters import HEADER
from tiler.errors import BadIndexError
from tiler.geometry import Region, Size
from tiler.index import LevelKind, StoredTile, TileIndex, pack_tile
from tiler.mosaic import Mosaic
from tiler.source import Cutter, decoded_part, mosaic_of
from tiler.storage.base import ByteSource
from tiler.storage.local import LocalByteSource, sync_path

_COPY_BYTES: Final = 4 * 1024 * 1024
_THUMBNAIL_SIDE: Final = 512


@dataclass(frozen=True, slots=True)
class Built:
    """The derived tiles of a slide in one file, the index of the generation that has them, and a small picture of the
    whole for a slide that had none before; there is one wherever the smallest level is derived."""

    path: Path
    length: int
    sha256: str
    index_bytes: bytes
    thumbnail: bytes | None


class LevelFile:
    """A finished level. Raises BadIndexError when the file is not one."""

    def __init__(self, path: Path, grid: Size) -> None:
        self.path = path
        self._cols = grid.width
        self._blob = LocalByteSource(path)
        self.bodies: int = self._blob.length - 4 * grid.area
        if self.bodies < 0:
            raise BadIndexError(f"The file {path.name} of a slide's derived level is cut short.")
        self.lengths = array("I", self._blob.read_at(self.bodies, 4 * grid.area))
        self._offsets = array("Q", accumulate(self.lengths, initial=0))
        if self._offsets[-1] != self.bodies:
            raise BadIndexError(f"The file {path.name} of a slide's derived level is damaged.")

    def tile(self, col: int, row: int) -> bytes:
        number = row * self._cols + col
        return HEADER + self._blob.read_at(self._offsets[number], self.lengths[number])

    def close(self) -> None:
        self._blob.close()


class Pyramid:
    """The derived levels of one slide in the making. `directory` is this slide's and this index's alone, and exists;
    `writer` names who writes, so that two at once, of whom one was thought dead, do not meet in a file."""

    def __init__(
        self,
        index: TileIndex,
        blobs: Sequence[ByteSource],
        cutter: Cutter,
        slide_key: str,
        directory: Path,
        *,
        files: Mapping[str, Path] = MappingProxyType({}),
        writer: str = "",
    ) -> None:
        self._index = index
        self._blobs = blobs
        self._cutter = cutter
        self._key = slide_key
        self._files = files
        self._directory = directory
        self._writer = writer
        self._finished: dict[int, LevelFile] = {}

    @property
    def missing(self) -> list[int]:
        """The levels there is something to do for, finest first."""
        return [number for number, level in enumerate(self._index.levels) if not level.placed]

    @property
    def tiles(self) -> int:
        """How many tiles there are to build."""
        return sum(self._index.levels[number].grid.area for number in self.missing)

    def build(self, tell: Callable[[int, bool], None] = lambda done, durable: None) -> Built:
        """Build every level that is not finished yet, and assemble them. `tell` is called after each tile with the
        number of tiles done, and whether a level has just become durable; what it raises ends the build. Raises
        DamagedSlideError, SandboxError, OSError."""
        try:
            done = 0
            for number in self.missing:
                resumed = self._resumed(number)
                self._finished[number] = resumed or self._written(number, done, tell)
                done += self._index.levels[number].grid.area
                tell(done, resumed is None)
            return self._assemble()
        finally:
            for finished in self._finished.values():
                finished.close()
            self._finished.clear()

    def _resumed(self, number: int) -> LevelFile | None:
        path, grid = self._directory / f"{number}.level", self._index.levels[number].grid
        try:
            return LevelFile(path, grid)
        except FileNotFoundError:
            return None
        except BadIndexError:  # a disk that lost what it had promised: the level is built again
            path.unlink()
            return None

    def _written(self, number: int, done: int, tell: Callable[[int, bool], None]) -> LevelFile:
        level, path, lengths = self._index.levels[number], self._directory / f"{number}.level", array("I")
        unfinished = self._directory / f".{path.name}.{self._writer}"
        with unfinished.open("wb") as file:
            for row in range(level.grid.height):
                for col in range(level.grid.width):
                    tile = self._made(number, col, row)
                    file.write(memoryview(tile)[len(HEADER) :])
                    lengths.append(len(tile) - len(HEADER))
                    tell(done + len(lengths), False)
            file.write(lengths.tobytes())
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
        sync_path(self._directory)
        return LevelFile(path, level.grid)

    def _made(self, number: int, col: int, row: int) -> bytes:
        levels = self._index.levels
        if levels[number].kind is LevelKind.DECODED:
            return self._cutter.decode(self._key, self._files, *decoded_part(levels, number, col, row))
        return self._cutter.cut(self._key, mosaic_of(levels, number, col, row, self._finer))

    def _finer(self, level: int, col: int, row: int) -> bytes:
        finished = self._finished.get(level)
        if finished is not None:
            return finished.tile(col, row)
        place = self._index.locate(level, col, row)
        if place is None:
            raise BadIndexError(f"Level {level} of the slide is neither stored nor built.")
        blob, offset, length, header = place
        return header + self._blobs[blob].read_at(offset, length)

    def _assemble(self) -> Built:
        """One file of all finished levels, finest first, and the index of the next generation."""
        index, path = self._index, self._directory / f".tiles.{self._writer}"
        headers = index.headers if HEADER in index.headers else (*index.headers, HEADER)
        header, blob = headers.index(HEADER), index.blob_count
        sha256, at, packed = hashlib.sha256(), 0, []
        with path.open("wb") as out:
            for number in range(len(index.levels)):
                finished = self._finished.get(number)
                if finished is None:
                    packed += [index.packed(number)]
                    continue
                with finished.path.open("rb") as bodies:
                    left = finished.bodies
                    while left:
                        part = bodies.read(min(left, _COPY_BYTES))
                        sha256.update(part)
                        out.write(part)
                        left -= len(part)
                offsets = accumulate(finished.lengths, initial=at)
                places = zip(offsets, finished.lengths, strict=False)
                packed += [b"".join(pack_tile(StoredTile(start, size, blob, header)) for start, size in places)]
                at += finished.bodies
        levels = [level if level.placed else replace(level, built=True) for level in index.levels]
        data = index_file.build(
            levels,
            b"".join(packed),
            headers,
            index.metadata,
            blobs=index.blob_count + 1,
            generation=index.generation + 1,
            version=index.version,
        )
        return Built(path, at, sha256.hexdigest(), data, self._thumbnail())

    def _thumbnail(self) -> bytes | None:
        """What the slide shows, without the emptiness around it, as it is on the finest derived level where that is at
        most 512 pixels a side or one tile; None where the scanner stored all that are so small."""
        full = self._index.levels[0].size
        bounds = self._index.metadata.bounds or Region(0, 0, full.width, full.height)
        for number in self.missing:
            level = self._index.levels[number]
            part = scaled(bounds, full, level.size)
            if max(part.width, part.height) <= _THUMBNAIL_SIDE or level.grid.area == 1:
                break
        else:
            return None
        cells = [*tiles_of(part, level.size, level.tile)]
        children = [self._finer(number, col, row) for col, row in cells]
        places = [tile_region(level.size, level.tile, col, row) for col, row in cells]
        cols = cells[-1][0] - cells[0][0] + 1
        left, above = part.x - places[0].x, part.y - places[0].y
        sizes = [place.size for place in places]
        return self._cutter.cut(self._key, Mosaic(children, sizes, cols, part.size, 1, left, above))
