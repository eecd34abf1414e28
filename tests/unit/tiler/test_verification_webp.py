"""Indexes of slides with WebP tiles as a hostile worker might hand them over."""

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.layouts import tiff as layout
from tiler import index as indexes
from tiler import jpeg
from tiler.errors import BadIndexError
from tiler.index import JPEG, StoredTile, TileIndex
from tiler.jpeg import Colour
from tiler.sandbox import Sandbox
from tiler.storage.local import LocalByteSource
from tiler.verification import check


@pytest.fixture(scope="module")
def slide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return layout.MAKERS["webp"](tmp_path_factory.mktemp("webp"))


@pytest.fixture(scope="module")
def index(slide: Path, sandbox: Sandbox) -> TileIndex:
    return TileIndex(sandbox.index_slide(slide).index_bytes)


def forged(index: TileIndex, tiles: list[StoredTile], headers: list[bytes], *, media_type: str = "") -> TileIndex:
    levels = [replace(level, media_type=media_type) if media_type else level for level in index.levels]
    packed = b"".join(indexes.pack_tile(tile) for tile in tiles)
    return TileIndex(indexes.build(levels, packed, headers, index.metadata))


def test_the_good_index_passes_and_each_forgery_does_not(slide: Path, index: TileIndex) -> None:
    tiles = [tile for number, level in enumerate(index.levels) if level.stored for tile in index.stored_tiles(number)]
    first = tiles[0]
    header, bare, blank = jpeg.header(None, Colour.YCBCR), b"", jpeg.blank(index.levels[0].tile)
    blob = LocalByteSource(slide)
    check(forged(index, tiles, [bare]), [blob])
    for wrong in (
        forged(index, [replace(first, length=first.length - 2), *tiles[1:]], [bare]),
        forged(index, [replace(first, length=first.length + 2), *tiles[1:]], [bare]),
        forged(index, [replace(first, offset=first.offset + 2), *tiles[1:]], [bare]),
        forged(index, [replace(first, header=1), *tiles[1:]], [bare, header]),
        forged(index, [replace(first, length=0, header=1), *tiles[1:]], [bare, blank]),
        forged(index, [replace(first, length=0), *tiles[1:]], [bare]),
        forged(index, tiles, [bare], media_type=JPEG),
    ):
        with pytest.raises(BadIndexError):
            check(wrong, [blob])
    blob.close()
