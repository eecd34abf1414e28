"""Which sub-blocks of a Zeiss CZI file make up what is shown: one focal plane, its channels, its resolutions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tiler.errors import DamagedSlideError, UnsupportedSlideError
from tiler.geometry import Region, Size
from tiler.index import MAX_LEVELS, MAX_SIDE_PIXELS
from tiler.metadata import MAX_FOCAL_PLANES
from tiler.readers.zisraw import Block

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
    beside = [
        block for block in blocks if block.area.size == block.stored and block.others.get("Z", 0) != depths[middle]
    ]
    if not _replaces(full, beside):
        raise UnsupportedSlideError("The slide's focal planes do not show the same places. Scan a single one.")
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
    """Whether blocks of another resolution or plane show all that these do: in the middle of every one, or of so many
    spread over all of them, there is one of the same scene and channel."""
    places = Places([block.area for block in blocks])
    for block in full[:: max(1, len(full) // _LOOKED_AT)]:
        area = block.area
        middle = Region(area.x + area.width // 2, area.y + area.height // 2, 1, 1)
        if not any(_kin(blocks[number]) == _kin(block) for number in places.touching(middle)):
            return False
    return True


def _kin(block: Block) -> tuple[int, int]:
    return block.others.get("S", 0), block.others.get("C", 0)
