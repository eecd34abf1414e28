"""Which of a slide's values are shown as what: for samples of more than eight bits, and for channels that are no
colours. One rule for all formats, told with the slide (`tiler.metadata.DISPLAY_WINDOW`), so that nobody takes a display
for a measurement.

========================  =========================================================================================
8-bit colour, 8-bit grey  as they are
16-bit colour             0 is black and 2ⁿ - 1 white for all three alike; n is the fewest bits, from 8 to 16, that hold
                          the greatest value looked at
16-bit or signed grey     the 0.1th percentile of the values looked at is black, the 99.9th white
several channels          each as grey is (8 bits: as they are), in its colour, and added
========================  =========================================================================================

The values looked at are those of `areas` of the coarsest level, so the same slide always has the same window. Needs
NumPy: for the heavy halves of readers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tiler.address import grid, tile_region
from tiler.errors import UnsupportedSlideError
from tiler.geometry import Region, Size
from tiler.metadata import DISPLAY_WINDOW, SlideMetadata
from tiler.slide import DECODED_TILE

PROPERTY: Final = DISPLAY_WINDOW
MAX_CHANNELS: Final = 8
_DARKEST, _BRIGHTEST = 0.1, 99.9  # percentiles
_ALL_CELLS: Final = 6
# Up to so many channels, so many places.
_PLACES_A_SIDE: Final = ((3, 4), (MAX_CHANNELS // 2, 3), (MAX_CHANNELS, 2))
_KINDS: Final = frozenset(np.dtype(name) for name in ("uint8", "uint16", "int8", "int16"))

Samples = NDArray[Any]


class Rgb(NamedTuple):
    """One colour, 0 to 255 each."""

    red: int
    green: int
    blue: int


_WHITE: Final = Rgb(255, 255, 255)
# Of channels whose colour the file does not say.
_COLOURS: Final = (
    Rgb(255, 0, 0),
    Rgb(0, 255, 0),
    Rgb(0, 0, 255),
    Rgb(255, 255, 0),
    Rgb(255, 0, 255),
    Rgb(0, 255, 255),
    _WHITE,
    Rgb(255, 128, 0),
)


class Window(NamedTuple):
    """What is black and what is as bright as can be."""

    low: int
    high: int

    def applied(self, values: Samples) -> NDArray[np.uint8]:
        span = self.high - self.low
        above = np.clip(values.astype(np.int32), self.low, self.high) - self.low
        return ((above * 255 + span // 2) // span).astype(np.uint8)


@dataclass(frozen=True, slots=True)
class Display:
    """How the samples of one slide are shown: by a window for each channel and its colour, or by one for all three of
    red, green and blue; ``windows`` are empty where they are shown as they are."""

    windows: tuple[Window, ...] = ()
    colours: tuple[Rgb, ...] = ()

    def picture(self, samples: Samples) -> Image.Image:
        """Of rows × columns × channels: RGB, or grey for one white channel."""
        if not self.colours:
            shown = self.windows[0].applied(samples) if self.windows else samples
            return Image.fromarray(np.ascontiguousarray(shown[..., 0] if shown.shape[2] == 1 else shown))
        if self.colours == (_WHITE,):
            return Image.fromarray(self.windows[0].applied(samples[..., 0]))
        total = np.zeros((*samples.shape[:2], 3), np.uint32)
        for channel, (window, colour) in enumerate(zip(self.windows, self.colours, strict=True)):
            total += window.applied(samples[..., channel])[..., None] * np.array(colour, np.uint32)
        return Image.fromarray(np.minimum((total + 127) // 255, 255).astype(np.uint8))

    @property
    def words(self) -> str | None:
        """For `tiler.metadata.DISPLAY_WINDOW`; None where there is nothing to tell."""
        if not self.windows:
            return None
        ranges = [f"{low}–{high}" for low, high in self.windows]
        if len(self.colours) < 2 and self.colours in ((), (_WHITE,)):
            return ranges[0]
        told = zip(ranges, self.colours, strict=True)
        return "; ".join(f"{number}: {one} #{bytes(colour).hex()}" for number, (one, colour) in enumerate(told, 1))


def areas(size: Size, channels: int) -> list[Region]:
    """Where to look at a level of this size: all of it, or places spread evenly over a large one. Each may cost the
    decoding of much more, for each channel anew, and whoever looks at the slide waits: the more channels, the fewer
    places."""
    cells = grid(size, DECODED_TILE)
    if max(cells.width, cells.height) <= _ALL_CELLS:
        cols, rows = [*range(cells.width)], [*range(cells.height)]
    else:
        parts = next(parts for most, parts in _PLACES_A_SIDE if channels <= most)
        cols, rows = _spread(cells.width, parts), _spread(cells.height, parts)
    return [tile_region(size, DECODED_TILE, col, row) for row in rows for col in cols]


def look(size: Size, channels: int, kind: np.dtype[Any], samples: Callable[[Region], Samples]) -> Samples:
    """The values to be looked at of a level of this size, any × channels; none where those of 8 bits need no window.
    `samples` gives what is in an area of it, rows × columns × channels."""
    if kind == np.uint8:
        return np.empty((0, channels), kind)
    return np.concatenate([samples(area).reshape(-1, channels) for area in areas(size, channels)])


def of_colour(looked_at: Samples) -> Display:
    """For red, green and blue; `looked_at` are any × 3 of their values. Raises UnsupportedSlideError."""
    _check(looked_at)
    if looked_at.dtype == np.uint8:
        return Display()
    if looked_at.dtype != np.uint16:
        raise UnsupportedSlideError("The slide's colours are signed numbers; they cannot be shown.")
    greatest = int(looked_at.max(initial=0))
    return Display((Window(0, (1 << max(8, greatest.bit_length())) - 1),))


def of_channels(looked_at: Samples, colours: Sequence[Rgb | None]) -> Display:
    """For grey or for channels that are no colours; `looked_at` are any × channels of their values, and a colour is
    None where the file has none. One channel alone is grey. Raises UnsupportedSlideError."""
    _check(looked_at)
    check_channels(len(colours))
    if len(colours) == 1:
        return Display() if looked_at.dtype == np.uint8 else Display((_fitted(looked_at[:, 0]),), (_WHITE,))
    shown = tuple(colour or _COLOURS[number] for number, colour in enumerate(colours))
    return Display(tuple(_fitted(looked_at[:, number]) for number in range(len(colours))), shown)


def stated(metadata: SlideMetadata, display: Display) -> SlideMetadata:
    """With what there is to tell of the display."""
    if display.words is None:
        return metadata
    return replace(metadata, properties={**metadata.properties, DISPLAY_WINDOW: display.words})


def check_channels(count: int) -> None:
    """For those who look at values only then. Raises UnsupportedSlideError for more than can be told apart."""
    if count > MAX_CHANNELS:
        raise UnsupportedSlideError(f"The slide has {count} channels; up to {MAX_CHANNELS} can be shown together.")


def _fitted(values: Samples) -> Window:
    if values.dtype == np.uint8:
        return Window(0, 255)
    if not values.size:
        return Window(0, 1)
    low, high = (int(one) for one in np.percentile(values, (_DARKEST, _BRIGHTEST), method="nearest"))
    return Window(low, max(high, low + 1))


def _check(looked_at: Samples) -> None:
    if looked_at.dtype.newbyteorder("=") not in _KINDS:
        raise UnsupportedSlideError(
            f"The slide's values are of the kind {looked_at.dtype.name}; only whole numbers of 8 or 16 bits are shown."
        )


def _spread(cells: int, parts: int) -> list[int]:
    """The middles of so many equal parts, or all."""
    parts = min(cells, parts)
    return [(2 * part + 1) * cells // (2 * parts) for part in range(parts)]
