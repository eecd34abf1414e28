"""The instances that a DICOM slide comes in: what each says of its frames, and which of them are one image."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final, NamedTuple

from tiler.errors import DamagedSlideError, UnsupportedSlideError
from tiler.geometry import Size
from tiler.index import MAX_SIDE_PIXELS
from tiler.readers.dicom_dataset import DataSet, DicomFile
from tiler.readers.dicom_pixels import CODINGS, Form, form
from tiler.readers.dicom_tags import Tag
from tiler.slide import SlideFiles
from tiler.storage.base import ByteSource

_TILED_FULL: Final = "TILED_FULL"
_MAX_FRAME_PIXELS: Final = 64_000_000
_OPEN: Final = 32
# The optical path of a file that names none.
_ONLY: Final = "1"


class Position(NamedTuple):
    """Of one frame in the total pixel matrix, counted from 1, and the optical path it was seen through."""

    column: int | None
    row: int | None
    z: float
    path: str | None


def position(item: DataSet) -> Position:
    """Of an item of the Per-Frame Functional Groups Sequence."""
    place = item.first(Tag.PLANE_POSITION)
    return Position(
        place.integer(Tag.COLUMN_POSITION),
        place.integer(Tag.ROW_POSITION),
        place.number(Tag.Z_OFFSET) or 0.0,
        item.first(Tag.OPTICAL_PATH_OF_FRAME).text(Tag.OPTICAL_PATH),
    )


@dataclass(frozen=True, slots=True)
class Instance:
    """One DICOM file of a slide; `number` is that of its file. ``size`` is of the whole matrix, ``tile`` of a frame."""

    number: int
    file: DicomFile
    kind: str
    size: Size
    tile: Size
    count: int

    @property
    def paths(self) -> list[str]:
        """The optical paths it was seen through, in the order of its frames."""
        said = self.file.facts.items(Tag.OPTICAL_PATHS)
        named = [path.text(Tag.OPTICAL_PATH) or str(number) for number, path in enumerate(said, 1)] or [_ONLY]
        if max(1, self.file.facts.integer(Tag.NUMBER_OF_OPTICAL_PATHS) or 1) != len(named):
            raise DamagedSlideError("The DICOM file does not describe each of its optical paths.")
        return named

    @property
    def concatenation(self) -> str | None:
        return self.file.facts.text(Tag.CONCATENATION)


class Sources:
    """The files of a slide, not too many of them open at a time."""

    def __init__(self, files: SlideFiles) -> None:
        self._files = files
        self._open: OrderedDict[int, ByteSource] = OrderedDict()

    def of(self, instance: Instance) -> ByteSource:
        if instance.file.inflated:
            return instance.file.source
        source = self._open.pop(instance.number, None) or self._files.source(instance.number)
        self._open[instance.number] = source
        if len(self._open) > _OPEN:
            self._open.popitem(last=False)[1].close()
        return source


def form_of(part: Instance) -> Form:
    """How its frames are written. Raises DamagedSlideError, UnsupportedSlideError."""
    facts = part.file.facts
    coding = CODINGS.get(part.file.transfer_syntax)
    if coding is None:
        raise UnsupportedSlideError("The DICOM file's pixels are written in a way (transfer syntax) that is not read.")
    if min(part.tile.width, part.tile.height) <= 0 or part.tile.area > _MAX_FRAME_PIXELS:
        raise DamagedSlideError(f"The DICOM file claims frames of {part.tile.width} × {part.tile.height} pixels.")
    if max(part.size.width, part.size.height) > MAX_SIDE_PIXELS or min(part.size.width, part.size.height) <= 0:
        raise DamagedSlideError(f"The slide claims an image of {part.size.width} × {part.size.height} pixels.")
    allocated, stored, high, signed = (
        facts.integer(tag) or 0 for tag in (Tag.BITS_ALLOCATED, Tag.BITS_STORED, Tag.HIGH_BIT, Tag.PIXEL_REPRESENTATION)
    )
    usual = (allocated, stored) == (8, 8) or (allocated == 16 and 8 < stored <= 16 and high == stored - 1)
    if signed or not usual:
        raise UnsupportedSlideError("The slide's pixels are not whole numbers of 8 to 16 bits; they cannot be shown.")
    return form(
        part.tile,
        coding,
        facts.integer(Tag.SAMPLES) or 0,
        facts.text(Tag.PHOTOMETRIC) or "",
        planar=facts.integer(Tag.PLANAR) == 1,
        bits=stored,
    )


def is_full(part: Instance) -> bool:
    """Whether its frames are all there and in the order of their places: said so, or one frame that is the whole."""
    facts = part.file.facts
    return facts.text(Tag.DIMENSION_ORGANIZATION_TYPE) == _TILED_FULL or (
        Tag.PER_FRAME not in facts and part.count == 1 and part.tile == part.size
    )


def planes_of(part: Instance) -> int:
    """How many focal planes it says that it has."""
    return max(1, part.file.facts.integer(Tag.FOCAL_PLANES) or 1)


def images_of(order: Sequence[int], parts: Sequence[Instance]) -> list[list[int]]:
    """The parts that are one image each: those of a concatenation (PS3.3 C.7.6.16.2.2.4) in their order, and each
    other alone. Raises DamagedSlideError when one is missing."""
    images = [[part] for part in order if parts[part].concatenation is None]
    joined = sorted(part for part in order if parts[part].concatenation is not None)
    for name in sorted({parts[part].concatenation or "" for part in joined}):
        image = [part for part in joined if parts[part].concatenation == name]
        by_number = {parts[part].file.facts.integer(Tag.IN_CONCATENATION_NUMBER) or 0: part for part in image}
        said = max((parts[part].file.facts.integer(Tag.IN_CONCATENATION_TOTAL) or 0 for part in image), default=0)
        total = max(said, *by_number)
        missing = [number for number in range(1, min(total, len(image) + 8) + 1) if number not in by_number]
        if missing:
            size = parts[image[0]].size
            raise DamagedSlideError(
                f"A file of the slide is missing: part {missing[0]} of {total} of the level of "
                f"{size.width} × {size.height} pixels."
            )
        if len(by_number) != len(image) or 0 in by_number:
            raise DamagedSlideError("The DICOM files hold two images of the same place of the slide.")
        images.append([by_number[number] for number in sorted(by_number)])
        _check_offsets([parts[part] for part in images[-1]])
    return images


def _check_offsets(image: Sequence[Instance]) -> None:
    starts = accumulate((part.count for part in image), initial=0)
    for part, start in zip(image, starts, strict=False):
        said = part.file.facts.integer(Tag.CONCATENATION_FRAME_OFFSET)
        if said is not None and said != start:
            raise DamagedSlideError("The parts of a level of the slide do not follow one another.")
