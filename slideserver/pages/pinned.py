"""A pinned view as a picture that needs no script: which tiles it takes, and where each of them lies. Pure.

The view is the fragment the viewer writes, `c=34120,12884&m=20&r=90`: the middle in level-0 pixels, the magnification
(or `z`, screen pixels for one level-0 pixel) and degrees clockwise. Whoever wrote it may have meant harm: what is no
plain number is left out, and a point off the slide is moved to its edge.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import parse_qs

from slideserver.description import BoundsDescription, LevelDescription, SlideDescription

WIDTH, HEIGHT = 720, 480
"""The picture, in the screen pixels that the view is told in."""
UM_PER_PIXEL_AT_1X = 10
# At the very least this share of the overview, or nobody would find the frame.
LEAST_FRAME = 0.045
LONGEST_BAR = 150
PLAIN_NUMBER = re.compile(r"-?[0-9]{1,9}(\.[0-9]{1,6})?")


@dataclass(frozen=True, slots=True)
class View:
    """`zoom` is screen pixels for one level-0 pixel, `turn` degrees clockwise."""

    x: float
    y: float
    zoom: float
    turn: float


@dataclass(frozen=True, slots=True)
class Piece:
    """One picture and its place."""

    url: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Bar:
    """A scale bar: its length in screen pixels, and in words."""

    pixels: float
    length: str


@dataclass(frozen=True, slots=True)
class Picture:
    """What the view shows, WIDTH × HEIGHT screen pixels, and the frame of it on what the overview shows of the slide,
    in level-0 pixels."""

    tiles: tuple[Piece, ...]
    turn: float
    magnification: float | None
    bar: Bar | None
    frame: Piece
    overview: BoundsDescription


def picture(fragment: str, slide: SlideDescription) -> Picture:
    view = parse(fragment, slide)
    native = _native(slide)
    seen = slide.bounds
    width, height = max(WIDTH / view.zoom, seen.width * LEAST_FRAME), max(HEIGHT / view.zoom, seen.width * 0.03)
    return Picture(
        tiles=tuple(_tiles(view, slide)),
        turn=view.turn,
        magnification=view.zoom * native if native else None,
        bar=_bar(slide, view.zoom),
        frame=Piece(slide.thumbnail_url, view.x - width / 2, view.y - height / 2, width, height),
        overview=seen,
    )


def parse(fragment: str, slide: SlideDescription) -> View:
    """The view; what the fragment leaves open is as the viewer opens a slide: whole, in the middle, not turned."""
    parts = {name: values[0] for name, values in parse_qs(fragment.removeprefix("#")[:200]).items()}
    seen = slide.bounds
    x, y = seen.x + seen.width / 2, seen.y + seen.height / 2
    middle = [_number(part) for part in parts.get("c", "").split(",")]
    if len(middle) == 2 and middle[0] is not None and middle[1] is not None:
        x, y = min(max(middle[0], 0), slide.width), min(max(middle[1], 0), slide.height)
    magnification, native = _number(parts.get("m", "")), _native(slide)
    zoom = magnification / native if magnification and native else _number(parts.get("z", ""))
    fitting = min(WIDTH / slide.width, HEIGHT / slide.height)
    if not zoom or zoom <= 0:
        zoom = min(WIDTH / seen.width, HEIGHT / seen.height)
    return View(x, y, min(max(zoom, fitting / 2), 8), (_number(parts.get("r", "")) or 0) % 360)


def _tiles(view: View, slide: SlideDescription) -> Iterator[Piece]:
    """The tiles under the picture, of the coarsest level that is still sharp, where they lie before it is turned."""
    number, level, downsample = _sharp(slide, 1 / view.zoom)
    scale = view.zoom * downsample  # screen pixels for one pixel of the level
    reach_x, reach_y = WIDTH / 2, HEIGHT / 2
    if view.turn:
        reach_x = reach_y = math.hypot(reach_x, reach_y)
    left, top = view.x / downsample - reach_x / scale, view.y / downsample - reach_y / scale
    right, bottom = view.x / downsample + reach_x / scale, view.y / downsample + reach_y / scale
    for row in _within(top, bottom, level.height, level.tile_height):
        for col in _within(left, right, level.width, level.tile_width):
            x, y = col * level.tile_width, row * level.tile_height
            yield Piece(
                url=slide.tile_url.format(level=number, col=col, row=row),
                x=round((x - view.x / downsample) * scale + WIDTH / 2, 2),
                y=round((y - view.y / downsample) * scale + HEIGHT / 2, 2),
                # A hair more than its size: between two pictures that only touch, a seam would shine through.
                width=round(min(level.tile_width, level.width - x) * scale + 0.6, 2),
                height=round(min(level.tile_height, level.height - y) * scale + 0.6, 2),
            )


def _sharp(slide: SlideDescription, wanted: float) -> tuple[int, LevelDescription, float]:
    """The level, its number and its level-0 pixels for one of its own."""
    found = 0
    for number, level in enumerate(slide.levels):
        if slide.width / level.width <= wanted * 1.3:
            found = number
    return found, slide.levels[found], slide.width / slide.levels[found].width


def _within(least: float, most: float, length: int, tile: int) -> range:
    """The columns (or rows) of a level that a stretch of its pixels touches."""
    return range(max(0, math.floor(least / tile)), min(math.ceil(length / tile), math.ceil(most / tile)))


def _bar(slide: SlideDescription, zoom: float) -> Bar | None:
    """The longest of 1, 2 or 5 times a power of ten that is no longer than LONGEST_BAR."""
    if not slide.mpp_x or slide.mpp_x <= 0:
        return None
    longest_um = LONGEST_BAR * slide.mpp_x / zoom
    power = 10.0 ** math.floor(math.log10(longest_um))
    um = next((step * power for step in (5, 2) if step * power <= longest_um), power)
    return Bar(round(um / slide.mpp_x * zoom, 1), f"{um / 1000:g} mm" if um >= 1000 else f"{um:g} µm")


def _native(slide: SlideDescription) -> float | None:
    """The magnification at which one pixel of the scan takes one of the screen."""
    if slide.objective_power and slide.objective_power > 0:
        return slide.objective_power
    return UM_PER_PIXEL_AT_1X / slide.mpp_x if slide.mpp_x and slide.mpp_x > 0 else None


def _number(text: str) -> float | None:
    return float(text) if PLAIN_NUMBER.fullmatch(text) else None
