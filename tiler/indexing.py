"""From an opened slide to its tile index and colour profile; runs in the worker, which looks at every stored tile
without decoding it."""

from __future__ import annotations

from tiler import icc, index, jpeg
from tiler.errors import UnsupportedSlideError
from tiler.index import StoredTile
from tiler.ladder import ladder
from tiler.slide import SlideFile
from tiler.storage.base import ByteSource


def build_index(source: ByteSource, slide: SlideFile) -> bytes:
    """The index file of a slide that lies in one blob. Raises DamagedSlideError, UnsupportedSlideError."""
    levels = ladder([(level.size, level.tile) for level in slide.levels])
    if sum(level.grid.area for level in levels if level.stored) > index.MAX_TILES:
        raise UnsupportedSlideError(f"The slide has more than {index.MAX_TILES} tiles.")
    headers: list[bytes] = []
    packed: list[bytes] = []
    for level in slide.levels:
        shared = jpeg.header(level.tables, level.colour)
        if shared not in headers:
            headers.append(shared)
        header = headers.index(shared)
        seen: dict[tuple[int, int], bytes] = {}
        for offset, length in zip(level.offsets, level.lengths, strict=True):
            # Some writers store an empty tile once and point to it many times.
            place = seen.get((offset, length))
            if place is None:
                start, end = jpeg.body(source.read_at(offset, length), level.tile, shared)
                place = index.pack_tile(StoredTile(offset + start, end - start, 0, header))
                seen[offset, length] = place
            packed.append(place)
    return index.build(levels, b"".join(packed), headers, slide.metadata)


def colour_profile(slide: SlideFile) -> bytes | None:
    """What the slide's colours mean, as a profile without words; None when it has none that can be passed on."""
    if slide.profile is None:
        return None
    try:
        return icc.rebuilt(slide.profile)
    except icc.NotAProfileError:
        return None
