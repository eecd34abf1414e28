"""Ventana BIF in small: a mosaic of tiles with overlaps, stored side by side, and the XML that tells how they join."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.layouts import Makers
from benchmarks.layouts.jpegtiff import strip, text, tiled
from benchmarks.layouts.specimen import MPP, Pixels, associated, pyramid, tissue
from tiler.readers import tiff
from tiler.synthetic.pyramid import TiffWriter

TILE: Final = 256
LEVELS: Final = 3
OVERLAP: Final = (16, 24)
_XMP: Final = 700
_UNDEFINED: Final = 7


@dataclass(frozen=True, slots=True)
class Area:
    """A scanned area of `cols` × `rows` tiles; `x` from the left, `y` from below all areas, in pixels."""

    cols: int
    rows: int
    x: int = 0
    y: int = 0
    seen: int = 0  # from which column of the specimen on


ONE: Final = (Area(4, 3),)
TWO: Final = (Area(2, 2, 40, 300, 250), Area(2, 2, 700, 0, 460))


def make(
    path: Path,
    areas: Sequence[Area] = ONE,
    *,
    overlap: tuple[int, int] = OVERLAP,
    directions: tuple[str, str] = ("RIGHT", "UP"),
    planes: int = 1,
    joints: bool = True,
    confidence: int = 98,
    stitched: bytes | None = None,
) -> Path:
    """`stitched` takes the place of the XML of level 0; without `joints` there is none."""
    levels = pyramid(_mosaic(areas, overlap), LEVELS)
    packet = stitched or _joints(areas, overlap, directions, confidence).encode()
    with path.open("wb") as file:
        writer = TiffWriter(file, big=True)
        scan = _UNDEFINED, _scan(planes).encode()
        writer.directory({**strip(writer, associated("macro")), tiff.DESCRIPTION: text("Label Image"), _XMP: scan})
        writer.directory({**strip(writer, tissue(300, 200)), tiff.DESCRIPTION: text("Thumbnail")})
        for number, pixels in enumerate(levels):
            tags = tiled(writer, pixels, TILE)
            tags[tiff.DESCRIPTION] = text(f"level={number} mag={20 / 2**number:g} quality=90")
            tags[306] = text("2026:01:02 03:04:05")
            if number == 0 and joints:
                tags[_XMP] = _UNDEFINED, packet
            writer.directory(tags)
    return path


def _mosaic(areas: Sequence[Area], overlap: tuple[int, int]) -> Pixels:
    """The tiles of all areas beside each other, as they are stored: what they share is there twice."""
    step_x, step_y = TILE - overlap[0], TILE - overlap[1]
    height = max(area.rows for area in areas) * TILE
    parts: list[Pixels] = []
    for area in areas:
        part = np.full((height, area.cols * TILE, 3), 255, np.uint8)
        seen = tissue(area.seen + area.cols * TILE, area.rows * TILE)[:, area.seen :]
        for row in range(area.rows):
            for col in range(area.cols):
                tile = seen[row * step_y : row * step_y + TILE, col * step_x : col * step_x + TILE]
                part[row * TILE : (row + 1) * TILE, col * TILE : (col + 1) * TILE] = tile
        parts.append(part)
    return np.concatenate(parts, axis=1)


def _scan(planes: int) -> str:
    return (
        f'<?xml version="1.0"?><Metadata><iScan Magnification="20" ScanRes="{MPP}" UnitNumber="2000515" '
        f'BuildVersion="3.3.1.1" Z-layers="{planes}" Z-spacing="1" ScannerModel="iScan Coreo Au" Barcode1D="26H01234" '
        'UserName="DOE JANE" SlideAnnotation="Jane Doe, 1950"/></Metadata>'
    )


def _joints(areas: Sequence[Area], overlap: tuple[int, int], directions: tuple[str, str], confidence: int) -> str:
    infos = origins = ""
    col = 0
    for number, area in enumerate(areas):
        pairs = [
            _joint(directions[0], area, (x, y), (x + 1, y), (overlap[0], 0), confidence)
            for y in range(area.rows)
            for x in range(area.cols - 1)
        ]
        pairs += [
            _joint(directions[1], area, (x, y), (x, y - 1), (0, overlap[1]), confidence)
            for y in range(1, area.rows)
            for x in range(area.cols)
        ]
        infos += (
            f'<ImageInfo AOIScanned="1" AOIIndex="{number}" NumRows="{area.rows}" NumCols="{area.cols}" '
            f'Width="{TILE}" Height="{TILE}" Pos-X="{area.x}" Pos-Y="{area.y}">{"".join(pairs)}</ImageInfo>'
        )
        origins += f'<AOI{number} OriginX="{col * TILE}" OriginY="0"/>'
        col += area.cols
    return (
        f'<?xml version="1.0"?><EncodeInfo Ver="2"><SlideStitchInfo>{infos}</SlideStitchInfo>'
        f"<AoiOrigin>{origins}</AoiOrigin></EncodeInfo>"
    )


def _joint(
    direction: str, area: Area, one: tuple[int, int], other: tuple[int, int], shared: tuple[int, int], confidence: int
) -> str:
    return (
        f'<TileJointInfo FlagJoined="1" Confidence="{confidence}" Direction="{direction}" Tile1="{_tile(area, *one)}" '
        f'Tile2="{_tile(area, *other)}" OverlapX="{shared[0]}" OverlapY="{shared[1]}"/>'
    )


def _tile(area: Area, col: int, row: int) -> int:
    """The stage runs from below to above, there and back: so the tiles are numbered."""
    up = area.rows - row - 1
    return up * area.cols + (area.cols - col - 1 if up % 2 else col) + 1


MAKERS: Final[Makers] = {
    "overlaps": lambda folder: make(folder / "overlaps.bif"),
    "areas": lambda folder: make(folder / "areas.bif", TWO),
    "no-areas": lambda folder: make(folder / "no-areas.tif", overlap=(0, 0), joints=False),
    "joined-left": lambda folder: make(folder / "left.bif", directions=("LEFT", "UP")),
    "focal-planes": lambda folder: make(folder / "planes.bif", planes=3),
}
