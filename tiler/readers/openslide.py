"""What OpenSlide makes of a slide: every pixel of the formats that we cannot pass on, and the associated images of
those that we can."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

import openslide
from openslide import lowlevel
from PIL import Image

from tiler.errors import DamagedSlideError, UnsupportedSlideError
from tiler.geometry import Region, Size
from tiler.index import MAX_LEVELS, MAX_SIDE_PIXELS
from tiler.metadata import MPP_RANGE, PICTURES, POWER_RANGE, SlideMetadata, clean_text, number_within
from tiler.slide import DecodedLevel, Picture, SlideFile

MAX_PICTURE_PIXELS: Final = 64_000_000
_NO_VENDOR: Final = "generic-tiff"
_TWO_FORMATS: Final = "The slide says of itself that it is of one format, and looks like another."
_PAPER: Final = (255, 255, 255)


def read(path: Path, *, format_name: str, vendor: str) -> SlideFile:
    """All levels of a slide that OpenSlide takes for one of this vendor's, each to be decoded by it. Raises
    DamagedSlideError, UnsupportedSlideError."""
    try:
        slide = openslide.OpenSlide(path)
        profile = slide.color_profile
    except openslide.OpenSlideError as error:
        raise DamagedSlideError("The slide cannot be opened; it may be damaged or cut short.") from error
    said = slide.properties
    if said.get(openslide.PROPERTY_NAME_VENDOR) != vendor:
        raise UnsupportedSlideError(_TWO_FORMATS)
    sizes = [Size(*one) for one in slide.level_dimensions[:MAX_LEVELS]]
    if not all(0 < size.width <= MAX_SIDE_PIXELS and 0 < size.height <= MAX_SIDE_PIXELS for size in sizes):
        raise DamagedSlideError(f"The slide claims an image of {sizes[0].width} × {sizes[0].height} pixels.")
    handle = _Handle(slide, path)
    pictures = _pictures(handle)
    metadata = SlideMetadata(
        format=format_name,
        vendor=vendor,
        size=sizes[0],
        mpp_x=number_within(said.get(openslide.PROPERTY_NAME_MPP_X), MPP_RANGE),
        mpp_y=number_within(said.get(openslide.PROPERTY_NAME_MPP_Y), MPP_RANGE),
        objective_power=number_within(said.get(openslide.PROPERTY_NAME_OBJECTIVE_POWER), POWER_RANGE),
        icc_profile_present=profile is not None,
        barcode=clean_text(said.get("openslide.barcode")),
        bounds=_bounds(slide, sizes[0]),
        pictures=tuple(pictures),
    )
    levels = tuple(DecodedLevel(size) for size in sizes)
    return SlideFile(metadata, levels, profile.tobytes() if profile else None, Pixels(handle), pictures)


class _Handle:
    """A slide that OpenSlide opened: after one error it gives nothing more, not even what is sound, unless it is opened
    again."""

    def __init__(self, slide: openslide.OpenSlide, path: Path) -> None:
        self.slide = slide
        self._path = path

    def again(self) -> None:
        try:
            fresh = openslide.OpenSlide(self._path)
        except openslide.OpenSlideError:
            return
        self.slide.close()
        self.slide = fresh


class Pixels:
    """Decodes what OpenSlide opened (`tiler.slide.Decoder`). What it leaves transparent is white."""

    def __init__(self, handle: _Handle) -> None:
        self._handle = handle

    def tile(self, level: int, area: Region) -> Image.Image:
        slide = self._handle.slide
        down = slide.level_downsamples[level]
        corner = (round(area.x * down), round(area.y * down))
        try:
            found = slide.read_region(corner, level, (area.width, area.height))
        except openslide.OpenSlideError as error:
            self._handle.again()
            raise DamagedSlideError("A tile of the slide cannot be decoded.") from error
        return _on_paper(found)


def with_pictures(slide: SlideFile, path: Path) -> SlideFile:
    """The slide with the associated images that OpenSlide finds. Raises DamagedSlideError when OpenSlide sees another
    slide size, UnsupportedSlideError when it sees another vendor's slide: we would only have understood half of it."""
    try:
        other = openslide.OpenSlide(path)
    except openslide.OpenSlideError:
        return slide
    if other.properties.get(openslide.PROPERTY_NAME_VENDOR) not in (slide.metadata.vendor, _NO_VENDOR):
        raise UnsupportedSlideError(_TWO_FORMATS)
    size = slide.metadata.size
    if other.dimensions != (size.width, size.height):
        raise DamagedSlideError(
            f"The slide contradicts itself: it is {size.width} × {size.height} pixels to one reader and "
            f"{other.dimensions[0]} × {other.dimensions[1]} to another."
        )
    pictures = _pictures(_Handle(other, path))
    return replace(slide, metadata=replace(slide.metadata, pictures=tuple(pictures)), pictures=pictures)


def _pictures(handle: _Handle) -> dict[str, Picture]:
    def reader(name: str) -> Picture:
        return lambda: _picture(handle, name)

    names = [*handle.slide.associated_images]  # to ask whether one is among them would decode it
    return {name: reader(name) for name in PICTURES if name in names}


def _picture(handle: _Handle, name: str) -> Image.Image | None:
    """None when OpenSlide cannot read it or it is larger than any should be."""
    slide = handle.slide
    try:
        width, height = lowlevel.get_associated_image_dimensions(slide._osr, name)
        if width * height > MAX_PICTURE_PIXELS:
            return None
        return _on_paper(slide.associated_images[name])
    except openslide.OpenSlideError:
        handle.again()
        return None


def _on_paper(image: Image.Image) -> Image.Image:
    flat = Image.new("RGB", image.size, _PAPER)
    flat.paste(image, mask=image.getchannel("A"))
    return flat


def _bounds(slide: openslide.OpenSlide, size: Size) -> Region | None:
    """Where the scanner found anything, None when it does not say so or it is the whole slide."""
    names = (
        openslide.PROPERTY_NAME_BOUNDS_X,
        openslide.PROPERTY_NAME_BOUNDS_Y,
        openslide.PROPERTY_NAME_BOUNDS_WIDTH,
        openslide.PROPERTY_NAME_BOUNDS_HEIGHT,
    )
    try:
        x, y, width, height = (int(slide.properties[name]) for name in names)
    except (KeyError, ValueError):
        return None
    left, top = max(0, x), max(0, y)
    right, bottom = min(size.width, x + width), min(size.height, y + height)
    bounds = Region(left, top, right - left, bottom - top)
    return bounds if bounds.width > 0 and bounds.height > 0 and bounds.size != size else None
