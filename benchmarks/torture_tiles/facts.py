"""What a slide's own tags say of it, read by others than our readers: OpenSlide, pydicom, tifffile."""

from __future__ import annotations

import contextlib
import math
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Final

import openslide
import pydicom
import tifffile

from benchmarks.torture_tiles.references import entry
from tiler.geometry import Region, Size
from tiler.metadata import MPP_RANGE, PICTURES, SlideMetadata, number_within

Facts = dict[str, object]
"""Fields of `SlideMetadata` as another reader tells them; None: the file says nothing. What the reader cannot tell is
not there."""

_NEAR: Final = 1e-4
# Where each vendor's own tags are in what OpenSlide tells: make, model, serial number, time.
_VENDORS: Final[Mapping[str, tuple[str, str, str, str]]] = {
    "aperio": ("", "", "aperio.ScanScope ID", "aperio.Date"),
    "hamamatsu": ("tiff.Make", "tiff.Model", "", "tiff.DateTime"),
    "leica": ("", "leica.device-model", "", "leica.creation-date"),
    "philips": (
        "philips.DICOM_MANUFACTURER",
        "philips.DICOM_MANUFACTURERS_MODEL_NAME",
        "philips.DICOM_DEVICE_SERIAL_NUMBER",
        "philips.DICOM_ACQUISITION_DATETIME",
    ),
    "ventana": ("", "", "ventana.UnitNumber", ""),
    "mirax": ("", "", "", "mirax.GENERAL.SLIDE_CREATIONDATETIME"),
}
_TIMES: Final = (
    "%m/%d/%y %H:%M:%S",
    "%m/%d/%y %H:%M:%S%z",
    "%Y:%m:%d %H:%M:%S",
    "%d/%m/%Y %H:%M:%S",
    "%Y-%m-%dT%H:%M:%S.%f%z",
    "%Y-%m-%dT%H:%M:%S%z",
    "%Y%m%d%H%M%S.%f",
    "%Y%m%d%H%M%S",
)
_UNITS: Final = {"µm": 1.0, "mm": 1e3, "nm": 1e-3, "cm": 1e4, "m": 1e6}


def facts(files: Mapping[str, Path], size: Size) -> Facts:
    """All that can be told of a slide whose full resolution has this size."""
    path = entry(files)
    with path.open("rb") as file:
        head = file.read(132)
    if head[128:] == b"DICM":
        return _dicom(files, size)
    told: Facts = {}
    if head[:2] in (b"II", b"MM"):
        with contextlib.suppress(tifffile.TiffFileError), tifffile.TiffFile(path) as tiff:
            if tiff.is_ome and tiff.ome_metadata:
                return _ome(tiff.ome_metadata, size)
    with contextlib.suppress(openslide.OpenSlideError), openslide.OpenSlide(path) as slide:
        told |= _openslide(slide, size)
        if slide.properties.get("openslide.vendor") == "hamamatsu":
            told["scanner_serial"] = _ndpi_serial(path)
    return told


def _ndpi_serial(path: Path) -> str | None:
    with tifffile.TiffFile(path) as tiff:
        first = tiff.pages[0]
        tag = first.tags.get(65442) if isinstance(first, tifffile.TiffPage) else None
        return _word(tag.value) if tag else None


def differing(told: Facts, metadata: SlideMetadata) -> dict[str, tuple[object, object]]:
    """Fields that are not as told: what they are, what they should be."""
    return {
        name: (getattr(metadata, name), wanted)
        for name, wanted in told.items()
        if not _same(getattr(metadata, name), wanted)
    }


def _same(ours: object, wanted: object) -> bool:
    if isinstance(ours, float) and isinstance(wanted, float):
        return math.isclose(ours, wanted, rel_tol=_NEAR)
    return ours == wanted


def _openslide(slide: openslide.OpenSlide, size: Size) -> Facts:
    said = slide.properties
    vendor = said.get("openslide.vendor", "")
    whole = Size(*slide.dimensions)
    told: Facts = {
        # A slide whose pixels are a third of a millimetre wide says how it is to be printed.
        "mpp_x": number_within(said.get("openslide.mpp-x"), MPP_RANGE),
        "mpp_y": number_within(said.get("openslide.mpp-y"), MPP_RANGE),
        "objective_power": _number(said.get("openslide.objective-power")),
        "icc_profile_present": slide.color_profile is not None,
        "pictures": tuple(name for name in PICTURES if name in slide.associated_images),
    }
    told |= {"size": whole} if whole == size else {}
    if whole == size and "openslide.bounds-x" in said:
        told["bounds"] = _bounds(said, whole)
    if "openslide.barcode" in said:
        told["barcode"] = said["openslide.barcode"]
    if vendor in _VENDORS:
        make, model, serial, when = (said.get(name) if name else None for name in _VENDORS[vendor])
        model = model.split(";")[0] if model else None
        told |= {"scanner_manufacturer": make} if make else {}
        told |= {"scanner_model": model} if model else {}
        told |= {"scanner_serial": serial} if _VENDORS[vendor][2] else {}
        if vendor == "aperio":
            zone = said.get("aperio.Time Zone", "").removeprefix("GMT")
            when = f"{said.get('aperio.Date')} {said.get('aperio.Time')}{zone}"
        told |= {"acquired_at": _time(when)} if _VENDORS[vendor][3] else {}
    return told


