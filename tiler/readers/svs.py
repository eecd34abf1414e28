"""Aperio SVS: a TIFF whose tiled images are the levels and whose description holds the scanner's facts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from tiler.errors import UnsupportedSlideError
from tiler.formats import Cell, Format, Handling
from tiler.metadata import MPP_RANGE, POWER_RANGE, SlideMetadata, clean_text, number_within
from tiler.readers import openslide, tiff
from tiler.readers.ifd import Directory
from tiler.readers.tiff import Raster
from tiler.slide import SlideFile, SlideFiles
from tiler.storage.base import ByteSource

_NOT_TILED: Final = "it is not a whole-slide scan"
_GAPS: Final = "missing tiles at full resolution"
_PLANES: Final = "several focal planes"

FORMAT: Final = Format(
    "svs",
    "Aperio SVS",
    "OpenSlide, and tiffslide as a second reader",
    (
        Cell("jpeg-rgb-tables", "JPEG tiles in RGB with shared tables", Handling.STORED),
        Cell("jpeg-ycbcr", "JPEG tiles in YCbCr, each with its tables", Handling.STORED),
        Cell("one-level", "No levels but the finest", Handling.STORED),
        Cell("gaps-below", "Tiles of no length in a reduced level, which is then derived", Handling.STORED),
        Cell("jpeg-2000-rgb", "JPEG 2000 in RGB (33005)", Handling.DECODED),
        Cell("jpeg-2000-ycbcr", "JPEG 2000 in YCbCr with half as many colours (33003)", Handling.DECODED),
        Cell("gaps", "Tiles of no length at full resolution", Handling.REFUSED, _GAPS),
        Cell("focal-planes", "Several focal planes", Handling.REFUSED, _PLANES),
        Cell("sixteen-bit", "16 bits a sample", Handling.REFUSED, "16 bits a sample"),
        Cell("not-tiled", "A first image in strips", Handling.REFUSED, _NOT_TILED),
    ),
)

# Technical fields only: Title, User, Filename and their like hold whatever was typed, often a name.
_TECHNICAL: Final = (
    "AppMag",
    "DisplayColor",
    "Exposure Scale",
    "Exposure Time",
    "Filtered",
    "Focus Offset",
    "Gamma",
    "ICC Profile",
    "Left",
    "LineAreaXOffset",
    "LineAreaYOffset",
    "LineCameraSkew",
    "MPP",
    "OriginalHeight",
    "OriginalWidth",
    "Parmset",
    "StripeWidth",
    "Top",
)


def recognises(found: Sequence[Directory]) -> bool:
    return found[0].text(tiff.DESCRIPTION, at_most=16).startswith("Aperio")


def read(files: SlideFiles, source: ByteSource, found: Sequence[Directory]) -> SlideFile:
    """The slide of an Aperio file: every tiled image is a level; the others are thumbnail, label and macro."""
    tiled = [one for one in found if tiff.TILE_OFFSETS in one]
    if not tiled or tiled[0] is not found[0]:
        raise UnsupportedSlideError(f"The Aperio file's first image is not tiled; {_NOT_TILED}.")
    levels, decoder = tiff.levels(source, _rasters(source, tiled))
    facts = _facts(found[0].text(tiff.DESCRIPTION))
    mpp = number_within(facts.get("MPP"), MPP_RANGE)
    metadata = SlideMetadata(
        format="svs",
        vendor="aperio",
        size=levels[0].size,
        mpp_x=mpp,
        mpp_y=mpp,
        objective_power=number_within(facts.get("AppMag"), POWER_RANGE),
        scanner_manufacturer="Aperio",
        scanner_model=clean_text(facts.get("ScannerType")),
        scanner_serial=clean_text(facts.get("ScanScope ID")),
        acquired_at=_acquired(facts),
        icc_profile_present=tiff.ICC_PROFILE in found[0],
        barcode=clean_text(facts.get("Barcode")),
        properties={f"aperio.{name}": text for name in _TECHNICAL if (text := clean_text(facts.get(name)))},
    )
    return openslide.with_pictures(SlideFile(metadata, levels, tiff.profile(found[0]), decoder), files.path(0))


def _rasters(source: ByteSource, tiled: Sequence[Directory]) -> list[Raster]:
    """The levels that are whole. Some scanners leave out tiles of reduced levels, which are then made from finer ones,
    as OpenSlide makes them; what is missing at full resolution was never scanned or is lost."""
    first, *others = (_raster(source, one) for one in tiled)
    if not all(first.lengths):
        raise UnsupportedSlideError(f"The slide has {_GAPS}; scan or export it again.")
    if any(first.size.fits(one.size) for one in others):
        raise UnsupportedSlideError(f"The Aperio file holds {_PLANES}; export one of them.")
    return [first, *(one for one in others if all(one.lengths))]


def _raster(source: ByteSource, directory: Directory) -> Raster:
    """Aperio's first kind of JPEG 2000 is YCbCr, whatever else the directory says."""
    found = tiff.raster(source, directory, gaps=True)
    is_ycbcr = found.compression == tiff.JPEG_2000_YCBCR and found.samples == 3
    return replace(found, photometric=tiff.YCBCR) if is_ycbcr else found


def _facts(description: str) -> dict[str, str]:
    """`key = value` pairs between bars, after a first part that describes the image."""
    pairs = (part.partition("=") for part in description.split("|")[1:])
    return {key.strip(): value.strip() for key, _, value in pairs}


def _acquired(facts: dict[str, str]) -> datetime | None:
    """When the slide was scanned: month/day/year as Aperio writes it, with a zone only if the file has one."""
    date, time = facts.get("Date", ""), facts.get("Time", "")
    zone = re.fullmatch(r"GMT([+-]\d\d):?(\d\d)", facts.get("Time Zone", ""))
    for year in ("%y", "%Y"):
        form, text = f"%m/%d/{year} %H:%M:%S", f"{date} {time}"
        if zone:
            form, text = form + "%z", text + zone[1] + zone[2]
        try:
            return datetime.strptime(text, form)
        except ValueError:
            continue
    return None
