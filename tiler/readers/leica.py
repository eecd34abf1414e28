"""Leica SCN: a BigTIFF whose XML says where on the glass each of its images lies: an overview of the whole glass and
one or several scanned areas, each with levels of its own."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Final
from xml.etree.ElementTree import Element

from PIL import Image

from tiler import codecs
from tiler.address import grid
from tiler.errors import DamagedSlideError, TilerError, UnsupportedSlideError
from tiler.formats import Cell, Format, Handling
from tiler.geometry import Region, Size
from tiler.index import MAX_SIDE_PIXELS, MAX_TILES
from tiler.metadata import (
    FOCAL_PLANE,
    MAX_FOCAL_PLANES,
    MPP_RANGE,
    POWER_RANGE,
    SlideMetadata,
    clean_text,
    number_within,
)
from tiler.readers import openslide, patchwork, tiff, xml
from tiler.readers.ifd import Directory
from tiler.readers.patchwork import Patch
from tiler.readers.tiff import Raster
from tiler.slide import DECODED_TILE, DecodedLevel, Decoder, Picture, SlideFile, SlideFiles
from tiler.storage.base import ByteSource

_NAMESPACES: Final = tuple(f"http://www.leica-microsystems.com/scn/2010/{day}" for day in ("10/01", "03/10"))
_AREAS_OF_CHANNELS: Final = "several areas of several fluorescence channels"
_COLOURED: Final = "its fluorescence channels are stored in colour"
_DIFFERENT: Final = "its areas were scanned in different ways"
_ONLY_MACRO: Final = "holds no scan, only an overview of the glass"

FORMAT: Final = Format(
    "leica",
    "Leica SCN",
    "OpenSlide",
    (
        Cell("jpeg", "One scanned area of JPEG tiles", Handling.STORED),
        Cell("no-macro", "One scanned area without an overview of the glass", Handling.STORED),
        Cell("focal-planes", "Several focal planes, of which the middle one is shown", Handling.STORED),
        Cell("areas", "Several scanned areas, shown where they lie on the glass", Handling.DECODED),
        Cell("channels", "Up to 8 grey fluorescence channels of one area, in their colours", Handling.DECODED),
        Cell("uncompressed", "Tiles of another compression than JPEG", Handling.DECODED),
        Cell(
            "areas-of-channels", "Several areas of several fluorescence channels", Handling.REFUSED, _AREAS_OF_CHANNELS
        ),
        Cell("coloured-channels", "Fluorescence channels stored in colour", Handling.REFUSED, _COLOURED),
        Cell("different-areas", "Areas of different objectives or light", Handling.REFUSED, _DIFFERENT),
        Cell("only-macro", "An overview without a scan", Handling.REFUSED, _ONLY_MACRO),
    ),
)
# A second area may differ by so little in its resolution: views are rounded to nanometres.
_ALIKE: Final = 0.02
_MAX_IMAGES: Final = 100


@dataclass(frozen=True, slots=True)
class _Image:
    """One image of the collection: its place on the glass in nanometres, and of its middle focal plane the levels of
    each channel."""

    place: Region
    channels: tuple[tuple[Directory, ...], ...]
    planes: int
    plane: int
    objective: str
    light: str
    node: Element

    @property
    def levels(self) -> tuple[Directory, ...]:
        return self.channels[0]

    def nanometres(self, level: int) -> float:
        """How wide a pixel is."""
        return self.place.width / self.levels[level].integer(tiff.WIDTH)


def recognises(found: Sequence[Directory]) -> bool:
    return "leica-microsystems.com/scn" in found[0].text(tiff.DESCRIPTION, at_most=4096)


def read(files: SlideFiles, source: ByteSource, found: Sequence[Directory]) -> SlideFile:
    """The slide of a Leica file. Raises DamagedSlideError, UnsupportedSlideError."""
    root = xml.document(found[0].data(tiff.DESCRIPTION, at_most=xml.MAX_BYTES) or b"")
    space = next((each for each in _NAMESPACES if root.tag == f"{{{each}}}scn"), None)
    collection = None if space is None else root.find(f"{{{space}}}collection")
    if space is None or collection is None:
        raise UnsupportedSlideError("The Leica file's description is of a form that is not known.")
    for node in root.iter():  # each name without its namespace
        node.tag = node.tag.rpartition("}")[2]
    glass = Region(0, 0, *_numbers(collection, "sizeX", "sizeY"))
    nodes = collection.findall("image")
    if len(nodes) > _MAX_IMAGES:
        raise UnsupportedSlideError(f"The Leica file holds more than {_MAX_IMAGES} images.")
    overviews = [node for node in nodes if _place(node) == glass and _light(node) in ("brightfield", "")]
    areas = [_image(node, found) for node in nodes if _place(node) != glass]
    if not areas:
        raise UnsupportedSlideError(f"The Leica file {_ONLY_MACRO}.")
    slide = _slide(source, areas, collection)
    pictures = _pictures(source, overviews[:1], found)
    return replace(slide, metadata=replace(slide.metadata, pictures=tuple(pictures)), pictures=pictures)


def _slide(source: ByteSource, areas: Sequence[_Image], collection: Element) -> SlideFile:
    first = areas[0]
    for one in areas[1:]:
        if not _alike(one, first):
            raise UnsupportedSlideError(f"The Leica slide cannot be shown as one picture: {_DIFFERENT}.")
    profile = tiff.profile(first.levels[0])
    if len(first.channels) > 1:
        return _of_channels(source, areas, collection, profile)
    common = min(len(area.levels) for area in areas)  # a small area may not need as many
    rasters = [[tiff.raster(source, each) for each in area.levels[:common]] for area in areas]
    levels, decoder = tiff.levels(source, rasters[0])
    if len(areas) > 1:
        patches = [_laid_out(areas, rasters, level) for level in range(common)]
        levels, decoder = tuple(DecodedLevel(_extent(each)) for each in patches), patchwork.decoder(source, patches)
    return SlideFile(_metadata(areas, collection, levels[0].size, profile), levels, profile, decoder)


def _of_channels(source: ByteSource, areas: Sequence[_Image], collection: Element, profile: bytes | None) -> SlideFile:
    """One area whose channels are put together, each in its colour. Raises CodecsNeededError."""
    if len(areas) > 1:
        raise UnsupportedSlideError(f"The Leica slide has {_AREAS_OF_CHANNELS}.")
    channels = [[tiff.raster(source, each, deep=True) for each in channel] for channel in areas[0].channels]
    if any(each.samples != 1 for channel in channels for each in channel):
        raise UnsupportedSlideError(f"The Leica slide cannot be shown as one picture: {_COLOURED}.")
    codecs.require()
    from tiler.readers import ome_pixels

    slide = SlideFile(_metadata(areas, collection, channels[0][0].size, profile), (), profile)
    return ome_pixels.opened(source, channels, _colours(areas[0].node, len(channels)), slide)


def _colours(node: Element, channels: int) -> list[tuple[int, int, int] | None]:
    """In which each channel is to be shown, None where the description has no colour or no such channel."""
    told = {
        each.get("index", ""): each.get("rgb", "") for each in node.iterfind("scanSettings/channelSettings/channel")
    }
    found = (re.fullmatch("#?([0-9a-fA-F]{6})", told.get(str(number), "")) for number in range(channels))
    return [(*bytes.fromhex(each[1]),) if each else None for each in found]


def _metadata(areas: Sequence[_Image], collection: Element, size: Size, profile: bytes | None) -> SlideMetadata:
    first, node = areas[0], areas[0].node
    device = node.find("device")
    said = {} if device is None else device.attrib
    properties = {
        "leica.device-version": said.get("version"),
        "leica.illumination-source": first.light,
        "leica.numerical-aperture": node.findtext("scanSettings/illuminationSettings/numericalAperture"),
        "leica.areas": str(len(areas)),
        "leica.offset-x-nm": str(min(area.place.x for area in areas)),
        "leica.offset-y-nm": str(min(area.place.y for area in areas)),
        FOCAL_PLANE: f"{first.plane} of {first.planes}" if first.planes > 1 else None,
    }
    return SlideMetadata(
        format=FORMAT.name,
        vendor="leica",
        size=size,
        mpp_x=_mpp(first, tiff.X_RESOLUTION, first.place.width / first.levels[0].integer(tiff.WIDTH)),
        mpp_y=_mpp(first, tiff.Y_RESOLUTION, first.place.height / first.levels[0].integer(tiff.HEIGHT)),
        objective_power=number_within(first.objective or None, POWER_RANGE),
        scanner_manufacturer="Leica",
        scanner_model=clean_text(said.get("model", "").split(";")[0]),
        acquired_at=_acquired(node.findtext("creationDate") or ""),
        icc_profile_present=profile is not None,
        barcode=_barcode(collection),
        focal_planes=first.planes if first.planes > 1 else None,
        properties={name: text for name, value in properties.items() if (text := clean_text(value))},
    )


def _image(node: Element, found: Sequence[Directory]) -> _Image:
    dimensions = node.findall("pixels/dimension")
    planes = sorted({_index(each, "z") for each in dimensions})
    if not planes or len(planes) > MAX_FOCAL_PLANES:
        raise DamagedSlideError("The Leica slide has an image without pixels.")
    middle = len(planes) // 2
    shown = [each for each in dimensions if _index(each, "z") == planes[middle]]
    channels = [
        _levels([each for each in shown if _index(each, "c") == channel], found)
        for channel in sorted({_index(each, "c") for each in shown})
    ]
    if len({tuple(map(_size, levels)) for levels in channels}) > 1:
        raise DamagedSlideError("The Leica slide has channels of different sizes.")
    return _Image(
        place=_place(node),
        channels=tuple(channels),
        planes=len(planes),
        plane=middle + 1,
        objective=(node.findtext("scanSettings/objectiveSettings/objective") or "").strip(),
        light=_light(node),
        node=node,
    )


def _levels(dimensions: Sequence[Element], found: Sequence[Directory]) -> tuple[Directory, ...]:
    """The directories of one channel of one plane, the finest first."""
    levels = []
    for each in dimensions:
        width, height, number = _numbers(each, "sizeX", "sizeY", "ifd")
        if number >= len(found):
            raise DamagedSlideError("The Leica slide names an image that its file does not hold.")
        if _size(found[number]) != Size(width, height) or not width:
            raise DamagedSlideError("The Leica slide gives an image two different sizes.")
        levels.append(found[number])
    return tuple(sorted(levels, key=lambda each: -_size(each).width))


def _size(directory: Directory) -> Size:
    return Size(directory.integer(tiff.WIDTH), directory.integer(tiff.HEIGHT))


def _index(dimension: Element, axis: str) -> int:
    return _numbers(dimension, axis)[0] if axis in dimension.attrib else 0


def _place(node: Element) -> Region:
    """Where on the glass an image lies, in nanometres."""
    view = node.find("view")
    if view is None:
        raise DamagedSlideError("The Leica slide does not say where one of its images lies.")
    place = Region(*_numbers(view, "offsetX", "offsetY", "sizeX", "sizeY"))
    if not place.size.area:
        raise DamagedSlideError("The Leica slide does not say where one of its images lies.")
    return place


def _light(node: Element) -> str:
    return (node.findtext("scanSettings/illuminationSettings/illuminationSource") or "").strip()


def _alike(one: _Image, first: _Image) -> bool:
    kinds = [(each.objective, each.light, each.planes, len(each.channels)) for each in (one, first)]
    common = range(min(len(one.levels), len(first.levels)))
    return kinds[0] == kinds[1] and all(
        abs(one.nanometres(level) / first.nanometres(level) - 1) <= _ALIKE for level in common
    )


def _laid_out(areas: Sequence[_Image], rasters: Sequence[Sequence[Raster]], level: int) -> list[Patch]:
    """One level of all areas, in the box around them."""
    pixel = min(area.nanometres(level) for area in areas)
    corners = [(int(area.place.x / pixel), int(area.place.y / pixel)) for area in areas]  # rounded as by OpenSlide
    left, top = min(x for x, _ in corners), min(y for _, y in corners)
    patches = [Patch(each[level], x - left, y - top) for (x, y), each in zip(corners, rasters, strict=True)]
    size = _extent(patches)
    if max(size.width, size.height) > MAX_SIDE_PIXELS or grid(size, DECODED_TILE).area > MAX_TILES:
        raise DamagedSlideError(f"The slide claims an image of {size.width} × {size.height} pixels.")
    return patches


def _extent(patches: Sequence[Patch]) -> Size:
    return Size(
        max(patch.x + patch.size.width for patch in patches),
        max(patch.y + patch.size.height for patch in patches),
    )


def _pictures(source: ByteSource, overviews: Sequence[Element], found: Sequence[Directory]) -> dict[str, Picture]:
    """The overview of the glass, in the largest of its sizes that is no larger than a picture should be; none when it
    is damaged: the scan is not."""
    with suppress(TilerError):
        for directory in [each for node in overviews for each in _image(node, found).levels]:
            patch = Patch(tiff.raster(source, directory))
            if patch.size.area <= openslide.MAX_PICTURE_PIXELS:
                return {"macro": partial(_decoded, patchwork.decoder(source, [[patch]]), patch.size)}
    return {}


def _decoded(decoder: Decoder, size: Size) -> Image.Image | None:
    """None when a part of it is damaged."""
    try:
        found = decoder.tile(0, Region(0, 0, size.width, size.height))
    except TilerError:
        return None
    return None if isinstance(found, bytes) else found


def _numbers(node: Element, *names: str) -> tuple[int, ...]:
    try:
        found = tuple(int(node.get(name, "")) for name in names)
    except ValueError:
        found = (-1,)
    if not all(0 <= number < 1 << 40 for number in found):
        raise DamagedSlideError("The Leica slide's description lacks a number or has an impossible one.")
    return found


def _mpp(image: _Image, tag: int, nanometres: float) -> float | None:
    """From pixels per centimetre (TIFF resolution unit 3), else from the size of what was scanned."""
    per_centimetre = image.levels[0].rational(tag)
    if per_centimetre and image.levels[0].integer(tiff.RESOLUTION_UNIT, 2) == 3:
        return number_within(10_000 / per_centimetre, MPP_RANGE)
    return number_within(nanometres / 1000, MPP_RANGE)


def _barcode(collection: Element) -> str | None:
    """Of base64 since the form of October 2010, before as it is."""
    encoded = collection.findtext("barcode")
    if encoded is None:
        return clean_text(collection.get("barcode"))
    try:
        return clean_text(base64.b64decode(encoded.strip(), validate=True).decode("utf-8", errors="replace"))
    except (binascii.Error, ValueError):
        return None


def _acquired(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text.strip())
    except ValueError:
        return None
