"""Generic TIFF: what libraries write, and what hardly any does."""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image

from benchmarks.layouts import Maker, Makers
from benchmarks.layouts.jpeg2000 import codestream, ycbcr_codestream
from benchmarks.layouts.jpegtiff import SHORT, Tags, tiled
from benchmarks.layouts.specimen import MPP, Pixels, jpeg, pyramid, tissue
from tiler.geometry import Size
from tiler.jpeg import Colour
from tiler.readers import tiff
from tiler.synthetic.pyramid import Coding, Pyramid, TiffWriter, resolution

NAME: Final = "slide.tiff"
TILE: Final = 128
WIDTH, HEIGHT = 700, 500
_PER_CM: Final = (10_000 / MPP, 10_000 / MPP)
Samples = NDArray[Any]


def picture() -> Pixels:
    """What all of them show."""
    return np.ascontiguousarray(tissue()[-HEIGHT:, -WIDTH:])


def grey() -> Pixels:
    return np.asarray(Image.fromarray(picture()).convert("L"))


def library(path: Path, levels: list[Samples], *, order: Literal["<", ">"] = "<", **options: Any) -> Path:
    """As tifffile writes it: the levels one after the other."""
    with tifffile.TiffWriter(path, byteorder=order) as out:
        for number, pixels in enumerate(levels):
            per_cm = tuple(one / 2**number for one in _PER_CM)
            given = {"photometric": "rgb", "resolution": per_cm, "resolutionunit": "CENTIMETER", **options}
            out.write(pixels, subfiletype=int(number > 0), metadata=None, software=False, **given)
    return path


def in_tiles(
    path: Path,
    encode: Callable[[Pixels], bytes],
    compression: int,
    *,
    tile: int = TILE,
    levels: int = 2,
    photometric: int | None = None,
) -> Path:
    """Tiles compressed by ourselves."""
    with _writer(path) as writer:
        for number, pixels in enumerate(pyramid(picture(), levels)):
            tags = tiled(writer, pixels, tile, reduced=number > 0, encode=encode, compression=compression)
            if photometric:
                tags[tiff.PHOTOMETRIC] = (SHORT, [photometric])
            writer.directory({**tags, **resolution(MPP * 2**number)})
    return path


def said_otherwise(path: Path, change: Tags, *, copies: int = 1, **options: Any) -> Path:
    """A JPEG of one level whose directory says something else than it is."""
    with _writer(path) as writer:
        for _ in range(copies):
            writer.directory({**tiled(writer, picture(), TILE, **options), **change})
    return path


@contextmanager
def _writer(path: Path) -> Iterator[TiffWriter]:
    with path.open("wb") as file:
        yield TiffWriter(file, big=False)


def _pyramid(*, levels: int = 2) -> list[Samples]:
    return [*pyramid(picture(), levels)]


def _shared_tables(path: Path) -> Path:
    with _writer(path) as writer:
        size = Size(WIDTH, HEIGHT)
        made = Pyramid(writer, size, TILE, (1, 2), Coding(Colour.RGB, 85))
        made.feed(picture())
        for level in made.levels:
            reduced = level.downsample > 1
            writer.directory({**made.tags(level, reduced=reduced), **resolution(MPP * level.downsample)})
    return path


def _grey_jpeg(path: Path) -> Path:
    with _writer(path) as writer:
        writer.directory(tiled(writer, grey(), TILE, encode=partial(jpeg, subsampling="4:4:4")))
    return path


def _webp(path: Path) -> Path:
    """The finest level lossy, the other without loss."""
    with tifffile.TiffWriter(path) as out:
        for number, pixels in enumerate(_pyramid()):
            given = {"level": 85} if number == 0 else {"lossless": True}
            out.write(
                pixels, subfiletype=int(number > 0), metadata=None, tile=(TILE, TILE), compression="webp",
                compressionargs=given, photometric="rgb",
            )  # fmt: skip
    return path


def _sub_ifds(path: Path) -> Path:
    levels = _pyramid(levels=3)
    with tifffile.TiffWriter(path, bigtiff=True) as out:
        for number, pixels in enumerate(levels):
            below = len(levels) - 1 if number == 0 else 0
            out.write(
                pixels, subifds=below, subfiletype=int(number > 0), metadata=None, tile=(TILE, TILE),
                compression="jpeg", photometric="rgb",
            )  # fmt: skip
    return path


def _palette(path: Path) -> Path:
    image = Image.fromarray(picture()).quantize(256, dither=Image.Dither.NONE)
    colours = np.zeros((256, 3), np.uint16)
    told = np.asarray(image.getpalette(), np.uint16).reshape(-1, 3)
    colours[: len(told)] = told * 257
    options: dict[str, Any] = {
        "photometric": "palette",
        "colormap": colours.T,
        "compression": "deflate",
        "tile": (TILE, TILE),
    }
    return library(path, [np.asarray(image)], **options)


