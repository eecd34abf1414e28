"""A slide as viewers other than ours know one: its slide JSON, Deep Zoom, IIIF Image API 3.0 at compliance level 0.

Deep Zoom and IIIF speak of one picture at halving resolutions. `Halvings` tells a slide's levels in that way, if they
can be told so, and turns their addresses into a `Piece`: which tiles of which level, put together, cropped and reduced
by how much. Whatever of a picture is whole tiles stays the scanner's own bytes.

Names: ``power`` p is the resolution at which one pixel stands for 2^p level-0 pixels in each direction, so that 0 is
full resolution; ``dz_level`` counts the other way, from a single pixel up to the full picture (Deep Zoom). All of it is
arithmetic on the index: nothing here reads a file.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Final

from tiler.address import grid, tile_region
from tiler.errors import NotTellableError, TileNotFoundError
from tiler.geometry import Size
from tiler.index import JPEG, Level, TileIndex

DZI_NAMESPACE: Final = "http://schemas.microsoft.com/deepzoom/2008"
IIIF_CONTEXT: Final = "http://iiif.io/api/image/3/context.json"
IIIF_PROTOCOL: Final = "http://iiif.io/api/image"

NOT_HALVES: Final = (
    "The levels of this slide are not halves of each other in tiles of one size, so it cannot be told as Deep Zoom or "
    "IIIF. Open it in the viewer of this site."
)
NOT_SQUARE: Final = (
    "The tiles of this slide are not square, so it cannot be told as Deep Zoom. Use its IIIF address, or open it in "
    "the viewer of this site."
)
NOT_JPEG: Final = (
    "The tiles of this slide are WebP images, so it cannot be told as Deep Zoom or IIIF, whose addresses here say "
    "JPEG. Open it in the viewer of this site."
)
# Below this many pixels a side, a whole picture is of no use to anybody.
_SMALLEST_WHOLE: Final = 16


@dataclass(frozen=True, slots=True)
class Piece:
    """A picture made of `cols` × `rows` tiles of a level, from (`col`, `row`) on, without their padding, at
    1/`reduction` of the level's resolution.

    ``size`` may exceed what the tiles hold by one pixel, where a scanner rounded a level down: the edge is repeated.
    ``whole`` says that it is just one tile as it is served anyway.
    """

    level: int
    col: int
    row: int
    cols: int
    rows: int
    reduction: int
    size: Size
    whole: bool


@dataclass(frozen=True, slots=True)
class Halvings:
    """A slide's levels as one picture at full, half, quarter … resolution; ``levels[p]`` has power p and is number
    ``numbers[p]`` of the slide. The last one is a single tile."""

    full: Size
    tile: Size
    numbers: tuple[int, ...]
    levels: tuple[Level, ...]

    @staticmethod
    @lru_cache(maxsize=64)
    def of(levels: tuple[Level, ...]) -> Halvings:
        """Raises NotTellableError where a power is missing: a viewer would ask for it and show a hole. Tiles of another
        type than the addresses say cannot be told either."""
        if any(level.media_type != JPEG for level in levels):
            raise NotTellableError(NOT_JPEG)
        full, tile = levels[0].size, levels[0].tile
        numbers: list[int] = []
        for number, level in enumerate(levels):
            if level.tile == tile and _is_rounded(level, at_power(full, len(numbers))):
                numbers.append(number)
                if level.grid.area == 1:
                    return Halvings(full, tile, tuple(numbers), tuple(levels[number] for number in numbers))
        raise NotTellableError(NOT_HALVES)

    @property
    def coarsest(self) -> int:
        """The power of the last level."""
        return len(self.levels) - 1

    def tile_at(self, power: int, col: int, row: int) -> Piece:
        """One tile of a power, in its true size. Beyond the last level there is one tile for each power, down to a
        picture of one pixel. Raises TileNotFoundError outside."""
        size = at_power(self.full, power)
        if power > self.coarsest:
            if (col, row) != (0, 0) or at_power(self.full, power - 1).area == 1:
                raise TileNotFoundError(f"There is no tile {col}, {row} at 1/{2**power} of the resolution.")
            return self._piece(self.coarsest, 0, 0, 1, 1, 1 << power - self.coarsest, size)
        cells = self.levels[power].grid
        if not (0 <= col < cells.width and 0 <= row < cells.height):
            raise TileNotFoundError(f"There is no tile {col}, {row} at 1/{2**power} of the resolution.")
        left, above = col * self.tile.width, row * self.tile.height
        size = Size(min(self.tile.width, size.width - left), min(self.tile.height, size.height - above))
        return self._piece(power, col, row, 1, 1, 1, size)

    def whole_at(self, power: int) -> Piece:
        """The whole picture at one of `wholes`. Raises TileNotFoundError for a larger one."""
        if power > self.coarsest:
            return self.tile_at(power, 0, 0)
        if power < self.largest_whole:
            raise TileNotFoundError("The whole slide is not given in that size; its description says in which.")
        cells = self.levels[power].grid
        return self._piece(power, 0, 0, cells.width, cells.height, 1, at_power(self.full, power))

    @property
    def largest_whole(self) -> int:
        """The power of the largest whole picture: two by two tiles at most."""
        return max(0, self.coarsest - 1)

    @property
    def wholes(self) -> dict[Size, int]:
        """The sizes in which the whole picture is given, each with its power, the largest first."""
        found: dict[Size, int] = {}
        for power in range(self.largest_whole, 32):
            size = at_power(self.full, power)
            if power > self.coarsest and max(size.width, size.height) < _SMALLEST_WHOLE:
                break
            found.setdefault(size, power)
        return found

    def _piece(self, power: int, col: int, row: int, cols: int, rows: int, reduction: int, size: Size) -> Piece:
        level = self.levels[power]
        whole = (cols, rows, reduction) == (1, 1, 1) and size == _served_size(level, col, row)
        return Piece(self.numbers[power], col, row, cols, rows, reduction, size, whole)


def at_power(full: Size, power: int) -> Size:
    """The picture's size at 1/2^power of its resolution: Deep Zoom and IIIF viewers round up."""
    return Size(-(-full.width >> power), -(-full.height >> power))


