"""Aperio SVS: a TIFF whose tiled images are the levels and whose description holds the scanner's facts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from tiler.errors import UnsupportedSlideError
from tiler.metadata import MPP_RANGE, POWER_RANGE, SlideMetadata, clean_text, number_within
from tiler.readers import openslide, tiff
from tiler.readers.ifd import Directory
from tiler.slide import SlideFile, SlideFiles
from tiler.storage.base import ByteSource

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
        raise UnsupportedSlideError("The Aperio file's first image is not tiled; it is not a whole-slide scan.")
    levels, decoder = tiff.levels(source, [tiff.raster(source, one) for one in tiled])
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
        properties={f"aperio.{name}": text for name in _TECHNICAL if (text := clean_text(facts.get(name)))},
    )
    return openslide.with_pictures(SlideFile(metadata, levels, tiff.profile(found[0]), decoder), files.path(0))


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
