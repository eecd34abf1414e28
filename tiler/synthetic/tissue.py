"""A section of skin that never was: where glass, stroma, epithelium and holes lie, and what they look like up close.

Shapes are smooth fields of signed distances in level-0 pixels, known at every 16th pixel and interpolated in between;
pixels come from sheets of real texture. Any strip of rows can be made by itself, so memory does not grow with height.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tiler.geometry import Size
from tiler.synthetic import texture
from tiler.synthetic.texture import Pixels

Field = NDArray[np.float32]

GLASS: Final = (243, 243, 244)
_LOOSE: Final = (1.10, 0.85, 0.85)  # takes less eosin
_SCALE: Final = 16  # level-0 pixels per field sample
_BLOCK: Final = 960
_GRAIN: Final = 480  # side of the repeating noise that frays edges


class Section:
    """A stained section of this size, drawn from a texture; the same seed gives the same pixels."""

    def __init__(self, size: Size, picture: Pixels, seed: int) -> None:
        self.size = size
        self._seed = seed
        fibres, epithelium = texture.tissues(picture)
        steps = max(3, -(-max(size.width, size.height) // texture.STEP))
        # Sides with few common divisors: where sheets alternate, the pattern does not come round again.
        self._fibres = _tileable(texture.sheet(fibres, min(11, steps), self._random(1)))
        self._loose = _tileable(texture.tinted(texture.sheet(fibres, min(9, steps), self._random(2)), _LOOSE))
        self._epithelium = _tileable(texture.sheet(epithelium, min(8, steps), self._random(3)))
        self._grain = _grain(self._random(4))
        self._pieces = _pieces(size, self._random(5))
        self._noises: dict[tuple[int, int], Image.Image] = {}

    def rows(self, top: int, bottom: int) -> Pixels:
        """The pixels of these rows over the whole width; `top` is a multiple of 16, the strip no higher than 960."""
        strip = np.empty((bottom - top, self.size.width, 3), np.uint8)
        strip[:] = GLASS
        fields = self._fields(top, bottom)
        for left in range(0, self.size.width, _BLOCK):
            right = min(left + _BLOCK, self.size.width)
            window = tuple(one[:, left // _SCALE : -(-right // _SCALE) + 4] for one in fields)
            if window[0].max() > -24:
                self._draw(strip[:, left:right], window, top, left)
        return strip

    def _fields(self, top: int, bottom: int) -> tuple[Field, ...]:
        """Signed distances around these rows, with a margin of two samples on all sides: tissue, epithelium, holes,
        loose stroma; and the strength of the stain."""
        rows, cols = -(-(bottom - top) // _SCALE) + 4, -(-self.size.width // _SCALE) + 4
        box = (-2 * _SCALE, top - 2 * _SCALE, cols, rows)
        x, y = _places(box)
        unit = min(1.0, min(self.size.width, self.size.height) / 6000)
        edge = 0.6 * self._noise(1, 2400 * unit, box) + 0.3 * self._noise(2, 800, box) + 0.12 * self._noise(3, 230, box)
        tissue = np.full((rows, cols), -1e6, np.float32)
        for piece in self._pieces:
            np.maximum(tissue, piece.inside(x, y), out=tissue)
        tissue = tissue + 900 * unit * edge

        ridges = 130 * self._noise(4, 260, box) + 60 * self._noise(5, 110, box)
        skin = np.minimum(110 + 240 * self._noise(6, 3000 * unit, box) + ridges - tissue, tissue + 60)
        glands = self._noise(7, 420, box) + 0.35 * self._noise(8, 170, box) + 0.5 * self._noise(9, 4000 * unit, box)
        glands += np.minimum(0, (tissue - 500) / 400)  # none close to the surface

        lobules = self._noise(10, 2600 * unit, box) + 0.3 * self._noise(11, 500, box) - 0.20
        lobules += np.minimum(0, (tissue - 900 * unit) / 900)
        fat = np.minimum(_walls(self._random(12), 165, box) - 7, lobules * 900)
        clefts = np.minimum(0.03 - np.abs(self._noise(14, 900, box)), 0.8 * self._noise(15, 700, box) - 0.16) * 500
        holes = np.maximum(np.maximum((glands - 0.60) * 520, fat), np.minimum(clefts, tissue - 200))

        # Stroma is loose and bluish below the epithelium, around glands and here and there.
        near = np.maximum(150 - tissue, (glands - 0.2) * 300)
        loose = np.maximum(near, 0) + (self._noise(16, 1500, box) + 0.5 * self._noise(17, 300, box) - 0.12) * 500
        stain = 0.87 + 0.22 * self._noise(18, 2800 * unit, box) + 0.12 * self._noise(19, 600, box)
        fields = (tissue, np.maximum(skin, (glands - 0.42) * 520), holes, loose, stain)
        return tuple(np.ascontiguousarray(one, np.float32) for one in fields)

    def _draw(self, out: Pixels, window: tuple[Field, ...], top: int, left: int) -> None:
        """Tissue over the glass of one block."""
        height, width = out.shape[:2]
        tissue, epithelium, holes, loose, stain = (_enlarged(one, width, height) for one in window)
        grain = _repeat(self._grain, top, left, height, width)
        pixels = _sample(self._fibres, top, left, height, width).astype(np.int16)
        if loose.max() > -60:
            share = (loose + 50 * grain) / 60 + np.float32(0.5)
            _blend(pixels, _sample(self._loose, top, left, height, width), share)
        if epithelium.max() > -30:
            share = (epithelium + 18 * grain) / 10 + np.float32(0.5)
            _blend(pixels, _sample(self._epithelium, top, left, height, width), share)
        # A weaker stain absorbs less of every colour.
        pixels = 255 - ((255 - pixels) * (stain * 128).astype(np.int16)[..., None].clip(0, 128) >> 7)
        cover = np.minimum(tissue + 8 * grain, 3 * grain - holes) / 5 + np.float32(0.5)
        glass = out.astype(np.int16)
        _blend(glass, pixels, cover)
        out[:] = glass

    def _noise(self, name: int, cell: float, box: tuple[int, int, int, int]) -> Field:
        """Smooth noise in about ±0.5 that changes over `cell` level-0 pixels, at the samples of a box: (left, top) in
        pixels, columns and rows in samples."""
        left, top, cols, rows = box
        key = name, int(cell)
        if key not in self._noises:
            across, down = (int(side / cell) + 6 for side in (self.size.width, self.size.height))
            values = self._random(100 + name).random((down, across), dtype=np.float32) - 0.5
            self._noises[key] = Image.fromarray(values)
        x, y = left / cell + 2, top / cell + 2
        frame = (x, y, x + cols * _SCALE / cell, y + rows * _SCALE / cell)
        return np.asarray(self._noises[key].resize((cols, rows), Image.Resampling.BICUBIC, box=frame))

    def _random(self, name: int) -> np.random.Generator:
        return np.random.default_rng([self._seed, name])


class _Piece:
    """One bent oval of tissue."""

    def __init__(self, centre: tuple[float, float], radii: tuple[float, float], turn: float, bend: float) -> None:
        self._centre = centre
        self._radii = radii
        self._cos, self._sin = math.cos(turn), math.sin(turn)
        self._bend = bend

    def inside(self, x: Field, y: Field) -> Field:
        """About how many pixels within the outline."""
        dx, dy = x - self._centre[0], y - self._centre[1]
        along = (dx * self._cos + dy * self._sin) / self._radii[0]
        across = (dy * self._cos - dx * self._sin) / self._radii[1] + self._bend * (along * along - 0.4)
        distance: Field = 1 - np.sqrt(along * along + across * across)
        return distance * min(self._radii)


def _pieces(size: Size, random: np.random.Generator) -> list[_Piece]:
    """One to six pieces in a loose row or grid, as sections lie on a glass."""
    count = max(1, min(6, round(size.area / 45e6)))
    cols = max(1, round(math.sqrt(count * size.width / size.height)))
    rows = -(-count // cols)
    width, height = size.width / cols, size.height / rows
    pieces = []
    for number in range(count):
        col, row = number % cols, number // cols
        centre = (col + 0.5 + random.uniform(-0.05, 0.05)) * width, (row + 0.5 + random.uniform(-0.05, 0.05)) * height
        tall = height > width
        long, short = (height, width) if tall else (width, height)
        radii = 0.44 * long * random.uniform(0.85, 1.0), 0.36 * min(short, 0.8 * long) * random.uniform(0.85, 1.1)
        turn = (math.pi / 2 if tall else 0) + random.uniform(-0.35, 0.35)
        pieces.append(_Piece(centre, radii, turn, random.uniform(-0.5, 0.5)))
    return pieces


def _places(box: tuple[int, int, int, int]) -> tuple[Field, Field]:
    """The level-0 coordinates of the samples of a box: a row of x and a column of y."""
    left, top, cols, rows = box
    x = (np.arange(cols, dtype=np.float32)[None] + 0.5) * _SCALE + left
    y = (np.arange(rows, dtype=np.float32)[:, None] + 0.5) * _SCALE + top
    return x, y


def _walls(random: np.random.Generator, cell: float, box: tuple[int, int, int, int]) -> Field:
    """How far it is to the next wall of a honeycomb of about this size (Worley noise), in pixels. The honeycomb repeats
    after 64 cells."""
    count = 64
    jitter = random.random((2, count, count), dtype=np.float32)
    x, y = _places(box)
    col, row = np.floor(x / cell).astype(np.intp), np.floor(y / cell).astype(np.intp)
    nearest = np.full((y.size, x.size), np.inf, np.float32)
    second = nearest.copy()
    for down in (-1, 0, 1):
        for right in (-1, 0, 1):
            at = np.ix_((row[:, 0] + down) % count, (col[0] + right) % count)
            dx = (col + right + jitter[0][at]) * np.float32(cell) - x
            dy = (row + down + jitter[1][at]) * np.float32(cell) - y
            distance = np.sqrt(dx * dx + dy * dy).astype(np.float32)
            second = np.minimum(second, np.maximum(nearest, distance))
            nearest = np.minimum(nearest, distance)
    wall: Field = (second - nearest) / np.float32(2)
    return wall


def _grain(random: np.random.Generator) -> Field:
    """Fine repeating noise in about ±1 for frayed edges."""
    total = np.zeros((_GRAIN, _GRAIN), np.float32)
    for cells, weight in ((10, 0.9), (30, 0.7), (80, 0.5), (160, 0.3)):
        grid = Image.fromarray(np.pad(random.random((cells, cells), dtype=np.float32) * 2 - 1, 2, mode="wrap"))
        large = np.asarray(grid.resize((_GRAIN,) * 2, Image.Resampling.BICUBIC, box=(2, 2, cells + 2, cells + 2)))
        total += weight * large
    return total


def _tileable(sheet: Pixels) -> Pixels:
    """The sheet continued by a block on the right and below, so that every block is one slice of it."""
    return np.pad(sheet, ((0, _BLOCK), (0, _BLOCK), (0, 0)), mode="wrap")


def _sample(sheet: Pixels, top: int, left: int, height: int, width: int) -> Pixels:
    side = len(sheet) - _BLOCK
    y, x = top % side, left % side
    return sheet[y : y + height, x : x + width]


def _repeat(grain: Field, top: int, left: int, height: int, width: int) -> Field:
    rows, cols = (np.arange(start, start + count) % _GRAIN for start, count in ((top, height), (left, width)))
    return grain[np.ix_(rows, cols)]


def _enlarged(field: Field, width: int, height: int) -> Field:
    """A field with a margin of two samples, interpolated for every pixel of a block."""
    frame = (2, 2, 2 + width / _SCALE, 2 + height / _SCALE)
    return np.asarray(Image.fromarray(field).resize((width, height), Image.Resampling.BILINEAR, box=frame))


def _blend(under: NDArray[np.int16], over: NDArray[np.uint8] | NDArray[np.int16], share: NDArray[np.floating]) -> None:
    """Lay `over` on `under` in place; `share` is clipped to 0 … 1."""
    weight = (share.clip(0, 1) * 64).astype(np.int16)[..., None]
    under += (over - under) * weight >> 6