def slide_json(index: TileIndex, *, version: str, profile: bool) -> bytes:
    """The slide's levels as they are, and what else a program needs to ask for tiles; addresses are relative to its
    own. `profile`: whether there is an ICC profile. Nothing here names a patient or a scanner."""
    found = index.metadata
    try:
        halvings: Halvings | None = Halvings.of(index.levels)
    except NotTellableError:
        halvings = None
    return _json(
        {
            "version": version,
            "width": found.size.width,
            "height": found.size.height,
            "mpp_x": found.mpp_x,
            "mpp_y": found.mpp_y,
            "objective_power": found.objective_power,
            "bounds": asdict(found.bounds) if found.bounds else None,
            "focal_planes": found.focal_planes,
            "levels": [
                {
                    "width": level.size.width,
                    "height": level.size.height,
                    "tile_width": level.tile.width,
                    "tile_height": level.tile.height,
                    "downsample": level.downsample,
                    "kind": level.kind.name.lower(),
                    "media_type": level.media_type,
                }
                for level in index.levels
            ],
            "tile": "{level}/{col}_{row}",
            "thumbnail": "thumbnail",
            "icc_profile": "profile.icc" if profile else None,
            "deep_zoom": "slide.dzi" if halvings and _is_square(halvings.tile) else None,
            "iiif": "iiif/info.json" if halvings else None,
        }
    )


def dzi(halvings: Halvings) -> bytes:
    """The Deep Zoom descriptor. Its tiles do not overlap. Raises NotTellableError."""
    if not _is_square(halvings.tile):
        raise NotTellableError(NOT_SQUARE)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<Image xmlns="{DZI_NAMESPACE}" Format="jpeg" Overlap="0" TileSize="{halvings.tile.width}">'
        f'<Size Width="{halvings.full.width}" Height="{halvings.full.height}"/></Image>\n'
    ).encode()


