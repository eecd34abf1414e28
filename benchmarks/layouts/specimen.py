"""The real pixels that made slides show: a part of CMU-1-Small-Region.svs (CC0)."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
import openslide
from numpy.typing import NDArray
from PIL import Image

SCAN: Final = Path(__file__).parents[2] / "tests" / "data" / "CMU-1-Small-Region.svs"
MPP: Final = 0.499  # µm per pixel
Pixels = NDArray[np.uint8]


_corner: ContextVar[tuple[int, int]] = ContextVar("corner", default=(300, 500))


def tissue(width: int = 1000, height: int = 700) -> Pixels:
    """So much of the scan, rows × columns × RGB."""
    return _part(*_corner.get(), width, height)


@contextmanager
def elsewhere(x: int, y: int) -> Iterator[None]:
    """Within, `tissue` is that of another place of the scan, so that what is made is another slide."""
    before = _corner.set((x, y))
    try:
        yield
    finally:
        _corner.reset(before)


@lru_cache(maxsize=4)
def _part(x: int, y: int, width: int, height: int) -> Pixels:
    with openslide.OpenSlide(SCAN) as slide:
        return np.asarray(slide.read_region((x, y), 0, (width, height)).convert("RGB"))


@lru_cache(maxsize=2)
def associated(name: str) -> Pixels:
    """The scan's label or macro, rows × columns × RGB."""
    with openslide.OpenSlide(SCAN) as slide:
        return np.asarray(slide.associated_images[name].convert("RGB"))


def pyramid(pixels: Pixels, levels: int, step: int = 2) -> list[Pixels]:
    """The picture and its reductions by the step, full resolution first."""
    found = [pixels]
    while len(found) < levels:
        found.append(np.asarray(Image.fromarray(found[-1]).reduce(step)))
    return found


def jpeg(pixels: Pixels, *, quality: int = 85, subsampling: str = "4:2:2") -> bytes:
    """A whole YCbCr JPEG stream, or a grey one of rows × columns."""
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", quality=quality, subsampling=subsampling)
    return out.getvalue()


def padded(pixels: Pixels, tile: int) -> Pixels:
    """With its last row and column repeated to whole tiles."""
    rows, columns = -pixels.shape[0] % tile, -pixels.shape[1] % tile
    return np.pad(pixels, ((0, rows), (0, columns), (0, 0)), mode="edge")
