"""Ventana BIF: areas of tiles that overlap, placed by how well their seams fit. All pixels come from OpenSlide."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final
from xml.etree.ElementTree import Element

from tiler.errors import DamagedSlideError, UnsupportedSlideError
from tiler.formats import Cell, Format, Handling
from tiler.geometry import Region, Size
from tiler.index import MAX_TILES
from tiler.metadata import clean_text
from tiler.readers import openslide, tiff, xml
from tiler.readers.ifd import Directory
from tiler.slide import SlideFile, SlideFiles
from tiler.storage.base import ByteSource

FORMAT: Final = Format(
    "bif",
    "Ventana BIF",
    "OpenSlide",
    (
        Cell("overlaps", "tiles that overlap, joined to the right and upwards", Handling.DECODED),
        Cell("areas", "several scanned areas on one glass: shown as they lie", Handling.DECODED),
        Cell("no-areas", "Ventana TIFF, without areas and overlaps", Handling.DECODED),
        Cell(
            "joined-left",
            "tiles joined to the left or downwards (VENTANA DP scanners)",
            Handling.REFUSED,
            "as VENTANA DP scanners join them",
        ),
        Cell("focal-planes", "several focal planes", Handling.REFUSED, "focal planes of a Ventana slide"),
    ),
)

_XMP: Final = 700
_MAX_AREAS: Final = 1000
_MAX_SIDE: Final = 2_000_000
_SCANNED: Final = "iScan"
_DIRECTIONS: Final = {"RIGHT": 0, "UP": 1}
_OTHER_DIRECTIONS: Final = {"LEFT": "to the left", "DOWN": "downwards"}
# Attributes of the scan, under OpenSlide's names; what a person typed is not among them.
_TECHNICAL: Final = (
    "BuildDate",
    "BuildVersion",
    "Magnification",
    "Mode",
    "ScanMode",
    "ScanRes",
    "ScanWhitePoint",
    "ScannerModel",
    "UnitNumber",
    "Z-layers",
    "Z-spacing",
)
_BARCODES: Final = ("BarCode2D", "Barcode2D", "BarCode1D", "Barcode1D")


@dataclass(frozen=True, slots=True)
class _Area:
    """One scanned area: its place in the grid of stored tiles, and its left edge among the areas."""

    cols: range
    rows: range
    left: int


def recognises(found: Sequence[Directory]) -> bool:
    return _SCANNED.encode() in (_xmp(found[0]) or b"")


def read(files: SlideFiles, source: ByteSource, found: Sequence[Directory]) -> SlideFile:
    """The slide of a Ventana file. Raises DamagedSlideError, UnsupportedSlideError."""
    said = _scan(found[0])
    if _number(said, "Z-layers", 1) > 1:
        raise UnsupportedSlideError("The focal planes of a Ventana slide cannot be told apart; scan a single one.")
    level = next((one for one in found if one.text(tiff.DESCRIPTION, at_most=16).startswith("level=0")), None)
    if level is None:
        raise DamagedSlideError("The Ventana file holds no scan.")
    stitched = _xmp(level)
    areas = _areas(xml.document(stitched), level) if stitched else []
    slide = openslide.read(files.path(0), format_name="bif", vendor="ventana")
    size = slide.metadata.size
    left = min((area.left for area in areas), default=0)
    barcodes = (clean_text(said.get(name)) for name in _BARCODES)
    metadata = replace(
        slide.metadata,
        scanner_manufacturer="Ventana",
        scanner_model=clean_text(said.get("ScannerModel")),
        scanner_serial=clean_text(said.get("UnitNumber")),
        acquired_at=_acquired(level) or _acquired(found[0]),
        barcode=next((code for code in barcodes if code), None),
        bounds=Region(left, 0, size.width - left, size.height) if 0 < left < size.width else None,
        properties={f"ventana.{name}": text for name in _TECHNICAL if (text := clean_text(said.get(name)))},
    )
    return replace(slide, metadata=metadata)


def _scan(first: Directory) -> Mapping[str, str]:
    """What the scanner says of the scan: the attributes of ``iScan``, the root or a child of it."""
    root = xml.document(_xmp(first) or b"")
    found = root if root.tag == _SCANNED else root.find(_SCANNED)
    if found is None:
        raise DamagedSlideError("The Ventana file does not say how it was scanned.")
    return found.attrib


def _areas(root: Element, level: Directory) -> list[_Area]:
    """The scanned areas. Raises unless all of them can be placed: within the stored tiles, by joints of known
    directions."""
    infos, origins = root.findall("SlideStitchInfo/ImageInfo"), [*(root.find("AoiOrigin") or ())]
    if not 0 < len(infos) == len(origins) <= _MAX_AREAS:
        raise DamagedSlideError("The Ventana file does not say where its scanned areas lie.")
    tile = Size(level.integer(tiff.TILE_WIDTH), level.integer(tiff.TILE_HEIGHT))
    if not tile.area:
        raise DamagedSlideError("The slide claims tiles of no size.")
    grid = Size(-(-level.integer(tiff.WIDTH) // tile.width), -(-level.integer(tiff.HEIGHT) // tile.height))
    areas: list[_Area] = []
    weights = [0, 0]
    for info, origin in zip(infos, origins, strict=True):
        if not _number(info.attrib, "AOIScanned"):
            continue
        areas.append(_area(info, origin, tile, grid))
        for joint in info.iter("TileJointInfo"):
            direction = joint.get("Direction", "")
            if direction in _OTHER_DIRECTIONS:
                raise UnsupportedSlideError(
                    f"The slide's tiles are joined {_OTHER_DIRECTIONS[direction]}, as VENTANA DP scanners join them; "
                    "they could not be placed for certain. Export the slide as DICOM."
                )
            if direction not in _DIRECTIONS:
                raise DamagedSlideError("The slide's tiles are joined in no known direction.")
            weights[_DIRECTIONS[direction]] += _number(joint.attrib, "Confidence")
    if not areas:
        raise DamagedSlideError("The Ventana file does not say where its scanned areas lie.")
    if sum(len(area.cols) * len(area.rows) for area in areas) > MAX_TILES:
        raise UnsupportedSlideError(f"The slide has more than {MAX_TILES} tiles.")
    # Where a tile comes to lie is the mean of all joints; without any there is no mean.
    for weight, single in zip(weights, (_single(areas, "cols"), _single(areas, "rows")), strict=True):
        if not weight:
            where = "has a single column or row of tiles" if single else "has tiles that are not joined"
            raise UnsupportedSlideError(f"The Ventana slide {where}; they cannot be placed.")
    return areas


def _single(areas: Sequence[_Area], direction: str) -> bool:
    return all(len(getattr(area, direction)) == 1 for area in areas)


def _area(info: Element, origin: Element, tile: Size, grid: Size) -> _Area:
    x, y = _number(origin.attrib, "OriginX"), _number(origin.attrib, "OriginY")
    cols, rows = _number(info.attrib, "NumCols"), _number(info.attrib, "NumRows")
    left, bottom = _number(info.attrib, "Pos-X"), _number(info.attrib, "Pos-Y")
    first = Size(x // tile.width, y // tile.height)
    if not (
        0 <= first.width < first.width + cols <= grid.width
        and 0 <= first.height < first.height + rows <= grid.height
        and 0 <= left < _MAX_SIDE
        and 0 <= bottom < _MAX_SIDE
    ):
        raise DamagedSlideError("A scanned area of the Ventana file lies outside its image.")
    return _Area(range(first.width, first.width + cols), range(first.height, first.height + rows), left)


def _number(said: Mapping[str, str], name: str, default: int | None = None) -> int:
    """A whole number, which may be written with a fraction. Raises DamagedSlideError."""
    text = said.get(name, "" if default is None else str(default))
    try:
        value = float(text) if len(text) < 32 else math.nan
    except ValueError:
        value = math.nan
    if not abs(value) < 2**31:
        raise DamagedSlideError(f"The Ventana file has no sound number {name}.")
    return int(value)


def _xmp(directory: Directory) -> bytes | None:
    return directory.data(_XMP, at_most=xml.MAX_BYTES)


def _acquired(directory: Directory) -> datetime | None:
    try:
        return datetime.strptime(directory.text(tiff.DATE_TIME), "%Y:%m:%d %H:%M:%S")
    except ValueError:
        return None
