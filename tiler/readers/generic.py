"""Generic TIFF and BigTIFF: one image, in tiles or strips, and its copies at lower resolutions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from tiler import codecs
from tiler.errors import UnsupportedSlideError
from tiler.formats import Cell, Format, Handling
from tiler.geometry import Size
from tiler.metadata import SlideMetadata, clean_text
from tiler.readers import openslide, tiff
from tiler.readers.ifd import Directory
from tiler.slide import SlideFile, SlideFiles
from tiler.storage.base import ByteSource

_STORED, _DECODED, _REFUSED = Handling.STORED, Handling.DECODED, Handling.REFUSED

FORMAT: Final = Format(
    "tiff",
    "Generic TIFF and BigTIFF",
    "OpenSlide; tifffile where that cannot",
    (
        Cell("jpeg-ycbcr", "JPEG tiles in YCbCr", _STORED),
        Cell("jpeg-rgb-tables", "JPEG tiles in RGB with shared tables", _STORED),
        Cell("jpeg-grey", "Grey JPEG tiles", _STORED),
        Cell("webp", "WebP tiles, lossy and lossless, as image/webp", _STORED),
        Cell("sub-ifds", "BigTIFF whose levels are SubIFDs", _STORED),
        Cell("one-level", "No levels but the finest", _STORED),
        Cell("jpeg-progressive", "Progressive JPEG tiles", _DECODED),
        Cell("jpeg-strips", "JPEG strips", _DECODED),
        Cell("webp-alpha", "WebP tiles with alpha", _DECODED),
        Cell("jpeg-2000", "JPEG 2000 tiles (34712, 33003 to 33005)", _DECODED),
        Cell("jpeg-2000-ycbcr", "JPEG 2000 tiles in YCbCr, with half as many colours", _DECODED),
        Cell("deflate-predictor", "Deflate with a predictor", _DECODED),
        Cell("lzw-odd-tiles", "LZW in tiles whose sides are no multiples of 16", _DECODED),
        Cell("zstd-big-endian", "Zstandard, big-endian", _DECODED),
        Cell("packbits-strips", "PackBits in strips", _DECODED),
        Cell("uncompressed-strip", "No compression, one strip", _DECODED),
        Cell("planar", "Planar colours", _DECODED),
        Cell("grey-white-is-zero", "8-bit grey, of which 0 is white", _DECODED),
        Cell("palette", "8-bit palette", _DECODED),
        Cell("alpha", "RGB with alpha, shown on white", _DECODED),
        Cell("sixteen-bit", "16 bits a colour, shown through a window that is told", _DECODED),
        Cell("sixteen-bit-grey", "16-bit grey, shown through a window that is told", _DECODED),
        Cell("float", "Floating-point samples", _REFUSED, "floating-point numbers"),
        Cell("channels", "More channels than colours", _REFUSED, "several channels"),
        Cell("cmyk", "CMYK, CIELab and other colours", _REFUSED, "neither grey, RGB nor YCbCr"),
        Cell("ycbcr-plain", "YCbCr without JPEG", _REFUSED, "YCbCr without JPEG"),
        Cell("old-jpeg", "The old JPEG scheme (6)", _REFUSED, "the old JPEG scheme of TIFF"),
        Cell("jpeg-xl", "JPEG XL, JPEG XR, LZMA, fax and other compressions", _REFUSED, "stored with JPEG XL"),
        Cell("turned", "Orientation other than 1", _REFUSED, "stored turned or mirrored"),
        Cell("not-square", "Pixels that are not square", _REFUSED, "pixels are not square"),
        Cell("gaps", "Missing tiles", _REFUSED, "missing tiles"),
        Cell("several-images", "Several images of full size", _REFUSED, "several images"),
    ),
)


def read(files: SlideFiles, source: ByteSource, found: Sequence[Directory]) -> SlideFile:
    """The slide of a generic TIFF: its first image and the copies of it at reduced resolution (NewSubfileType bit 0),
    in the file's own row of images or below the first. Raises DamagedSlideError, UnsupportedSlideError,
    CodecsNeededError."""
    main, others = found[0], [*found[1:], *found[0].children()]
    deep = {*main.integers(tiff.BITS, at_most=64)} == {16}
    first = tiff.raster(source, main, deep=deep)
    if deep and not first.plain:
        raise UnsupportedSlideError("The slide has several channels, and does not say how to show them.")
    _refuse_several(main, others)
    mpp_x, mpp_y = tiff.spacing(main)
    reduced = [one for one in others if _kind(one) == tiff.REDUCED and _belongs(one, main)]
    rasters = sorted([first, *(tiff.raster(source, one, deep=deep) for one in reduced)], key=lambda one: -one.size.area)
    metadata = SlideMetadata(
        format=FORMAT.name,
        vendor="generic",
        size=rasters[0].size,
        mpp_x=mpp_x,
        mpp_y=mpp_y,
        scanner_manufacturer=clean_text(main.text(tiff.MAKE)),
        scanner_model=clean_text(main.text(tiff.MODEL)),
        icc_profile_present=tiff.ICC_PROFILE in main,
    )
    slide = SlideFile(metadata, (), tiff.profile(main))
    if deep:
        codecs.require()
        from tiler.readers import ome_pixels

        return ome_pixels.opened(source, [rasters], [None], slide)
    levels, decoder = tiff.levels(source, rasters)
    return openslide.with_pictures(replace(slide, levels=levels, decoder=decoder), files.path(0))


def _refuse_several(main: Directory, others: Sequence[Directory]) -> None:
    """A picture of the same size that is no copy is another plane, channel or moment: which is the slide?"""
    for one in others:
        if not _kind(one) and _size(main).fits(_size(one)):
            raise UnsupportedSlideError(
                "The file holds several images of full size, and does not say which of them is the slide."
            )


def _belongs(one: Directory, main: Directory) -> bool:
    """Whether a reduced image is stored like the main one. Others are labels and the like, which TIFF gives the same
    mark; those that are not tiled have to be told by their proportions."""
    tiled = tiff.TILE_OFFSETS in main
    if (tiff.TILE_OFFSETS in one) != tiled or tiled:
        return (tiff.TILE_OFFSETS in one) == tiled
    full, size = _size(main), _size(one)
    return size.area > 0 and abs(size.width * full.height - size.height * full.width) <= max(full.width, full.height)


def _kind(directory: Directory) -> int:
    """REDUCED, MASK, both, or 0 for an image in its own right."""
    return directory.integer(tiff.SUBFILE_TYPE, 0) & (tiff.REDUCED | tiff.MASK)


def _size(directory: Directory) -> Size:
    return Size(directory.integer(tiff.WIDTH), directory.integer(tiff.HEIGHT))
