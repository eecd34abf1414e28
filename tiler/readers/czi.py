"""Zeiss CZI: sub-blocks that overlap in a mosaic, in several scenes, channels and focal planes. All is decoded."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from xml.etree.ElementTree import Element

from tiler import codecs
from tiler.formats import Cell, Format, Handling
from tiler.metadata import FOCAL_PLANE, MPP_RANGE, POWER_RANGE, SlideMetadata, clean_text, number_within
from tiler.readers.czi_scan import Scan, scan
from tiler.readers.zisraw import MAGIC, Container
from tiler.slide import SlideFile
from tiler.storage.base import ByteSource

FORMAT: Final = Format(
    "czi",
    "Zeiss CZI",
    "OpenSlide for 8-bit colour; our own values, windowed as documented, for the rest",
    cells=(
        Cell("uncompressed", "8-bit colour, overlapping mosaic and pyramid, uncompressed", Handling.DECODED),
        Cell("zstd0", "8-bit colour, Zstandard", Handling.DECODED),
        Cell("zstd1", "8-bit colour, Zstandard with a header", Handling.DECODED),
        Cell("jpeg-xr", "8-bit colour, JPEG XR", Handling.DECODED),
        Cell("scenes", "Several scenes on one glass, with pyramids of different depth", Handling.DECODED),
        Cell("colour-16", "16-bit colour, with a stated display window", Handling.DECODED),
        Cell("grey-8", "8-bit grey", Handling.DECODED),
        Cell("grey-16", "16-bit grey, with a stated display window", Handling.DECODED),
        Cell("channels", "Several channels, in their colours with stated display windows", Handling.DECODED),
        Cell("planes", "Several focal planes: the middle one, which is stated", Handling.DECODED),
        Cell("planes-apart", "Focal planes of different places", Handling.REFUSED, "do not show the same places"),
        Cell("time", "Several moments", Handling.REFUSED, "is a time series"),
        Cell("views", "Several rotations, illuminations, phases or angles", Handling.REFUSED, "told apart by"),
        Cell("mixed-channels", "Colour and grey channels in one file", Handling.REFUSED, "channels of different kinds"),
        Cell("float", "Floating point, complex and 32-bit values", Handling.REFUSED, "floating point numbers"),
        Cell("alpha", "Colours with transparency", Handling.REFUSED, "colours with transparency"),
        Cell("jpeg", "Sub-blocks in JPEG", Handling.REFUSED, "stored with JPEG"),
        Cell("lzw", "Sub-blocks in LZW", Handling.REFUSED, "stored with LZW"),
        Cell("camera", "Sub-blocks in a camera's own form", Handling.REFUSED, "a form of the camera's own"),
        Cell("parts", "A slide over several CZI files", Handling.REFUSED, "spread over several files"),
    ),
)


def recognises(head: bytes) -> bool:
    return head.startswith(MAGIC)


def read(source: ByteSource) -> SlideFile:
    """The slide of a CZI file. Raises DamagedSlideError, UnsupportedSlideError."""
    container = Container(source)
    found = scan(container.blocks)
    codecs.require()
    from tiler.readers import czi_pixels

    root = container.description()
    metadata = _metadata(Element("none") if root is None else root, found)
    return czi_pixels.opened(source, container, found, metadata, _colours(root, found.channel_numbers))


def _metadata(root: Element, found: Scan) -> SlideMetadata:
    """What the description says, by an allow-list: names of users, documents and channels stay in the file."""
    information = "Metadata/Information/"
    objective = _attribute(root, information + "Image/ObjectiveSettings/ObjectiveRef", "Id")
    lens = next(
        (one for one in root.iterfind(information + "Instrument/Objectives/Objective") if one.get("Id") == objective),
        Element("none"),
    )
    told = {
        "zeiss.application": _text(root, information + "Application/Name"),
        "zeiss.application-version": _text(root, information + "Application/Version"),
        "zeiss.numerical-aperture": _text(lens, "LensNA"),
        "zeiss.immersion": _text(lens, "Immersion"),
        "zeiss.scenes": str(found.scenes),
        FOCAL_PLANE: f"{found.focal_plane} of {found.focal_planes}" if (found.focal_planes or 1) > 1 else None,
    }
    return SlideMetadata(
        format=FORMAT.name,
        vendor="zeiss",
        size=found.planes[0].size,
        mpp_x=_mpp(root, "X"),
        mpp_y=_mpp(root, "Y"),
        objective_power=number_within(_text(lens, "NominalMagnification"), POWER_RANGE),
        scanner_model=clean_text(_attribute(root, information + "Instrument/Microscopes/Microscope", "Name")),
        acquired_at=_moment(_text(root, information + "Image/AcquisitionDateAndTime")),
        barcode=_text(root, "Metadata/AttachmentInfos/AttachmentInfo/Label/Barcodes/Barcode/Content"),
        focal_planes=found.focal_planes,
        properties={name: value for name, value in told.items() if value},
    )


def _mpp(root: Element, axis: str) -> float | None:
    metres = number_within(_text(root, f"Metadata/Scaling/Items/Distance[@Id='{axis}']/Value"), (0.0, 1.0))
    return number_within(metres * 1e6, MPP_RANGE) if metres else None


def _moment(text: str | None) -> datetime | None:
    try:
        return datetime.fromisoformat(text) if text else None
    except ValueError:
        return None


def _colours(root: Element | None, numbers: Sequence[int]) -> list[tuple[int, int, int] | None]:
    """The colour in which the scanner shows each channel; None where it does not say."""
    if root is None:
        return [None] * len(numbers)
    said: dict[str, tuple[int, int, int]] = {}
    for where in ("Metadata/Information/Image/Dimensions/Channels/Channel", "Metadata/DisplaySetting/Channels/Channel"):
        for channel in root.iterfind(where):
            colour = _colour(_text(channel, "Color"))
            if colour:
                said[channel.get("Id", "")] = colour
    return [said.get(f"Channel:{number}") for number in numbers]


def _colour(text: str | None) -> tuple[int, int, int] | None:
    """Of #AARRGGBB or #RRGGBB."""
    if not text or not text.startswith("#") or len(text) not in (7, 9):
        return None
    try:
        red, green, blue = bytes.fromhex(text[-6:])
    except ValueError:
        return None
    return (red, green, blue) if red or green or blue else None


def _text(element: Element, path: str) -> str | None:
    return clean_text(element.findtext(path))


def _attribute(element: Element, path: str, name: str) -> str | None:
    found = element.find(path)
    return found.get(name) if found is not None else None
