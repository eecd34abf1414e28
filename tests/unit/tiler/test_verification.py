"""Indexes a worker under hostile control might hand over: every one is refused."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tiler import index as indexes
from tiler import jpeg
from tiler.errors import BadIndexError
from tiler.geometry import Size
from tiler.index import WEBP, Level, LevelKind, StoredTile, TileIndex
from tiler.metadata import SlideMetadata
from tiler.storage.base import ByteSource
from tiler.storage.local import LocalByteSource
from tiler.storage.memory import MemoryByteSource
from tiler.verification import check


@pytest.fixture(scope="module")
def blob(tiff_slide: Path):
    source = LocalByteSource(tiff_slide)
    yield MemoryByteSource(source.read_at(0, source.length))
    source.close()


class Forgery:
    """The parts of a good index, to be changed."""

    def __init__(self, index: TileIndex) -> None:
        self.levels: list[Level] = list(index.levels)
        stored = [number for number, level in enumerate(index.levels) if level.stored]
        self.tiles: list[StoredTile] = [tile for number in stored for tile in index.stored_tiles(number)]
        self.headers: list[bytes] = list(index.headers)
        self.metadata: SlideMetadata = index.metadata
        self.blobs = 1

    def finished(self) -> TileIndex:
        tiles = b"".join(indexes.pack_tile(tile) for tile in self.tiles)
        return TileIndex(indexes.build(self.levels, tiles, self.headers, self.metadata, blobs=self.blobs))


def tile_behind_the_end(forgery: Forgery, blob: ByteSource) -> None:
    forgery.tiles[3] = StoredTile(blob.length - 10, 11, 0, 0)


def tile_far_away(forgery: Forgery, blob: ByteSource) -> None:
    forgery.tiles[3] = StoredTile(2**64 - 5, 2**32 - 1, 0, 0)


def tile_of_no_length(forgery: Forgery, blob: ByteSource) -> None:
    forgery.tiles[3] = StoredTile(forgery.tiles[3].offset, 0, 0, 0)


def tile_at_the_vendors_text(forgery: Forgery, blob: ByteSource) -> None:
    forgery.tiles[3] = StoredTile(8, 100, 0, 0)


def tile_with_its_start_marker(forgery: Forgery, blob: ByteSource) -> None:
    tile = forgery.tiles[3]
    forgery.tiles[3] = StoredTile(tile.offset - 2, tile.length + 2, 0, 0)


def tile_in_another_file(forgery: Forgery, blob: ByteSource) -> None:
    tile = forgery.tiles[3]
    forgery.tiles[3] = StoredTile(tile.offset, tile.length, 1, 0)


def tile_with_another_header(forgery: Forgery, blob: ByteSource) -> None:
    tile = forgery.tiles[3]
    forgery.tiles[3] = StoredTile(tile.offset, tile.length, 0, 9)


def header_with_text(forgery: Forgery, blob: ByteSource) -> None:
    header = forgery.headers[0]
    forgery.headers[0] = header + b"\xff\xfe\x00\x06name"


def header_that_is_a_page(forgery: Forgery, blob: ByteSource) -> None:
    forgery.headers[0] = b"<html><script>alert(1)</script>"


def header_that_is_an_image(forgery: Forgery, blob: ByteSource) -> None:
    tile = forgery.tiles[0]
    forgery.headers[0] += blob.read_at(tile.offset, tile.length)


def header_that_is_empty(forgery: Forgery, blob: ByteSource) -> None:
    forgery.headers[0] = b""


def tile_that_is_said_to_be_empty(forgery: Forgery, blob: ByteSource) -> None:
    tile = forgery.tiles[3]
    forgery.headers.append(jpeg.blank(forgery.levels[0].tile))
    forgery.tiles[3] = StoredTile(tile.offset, tile.length, 0, 1)


def empty_place_of_another_size(forgery: Forgery, blob: ByteSource) -> None:
    forgery.headers.append(jpeg.blank(Size(16, 16)))
    forgery.tiles[3] = StoredTile(0, 0, 0, 1)


def empty_place_with_a_picture(forgery: Forgery, blob: ByteSource) -> None:
    blank = jpeg.blank(forgery.levels[0].tile)
    forgery.headers.append(blank[:-3] + b"\x80" + blank[-2:])
    forgery.tiles[3] = StoredTile(0, 0, 0, 1)


def tiles_of_another_type(forgery: Forgery, blob: ByteSource) -> None:
    forgery.levels[0] = replace(forgery.levels[0], media_type=WEBP)


def derived_level_of_another_type(forgery: Forgery, blob: ByteSource) -> None:
    forgery.levels[-1] = replace(forgery.levels[-1], media_type=WEBP)


def level_that_is_missing(forgery: Forgery, blob: ByteSource) -> None:
    del forgery.levels[-1]


def level_too_many(forgery: Forgery, blob: ByteSource) -> None:
    last = forgery.levels[-1]
    forgery.levels.append(Level(last.size.halved(), last.tile, LevelKind.DERIVED, last.media_type, 2 * last.downsample))


def level_without_finer(forgery: Forgery, blob: ByteSource) -> None:
    first = forgery.levels[0]
    forgery.levels[0] = Level(first.size, first.tile, LevelKind.DERIVED, first.media_type, 1.0)
    del forgery.tiles[: first.grid.area]


def tiles_of_another_size(forgery: Forgery, blob: ByteSource) -> None:
    forgery.levels = [
        Level(level.size, Size(264, 264), level.kind, level.media_type, level.downsample) for level in forgery.levels
    ]


def size_that_metadata_deny(forgery: Forgery, blob: ByteSource) -> None:
    forgery.metadata = SlideMetadata("tiff", "generic", Size(10, 10))


def files_too_many(forgery: Forgery, blob: ByteSource) -> None:
    forgery.blobs = 2


FORGERIES: Sequence[Callable[[Forgery, ByteSource], None]] = (
    tile_behind_the_end,
    tile_far_away,
    tile_of_no_length,
    tile_at_the_vendors_text,
    tile_with_its_start_marker,
    tile_in_another_file,
    tile_with_another_header,
    header_with_text,
    header_that_is_a_page,
    header_that_is_an_image,
    header_that_is_empty,
    tile_that_is_said_to_be_empty,
    empty_place_of_another_size,
    empty_place_with_a_picture,
    tiles_of_another_type,
    derived_level_of_another_type,
    level_that_is_missing,
    level_too_many,
    level_without_finer,
    tiles_of_another_size,
    size_that_metadata_deny,
    files_too_many,
)


def test_an_honest_index_passes(tiff_index: TileIndex, svs_index: TileIndex, svs_slide: Path, blob: ByteSource) -> None:
    check(Forgery(tiff_index).finished(), [blob])
    source = LocalByteSource(svs_slide)
    check(svs_index, [source])
    source.close()


def test_an_empty_place_passes_where_it_says_that_it_is_one(tiff_index: TileIndex, blob: ByteSource) -> None:
    forgery = Forgery(tiff_index)
    forgery.headers.append(jpeg.blank(forgery.levels[0].tile))
    forgery.tiles[3] = StoredTile(0, 0, 0, len(forgery.headers) - 1)
    check(forgery.finished(), [blob])


@pytest.mark.parametrize("forge", FORGERIES, ids=lambda forge: forge.__name__)
def test_a_forged_index_is_refused(
    forge: Callable[[Forgery, ByteSource], None], tiff_index: TileIndex, blob: ByteSource
) -> None:
    forgery = Forgery(tiff_index)
    forge(forgery, blob)
    with pytest.raises(BadIndexError):
        check(forgery.finished(), [blob])


def test_headers_of_both_kinds_are_told_from_forged_ones(tiff_index: TileIndex) -> None:
    for colour in jpeg.Colour:
        assert jpeg.header(None, colour) != tiff_index.headers[0]
