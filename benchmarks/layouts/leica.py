"""Leica SCN: a BigTIFF with an overview of the glass and scanned areas, laid out by XML in nanometres."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from benchmarks.layouts import Makers
from benchmarks.layouts.jpegtiff import Tags, rational, text, tiled
from benchmarks.layouts.specimen import MPP, Pixels, associated, pyramid, tissue
from tiler.readers import tiff
from tiler.synthetic.pyramid import TiffWriter

NAME: Final = "slide.scn"
NAMESPACE: Final = "http://www.leica-microsystems.com/scn/2010/10/01"
TILE: Final = 256
GLASS: Final = (1_500_000, 3_000_000)  # nanometres; a small piece of a slide, so that OpenSlide's levels stay small
BARCODE: Final = "H26-00418"
STEP: Final = 4


@dataclass(frozen=True, slots=True)
class Area:
    """One scanned area: its focal planes or channels, each in two levels, and where it lies in nanometres."""

    planes: Sequence[Pixels]
    x: int
    y: int
    objective: str = "20"
    light: str = "brightfield"
    by: str = "z"  # what tells the planes apart
    colours: tuple[str, ...] = ()  # of channels


def one_area() -> Area:
    return Area([tissue()], 300_000, 700_000)


def two_areas(second_objective: str = "20") -> list[Area]:
    """Beside each other with a gap between, of different sizes, the left one further down."""
    whole = tissue()
    return [
        Area([whole[:, :480]], 300_000, 800_000),
        Area([whole[:384, 520:]], 599_700, 700_000, objective=second_objective),
    ]


def make(path: Path, areas: Sequence[Area], *, macro: bool = True, compressed: bool = True) -> Path:
    """The overview, if any, then each area plane by plane, finest level first."""
    images = []
    with path.open("wb") as file:
        writer = TiffWriter(file, big=True)
        waiting: list[Tags] = []
        if macro:
            upright = pyramid(np.asarray(Image.fromarray(associated("macro")).rotate(90, expand=True)), 2)
            images.append(_image(Area([upright[0]], 0, 0, "0.60833"), [upright], 0, GLASS))
            waiting += [_level(writer, pixels, compressed=True) for pixels in upright]
        for area in areas:
            planes = [pyramid(pixels, 2, STEP) for pixels in area.planes]
            height, width = area.planes[0].shape[:2]
            images.append(_image(area, planes, len(waiting), (round(width * MPP * 1000), round(height * MPP * 1000))))
            for plane in _order(len(planes)):
                for number, pixels in enumerate(planes[plane]):
                    tags = _level(writer, pixels, compressed=compressed)
                    per_centimetre = rational(10_000 / MPP / STEP**number)
                    tags |= {tiff.X_RESOLUTION: per_centimetre, tiff.Y_RESOLUTION: per_centimetre}
                    waiting.append({**tags, tiff.RESOLUTION_UNIT: (3, [3])})
        waiting[0][tiff.DESCRIPTION] = text(_document(images))
        for tags in waiting:
            writer.directory(tags)
    return path


def _level(writer: TiffWriter, pixels: Pixels, *, compressed: bool) -> Tags:
    if compressed:
        tags = tiled(writer, pixels, TILE)
    else:
        tags = tiled(writer, pixels, TILE, encode=np.ndarray.tobytes, compression=1)
    return {**tags, tiff.SOFTWARE: text("Leica SCN")}


def _document(images: Sequence[str]) -> str:
    barcode = base64.b64encode(BARCODE.encode()).decode()
    return (
        f'<?xml version="1.0" encoding="utf-8"?><scn xmlns="{NAMESPACE}" uuid="urn:uuid:0">'
        f'<collection name="glass" uuid="urn:uuid:9" sizeX="{GLASS[0]}" sizeY="{GLASS[1]}">'
        f"<barcode>{barcode}</barcode>{''.join(images)}</collection></scn>"
    )


def _image(area: Area, planes: Sequence[Sequence[Pixels]], first: int, view: tuple[int, int]) -> str:
    dimensions = ""
    for plane, levels in enumerate(planes):
        number = first + _order(len(planes)).index(plane) * len(levels)
        apart = f' {area.by}="{plane}"' if len(planes) > 1 else ""
        for level, pixels in enumerate(levels):
            height, width = pixels.shape[:2]
            dimensions += f'<dimension sizeX="{width}" sizeY="{height}" r="{level}"{apart} ifd="{number}"/>'
            number += 1
    height, width = planes[0][0].shape[:2]
    channels = "".join(
        f'<channel index="{number}" name="channel" rgb="{rgb}"/>' for number, rgb in enumerate(area.colours)
    )
    return (
        '<image name="image" uuid="urn:uuid:1"><creationDate>2026-01-02T03:04:05.25Z</creationDate>'
        '<device model="Leica SCN400;Leica SCN" version="1.5.1.10864 2012/05/10 13:29:07"/>'
        f'<pixels sizeX="{width}" sizeY="{height}">{dimensions}</pixels>'
        f'<view sizeX="{view[0]}" sizeY="{view[1]}" offsetX="{area.x}" offsetY="{area.y}" spacingZ="0"/>'
        f"<scanSettings><objectiveSettings><objective>{area.objective}</objective></objectiveSettings>"
        "<illuminationSettings><numericalAperture>0.4</numericalAperture>"
        f"<illuminationSource>{area.light}</illuminationSource></illuminationSettings>"
        f"<channelSettings>{channels}</channelSettings></scanSettings></image>"
    )


def _order(planes: int) -> list[int]:
    """In which order planes are in the file: the middle one first, so that the XML has something to tell."""
    return sorted(range(planes), key=lambda plane: abs(plane - planes // 2))


def _planes() -> Area:
    """The middle one in focus."""
    sharp = Image.fromarray(tissue())
    blurred = np.asarray(sharp.reduce(4).resize(sharp.size, Image.Resampling.BICUBIC))
    return Area([blurred, tissue(), blurred], 300_000, 700_000)


def _channels(x: int = 300_000) -> Area:
    """Blue, green and red apart from each other; together they are the tissue again."""
    grey = [np.ascontiguousarray(tissue()[..., number]) for number in (2, 1, 0)]
    colours = ("#0000ff", "#00FF00", "#ff0000")
    return Area(grey, x, 700_000, light="fluorescence", by="c", colours=colours)


def _coloured_channels() -> Area:
    return Area([tissue(), tissue()], 300_000, 700_000, light="fluorescence", by="c")


MAKERS: Final[Makers] = {
    "jpeg": lambda folder: make(folder / NAME, [one_area()]),
    "no-macro": lambda folder: make(folder / NAME, [one_area()], macro=False),
    "focal-planes": lambda folder: make(folder / NAME, [_planes()]),
    "areas": lambda folder: make(folder / NAME, two_areas()),
    "uncompressed": lambda folder: make(folder / NAME, [one_area()], compressed=False),
    "channels": lambda folder: make(folder / NAME, [_channels()]),
    "areas-of-channels": lambda folder: make(folder / NAME, [_channels(), _channels(900_000)]),
    "coloured-channels": lambda folder: make(folder / NAME, [_coloured_channels()]),
    "different-areas": lambda folder: make(folder / NAME, two_areas(second_objective="40")),
    "only-macro": lambda folder: make(folder / NAME, []),
}