def _bounds(said: Mapping[str, str], size: Size) -> Region | None:
    x, y, width, height = (int(said[f"openslide.bounds-{name}"]) for name in ("x", "y", "width", "height"))
    left, top = max(0, x), max(0, y)
    found = Region(left, top, min(size.width, x + width) - left, min(size.height, y + height) - top)
    return None if found.size == size else found


def _dicom(files: Mapping[str, Path], size: Size) -> Facts:
    whole = None
    kinds: set[str] = set()
    barcode = None
    for path in files.values():
        instance = pydicom.dcmread(path, stop_before_pixels=True, force=True)
        of = [str(word) for word in instance.get("ImageType", [])]
        kinds |= {"LABEL": {"label"}, "OVERVIEW": {"macro"}, "THUMBNAIL": {"thumbnail"}}.get((of + [""] * 3)[2], set())
        barcode = barcode or _word(instance.get("BarcodeValue"))
        columns, rows = (instance.get(f"TotalPixelMatrix{name}") for name in ("Columns", "Rows"))
        if (columns, rows) == (size.width, size.height) and "VOLUME" in of:
            whole = instance
    if whole is None:
        return {}
    spacing = _spacing(whole)
    optics = whole.OpticalPathSequence[0] if whole.get("OpticalPathSequence") else pydicom.Dataset()
    power = optics.get("ObjectiveLensPower")
    return {
        "size": size,
        "mpp_x": spacing[1] if spacing else None,
        "mpp_y": spacing[0] if spacing else None,
        "objective_power": float(power) if power else None,
        "scanner_manufacturer": _word(whole.get("Manufacturer")),
        "scanner_model": _word(whole.get("ManufacturerModelName")),
        "scanner_serial": _word(whole.get("DeviceSerialNumber")),
        "acquired_at": _time(str(whole.get("AcquisitionDateTime") or "")),
        "icc_profile_present": "ICCProfile" in optics,
        "barcode": barcode,
        "pictures": tuple(name for name in PICTURES if name in kinds),
    }


def _spacing(whole: pydicom.Dataset) -> tuple[float, float] | None:
    shared = whole.get("SharedFunctionalGroupsSequence") or [pydicom.Dataset()]
    measures = shared[0].get("PixelMeasuresSequence") or [pydicom.Dataset()]
    spacing = measures[0].get("PixelSpacing")
    return (float(spacing[0]) * 1000, float(spacing[1]) * 1000) if spacing else None


def _ome(described: str, size: Size) -> Facts:
    root = ET.fromstring(described)
    space = root.tag.partition("}")[0] + "}"
    for image in root.iter(f"{space}Image"):
        pixels = image.find(f"{space}Pixels")
        if pixels is None or (pixels.get("SizeX"), pixels.get("SizeY")) != (str(size.width), str(size.height)):
            continue
        told: Facts = {"size": size}
        for field, name in (("mpp_x", "PhysicalSizeX"), ("mpp_y", "PhysicalSizeY")):
            number = _number(pixels.get(name))
            told[field] = number * _UNITS.get(pixels.get(f"{name}Unit", "µm"), math.nan) if number else None
        used = image.find(f"{space}ObjectiveSettings")
        lenses = {lens.get("ID"): lens for lens in root.iter(f"{space}Objective")}
        lens = lenses.get(used.get("ID")) if used is not None else None
        told["objective_power"] = _number(lens.get("NominalMagnification")) if lens is not None else None
        return told
    return {}


def _number(text: Any) -> float | None:
    try:
        return float(text)
    except (TypeError, ValueError):
        return None


def _word(value: object) -> str | None:
    return str(value).strip() or None if value is not None else None


def _time(text: str | None) -> datetime | None:
    for form in _TIMES:
        with contextlib.suppress(ValueError):
            return datetime.strptime(text or "", form)
    # DICOM's, with an offset from UTC.
    if text and len(text) > 5 and text[-5] in "+-":
        plain = _time(text[:-5])
        minutes = int(text[-4:-2]) * 60 + int(text[-2:])
        offset = timezone(timedelta(minutes=-minutes if text[-5] == "-" else minutes))
        return plain.replace(tzinfo=offset) if plain else None
    return None
