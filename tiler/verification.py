"""The distrustful look at an index before it is kept: does it point at this slide's image data and nothing else?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tiler import jpeg, webp
from tiler.errors import BadIndexError, TilerError
from tiler.index import WEBP, StoredTile, TileIndex
from tiler.jpeg import Colour
from tiler.ladder import Native, ladder
from tiler.storage.base import ByteSource

# So many places that were found good are not looked at again.
_REMEMBERED: Final = 65_536


def check(index: TileIndex, blobs: Sequence[ByteSource]) -> None:
    """Of an index that a worker wrote. Raises BadIndexError unless it is a first generation, every tile lies within its
    blob and begins as a bare JPEG of its level's tile size, every header is one that this version would have made, and
    the levels are the ladder it would have built."""
    if index.generation != 0:
        raise BadIndexError("The tile index claims to be a later generation of another one.")
    natives = [Native(level.size, level.tile, level.kind, level.media_type) for level in index.levels if level.native]
    if not index.levels[0].native or index.metadata.size != index.levels[0].size:
        raise BadIndexError("The tile index and the slide's metadata disagree about its size.")
    if index.blob_count != len(blobs):
        raise BadIndexError(f"The tile index is about {index.blob_count} files, the slide has {len(blobs)}.")
    try:
        if ladder(natives) != index.levels:
            raise BadIndexError("The levels in the tile index are not those this slide should have.")
        blanks = {jpeg.blank(native.tile) for native in natives}
        for header in index.headers:
            if header and header not in blanks:  # WebP tiles need none
                _check_header(header)
        for number, level in enumerate(index.levels):
            if level.stored:
                _check_level(index, number, blobs)
    except BadIndexError:
        raise
    except TilerError as error:
        raise BadIndexError(f"The tile index points at something that is no tile: {error.sentence}") from error


def _check_header(header: bytes) -> None:
    """Made again from its own tables, a good header is the same; so it holds nothing but them."""
    for colour in Colour:
        bare = jpeg.header(None, colour)
        if header == bare or (
            header.startswith(bare) and header == jpeg.header(jpeg.SOI + header[len(bare) :], colour)
        ):
            return
    raise BadIndexError("The tile index has a JPEG header that holds more than tables.")


def _check_level(index: TileIndex, number: int, blobs: Sequence[ByteSource]) -> None:
    size = index.levels[number].tile
    blank, is_webp = jpeg.blank(size), index.levels[number].media_type == WEBP
    seen: set[StoredTile] = set()  # some writers store an empty tile once and point to it many times
    for tile in index.stored_tiles(number):
        if tile in seen:
            continue
        if tile.blob >= len(blobs) or tile.header >= len(index.headers):
            raise BadIndexError("The tile index points at a file or header that the slide does not have.")
        header = index.headers[tile.header]
        if bool(header) == is_webp:
            raise BadIndexError("The tile index gives a tile the header of another kind.")
        if (tile.length == 0) != (header == blank):
            raise BadIndexError("The tile index is not clear about which places the scanner left empty.")
        if tile.length == 0:
            continue
        blob = blobs[tile.blob]
        if tile.offset + tile.length > blob.length:
            raise BadIndexError("The tile index points behind the end of the slide's file.")
        prefix = blob.read_at(tile.offset, min(tile.length, jpeg.MAX_PREFIX_BYTES))
        if not is_webp:
            jpeg.check_prefix(prefix, size, header)
        elif webp.length(prefix, size) != tile.length:
            raise BadIndexError("The tile index gives a WebP tile another length than it has.")
        if len(seen) == _REMEMBERED:
            seen.clear()
        seen.add(tile)