def transparent(pixels: Pixels) -> Pixels:
    """With an alpha that rises from the left to the right."""
    alpha = np.linspace(60, 255, pixels.shape[1]).astype(np.uint8)
    return np.dstack((pixels, np.broadcast_to(alpha, pixels.shape[:2])))


def _progressive(pixels: Pixels) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", quality=85, progressive=True)
    return out.getvalue()


def _lzw(pixels: Pixels) -> bytes:
    from imagecodecs import lzw_encode

    return bytes(lzw_encode(pixels.tobytes()))


def _alpha(path: Path) -> Path:
    levels = [transparent(one) for one in pyramid(picture(), 2)]
    return library(path, levels, extrasamples="unassalpha", compression="deflate", tile=(TILE, TILE))


def _webp_alpha(path: Path) -> Path:
    return library(path, [transparent(picture())], extrasamples="unassalpha", compression="webp", tile=(TILE, TILE))


def _named(make: Callable[[Path], Path]) -> Maker:
    return lambda folder: make(folder / NAME)


_TILES: Final[dict[str, Any]] = {"tile": (TILE, TILE)}
_STRIPS: Final[dict[str, Any]] = {"rowsperstrip": 48}

MAKERS: Final[Makers] = {
    key: _named(make)
    for key, make in {
        "jpeg-ycbcr": lambda path: in_tiles(path, jpeg, 7),
        "jpeg-rgb-tables": _shared_tables,
        "jpeg-grey": _grey_jpeg,
        "webp": _webp,
        "sub-ifds": _sub_ifds,
        "one-level": lambda path: said_otherwise(path, {}),
        "jpeg-progressive": lambda path: in_tiles(path, _progressive, 7),
        "jpeg-strips": lambda path: library(path, _pyramid(), **_STRIPS, compression="jpeg"),
        "webp-alpha": _webp_alpha,
        "jpeg-2000": lambda path: in_tiles(path, codestream, 34712),
        "jpeg-2000-ycbcr": lambda path: in_tiles(path, ycbcr_codestream, 33003, photometric=6),
        "deflate-predictor": lambda path: library(path, _pyramid(), **_TILES, compression="deflate", predictor=True),
        "lzw-odd-tiles": lambda path: in_tiles(path, _lzw, 5, tile=250),
        "zstd-big-endian": lambda path: library(path, _pyramid(), **_TILES, compression="zstd", order=">"),
        "packbits-strips": lambda path: library(path, _pyramid(), **_STRIPS, compression="packbits"),
        "uncompressed-strip": lambda path: library(path, [picture()], rowsperstrip=HEIGHT),
        "planar": lambda path: library(
            path,
            [np.ascontiguousarray(np.moveaxis(one, 2, 0)) for one in _pyramid()],
            **_TILES, compression="deflate", planarconfig="separate",
        ),
        "grey-white-is-zero": lambda path: library(
            path, [255 - grey()], **_TILES, compression="lzw", photometric="miniswhite"
        ),
        "palette": _palette,
        "alpha": _alpha,
        "sixteen-bit": lambda path: library(path, [one.astype(np.uint16) << 4 for one in _pyramid()], **_TILES),
        "sixteen-bit-grey": lambda path: library(
            path, [grey().astype(np.uint16) * 40 + 3000], **_TILES, photometric="minisblack", compression="zstd"
        ),
        "float": lambda path: library(path, [picture().astype(np.float32)], **_TILES),
        "channels": lambda path: library(
            path, [np.dstack((picture(), grey(), grey()))], **_TILES, extrasamples=("unspecified",) * 2
        ),
        "cmyk": lambda path: library(path, [transparent(picture())], **_TILES, photometric="separated"),
        "ycbcr-plain": lambda path: said_otherwise(
            path, {tiff.PHOTOMETRIC: (SHORT, [6])}, encode=lambda pixels: zlib.compress(pixels.tobytes()), compression=8
        ),
        "old-jpeg": lambda path: said_otherwise(path, {tiff.COMPRESSION: (SHORT, [6])}),
        "jpeg-xl": lambda path: library(path, _pyramid(), **_TILES, compression="jpegxl"),
        "turned": lambda path: said_otherwise(path, {tiff.ORIENTATION: (SHORT, [6])}),
        "not-square": lambda path: library(path, _pyramid(), **_TILES, resolution=(20_000, 10_000)),
        "gaps": lambda path: said_otherwise(path, {}, empty={(1, 1)}),
        "several-images": lambda path: said_otherwise(path, {}, copies=2),
    }.items()
}  # fmt: skip
