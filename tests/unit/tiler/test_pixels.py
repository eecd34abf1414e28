"""Thumbnails: what the slide shows, without the emptiness around it, and never more work than seconds."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tiler.geometry import Region, Size
from tiler.metadata import SlideMetadata
from tiler.pixels import thumbnail
from tiler.slide import DecodedLevel, SlideFile, SlideFiles

INK = (40, 20, 90)


class Painted:
    """A decoder of paper with one dark rectangle, in pixels of level 0, that counts what it is asked for."""

    def __init__(self, sizes: list[Size], ink: Region) -> None:
        self._sizes = sizes
        self._ink = ink
        self.asked: list[int] = []

    def tile(self, level: int, area: Region) -> Image.Image:
        self.asked.append(level)
        by = self._sizes[0].width / self._sizes[level].width
        image = Image.new("RGB", (area.width, area.height), (255, 255, 255))
        left, top = round(self._ink.x / by) - area.x, round(self._ink.y / by) - area.y
        right, bottom = left + round(self._ink.width / by), top + round(self._ink.height / by)
        if right > 0 and bottom > 0:
            image.paste(INK, (left, top, right, bottom))
        return image


def made(tmp_path: Path, sizes: list[Size], bounds: Region | None, ink: Region) -> tuple[np.ndarray, list[int]]:
    decoder = Painted(sizes, ink)
    metadata = SlideMetadata("mrxs", "mirax", sizes[0], bounds=bounds)
    slide = SlideFile(metadata, tuple(DecodedLevel(size) for size in sizes), decoder=decoder)
    picture = Image.open(io.BytesIO(thumbnail(SlideFiles(tmp_path), slide)))
    return np.asarray(picture.convert("RGB")), decoder.asked


@pytest.mark.parametrize("bounds", [Region(3000, 5000, 2000, 1000), Region(3, 5001, 1999, 1003), None])
def test_a_thumbnail_shows_the_bounds_and_nothing_else(tmp_path: Path, bounds: Region | None) -> None:
    sizes = [Size(8000, 7000), Size(4000, 3500), Size(2000, 1750)]
    whole = bounds or Region(0, 0, 8000, 7000)
    found, _ = made(tmp_path, sizes, bounds, whole)
    height, width = found.shape[:2]
    assert max(width, height) == 512
    assert width / height == pytest.approx(whole.width / whole.height, rel=0.02)
    assert np.abs(found[2:-2, 2:-2].astype(int) - INK).max() < 12, "paper from around it"


def test_of_a_small_part_of_a_large_slide_only_that_is_decoded(tmp_path: Path) -> None:
    found, asked = made(tmp_path, [Size(400_000, 300_000)], Region(200_000, 100_000, 600, 600), Region(0, 0, 1, 1))
    assert len(asked) <= 16
    assert max(found.shape) == 512


def test_a_level_that_would_take_minutes_is_left_alone(tmp_path: Path) -> None:
    found, asked = made(tmp_path, [Size(100_000, 80_000), Size(500, 400)], None, Region(0, 0, 1, 1))
    assert set(asked) == {1}
    assert found.shape[:2] == (400, 500)
