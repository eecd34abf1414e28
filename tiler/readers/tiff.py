"""How a TIFF stores an image: what one directory says about it, whether its tiles can be served as they are, and the
levels that several make. What the flavours of TIFF share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tiler import codecs, icc, jpeg, webp
from tiler.errors import DamagedSlideError, TilerError, UnsupportedSlideError
from tiler.geometry import Size
from tiler.index import JPEG as SERVED_JPEG
from tiler.index import MAX_HEADER_BYTES, MAX_SIDE_PIXELS, MAX_TILES, TILE_SIDE_PIXELS, WEBP
from tiler.jpeg import Colour
from tiler.metadata import MPP_RANGE, number_within
from tiler.readers.ifd import Directory
from tiler.readers.raster import (
    ANY_JPEG_2000,
    ASSOCIATED,
    BLACK_IS_ZERO,
    COLOURS,
    DEFLATE,
    JPEG,
    LZW,
    OLD_DEFLATE,
    PACKBITS,
    PLAIN,
    UNASSOCIATED,
    WEBP_TILES,
    ZSTD,
)
from tiler.readers.raster import JPEG_2000_YCBCR as JPEG_2000_YCBCR  # for the readers of flavours
from tiler.readers.raster import PALETTE as PALETTE
from tiler.readers.raster import RGB as RGB
from tiler.readers.raster import WHITE_IS_ZERO as WHITE_IS_ZERO
from tiler.readers.raster import YCBCR as YCBCR
from tiler.readers.raster import Raster as Raster
from tiler.slide import DecodedLevel, Decoder, StoredLevel
from tiler.storage.base import ByteSource

# TIFF 6.0 and Technical Note 2
SUBFILE_TYPE: Final = 254
WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC = 256, 257, 258, 259, 262
FILL_ORDER, DESCRIPTION, MAKE, MODEL = 266, 270, 271, 272
STRIP_OFFSETS, ORIENTATION, SAMPLES, ROWS_PER_STRIP, STRIP_LENGTHS = 273, 274, 277, 278, 279
X_RESOLUTION, Y_RESOLUTION, PLANAR, RESOLUTION_UNIT, SOFTWARE, DATE_TIME = 282, 283, 284, 296, 305, 306
PREDICTOR, COLOUR_MAP, TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_LENGTHS = 317, 320, 322, 323, 324, 325
EXTRA_SAMPLES, SAMPLE_FORMAT = 338, 339
JPEG_TABLES: Final = 347
ICC_PROFILE: Final = 34675

REDUCED, MASK = 1, 4  # bits of NewSubfileType

MAX_TILE_BYTES: Final = 16 * 1024 * 1024
MAX_STRIP_BYTES: Final = 128 * 1024 * 1024
# What is decoded in one piece.
MAX_PIECE_BYTES: Final = 128 * 1024 * 1024
_PEEK_BYTES: Final = 64 * 1024
_UM_PER_UNIT: Final = {2: 25_400.0, 3: 10_000.0}
# Pixels that differ more than this in width and height would make a picture that is visibly out of shape.
_SQUARE: Final = 1.02

# Of bytes, not of pictures: what a predictor and an order of bits apply to.
_PACKED: Final = (PLAIN, LZW, DEFLATE, OLD_DEFLATE, PACKBITS, ZSTD)
_PREDICTED: Final = (LZW, DEFLATE, OLD_DEFLATE, ZSTD)
_NAMES: Final = {
    PLAIN: "no compression",
    LZW: "LZW",
    DEFLATE: "deflate",
    OLD_DEFLATE: "deflate",
    PACKBITS: "PackBits",
    ZSTD: "Zstandard",
    **dict.fromkeys(ANY_JPEG_2000, "JPEG 2000"),
    **dict.fromkeys(WEBP_TILES, "WebP"),
    2: "the compression of fax machines",
    3: "the compression of fax machines",
    4: "the compression of fax machines",
    6: "the old JPEG scheme of TIFF",
    22610: "JPEG XR",
    34892: "the lossy JPEG of digital negatives",
    34925: "LZMA",
    50002: "JPEG XL",
    52546: "JPEG XL",
}
_PROGRESSIVE: Final = 0xC2


def raster(source: ByteSource, directory: Directory, *, deep: bool = False, gaps: bool = False) -> Raster:
    """What a directory says about its image. With `deep`, samples of 16 bits and several channels are let through; with
    `gaps`, pieces of no length are places that the scanner left empty. Raises DamagedSlideError,
    UnsupportedSlideError for what nobody here decodes."""
    compression = directory.integer(COMPRESSION, PLAIN)
    if compression not in (*_PACKED, JPEG, *ANY_JPEG_2000, *WEBP_TILES):
        name = _NAMES.get(compression, f"an unknown compression ({compression})")
        raise UnsupportedSlideError(f"The slide's tiles are stored with {name}, which cannot be shown.")
    samples, bits, signed = _depth(directory, deep=deep)
    photometric = directory.integer(PHOTOMETRIC)
    extra = _extra(directory, photometric, samples, deep=deep)
    _check_coding(compression, photometric, samples, bits)
    _check_reading(directory, compression)
    predictor = directory.integer(PREDICTOR, 1) if compression in _PREDICTED else 1
    if predictor not in (1, 2):
        raise UnsupportedSlideError("The slide's tiles are stored with a predictor for numbers, not for pictures.")
    planar = directory.integer(PLANAR, 1) == 2 and samples > 1
    size = _bounded(directory, WIDTH, HEIGHT, 1, MAX_SIDE_PIXELS)
    tiled = TILE_OFFSETS in directory or TILE_WIDTH in directory
    piece = _bounded(directory, TILE_WIDTH, TILE_HEIGHT, 16, 16_384) if tiled else _strip(directory, size)
    pixel_bytes = (1 if planar else samples) * bits // 8
    if compression != PLAIN and piece.area * pixel_bytes > MAX_PIECE_BYTES:
        raise UnsupportedSlideError(
            f"The slide's image is stored in pieces of {piece.width} × {piece.height} pixels, too large to be decoded."
        )
    offsets, lengths = _places(source, directory, size, piece, samples if planar else 1, gaps=gaps, tiled=tiled)
    found = Raster(
        size=size,
        piece=piece,
        tiled=tiled,
        offsets=offsets,
        lengths=lengths,
        compression=compression,
        photometric=photometric,
        samples=samples,
        bits=bits,
        signed=signed,
        planar=planar,
        predictor=predictor == 2,
        extra=extra,
        order=directory.order,
        tables=directory.data(JPEG_TABLES, at_most=MAX_HEADER_BYTES // 2) if compression == JPEG else None,
        palette=_palette(directory) if photometric == PALETTE else (),
    )
    _check_plain(found)
    return found


def stored(source: ByteSource, image: Raster) -> StoredLevel | None:
    """The image as a level whose tiles are served as they are; None when they must be decoded. All tiles are taken to
    be coded as the first one is: indexing looks at each."""
    low, high = TILE_SIDE_PIXELS
    if not image.tiled or any(side % 16 or not low <= side <= high for side in (image.piece.width, image.piece.height)):
        return None
    kind = (image.samples, image.photometric)
    colours = {(3, RGB): Colour.RGB, (3, YCBCR): Colour.YCBCR, (1, BLACK_IS_ZERO): Colour.GREY}
    if image.planar or image.bits != 8 or kind not in colours:
        return None
    first = next(((at, size) for at, size in zip(image.offsets, image.lengths, strict=True) if size), None)
    head = source.read_at(first[0], min(first[1], _PEEK_BYTES)) if first else b""
    if image.compression == JPEG and not _is_progressive(head):
        media_type = SERVED_JPEG
    elif image.compression in WEBP_TILES and webp.is_bare(head):
        media_type = WEBP
    else:
        return None
    colour = colours[kind]
    return StoredLevel(
        size=image.size,
        tile=image.piece,
        colour=colour if colour is Colour.GREY else jpeg.stated_colour(head, colour),
        tables=image.tables,
        offsets=image.offsets,
        lengths=image.lengths,
        media_type=media_type,
    )


def stored_level(source: ByteSource, directory: Directory, *, gaps: bool = False) -> StoredLevel:
    """One tiled image as a level; with `gaps`, tiles of no length are places that the scanner left empty. Raises
    DamagedSlideError, UnsupportedSlideError when its tiles cannot be served as they are."""
    image = raster(source, directory, gaps=gaps)
    level = stored(source, image)
    if level is None or level.media_type != SERVED_JPEG:
        name = _NAMES.get(image.compression, "JPEG of an unusual kind")
        raise UnsupportedSlideError(f"The slide's tiles are stored with {name}; only JPEG tiles can be shown.")
    return level


def levels(
    source: ByteSource, rasters: Sequence[Raster]
) -> tuple[tuple[StoredLevel | DecodedLevel, ...], Decoder | None]:
    """Each image as a level, and what decodes those that must be. Raises CodecsNeededError."""
    found = tuple(stored(source, one) or one.decoded_level() for one in rasters)
    if all(isinstance(level, StoredLevel) for level in found):
        return found, None
    codecs.require()
    from tiler.readers import tiff_pixels

    return found, tiff_pixels.Rasters(source, rasters)


def profile(directory: Directory) -> bytes | None:
    """The ICC profile, as it is; None without one, or with one that is larger than any needs to be."""
    try:
        return directory.data(ICC_PROFILE, at_most=icc.MAX_BYTES)
    except DamagedSlideError:
        return None


def spacing(directory: Directory) -> tuple[float | None, float | None]:
    """µm per pixel across and down, as far as the resolution says so in a unit of length. Raises UnsupportedSlideError
    when pixels are not square."""
    unit = _UM_PER_UNIT.get(directory.integer(RESOLUTION_UNIT, 2))
    across, down = (directory.rational(tag) for tag in (X_RESOLUTION, Y_RESOLUTION))
    if across and down and max(across, down) > _SQUARE * min(across, down):
        raise UnsupportedSlideError("The slide's pixels are not square; it would be shown out of shape.")
    x, y = (number_within(unit / one, MPP_RANGE) if one and unit else None for one in (across, down))
    return x, y


def _depth(directory: Directory, *, deep: bool) -> tuple[int, int, bool]:
    """Samples of a pixel, bits of a sample, whether they are signed."""
    samples = directory.integer(SAMPLES, 1)
    if not 0 < samples <= 64:
        raise DamagedSlideError(f"The slide claims {samples} samples a pixel.")
    bits = {*directory.integers(BITS, at_most=64)} or {1}
    # 4 is undefined, which everybody takes for unsigned.
    kinds = {1 if kind == 4 else kind for kind in directory.integers(SAMPLE_FORMAT, at_most=64)} or {1}
    if kinds - {1, 2}:
        raise UnsupportedSlideError("The slide's samples are floating-point numbers; only whole numbers can be shown.")
    if bits - ({8, 16} if deep else {8}) or len(bits) > 1 or (not deep and kinds != {1}) or len(kinds) > 1:
        told = " and ".join(str(each) for each in sorted(bits))
        can = "8 and 16" if deep else "8"
        raise UnsupportedSlideError(f"The slide has {told} bits a sample; only {can} can be shown.")
    return samples, bits.pop(), kinds == {2}


def _extra(directory: Directory, photometric: int, samples: int, *, deep: bool) -> int:
    """The kind of alpha there is beside the colours."""
    if photometric not in COLOURS:
        raise UnsupportedSlideError("The slide's colours are neither grey, RGB nor YCbCr.")
    beside = samples - COLOURS[photometric]
    if beside < 0:
        raise DamagedSlideError("The slide has fewer samples a pixel than its colours need.")
    kinds = directory.integers(EXTRA_SAMPLES, at_most=64)
    if beside == 1 and len(kinds) == 1 and kinds[0] in (ASSOCIATED, UNASSOCIATED):
        return kinds[0]
    if beside and not deep:
        raise UnsupportedSlideError("The slide has several channels, and does not say how to show them.")
    return 0


def _check_coding(compression: int, photometric: int, samples: int, bits: int) -> None:
    if photometric == YCBCR and compression not in (JPEG, *ANY_JPEG_2000):
        raise UnsupportedSlideError("The slide's colours are YCbCr without JPEG, which cannot be shown.")
    if photometric == PALETTE and (compression not in _PACKED or bits != 8):
        raise UnsupportedSlideError("The slide's colours are a palette of an unusual kind.")
    pictures = {JPEG: (1, 3), WEBP_TILES[0]: (3, 4), WEBP_TILES[1]: (3, 4)}
    shallow = compression in pictures or photometric == YCBCR
    if samples not in pictures.get(compression, (samples,)) or (shallow and bits != 8):
        raise UnsupportedSlideError("The slide's tiles hold other colours than their compression is made for.")


def _check_reading(directory: Directory, compression: int) -> None:
    orientation = directory.integer(ORIENTATION, 1)
    if 2 <= orientation <= 8:
        raise UnsupportedSlideError(
            f"The slide's image is stored turned or mirrored (orientation {orientation}). Export it upright."
        )
    if compression in _PACKED and directory.integer(FILL_ORDER, 1) != 1:
        raise UnsupportedSlideError("The slide's bits are stored in reverse order.")


def _palette(directory: Directory) -> Sequence[int]:
    found = directory.integers(COLOUR_MAP, at_most=3 * 256)
    if len(found) != 3 * 256:
        raise DamagedSlideError("The slide's palette has not 256 colours.")
    return found


def _strip(directory: Directory, size: Size) -> Size:
    rows = directory.integer(ROWS_PER_STRIP, size.height)
    if not rows:
        raise DamagedSlideError("The slide claims strips of no rows.")
    return Size(size.width, min(rows, size.height))


def _bounded(directory: Directory, across: int, down: int, low: int, high: int) -> Size:
    size = Size(directory.integer(across), directory.integer(down))
    if not (low <= size.width <= high and low <= size.height <= high):
        raise DamagedSlideError(f"The slide claims an image or tiles of {size.width} × {size.height} pixels.")
    return size


def _places(
    source: ByteSource, directory: Directory, size: Size, piece: Size, planes: int, *, gaps: bool, tiled: bool
) -> tuple[Sequence[int], Sequence[int]]:
    cells = -(-size.width // piece.width) * -(-size.height // piece.height) * planes
    if cells > MAX_TILES:
        raise UnsupportedSlideError(f"The slide claims {cells} tiles in one level, more than can be served.")
    tags = (TILE_OFFSETS, TILE_LENGTHS) if tiled else (STRIP_OFFSETS, STRIP_LENGTHS)
    offsets, lengths = (directory.integers(tag, at_most=MAX_TILES) for tag in tags)
    if len(offsets) != cells or len(lengths) != cells:
        raise DamagedSlideError(f"The slide lists {len(offsets)} tiles where its size asks for {cells}.")
    most = MAX_TILE_BYTES if tiled else MAX_STRIP_BYTES
    if directory.integer(COMPRESSION, PLAIN) == PLAIN:
        most = source.length
    for offset, length in zip(offsets, lengths, strict=True):
        if length == 0 and gaps:
            continue
        if length == 0:
            raise UnsupportedSlideError("The slide has missing tiles; slides with gaps cannot be shown.")
        if offset < 8 or length > most:
            raise DamagedSlideError("A tile of the slide has an impossible place or length.")
        if offset + length > source.length:
            raise DamagedSlideError("The slide is cut short: some of its tiles lie behind the end of the file.")
    return offsets, lengths


def _check_plain(image: Raster) -> None:
    """Without compression, lengths are no news."""
    if image.compression != PLAIN:
        return
    whole = image.piece.area * image.pixel_bytes
    last_rows = image.size.height - (image.grid.height - 1) * image.piece.height
    last = whole if image.tiled else last_rows * image.piece.width * image.pixel_bytes
    rows, cols = image.grid.height, image.grid.width
    for number, length in enumerate(image.lengths):
        if length and length < (last if number // cols % rows == rows - 1 else whole):
            raise DamagedSlideError("A tile of the slide is shorter than its pixels are.")


def _is_progressive(tile: bytes) -> bool:
    """Whether this is the beginning of a progressive JPEG (SOF2); damage is found elsewhere."""
    try:
        return any(segment.marker == _PROGRESSIVE for segment in jpeg.segments(tile))
    except TilerError:
        return False
