"""Zeiss CZI: sub-blocks that overlap in a mosaic, in several scenes, channels and focal planes. All is decoded."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from xml.etree.ElementTree import Element

from tiler import codecs
from tiler.errors import DamagedSlideError, UnsupportedSlideError
from tiler.formats import Cell, Format, Handling
from tiler.geometry import Region, Size
from tiler.index import MAX_LEVELS, MAX_SIDE_PIXELS
from tiler.metadata import MAX_FOCAL_PLANES, MPP_RANGE, POWER_RANGE, SlideMetadata, clean_text, number_within
from tiler.readers.zisraw import MAGIC, Block, Container
from tiler.slide import SlideFile
from tiler.storage.base import ByteSource

GREY8, GREY16, COLOUR8, COLOUR16 = 0, 1, 3, 4
RAW, JPEG_XR, ZSTD0, ZSTD1 = 0, 4, 5, 6
_COLOURS: Final = frozenset({COLOUR8, COLOUR16})
_PIXELS: Final = {
    2: "floating point numbers",
    8: "floating point numbers",
    9: "colours with transparency",
    10: "complex numbers",
    11: "complex numbers",
    12: "numbers of 32 bits",
    13: "floating point numbers",
}
_COMPRESSIONS: Final = {1: "JPEG", 2: "LZW"}
_DIMENSIONS: Final = {"R": "rotation", "I": "illumination", "H": "phase", "V": "angle of view", "B": "block"}
_LOOKED_AT: Final = 2000
_LARGE: Final = 128  # pixels a side
_MAX_RESOLUTIONS: Final = 64
MAX_BLOCK_BYTES: Final = 256 * 1024 * 1024

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


@dataclass(frozen=True, slots=True)
class Plane:
    """One resolution of what is shown: its blocks by channel, in the order in which they are laid one over the other;
    each place on it is that of full resolution divided by ``down``."""

    down: int
    size: Size
    channels: tuple[tuple[Block, ...], ...]


@dataclass(frozen=True, slots=True)
class Scan:
    """What of a CZI file is shown: everything at one focal plane. ``left`` and ``top`` are the place of its corner."""

    planes: tuple[Plane, ...]
    left: int
    top: int
    pixels: int
    channel_numbers: tuple[int, ...]
    focal_planes: int | None
    focal_plane: int
    scenes: int


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


def scan(blocks: Sequence[Block]) -> Scan:
    """Which blocks make up what is shown. Raises DamagedSlideError, UnsupportedSlideError."""
    depths = sorted({block.others.get("Z", 0) for block in blocks})
    middle = len(depths) // 2
    _refuse_dimensions(blocks)
    shown = [block for block in blocks if block.others.get("Z", 0) == depths[middle]]
    for block in shown:
        _refuse_block(block)
    numbers = tuple(sorted({block.others.get("C", 0) for block in shown}))
    kinds = {block.pixels for block in shown}
    if len(kinds) > 1 or (kinds <= _COLOURS and len(numbers) > 1):
        raise UnsupportedSlideError("The slide has channels of different kinds, which cannot be shown together.")
    levels: dict[int, list[Block]] = defaultdict(list)
    downs = _downs(shown)
    for block in shown:
        levels[_down(block, downs)].append(block)
    full = levels.pop(1, [])
    if not full:
        raise DamagedSlideError("The CZI file has no image at full resolution.")
    left, top = min(block.area.x for block in full), min(block.area.y for block in full)
    right = max(block.area.x + block.area.width for block in full)
    bottom = max(block.area.y + block.area.height for block in full)
    size = Size(right - left, bottom - top)
    if max(size.width, size.height) > MAX_SIDE_PIXELS:
        raise DamagedSlideError(f"The slide claims an image of {size.width} × {size.height} pixels.")
    planes = [_plane(1, size, full, numbers)]
    for down, some in sorted(levels.items()):
        if _replaces(some, full) and size.width // down and size.height // down:
            planes.append(_plane(down, Size(size.width // down, size.height // down), some, numbers))
    return Scan(
        planes=tuple(planes[:MAX_LEVELS]),
        left=left,
        top=top,
        pixels=kinds.pop(),
        channel_numbers=numbers,
        focal_planes=len(depths) if any("Z" in block.others for block in blocks) else None,
        focal_plane=middle + 1,
        scenes=len({block.others.get("S", 0) for block in full}),
    )


def _refuse_dimensions(blocks: Iterable[Block]) -> None:
    found: dict[str, set[int]] = defaultdict(set)
    for block in blocks:
        for letter, start in block.others.items():
            found[letter].add(start)
    if len(found["T"]) > 1:
        raise UnsupportedSlideError("The slide is a time series; only one moment can be shown.")
    for letter, starts in found.items():
        if letter not in "SMCZT" and len(starts) > 1:
            name = _DIMENSIONS.get(letter, "a dimension that is not known here")
            raise UnsupportedSlideError(f"The slide has several images of each place, told apart by {name}.")
    if len(found["Z"]) > MAX_FOCAL_PLANES:
        raise UnsupportedSlideError("The slide has more focal planes than any scanner makes.")


def _refuse_block(block: Block) -> None:
    if block.pixels not in (GREY8, GREY16, COLOUR8, COLOUR16):
        name = _PIXELS.get(block.pixels, "values of an unknown kind")
        raise UnsupportedSlideError(
            f"The slide's pixels are {name}; only grey and colours of 8 or 16 bits can be shown."
        )
    if block.compression not in (RAW, JPEG_XR, ZSTD0, ZSTD1):
        name = _COMPRESSIONS.get(block.compression, "a form of the camera's own")
        raise UnsupportedSlideError(
            f"The slide's sub-blocks are stored with {name}; "
            "only uncompressed, Zstandard and JPEG XR sub-blocks can be shown."
        )
    if block.stored.area * bytes_per_pixel(block.pixels) > MAX_BLOCK_BYTES:
        raise UnsupportedSlideError("The slide has sub-blocks that are too large to decode.")


def bytes_per_pixel(pixels: int) -> int:
    return {GREY8: 1, GREY16: 2, COLOUR8: 3, COLOUR16: 6}[pixels]


def _downs(blocks: Iterable[Block]) -> list[int]:
    """The resolutions there are: how many pixels of full resolution one pixel stands for, as the larger blocks say.
    Those at the edge may be a pixel wide, of which no ratio can be taken. Raises DamagedSlideError."""
    ratios = {(_ratio(block), max(block.stored.width, block.stored.height) >= _LARGE) for block in blocks}
    large = {ratio for ratio, is_large in ratios if is_large}
    found = sorted({1, *(large or {ratio for ratio, _ in ratios})} - {0})
    if len(found) > _MAX_RESOLUTIONS:
        raise DamagedSlideError("The CZI file has more resolutions than any scanner makes.")
    return found


def _ratio(block: Block) -> int:
    shown, stored = block.area, block.stored
    return round(shown.width / stored.width if stored.width >= stored.height else shown.height / stored.height)


def _down(block: Block, downs: Sequence[int]) -> int:
    """The resolution of a block. Raises DamagedSlideError."""
    shown, stored = block.area, block.stored

    def off(down: int) -> int:
        return max(abs(shown.width - stored.width * down), abs(shown.height - stored.height * down))

    down = min(downs, key=off)
    if off(down) > down or (down == 1 and shown.size != stored):
        raise DamagedSlideError("A sub-block of the CZI file has an impossible place or size.")
    return down


def _plane(down: int, size: Size, blocks: Iterable[Block], numbers: Sequence[int]) -> Plane:
    by_channel: Mapping[int, list[Block]] = {number: [] for number in numbers}
    for block in blocks:
        by_channel[block.others.get("C", 0)].append(block)
    ordered = (sorted(some, key=lambda block: block.others.get("M", 0)) for some in by_channel.values())
    return Plane(down, size, tuple(tuple(some) for some in ordered))


class Places:
    """Finds blocks by where they are. ``areas`` are theirs, in any one unit."""

    def __init__(self, areas: Sequence[Region]) -> None:
        self._areas = areas
        self._side = max((max(area.width, area.height) for area in areas), default=1)
        self._cells: dict[tuple[int, int], list[int]] = defaultdict(list)
        for number, area in enumerate(areas):
            for cell in self._around(area):
                self._cells[cell].append(number)

    def touching(self, area: Region) -> list[int]:
        """The numbers of those that share a pixel with this area, in order."""
        near = {number for cell in self._around(area) for number in self._cells.get(cell, ())}
        return sorted(number for number in near if _overlap(self._areas[number], area))

    def _around(self, area: Region) -> Iterable[tuple[int, int]]:
        side = self._side
        for row in range(area.y // side, (area.y + area.height - 1) // side + 1):
            for col in range(area.x // side, (area.x + area.width - 1) // side + 1):
                yield col, row


def _overlap(one: Region, other: Region) -> bool:
    return (
        one.x < other.x + other.width
        and other.x < one.x + one.width
        and one.y < other.y + other.height
        and other.y < one.y + one.height
    )


def _replaces(blocks: Sequence[Block], full: Sequence[Block]) -> bool:
    """Whether a reduction shows what full resolution does: in the middle of every block, or of so many spread over
    all of them, it has one of the same scene and channel."""
    places = Places([block.area for block in blocks])
    for block in full[:: max(1, len(full) // _LOOKED_AT)]:
        area = block.area
        middle = Region(area.x + area.width // 2, area.y + area.height // 2, 1, 1)
        if not any(_kin(blocks[number]) == _kin(block) for number in places.touching(middle)):
            return False
    return True


def _kin(block: Block) -> tuple[int, int]:
    return block.others.get("S", 0), block.others.get("C", 0)


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
        "iain.focal-plane": f"{found.focal_plane} of {found.focal_planes}" if (found.focal_planes or 1) > 1 else None,
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
