"""OME-TIFF: a TIFF whose first description says, as XML, what each of its images is: which channel, focal plane and
moment of which picture. Resolutions are SubIFDs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final
from xml.etree.ElementTree import Element

from PIL import Image

from tiler import codecs
from tiler.errors import DamagedSlideError, TilerError, UnsupportedSlideError
from tiler.formats import Cell, Format, Handling
from tiler.geometry import Size
from tiler.metadata import (
    FOCAL_PLANE,
    MAX_FOCAL_PLANES,
    MPP_RANGE,
    PICTURES,
    POWER_RANGE,
    SlideMetadata,
    clean_text,
    number_within,
)
from tiler.readers import tiff, xml
from tiler.readers.ifd import MAX_DIRECTORIES, Directory
from tiler.readers.openslide import MAX_PICTURE_PIXELS
from tiler.readers.tiff import Raster
from tiler.slide import Picture, SlideFile, SlideFiles
from tiler.storage.base import ByteSource

_STORED, _DECODED, _REFUSED = Handling.STORED, Handling.DECODED, Handling.REFUSED
_SCHEMA: Final = "openmicroscopy.org/Schemas/OME"
_MAX_SERIES: Final = 256
_NAMED: Final = 5  # so many missing files are named
# An image of this share of the largest could be the slide as well.
_AS_LARGE: Final = 0.25
_UM: Final = {"nm": 1e-3, "µm": 1.0, "μm": 1.0, "um": 1.0, "mm": 1e3, "cm": 1e4, "m": 1e6, "Å": 1e-4}
_PICTURES: Final = {"label": "label", "macro": "macro", "overview": "macro", "thumbnail": "thumbnail"}

FORMAT: Final = Format(
    "ome",
    "OME-TIFF",
    "tifffile, whose values are windowed as documented; OpenSlide for what it reads of it",
    (
        Cell("jpeg", "JPEG tiles, resolutions in SubIFDs, label and macro", _STORED),
        Cell("jpeg-rgb", "JPEG tiles in RGB, one resolution", _STORED),
        Cell("jpeg-called-rgb", "JPEG tiles in YCbCr that the TIFF calls RGB, as Bio-Formats writes them", _STORED),
        Cell("webp", "WebP tiles, resolutions in SubIFDs", _STORED),
        Cell("deflate", "Deflate and the other compressions of TIFF", _DECODED),
        Cell("jpeg-2000", "JPEG 2000 under the numbers of Bio-Formats (33003 to 33005), also of 16 bits", _DECODED),
        Cell("planar", "Planar colours", _DECODED),
        Cell("three-channels", "Red, green and blue as three channels of 8 bits", _DECODED),
        Cell("colour-16", "16-bit colour, with a stated display window", _DECODED),
        Cell("grey-16", "16-bit grey, with a stated display window", _DECODED),
        Cell("signed", "Signed values, with a stated display window", _DECODED),
        Cell("channels", "Up to 8 channels, in their colours with stated display windows", _DECODED),
        Cell("planes", "Several focal planes: the middle one, which is stated", _DECODED),
        Cell("time", "Several moments", _REFUSED, "is a time series"),
        Cell("many-channels", "More than 8 channels", _REFUSED, "up to 8 can be shown together"),
        Cell("float", "Floating-point values", _REFUSED, "floating-point numbers"),
        Cell("32-bit", "Values of 32 bits", _REFUSED, "32 bits a sample"),
        Cell("several-files", "Images in other files", _REFUSED, "lie in other files"),
        Cell("companion", "The description in another file", _REFUSED, "description is in another file"),
        Cell("several-images", "Several images of full size", _REFUSED, "several images"),
        Cell("not-square", "Pixels that are not square", _REFUSED, "pixels are not square"),
    ),
)


@dataclass(frozen=True, slots=True)
class Series:
    """One image of the description (OME: Image and its Pixels)."""

    element: Element
    pixels: Element
    size: Size
    depth: int
    moments: int
    channels: tuple[Element, ...]
    samples: int
    """What a pixel has in all channels together (SizeC)."""

    @property
    def picture(self) -> str | None:
        """Which of the associated images it is, by its name."""
        words = self.element.get("Name", "").lower().split()
        return next((_PICTURES[word] for word in words if word in _PICTURES), None) if len(words) <= 2 else None


def recognises(found: Sequence[Directory]) -> bool:
    return _SCHEMA in found[0].text(tiff.DESCRIPTION, at_most=4096)


def read(files: SlideFiles, source: ByteSource, found: Sequence[Directory]) -> SlideFile:
    """The slide of an OME-TIFF: its largest image. Raises DamagedSlideError, UnsupportedSlideError,
    CodecsNeededError."""
    root = xml.document(found[0].data(tiff.DESCRIPTION, at_most=xml.MAX_BYTES) or b"")
    _refuse_other_files(root)
    series = [*_series(root)]
    slide = _slide(series)
    if slide.moments > 1:
        raise UnsupportedSlideError("The slide is a time series; only one moment can be shown.")
    plane = slide.depth // 2
    places = _places(slide)
    images = [_image(found, slide, places.get((channel, plane, 0))) for channel in range(len(slide.channels))]
    pictures = _pictures(source, found, series, slide)
    metadata = replace(_metadata(root, slide, images[0]), pictures=tuple(name for name in PICTURES if name in pictures))
    if pictures:
        codecs.require()
    profile = tiff.profile(images[0])
    if len(images) == 1 and _is_plain(images[0]):
        levels, decoder = tiff.levels(source, _rasters(source, images[0], deep=False))
        return SlideFile(metadata, levels, profile, decoder, pictures)
    rasters = [_rasters(source, image, deep=True) for image in images]
    _check_alike(rasters)
    if sum(resolutions[0].samples for resolutions in rasters) != slide.samples:
        raise DamagedSlideError("The slide's description gives its images other channels than they have.")
    codecs.require()
    from tiler.readers import ome_pixels

    colours = _colours(slide) if slide.samples == len(slide.channels) else [None] * slide.samples
    return ome_pixels.opened(source, rasters, colours, SlideFile(metadata, (), profile, None, pictures))


def _refuse_other_files(root: Element) -> None:
    elsewhere = root.find("{*}BinaryOnly")
    if elsewhere is not None:
        name = clean_text(elsewhere.get("MetadataFile")) or "which it does not name"
        raise UnsupportedSlideError(f"The slide's description is in another file, {name}. Send one whole OME-TIFF.")
    found = [*root.iterfind("{*}Image/{*}Pixels/{*}TiffData/{*}UUID")]
    own = root.get("UUID") or next(((one.text or "").strip() for one in found), "")
    names: list[str] = []
    for one in found:
        if (one.text or "").strip() != own:
            name = clean_text(one.get("FileName")) or "one without a name"
            if name not in names:
                names.append(name)
    if names:
        some = ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
        raise UnsupportedSlideError(f"Parts of the slide lie in other files: {some[:160]}. Send one whole OME-TIFF.")


def _series(root: Element) -> Iterator[Series]:
    """All images that the description knows. Raises DamagedSlideError."""
    for number, element in enumerate(root.iterfind("{*}Image")):
        if number == _MAX_SERIES:
            raise UnsupportedSlideError(f"The file holds more than {_MAX_SERIES} images; it is not one slide.")
        pixels = element.find("{*}Pixels")
        if pixels is None:
            continue
        channels = tuple(pixels.iterfind("{*}Channel"))
        samples = _count(pixels, "SizeC")
        if len(channels) > samples:
            raise DamagedSlideError("The slide's description contradicts itself.")
        yield Series(
            element=element,
            pixels=pixels,
            size=Size(_count(pixels, "SizeX"), _count(pixels, "SizeY")),
            depth=_count(pixels, "SizeZ"),
            moments=_count(pixels, "SizeT"),
            channels=channels or (Element("Channel"),) * samples,
            samples=samples,
        )


def _count(element: Element, name: str) -> int:
    text = element.get(name, "")
    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text)):
        raise DamagedSlideError(f"The slide's description has no sound {name}.")
    return int(text)


def _slide(series: Sequence[Series]) -> Series:
    """The one image that is the slide."""
    able = [one for one in series if one.picture is None]
    if not able:
        raise DamagedSlideError("The slide's description knows no image.")
    largest = max(able, key=lambda one: one.size.area)
    if sum(one.size.area >= _AS_LARGE * largest.size.area for one in able) > 1:
        raise UnsupportedSlideError(
            "The file holds several images of full size, and does not say which of them is the slide."
        )
    if largest.depth > MAX_FOCAL_PLANES:
        raise UnsupportedSlideError("The slide has more focal planes than any scanner makes.")
    return largest


def _image(found: Sequence[Directory], series: Series, number: int | None) -> Directory:
    """The directory of this number, which is to be of a series. Raises DamagedSlideError."""
    if number is None or number >= len(found):
        raise DamagedSlideError("The slide's description names images that the file does not hold.")
    image = found[number]
    if Size(image.integer(tiff.WIDTH), image.integer(tiff.HEIGHT)) != series.size:
        raise DamagedSlideError("The slide's description gives its images another size than they have.")
    return image


def _places(series: Series) -> Mapping[tuple[int, int, int], int]:
    """The number of the directory of each channel, focal plane and moment, in the file's own row of images. Raises
    DamagedSlideError, also where one of them is said to be in two places."""
    extents = {"C": len(series.channels), "Z": series.depth, "T": series.moments}
    order = series.pixels.get("DimensionOrder", "XYZCT")[2:]
    if sorted(order) != ["C", "T", "Z"]:
        raise DamagedSlideError("The slide's description has no sound order of dimensions.")
    total = extents["C"] * extents["Z"] * extents["T"]
    if total > MAX_DIRECTORIES:
        raise UnsupportedSlideError(f"The file holds more than {MAX_DIRECTORIES} images; it is not one slide.")
    parts = [*series.pixels.iterfind("{*}TiffData")] or [Element("TiffData")]
    places: dict[tuple[int, int, int], int] = {}
    for part in parts[: MAX_DIRECTORIES + 1]:
        first = {axis: _number(part, f"First{axis}", 0) for axis in "CZT"}
        if any(first[axis] >= extents[axis] for axis in "CZT"):
            continue  # of no plane that there is: some writers count the samples of a colour as channels
        number = _number(part, "IFD", 0)
        planes = _number(part, "PlaneCount", total if part.get("IFD") is None else 1)
        strides = (1, extents[order[0]], extents[order[0]] * extents[order[1]])
        start = sum(first[axis] * stride for axis, stride in zip(order, strides, strict=True))
        for step in range(min(planes, total - start)):
            at = {axis: (start + step) // stride % extents[axis] for axis, stride in zip(order, strides, strict=True)}
            if places.setdefault((at["C"], at["Z"], at["T"]), number + step) != number + step:
                raise DamagedSlideError("The slide's description contradicts itself.")
    return places


def _number(element: Element, name: str, default: int) -> int:
    text = element.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise DamagedSlideError(f"The slide's description has no sound {name}.")
    return int(text)


def _is_plain(image: Directory) -> bool:
    """Whether it is what any TIFF of 8 bits may be: grey, a palette or colours."""
    bits = {*image.integers(tiff.BITS, at_most=64)}
    kinds = {*image.integers(tiff.SAMPLE_FORMAT, at_most=64)} or {1}
    colours = 3 if image.integer(tiff.PHOTOMETRIC, 0) in (tiff.RGB, tiff.YCBCR) else 1
    return bits == {8} and kinds == {1} and image.integer(tiff.SAMPLES, 1) in (colours, colours + 1)


def _rasters(source: ByteSource, image: Directory, *, deep: bool) -> list[Raster]:
    """All resolutions of an image, full resolution first."""
    return sorted(
        (tiff.raster(source, one, deep=deep) for one in (image, *image.children())), key=lambda one: -one.size.area
    )


def _check_alike(channels: Sequence[Sequence[Raster]]) -> None:
    """Raises DamagedSlideError unless all channels have the same resolutions and the same kind of values."""
    for resolutions in channels:
        if [one.size for one in resolutions] != [one.size for one in channels[0]]:
            raise DamagedSlideError("The slide's channels have different sizes.")
    kinds = {(one.bits, one.signed, one.samples) for resolutions in channels for one in resolutions}
    coloured = any(one[0].photometric in (tiff.RGB, tiff.YCBCR, tiff.PALETTE) for one in channels)
    if len(kinds) > 1 or (coloured and (len(channels) > 1 or channels[0][0].samples != 3)):
        raise UnsupportedSlideError("The slide has channels of different kinds, which cannot be shown together.")


def _pictures(
    source: ByteSource, found: Sequence[Directory], series: Sequence[Series], slide: Series
) -> dict[str, Picture]:
    def reader(image: Directory) -> Picture:
        def picture() -> Image.Image | None:
            from tiler.readers import ome_pixels

            return ome_pixels.picture(source, image)

        return picture

    pictures: dict[str, Picture] = {}
    for one in series:
        if one is slide or one.picture is None or one.picture in pictures or one.size.area > MAX_PICTURE_PIXELS:
            continue
        try:
            pictures[one.picture] = reader(_image(found, one, _places(one).get((0, one.depth // 2, 0))))
        except TilerError:
            continue
    return pictures


def _metadata(root: Element, slide: Series, image: Directory) -> SlideMetadata:
    """What the description says, by an allow-list: names of images, channels and people stay in the file."""
    settings = slide.element.find("{*}ObjectiveSettings")
    ids = {} if settings is None else {"lens": settings.get("ID", "")}
    lens = _by_id(root.iterfind("{*}Instrument/{*}Objective"), ids.get("lens"))
    used = slide.element.find("{*}InstrumentRef")
    instrument = _by_id(root.iterfind("{*}Instrument"), used.get("ID") if used is not None else None)
    microscope = instrument.find("{*}Microscope")
    scope = Element("Microscope") if microscope is None else microscope
    mpp_x, mpp_y = _mpp(slide.pixels, "X"), _mpp(slide.pixels, "Y")
    told = {
        "ome.creator": root.get("Creator"),
        "ome.type": slide.pixels.get("Type"),
        "ome.significant-bits": slide.pixels.get("SignificantBits"),
        "ome.numerical-aperture": lens.get("LensNA"),
        FOCAL_PLANE: f"{slide.depth // 2 + 1} of {slide.depth}" if slide.depth > 1 else None,
    }
    return SlideMetadata(
        format=FORMAT.name,
        vendor="ome",
        size=slide.size,
        mpp_x=mpp_x,
        mpp_y=mpp_y,
        objective_power=number_within(lens.get("NominalMagnification"), POWER_RANGE),
        scanner_manufacturer=clean_text(scope.get("Manufacturer")),
        scanner_model=clean_text(scope.get("Model")),
        scanner_serial=clean_text(scope.get("SerialNumber")),
        acquired_at=_moment(slide.element.findtext("{*}AcquisitionDate")),
        icc_profile_present=tiff.ICC_PROFILE in image,
        focal_planes=slide.depth,
        properties={name: text for name, value in told.items() if (text := clean_text(value))},
    )


def _by_id(elements: Iterator[Element], wanted: str | None) -> Element:
    """An empty element where there is none."""
    return next((one for one in elements if wanted and one.get("ID") == wanted), Element("none"))


def _mpp(pixels: Element, axis: str) -> float | None:
    unit = _UM.get(pixels.get(f"PhysicalSize{axis}Unit", "µm"))
    size = number_within(pixels.get(f"PhysicalSize{axis}"), (0.0, 1e9))
    return number_within(size * unit, MPP_RANGE) if size and unit else None


def _moment(text: str | None) -> datetime | None:
    try:
        return datetime.fromisoformat(text.strip()) if text else None
    except ValueError:
        return None


def _colours(slide: Series) -> list[tuple[int, int, int] | None]:
    """The colour of each channel; None where the description has none. White says nothing."""
    return [_colour(channel.get("Color")) for channel in slide.channels]


def _colour(text: str | None) -> tuple[int, int, int] | None:
    """Of red, green, blue and alpha in one signed number."""
    try:
        value = int(text or "-1") & 0xFFFFFFFF
    except ValueError:
        return None
    red, green, blue, _ = value.to_bytes(4)
    return None if (red, green, blue) in ((0, 0, 0), (255, 255, 255)) else (red, green, blue)
