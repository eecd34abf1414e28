"""From an opened slide to its tile index and colour profile; runs in the worker, which looks at every stored tile
without decoding it."""

from __future__ import annotations

from typing import Final

from tiler import icc, index, jpeg, webp
from tiler.errors import DamagedSlideError, UnsupportedSlideError
from tiler.geometry import Size
from tiler.index import LevelKind, StoredTile
from tiler.ladder import Native, ladder
from tiler.metadata import SlideMetadata
from tiler.slide import DecodedLevel, SlideFile, SlideFiles, StoredLevel
from tiler.storage.base import ByteSource

# How far the two sides of a pixel may differ: what scanners measure differs a little.
_OUT_OF_SHAPE: Final = 0.02


def natives_of(slide: SlideFile) -> list[Native]:
    """The levels of the scanner as the ladder takes them."""
    return [
        Native(level.size, level.tile, LevelKind.STORED, level.media_type)
        if isinstance(level, StoredLevel)
        else Native(level.size, level.tile, LevelKind.DECODED)
        for level in slide.levels
    ]


def build_index(files: SlideFiles, slide: SlideFile) -> bytes:
    """The index file of a slide. Raises DamagedSlideError, UnsupportedSlideError."""
    _require_square_pixels(slide.metadata)
    levels = ladder(natives_of(slide))
    if sum(level.grid.area for level in levels if level.stored) > index.MAX_TILES:
        raise UnsupportedSlideError(f"The slide has more than {index.MAX_TILES} tiles.")
    places = _Places(files)
    try:
        packed = [places.packed(level) for level in slide.levels if not isinstance(level, DecodedLevel)]
    finally:
        places.close()
    return index.build(levels, b"".join(packed), places.headers, slide.metadata, blobs=len(files.names))


def _require_square_pixels(found: SlideMetadata) -> None:
    if found.mpp_x and found.mpp_y and abs(found.mpp_x - found.mpp_y) > _OUT_OF_SHAPE * max(found.mpp_x, found.mpp_y):
        raise UnsupportedSlideError("The slide's pixels are not square; it would be shown out of shape.")


class _Places:
    """Where the stored tiles of one slide are, and the JPEG headers they need."""

    def __init__(self, files: SlideFiles) -> None:
        self.headers: list[bytes] = []
        self._files = files
        self._open: dict[int, ByteSource] = {}

    def packed(self, level: StoredLevel) -> bytes:
        shared = b"" if level.media_type == index.WEBP else jpeg.header(level.tables, level.colour)
        header = self._header(shared) if any(level.lengths) else -1
        if header < 0:
            raise UnsupportedSlideError("A level of the slide holds no image data at all.")
        packed: list[bytes] = []
        seen: dict[tuple[int, int, int], bytes] = {}
        for number, (offset, length) in enumerate(zip(level.offsets, level.lengths, strict=True)):
            blob = level.files[number] if level.files else 0
            # Some writers store an empty tile once and point to it many times.
            place = seen.get((blob, offset, length))
            if place is None:
                place = seen[blob, offset, length] = self._place(blob, offset, length, level.tile, shared, header)
            packed.append(place)
        return b"".join(packed)

    def close(self) -> None:
        for source in self._open.values():
            source.close()

    def _place(self, blob: int, offset: int, length: int, tile: Size, shared: bytes, header: int) -> bytes:
        if not shared:
            return self._webp(blob, offset, length, tile, header)
        if length == 0:
            return index.pack_tile(StoredTile(0, 0, 0, self._header(jpeg.blank(tile))))
        start, end = jpeg.body(self._source(blob).read_at(offset, length), tile, shared)
        return index.pack_tile(StoredTile(offset + start, end - start, blob, header))

    def _webp(self, blob: int, offset: int, length: int, tile: Size, header: int) -> bytes:
        """A WebP tile needs no header, and no place can be empty: what is blank is JPEG."""
        prefix = self._source(blob).read_at(offset, min(length, webp.MAX_PREFIX_BYTES))
        actual = webp.length(prefix, tile)
        if actual > length:
            raise DamagedSlideError("A WebP tile of the slide is cut short.")
        return index.pack_tile(StoredTile(offset, actual, blob, header))

    def _header(self, header: bytes) -> int:
        if header not in self.headers:
            if len(self.headers) == index.MAX_HEADERS:
                raise UnsupportedSlideError("The slide's tiles need more JPEG tables than any scanner writes.")
            self.headers.append(header)
        return self.headers.index(header)

    def _source(self, blob: int) -> ByteSource:
        if blob not in self._open:
            self._open[blob] = self._files.source(blob)
        return self._open[blob]


def colour_profile(slide: SlideFile) -> bytes | None:
    """What the slide's colours mean, as a profile without words; None when it has none that can be passed on."""
    if slide.profile is None:
        return None
    try:
        return icc.rebuilt(slide.profile)
    except icc.NotAProfileError:
        return None
