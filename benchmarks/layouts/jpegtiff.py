"""Tiled JPEG images in a TIFF, put together tile by tile: gaps, overlaps, whatever a vendor does with them."""

from __future__ import annotations

import struct
from collections.abc import Callable, Collection, Sequence

import numpy as np

from benchmarks.layouts.specimen import Pixels, jpeg
from tiler.readers import tiff
from tiler.synthetic.pyramid import TiffWriter

SHORT, LONG, ASCII, RATIONAL, UNDEFINED = 3, 4, 2, 5, 7
Tags = dict[int, tuple[int, Sequence[int] | bytes]]


def tiled(
    writer: TiffWriter,
    pixels: Pixels,
    tile: int,
    *,
    reduced: bool = False,
    overlap: int = 0,
    empty: Collection[tuple[int, int]] = (),
    encode: Callable[[Pixels], bytes] = jpeg,
    compression: int = 7,
) -> Tags:
    """The directory of an image whose tiles are now in the file: each shares `overlap` pixels with the next; those
    (column, row) that are `empty` are left out. The image is as large as it would be without overlaps, so as vendors
    with overlaps count."""
    step = tile - overlap
    height, width = pixels.shape[:2]
    cols, rows = -(-max(1, width - overlap) // step), -(-max(1, height - overlap) // step)
    down, across = rows * step + overlap - height, cols * step + overlap - width
    whole = np.pad(pixels, ((0, down), (0, across), *[(0, 0)] * (pixels.ndim - 2)), mode="edge")
    offsets, lengths = [], []
    for row in range(rows):
        for col in range(cols):
            data = b""
            if (col, row) not in empty:
                data = encode(whole[row * step : row * step + tile, col * step : col * step + tile])
            offsets.append(writer.append(data) if data else 0)
            lengths.append(len(data))
    grey = pixels.ndim == 2
    tags: Tags = {
        tiff.SUBFILE_TYPE: (LONG, [int(reduced)]),
        tiff.WIDTH: (LONG, [width + (cols - 1) * overlap]),
        tiff.HEIGHT: (LONG, [height + (rows - 1) * overlap]),
        tiff.BITS: (SHORT, [8] if grey else [8, 8, 8]),
        tiff.COMPRESSION: (SHORT, [compression]),
        tiff.PHOTOMETRIC: (SHORT, [1 if grey else 6 if compression == 7 else 2]),
        tiff.SAMPLES: (SHORT, [1 if grey else 3]),
        tiff.PLANAR: (SHORT, [1]),
        tiff.TILE_WIDTH: (LONG, [tile]),
        tiff.TILE_HEIGHT: (LONG, [tile]),
        tiff.TILE_OFFSETS: (writer.place, offsets),
        tiff.TILE_LENGTHS: (LONG, lengths),
    }
    if not grey and compression == 7:
        tags[530] = (SHORT, [2, 1])  # YCbCrSubSampling of `specimen.jpeg`
    return tags


def strip(writer: TiffWriter, pixels: Pixels) -> Tags:
    """The directory of an image in a single JPEG strip."""
    data = jpeg(pixels)
    return {
        tiff.SUBFILE_TYPE: (LONG, [1]),
        tiff.WIDTH: (LONG, [pixels.shape[1]]),
        tiff.HEIGHT: (LONG, [pixels.shape[0]]),
        tiff.BITS: (SHORT, [8, 8, 8]),
        tiff.COMPRESSION: (SHORT, [7]),
        tiff.PHOTOMETRIC: (SHORT, [6]),
        tiff.SAMPLES: (SHORT, [3]),
        273: (writer.place, [writer.append(data)]),  # StripOffsets
        278: (LONG, [pixels.shape[0]]),  # RowsPerStrip
        279: (LONG, [len(data)]),  # StripByteCounts
        530: (SHORT, [2, 1]),
    }


def text(value: str) -> tuple[int, bytes]:
    return ASCII, value.encode() + b"\0"


def rational(value: float) -> tuple[int, bytes]:
    return RATIONAL, struct.pack("<II", round(value * 1000), 1000)
