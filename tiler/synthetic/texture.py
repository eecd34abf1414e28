"""Endless tissue from one small real picture: image quilting (Efros & Freeman, SIGGRAPH 2001).

Patches that look alike are cut from the picture at random, in one of eight symmetries, and laid over each other along
the seam where they differ least. A sheet repeats without a seam in both directions."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np
import openslide
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]  # (row, column, RGB)

PATCH: Final = 192
OVERLAP: Final = 48
STEP: Final = PATCH - OVERLAP
_TRIES: Final = 32
_GRID: Final = 8  # patches start at multiples of this many pixels


def load(path: Path) -> Pixels:
    """The level 0 of a small slide that is known to be good."""
    with openslide.OpenSlide(path) as slide:
        region = slide.read_region((0, 0), 0, slide.dimensions)
        return np.ascontiguousarray(np.asarray(region)[..., :3])


class Tissue:
    """Where in a picture patches of one kind of tissue begin."""

    def __init__(self, picture: Pixels, corners: NDArray[np.intp]) -> None:
        self._picture = picture
        self._corners = corners

    def patch(self, random: np.random.Generator) -> Pixels:
        y, x = self._corners[random.integers(len(self._corners))] * _GRID
        patch = self._picture[y : y + PATCH, x : x + PATCH]
        turn = random.integers(8)
        if turn & 1:
            patch = patch[::-1]
        if turn & 2:
            patch = patch[:, ::-1]
        return patch.transpose(1, 0, 2) if turn & 4 else patch


def tissues(picture: Pixels) -> tuple[Tissue, Tissue]:
    """Fibres and epithelium: the reddest and the bluest of the patches that are full of tissue, since eosin stains
    fibres red and haematoxylin stains nuclei blue."""
    cells = picture[: len(picture) // _GRID * _GRID, : picture.shape[1] // _GRID * _GRID]
    small = cells.reshape(len(cells) // _GRID, _GRID, -1, _GRID, 3).mean((1, 3))
    stained = (small.max(2) - small.min(2) > 22).astype(np.float64)
    blueness = small[..., 2] - small[..., 0]
    full = _patch_means(stained)
    hue = _patch_means(blueness * stained) / np.maximum(full, 0.01)
    dark = _patch_means((small.mean(2) < 60).astype(np.float64))
    good = (full > 0.94) & (dark < 0.04)
    red, blue = np.quantile(hue[good], [0.35, 0.8])
    # One nest of epithelium in a patch of fibres would be seen again wherever the patch is.
    pure = _patch_means((blueness > (red + 3 * blue) / 4) * stained) < 0.12
    fibres, epithelium = pure & good & (hue <= red), good & (hue >= blue)
    return Tissue(picture, np.argwhere(fibres)), Tissue(picture, np.argwhere(epithelium))


def tinted(sheet: Pixels, absorption: tuple[float, float, float]) -> Pixels:
    """The sheet with a little more or less of each colour absorbed; what is dark, the nuclei, keeps its colour."""
    absorbed = 255 - np.arange(256)[:, None]
    shades = 255 - absorbed - np.minimum(absorbed, 110) * (np.array(absorption) - 1)
    table = np.rint(shades).clip(0, 255).astype(np.uint8)
    return np.stack([table[sheet[..., colour], colour] for colour in range(3)], axis=-1)


def sheet(tissue: Tissue, steps: int, random: np.random.Generator) -> Pixels:
    """A square of `steps` × STEP pixels a side of this tissue, without seams also where it meets itself."""
    side = steps * STEP
    canvas = np.zeros((side, side, 3), np.float32)
    for row in range(steps):
        for col in range(steps):
            ys = np.arange(row * STEP, row * STEP + PATCH) % side
            xs = np.arange(col * STEP, col * STEP + PATCH) % side
            there = canvas[np.ix_(ys, xs)]
            sides = (row > 0, col > 0, row == steps - 1, col == steps - 1)
            patch = _best(tissue, there, sides, random)
            mask = _mask(((there - patch) ** 2).sum(2), sides)[..., None]
            canvas[np.ix_(ys, xs)] = there + (patch - there) * mask
    return np.rint(canvas).astype(np.uint8)


def _best(
    tissue: Tissue, there: NDArray[np.float32], sides: tuple[bool, ...], random: np.random.Generator
) -> NDArray[np.float32]:
    """Of some random patches, the one that fits best over what is there."""
    fit = np.zeros((PATCH, PATCH), bool)
    for band, wanted in zip(_bands(), sides, strict=True):
        fit[band] |= wanted
    rows, cols = (index[::7] for index in np.nonzero(fit))
    around = there[rows, cols]
    best, least = tissue.patch(random), np.inf
    for patch in (tissue.patch(random) for _ in range(_TRIES)):
        error = float(((around - patch[rows, cols]) ** 2).sum())
        if error < least:
            best, least = patch, error
    return best.astype(np.float32)


def _bands() -> tuple[tuple[slice, slice], ...]:
    """The overlaps at the top, left, bottom and right of a patch."""
    every, first, last = slice(None), slice(0, OVERLAP), slice(STEP, None)
    return (first, every), (every, first), (last, every), (every, last)


def _mask(error: NDArray[np.float32], sides: tuple[bool, ...]) -> NDArray[np.float32]:
    """1 where the new patch shows, 0 where the old picture stays; cut where both differ least."""
    mask = np.ones((PATCH, PATCH), np.float32)
    top, left, bottom, right = sides
    if top:
        mask[:OVERLAP] *= _seam(error[:OVERLAP].T).T
    if left:
        mask[:, :OVERLAP] *= _seam(error[:, :OVERLAP])
    if bottom:
        mask[STEP:] *= _seam(error[STEP:].T[:, ::-1])[:, ::-1].T
    if right:
        mask[:, STEP:] *= _seam(error[:, STEP:][:, ::-1])[:, ::-1]
    return mask


def _seam(error: NDArray[np.float32]) -> NDArray[np.float32]:
    """For an overlap with the old picture on the left: the share of the new one, rising over four pixels at the
    cheapest path from top to bottom (dynamic programming)."""
    walled = np.full((error.shape[0], error.shape[1] + 2), np.inf)
    walled[:, 1:-1] = error
    for above, row in pairwise(walled):
        row[1:-1] += np.minimum(np.minimum(above[:-2], above[1:-1]), above[2:])
    cost = walled[:, 1:-1]
    path = np.empty(len(cost), np.intp)
    path[-1] = cost[-1].argmin()
    for row in range(len(cost) - 2, -1, -1):
        low = max(0, path[row + 1] - 1)
        path[row] = low + cost[row, low : path[row + 1] + 2].argmin()
    across = np.arange(error.shape[1])[None] - path[:, None]
    return np.clip(across / 4 + 0.5, 0, 1).astype(np.float32)


def _patch_means(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mean over every patch that fits, by its first cell."""
    side = PATCH // _GRID
    sums = np.pad(values.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    total: NDArray[np.float64] = sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]
    return total / side**2
