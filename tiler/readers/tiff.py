"""Generic tiled TIFF and BigTIFF with JPEG tiles; also what Aperio's flavour shares with them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tiler import icc
from tiler.errors import DamagedSlideError, UnsupportedSlideError
from tiler.geometry import Size
from tiler.index import MAX_HEADER_BYTES, MAX_SIDE_PIXELS, MAX_TILES, TILE_SIDE_PIXELS
from tiler.jpeg import Colour
from tiler.metadata import MPP_RANGE, SlideMetadata, clean_text, number_within
from tiler.readers import openslide
from tiler.readers.ifd import Directory
from tiler.slide import SlideFile, SlideFiles, StoredLevel
from tiler.storage.base import ByteSource

# TIFF 6.0 and Technical Note 2
SUBFILE_TYPE: Final = 254
WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC = 256, 257, 258, 259, 262
DESCRIPTION, MAKE, MODEL = 270, 271, 272
SAMPLES: Final = 277
X_RESOLUTION, Y_RESOLUTION, PLANAR, RESOLUTION_UNIT, SOFTWARE = 282, 283, 284, 296, 305
TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_LENGTHS = 322, 323, 324, 325
JPEG_TABLES: Final = 347
ICC_PROFILE: Final = 34675

MAX_TILE_BYTES: Final = 16 * 1024 * 1024
_REDUCED: Final = 1
_UM_PER_UNIT: Final = {2: 25_400.0, 3: 10_000.0}
_JPEG: Final = 7
_COMPRESSIONS: Final = {
    1: "no compression",
    5: "LZW",
    6: "the old JPEG scheme of TIFF",
    8: "deflate",
    32773: "PackBits",
    32946: "deflate",
    33003: "JPEG 2000",
    33005: "JPEG 2000",
    34712: "JPEG 2000",
    34892: "lossy JPEG of digital negatives",
    50000: "Zstandard",
    50001: "WebP",
    50002: "JPEG XL",
}


def read(files: SlideFiles, source: ByteSource, found: Sequence[Directory]) -> SlideFile:
    """The slide of a generic TIFF: its first image and the reduced-resolution copies of it (NewSubfileType bit 0)."""
    main = found[0]
    if TILE_OFFSETS not in main:
        raise UnsupportedSlideError("The TIFF's image is stored in strips; only tiled images can be shown.")
    reduced = [one for one in found[1:] if one.integer(SUBFILE_TYPE, 0) & _REDUCED and TILE_OFFSETS in one]
    levels = sorted((stored_level(source, one) for one in (main, *reduced)), key=lambda level: -level.size.area)
    unit = _UM_PER_UNIT.get(main.integer(RESOLUTION_UNIT, 2))
    metadata = SlideMetadata(
        format="tiff",
        vendor="generic",
        size=levels[0].size,
        mpp_x=_mpp(main.rational(X_RESOLUTION), unit),
        mpp_y=_mpp(main.rational(Y_RESOLUTION), unit),
        scanner_manufacturer=clean_text(main.text(MAKE)),
        scanner_model=clean_text(main.text(MODEL)),
        icc_profile_present=ICC_PROFILE in main,
    )
    return openslide.with_pictures(SlideFile(metadata, tuple(levels), profile(main)), files.path(0))


def profile(directory: Directory) -> bytes | None:
    """The ICC profile, as it is; None without one, or with one that is larger than any needs to be."""
    try:
        return directory.data(ICC_PROFILE, at_most=icc.MAX_BYTES)
    except DamagedSlideError:
        return None


def stored_level(source: ByteSource, directory: Directory, *, gaps: bool = False) -> StoredLevel:
    """One tiled image as a level; with `gaps`, tiles of no length are places that the scanner left empty. Raises
    DamagedSlideError, UnsupportedSlideError."""
    compression = directory.integer(COMPRESSION, 1)
    if compression != _JPEG:
        name = _COMPRESSIONS.get(compression, f"an unknown compression ({compression})")
        raise UnsupportedSlideError(f"The slide's tiles are stored with {name}; only JPEG tiles can be shown.")
    bits = directory.integers(BITS, at_most=64)
    if directory.integer(SAMPLES, 1) != 3 or any(value != 8 for value in bits) or directory.integer(PLANAR, 1) != 1:
        raise UnsupportedSlideError("The slide is not 8-bit colour; only colour brightfield slides can be shown.")
    photometric = directory.integer(PHOTOMETRIC)
    if photometric not in (2, 6):
        raise UnsupportedSlideError("The slide's colours are neither RGB nor YCbCr.")
    size = _bounded(directory, WIDTH, HEIGHT, 1, MAX_SIDE_PIXELS)
    tile = _bounded(directory, TILE_WIDTH, TILE_HEIGHT, *TILE_SIDE_PIXELS)
    if tile.width % 16 or tile.height % 16:
        raise DamagedSlideError("The slide's tile size is not a multiple of 16 pixels, as TIFF demands.")
    offsets, lengths = _places(source, directory, size, tile, gaps=gaps)
    return StoredLevel(
        size=size,
        tile=tile,
        colour=Colour.RGB if photometric == 2 else Colour.YCBCR,
        tables=directory.data(JPEG_TABLES, at_most=MAX_HEADER_BYTES // 2),
        offsets=offsets,
        lengths=lengths,
    )


def _bounded(directory: Directory, across: int, down: int, low: int, high: int) -> Size:
    size = Size(directory.integer(across), directory.integer(down))
    if not (low <= size.width <= high and low <= size.height <= high):
        raise DamagedSlideError(f"The slide claims an image or tiles of {size.width} × {size.height} pixels.")
    return size


def _places(
    source: ByteSource, directory: Directory, size: Size, tile: Size, *, gaps: bool
) -> tuple[Sequence[int], Sequence[int]]:
    cells = -(-size.width // tile.width) * -(-size.height // tile.height)
    if cells > MAX_TILES:
        raise UnsupportedSlideError(f"The slide claims {cells} tiles in one level, more than can be served.")
    offsets = directory.integers(TILE_OFFSETS, at_most=MAX_TILES)
    lengths = directory.integers(TILE_LENGTHS, at_most=MAX_TILES)
    if len(offsets) != cells or len(lengths) != cells:
        raise DamagedSlideError(f"The slide lists {len(offsets)} tiles where its size asks for {cells}.")
    for offset, length in zip(offsets, lengths, strict=True):
        if length == 0 and gaps:
            continue
        if length == 0:
            raise UnsupportedSlideError("The slide has missing tiles; slides with gaps cannot be shown.")
        if offset < 8 or length > MAX_TILE_BYTES:
            raise DamagedSlideError("A tile of the slide has an impossible place or length.")
        if offset + length > source.length:
            raise DamagedSlideError("The slide is cut short: some of its tiles lie behind the end of the file.")
    return offsets, lengths


def _mpp(resolution: float | None, um_per_unit: float | None) -> float | None:
    if not resolution or um_per_unit is None:
        return None
    return number_within(um_per_unit / resolution, MPP_RANGE)
