"""Philips TIFF: levels padded to whole tiles, with empty places outside the scanned areas, and the scanner's facts as
XML of DICOM attributes."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final
from xml.etree.ElementTree import Element

from tiler import icc
from tiler.address import grid, tile_region
from tiler.errors import DamagedSlideError, UnsupportedSlideError
from tiler.formats import Cell, Format, Handling
from tiler.geometry import Region, Size
from tiler.metadata import MPP_RANGE, POWER_RANGE, SlideMetadata, clean_text, number_within
from tiler.readers import openslide, patchwork, tiff, xml
from tiler.readers.ifd import Directory
from tiler.readers.patchwork import Patch
from tiler.readers.tiff import Raster
from tiler.slide import SlideFile, SlideFiles
from tiler.storage.base import ByteSource

_TWO_SCANS: Final = "one file must hold one scan"
_NO_SPACING: Final = "its levels and their pixel spacings do not fit together"
_NOT_REDUCED: Final = "holds an image that is no level of the scan"

FORMAT: Final = Format(
    "philips",
    "Philips TIFF",
    "OpenSlide",
    (
        Cell("jpeg", "JPEG tiles; levels padded to whole tiles, shown in their true size", Handling.STORED),
        Cell("sparse", "Places without a tile outside the scanned areas, shown white", Handling.STORED),
        Cell("pictures", "Label and macro in TIFF strips, or in the XML alone", Handling.STORED),
        Cell("uncompressed", "Tiles of another compression than JPEG", Handling.DECODED),
        Cell("two-scans", "Several scans in one file", Handling.REFUSED, _TWO_SCANS),
        Cell("no-spacing", "Levels whose true size is not told", Handling.REFUSED, _NO_SPACING),
        Cell("foreign-image", "Tiled images that are no levels", Handling.REFUSED, _NOT_REDUCED),
    ),
)

# Technical fields only. DICOM_DERIVATION_DESCRIPTION is not one of them: it names the source file.
_TECHNICAL: Final = (
    "DICOM_DATE_OF_LAST_CALIBRATION",
    "DICOM_LOSSY_IMAGE_COMPRESSION",
    "DICOM_LOSSY_IMAGE_COMPRESSION_METHOD",
    "DICOM_LOSSY_IMAGE_COMPRESSION_RATIO",
    "DICOM_SOFTWARE_VERSIONS",
    "DICOM_TIME_OF_LAST_CALIBRATION",
    "PIM_DP_SCANNER_CALIBRATION_STATUS",
    "PIM_DP_SCANNER_RACK_NUMBER",
    "PIM_DP_SCANNER_SLOT_NUMBER",
    "PIM_DP_UFS_INTERFACE_VERSION",
)


def recognises(found: Sequence[Directory]) -> bool:
    software, said = found[0].text(tiff.SOFTWARE, at_most=16), found[0].text(tiff.DESCRIPTION, at_most=4096)
    return software.startswith("Philips") or "DPUfsImport" in said


def read(files: SlideFiles, source: ByteSource, found: Sequence[Directory]) -> SlideFile:
    """The slide of a Philips file: every tiled image is a level. Raises DamagedSlideError, UnsupportedSlideError."""
    said = found[0].data(tiff.DESCRIPTION, at_most=xml.MAX_BYTES)
    if said is None:
        raise UnsupportedSlideError("The Philips file has no description of its levels.")
    root = xml.document(said)
    if root.tag != "DataObject" or root.get("ObjectType") != "DPUfsImport":
        raise UnsupportedSlideError("The file is of a Philips program, but no slide of a Philips scanner.")
    scans = [one for one in _objects(root, "PIM_DP_SCANNED_IMAGES") if _text(one, "PIM_DP_IMAGE_TYPE") == "WSI"]
    if len(scans) != 1:
        raise UnsupportedSlideError(f"The Philips file holds {len(scans)} scans; {_TWO_SCANS}.")
    rasters = _rasters(source, found, scans[0])
    levels, decoder = tiff.levels(source, rasters)
    if decoder is not None:  # of which empty places would be black
        decoder = patchwork.decoder(source, [[Patch(one)] for one in rasters])
    size = levels[0].size
    facts = {**_facts(scans[0]), **_facts(root)}
    down, across = _spacing(facts.get("DICOM_PIXEL_SPACING", "")) or (None, None)
    profile = tiff.profile(found[0]) or _profile(facts)
    metadata = SlideMetadata(
        format=FORMAT.name,
        vendor="philips",
        size=size,
        mpp_x=number_within(across and across * 1000, MPP_RANGE),
        mpp_y=number_within(down and down * 1000, MPP_RANGE),
        objective_power=_objective(facts.get("DICOM_DERIVATION_DESCRIPTION", "")),
        scanner_manufacturer=clean_text(facts.get("DICOM_MANUFACTURER")),
        scanner_model=clean_text(facts.get("DICOM_MANUFACTURERS_MODEL_NAME")),
        scanner_serial=clean_text(facts.get("DICOM_DEVICE_SERIAL_NUMBER")),
        acquired_at=_acquired(facts.get("DICOM_ACQUISITION_DATETIME", "")),
        icc_profile_present=profile is not None,
        barcode=clean_text((_decoded(facts.get("PIM_DP_UFS_BARCODE", "")) or b"").decode("utf-8", errors="replace")),
        bounds=_scanned(rasters[0]),
        properties={f"philips.{name}": text for name in _TECHNICAL if (text := clean_text(facts.get(name)))},
    )
    return openslide.with_pictures(SlideFile(metadata, levels, profile, decoder), files.path(0))


def _rasters(source: ByteSource, found: Sequence[Directory], scan: Element) -> list[Raster]:
    tiled = [one for one in found if tiff.TILE_OFFSETS in one]
    if not tiled or tiled[0] is not found[0] or not all(one.integer(tiff.SUBFILE_TYPE, 0) & 1 for one in tiled[1:]):
        raise UnsupportedSlideError(f"The Philips file {_NOT_REDUCED}.")
    padded = [tiff.raster(source, one, gaps=True) for one in tiled]
    spacings = [
        _spacing(_text(one, "DICOM_PIXEL_SPACING")) for one in _objects(scan, "PIIM_PIXEL_DATA_REPRESENTATION_SEQUENCE")
    ]
    steps = [_step(one, spacings[0]) for one in spacings]
    if len(steps) != len(padded) or not all(steps):
        raise DamagedSlideError(f"The Philips slide contradicts itself: {_NO_SPACING}.")
    full = padded[0].size
    return [
        _trimmed(one, Size(max(1, full.width // step), max(1, full.height // step)))
        for one, step in zip(padded, steps, strict=True)
    ]


def _step(spacing: tuple[float, float] | None, finest: tuple[float, float] | None) -> int:
    """How many level-0 pixels one pixel of a level stands for, always a whole number; 0 when that is not told."""
    if spacing is None or finest is None:
        return 0
    step = (spacing[0] / finest[0] + spacing[1] / finest[1]) / 2
    return round(step) if 1 <= step < 1 << 20 else 0


def _trimmed(image: Raster, size: Size) -> Raster:
    """The level without what pads it to whole tiles."""
    if not size.fits(image.size):
        raise DamagedSlideError(f"The Philips slide contradicts itself: {_NO_SPACING}.")
    cells = grid(size, image.piece)
    if image.planar:
        raise UnsupportedSlideError("The Philips slide stores its colours apart from each other.")
    kept = [row * image.grid.width + col for row in range(cells.height) for col in range(cells.width)]
    return replace(
        image,
        size=size,
        offsets=[image.offsets[number] for number in kept],
        lengths=[image.lengths[number] for number in kept],
    )


def _scanned(image: Raster) -> Region | None:
    """The box around the tiles that there are, None when that is everything."""
    there = [divmod(number, image.grid.width) for number, length in enumerate(image.lengths) if length]
    if not there:
        return None
    first = tile_region(image.size, image.piece, min(col for _, col in there), min(row for row, _ in there))
    last = tile_region(image.size, image.piece, max(col for _, col in there), max(row for row, _ in there))
    box = Region(first.x, first.y, last.x + last.width - first.x, last.y + last.height - first.y)
    return box if box.size != image.size else None


def _facts(node: Element) -> Mapping[str, str]:
    """The attributes of a data object that are plain text."""
    return {one.get("Name", ""): (one.text or "").strip() for one in node.iterfind("Attribute") if not len(one)}


def _text(node: Element, name: str) -> str:
    return _facts(node).get(name, "")


def _objects(node: Element, name: str) -> Iterator[Element]:
    """The data objects in an attribute that is an array of them."""
    for one in node.iterfind("Attribute"):
        if one.get("Name") == name:
            yield from one.iterfind("Array/DataObject")


def _spacing(text: str) -> tuple[float, float] | None:
    """Millimetres between rows and between columns: Pixel Spacing (0028,0030)."""
    try:
        down, across = (float(part.strip(' "')) for part in text.split())
    except ValueError:
        return None
    return (down, across) if 0 < down < 1 and 0 < across < 1 else None


def _objective(derivation: str) -> float | None:
    """Of `…-levels=40,20,…`, the first when it can be a magnification; newer files count levels from 10,000."""
    for part in derivation.split("-sourceFilename=", 1)[0].split("-"):
        name, _, value = part.partition("=")
        if name == "levels":
            return number_within(value.split(",")[0], POWER_RANGE)
    return None


def _acquired(text: str) -> datetime | None:
    """A DICOM DT without a zone, of which fractions of a second are left out."""
    try:
        return datetime.strptime(text.strip(' "').split(".")[0], "%Y%m%d%H%M%S")
    except ValueError:
        return None


def _profile(facts: Mapping[str, str]) -> bytes | None:
    """The ICC profile of the XML: ICC Profile (0028,2000)."""
    found = _decoded(facts.get("DICOM_ICCPROFILE", ""))
    return found if found and len(found) <= icc.MAX_BYTES else None


def _decoded(text: str) -> bytes | None:
    try:
        return base64.b64decode(text.strip(' "'), validate=True) or None
    except (binascii.Error, ValueError):
        return None
