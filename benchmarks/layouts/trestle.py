"""Trestle: a TIFF of tiled levels, an overview of the glass beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.layouts import Makers
from benchmarks.layouts.jpegtiff import Tags, rational, strip, text, tiled
from benchmarks.layouts.specimen import MPP, Pixels, associated, jpeg, pyramid, tissue
from tiler.readers import tiff
from tiler.synthetic.pyramid import TiffWriter

NAME: Final = "slide.tif"
TILE: Final = 256
LEVELS: Final = 3
OVERLAPS: Final = (64, 32, 16)


def make(
    path: Path,
    *,
    overlaps: tuple[int, ...] = (0,) * LEVELS,
    compressed: bool = True,
    in_strips: bool = False,
    companions: bool = False,
) -> Path:
    """The slide; with `companions`, the folder in which it lies beside them."""
    told = " ".join(f"{pixels} {pixels}" for pixels in overlaps)
    facts = (
        f"Objective Power=20;Object Pixel Size={MPP / 1000};OverlapsXY= {told};Background Color=F0F0F0;White Balance=0"
    )
    with path.open("wb") as file:
        writer = TiffWriter(file, big=False)
        for number, pixels in enumerate(pyramid(tissue(), LEVELS)):
            tags = _level(writer, pixels, overlaps[number], compressed=compressed)
            if number == 0:
                tags[tiff.DESCRIPTION] = text(facts)
            # Not as TIFF has it: µm per pixel
            spacing = rational(MPP * 2**number)
            tags |= {tiff.X_RESOLUTION: spacing, tiff.Y_RESOLUTION: spacing, tiff.RESOLUTION_UNIT: (3, [2])}
            writer.directory({**tags, tiff.SOFTWARE: text("MedScan")})
        if in_strips:
            writer.directory(strip(writer, associated("label")))
    if companions:
        path.with_suffix(".Full").write_bytes(jpeg(associated("macro")))
        path.with_suffix(".info").write_text("Slide=H26-00419\n")
    return path.parent if companions else path


def _level(writer: TiffWriter, pixels: Pixels, overlap: int, *, compressed: bool) -> Tags:
    if compressed:
        return tiled(writer, pixels, TILE, overlap=overlap)
    return tiled(writer, pixels, TILE, overlap=overlap, encode=np.ndarray.tobytes, compression=1)


MAKERS: Final[Makers] = {
    "jpeg": lambda folder: make(folder / NAME),
    "companions": lambda folder: make(folder / NAME, companions=True),
    "overlaps": lambda folder: make(folder / NAME, overlaps=OVERLAPS),
    "uncompressed": lambda folder: make(folder / NAME, compressed=False),
    "strips": lambda folder: make(folder / NAME, in_strips=True),
    "wide-overlaps": lambda folder: make(folder / NAME, overlaps=(130, 32, 16)),
}
