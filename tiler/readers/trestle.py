"""Trestle: a TIFF of levels whose tiles may overlap, beside it a picture of the whole glass in a file of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Final

from PIL import Image, JpegImagePlugin

from tiler.errors import DamagedSlideError, NotASlideError, UnsupportedSlideError
from tiler.formats import Cell, Format, Handling
from tiler.metadata import MPP_RANGE, POWER_RANGE, SlideMetadata, clean_text, number_within
from tiler.readers import openslide, patchwork, tiff
from tiler.readers.ifd import Directory, directories
from tiler.readers.patchwork import Patch
from tiler.slide import DecodedLevel, Picture, SlideFile, SlideFiles, StoredLevel
from tiler.storage.base import ByteSource

_STRIPS: Final = "holds an image that is not tiled"
_WIDE: Final = "its tiles overlap by more than half"

FORMAT: Final = Format(
    "trestle",
    "Trestle TIFF, alone or with its companions",
    "OpenSlide",
    (
        Cell("jpeg", "JPEG tiles edge to edge", Handling.STORED),
        Cell("companions", "The same beside its overview of the glass (.Full)", Handling.STORED),
        Cell("overlaps", "Tiles that overlap", Handling.DECODED),
        Cell("uncompressed", "Tiles of another compression than JPEG", Handling.DECODED),
        Cell("strips", "Images in strips", Handling.REFUSED, _STRIPS),
        Cell("wide-overlaps", "Overlaps of more than half a tile", Handling.REFUSED, _WIDE),
    ),
)
_TECHNICAL: Final = (
    "Background Color",
    "JPEG Quality",
    "Object Pixel Size",
    "Objective Power",
    "OverlapsXY",
    "White Balance",
)
# A slide and its companions; larger sets are of other formats and not worth a look into each file.
_MAX_FILES: Final = 16


def recognises(found: Sequence[Directory]) -> bool:
    return found[0].text(tiff.SOFTWARE, at_most=16).startswith("MedScan")


def read(files: SlideFiles, source: ByteSource, found: Sequence[Directory]) -> SlideFile:
    """The slide of a Trestle file: every image is a level. Raises DamagedSlideError, UnsupportedSlideError."""
    if not all(tiff.TILE_OFFSETS in one for one in found):
        raise UnsupportedSlideError(f"The Trestle file {_STRIPS}.")
    if tiff.DESCRIPTION not in found[0]:
        raise UnsupportedSlideError("The Trestle file has no description of its tiles, which may overlap.")
    facts = _facts(found[0].text(tiff.DESCRIPTION))
    patches = [_patch(source, one, _overlap(facts, level)) for level, one in enumerate(found)]
    levels, decoder = tiff.levels(source, [one.raster for one in patches])
    levels = tuple(
        DecodedLevel(one.size) if one.shared_x or one.shared_y else level
        for one, level in zip(patches, levels, strict=True)
    )
    if any(isinstance(level, DecodedLevel) for level in levels):
        decoder = patchwork.decoder(source, [[one] for one in patches])
    profile = tiff.profile(found[0])
    object_pixel_mm = number_within(facts.get("Object Pixel Size"), (MPP_RANGE[0] / 1000, MPP_RANGE[1] / 1000))
    fallback = object_pixel_mm and object_pixel_mm * 1000
    metadata = SlideMetadata(
        format=FORMAT.name,
        vendor="trestle",
        size=levels[0].size,
        # Not pixels per unit of length, as TIFF has it, but µm per pixel.
        mpp_x=number_within(found[0].rational(tiff.X_RESOLUTION), MPP_RANGE) or fallback,
        mpp_y=number_within(found[0].rational(tiff.Y_RESOLUTION), MPP_RANGE) or fallback,
        objective_power=number_within(facts.get("Objective Power"), POWER_RANGE),
        scanner_manufacturer="Trestle",
        icc_profile_present=profile is not None,
        properties={f"trestle.{name}": text for name in _TECHNICAL if (text := clean_text(facts.get(name)))},
    )
    return SlideFile(metadata, levels, profile, decoder)


class Set:
    """A Trestle slide among its companions (`tiler.opening`)."""

    @staticmethod
    def recognises(files: SlideFiles) -> bool:
        return _slide_of(files) is not None

    @staticmethod
    def read(files: SlideFiles) -> SlideFile:
        """Raises DamagedSlideError, UnsupportedSlideError."""
        number = _slide_of(files)
        if number is None:
            raise UnsupportedSlideError("The files together are no Trestle slide.")
        source = files.source(number)
        slide = read(files, source, directories(source))
        levels = tuple(
            replace(level, files=[number] * len(level.offsets)) if isinstance(level, StoredLevel) else level
            for level in slide.levels
        )
        pictures = _pictures(files, number)
        metadata = replace(slide.metadata, pictures=tuple(pictures))
        return replace(slide, metadata=metadata, levels=levels, pictures=pictures)


def _slide_of(files: SlideFiles) -> int | None:
    """The number of the one Trestle TIFF among the files, None when there is none. Raises UnsupportedSlideError for
    several."""
    if len(files.names) > _MAX_FILES:
        return None
    found = [number for number in range(len(files.names)) if _is_slide(files, number)]
    if len(found) > 1:
        raise UnsupportedSlideError("The files together are several Trestle slides; give one at a time.")
    return found[0] if found else None


def _is_slide(files: SlideFiles, number: int) -> bool:
    source = files.source(number)
    try:
        head = source.read_at(0, min(2, source.length))
        return head in (b"II", b"MM") and recognises(directories(source))
    except (NotASlideError, DamagedSlideError, UnsupportedSlideError):
        return False
    finally:
        source.close()


def _patch(source: ByteSource, directory: Directory, shared: tuple[int, int]) -> Patch:
    patch = Patch(tiff.raster(source, directory), 0, 0, *shared)
    piece = patch.raster.piece
    if shared[0] * 2 > piece.width or shared[1] * 2 > piece.height:
        raise UnsupportedSlideError(f"The Trestle slide cannot be put together: {_WIDE}.")
    return patch


def _facts(description: str) -> Mapping[str, str]:
    """`key=value` between semicolons."""
    pairs = (part.partition("=") for part in description.split(";"))
    return {key.strip(): value.strip() for key, _, value in pairs}


def _overlap(facts: Mapping[str, str], level: int) -> tuple[int, int]:
    """By how many pixels tiles of a level overlap, across and down; levels without a word do not."""
    words = facts.get("OverlapsXY", "").split()
    pair = words[2 * level : 2 * level + 2]
    if len(pair) < 2:
        return 0, 0
    if not all(word.isascii() and word.isdigit() and len(word) < 6 for word in pair):
        raise DamagedSlideError("The Trestle slide does not say in numbers how its tiles overlap.")
    return int(pair[0]), int(pair[1])


def _pictures(files: SlideFiles, number: int) -> dict[str, Picture]:
    stem = files.names[number].rpartition(".")[0]
    full = [other for other, name in enumerate(files.names) if name.casefold() == f"{stem}.Full".casefold()]
    return {"macro": partial(_picture, files, full[0])} if full else {}


def _picture(files: SlideFiles, number: int) -> Image.Image | None:
    """None when it is no JPEG, damaged, or larger than any picture should be."""
    try:
        with files.path(number).open("rb") as file:
            image = JpegImagePlugin.JpegImageFile(file)
            if image.width * image.height > openslide.MAX_PICTURE_PIXELS:
                return None
            return image.convert("RGB")
    except (OSError, SyntaxError, ValueError):
        return None
