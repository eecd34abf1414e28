"""OME-TIFF slides against tifffile, which knows the description, and OpenSlide, which knows the first image."""

from pathlib import Path

import numpy as np
import openslide
import pytest
import tifffile
from fixtures.served import picture, served

from benchmarks.layouts import ome
from tiler.address import tile_region
from tiler.cutters import CutterPool
from tiler.index import LevelKind
from tiler.sandbox import Sandbox
from tiler.source import TileSource


def quality_db(error: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / max(np.mean(error.astype(float) ** 2), 1e-9)))


def compare(source: TileSource, kind: LevelKind, wanted: list[np.ndarray], at_least_db: float) -> None:
    """Every tile of the native levels."""
    levels = [(number, level) for number, level in enumerate(source.index.levels) if level.kind is kind]
    assert [(level.size.height, level.size.width) for _, level in levels] == [one.shape[:2] for one in wanted]
    for (number, level), whole in zip(levels, wanted, strict=True):
        for row in range(level.grid.height):
            for col in range(level.grid.width):
                area = tile_region(level.size, level.tile, col, row)
                ours = picture(source.get(number, col, row))[: area.height, : area.width]
                there = whole[area.y : area.y + area.height, area.x : area.x + area.width].astype(int)
                assert quality_db(ours - there) > at_least_db, (number, col, row)
                if there.std() > 20:
                    assert quality_db(ours[1:] - there[:-1]) < 40, "the control: one pixel aside is far off"


def test_stored_tiles_are_those_that_openslide_and_tifffile_read(
    tmp_path: Path, sandbox: Sandbox, cutter: CutterPool
) -> None:
    """The same bytes: the same pixels in OpenSlide, which has the same decoder, and nearly so in tifffile, whose own
    puts colours of half the resolution between pixels in another way."""
    path = ome.MAKERS["jpeg"](tmp_path)
    with served(path, sandbox, cutter) as (source, slide), tifffile.TiffFile(path) as oracle:
        compare(source, LevelKind.STORED, [level.asarray() for level in oracle.series[0].levels], 40)
        for number, name in ((1, "label"), (2, "macro")):
            assert quality_db(picture(getattr(slide, name)) - oracle.series[number].asarray().astype(int)) > 35
        with openslide.OpenSlide(path) as other:
            level = source.index.levels[0]
            for row in range(level.grid.height):
                for col in range(level.grid.width):
                    area = tile_region(level.size, level.tile, col, row)
                    seen = other.read_region((area.x, area.y), 0, (area.width, area.height)).convert("RGB")
                    ours = picture(source.get(0, col, row))[: area.height, : area.width]
                    assert np.array_equal(ours, np.asarray(seen)), (col, row)


def test_tiles_have_the_colours_that_their_own_streams_state(
    tmp_path: Path, sandbox: Sandbox, cutter: CutterPool
) -> None:
    path = ome.MAKERS["jpeg-called-rgb"](tmp_path)
    with served(path, sandbox, cutter) as (source, _), tifffile.TiffFile(path) as oracle:
        assert oracle.pages[0].photometric == 2
        compare(source, LevelKind.STORED, [level.asarray() for level in oracle.series[0].levels], 40)


@pytest.mark.parametrize("kind", ["channels", "colour-16"])
def test_deep_values_are_shown_through_the_window_that_is_stated(
    kind: str, tmp_path: Path, sandbox: Sandbox, cutter: CutterPool
) -> None:
    path = ome.MAKERS[kind](tmp_path)
    with served(path, sandbox, cutter) as (source, _), tifffile.TiffFile(path) as oracle:
        stated = source.index.metadata.properties["iain.display-window"].split("; ")
        ranges = [[int(one) for one in words.split()[-2 if " " in words else 0].split("–")] for words in stated]
        wanted = []
        for level in oracle.series[0].levels:
            values = level.asarray().astype(float)
            if kind == "channels":  # blue, green and red
                values = np.moveaxis(values, 0, 2)[..., ::-1]
            low, high = np.array(ranges[::-1]).T
            wanted.append(np.clip((values - low) / (high - low), 0, 1) * 255)
        compare(source, LevelKind.DECODED, wanted, 40)