def dzi_piece(halvings: Halvings, dz_level: int, col: int, row: int) -> Piece:
    """What a Deep Zoom tile address stands for. Raises TileNotFoundError, NotTellableError."""
    if not _is_square(halvings.tile):
        raise NotTellableError(NOT_SQUARE)
    # The lowest level is one pixel, the highest the full picture.
    highest = (max(halvings.full.width, halvings.full.height) - 1).bit_length()
    if dz_level > highest:
        raise TileNotFoundError(f"The slide has no Deep Zoom level {dz_level}.")
    return halvings.tile_at(highest - dz_level, col, row)


def iiif_info(halvings: Halvings, address: str) -> bytes:
    """The image information document (IIIF Image API 3.0 §5) for the image at `address`.

    Only what is listed is given: tiles at each scale factor, and the whole picture in ``sizes``. ``max`` is the largest
    of these, which ``maxWidth`` and ``maxHeight`` say (§4.2); no tile is larger.
    """
    factors = [1 << power for power in range(len(halvings.levels))]
    tile: dict[str, object] = {"width": halvings.tile.width, "scaleFactors": factors}
    if not _is_square(halvings.tile):
        tile["height"] = halvings.tile.height
    info: dict[str, object] = {
        "@context": IIIF_CONTEXT,
        "id": address,
        "type": "ImageService3",
        "protocol": IIIF_PROTOCOL,
        "profile": "level0",
        "width": halvings.full.width,
        "height": halvings.full.height,
        "sizes": [{"width": size.width, "height": size.height} for size in sorted(halvings.wholes, key=_area)],
        "tiles": [tile],
        "preferredFormats": ["jpg"],
        "extraFeatures": ["baseUriRedirect", "profileLinkHeader"],
    }
    largest = at_power(halvings.full, halvings.largest_whole)
    if largest != halvings.full:
        info["maxWidth"] = max(largest.width, halvings.tile.width)
        info["maxHeight"] = max(largest.height, halvings.tile.height)
    return _json(info)


def iiif_piece(halvings: Halvings, region: Sequence[int] | None, size: Size | None) -> Piece:
    """What an image request stands for. `region` is x, y, width and height in level-0 pixels, None for ``full``; `size`
    is None for ``max``. Raises TileNotFoundError for anything the description does not list."""
    full = halvings.full
    if region is None or tuple(region) == (0, 0, full.width, full.height):
        if size is None:
            return halvings.whole_at(halvings.largest_whole)
        if size in halvings.wholes:
            return halvings.whole_at(halvings.wholes[size])
        raise TileNotFoundError("The whole slide is not given in that size; its description says in which.")
    x, y, width, height = region
    for power in range(len(halvings.levels)):
        across, down = halvings.tile.width << power, halvings.tile.height << power
        if x % across or y % down or x >= full.width or y >= full.height:
            break
        if (width, height) == (min(across, full.width - x), min(down, full.height - y)):
            piece = halvings.tile_at(power, x // across, y // down)
            if piece.size == (size or Size(width, height)):
                return piece
    raise TileNotFoundError("Only whole tiles of this slide are given; its description says which.")


def _is_rounded(level: Level, size: Size) -> bool:
    """Whether a level is the picture at that size, rounded up as here or down as some scanners do, in as many tiles."""
    short = Size(size.width - level.size.width, size.height - level.size.height)
    return 0 <= short.width <= 1 and 0 <= short.height <= 1 and grid(size, level.tile) == level.grid


def _served_size(level: Level, col: int, row: int) -> Size:
    """The pixels of a tile as it is served: scanners pad those of the last column and row, cut ones are not padded."""
    return level.tile if level.stored else tile_region(level.size, level.tile, col, row).size


def _is_square(tile: Size) -> bool:
    return tile.width == tile.height


def _area(size: Size) -> int:
    return size.area


def _json(value: dict[str, object]) -> bytes:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, indent=1).encode()
