"""Zeiss slides against OpenSlide, and against the values they were made of where it opens none."""

from pathlib import Path

import numpy as np
import openslide
import pytest
from fixtures.served import picture, served

from benchmarks.layouts import czi
from benchmarks.layouts.specimen import MPP, tissue
from tiler.address import tile_region
from tiler.cutters import CutterPool
from tiler.index import LevelKind
from tiler.sandbox import Sandbox


def quality_db(error: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / max(np.mean(error.astype(float) ** 2), 1e-9)))


@pytest.mark.parametrize("kind", ["zstd1", "scenes"])
def test_every_tile_shows_what_openslide_reads(kind: str, tmp_path: Path, sandbox: Sandbox, cutter: CutterPool) -> None:
    path = czi.MAKERS[kind](tmp_path)
    with openslide.OpenSlide(path) as oracle, served(path, sandbox, cutter) as (source, slide):
        levels = [(n, level) for n, level in enumerate(source.index.levels) if level.kind is LevelKind.DECODED]
        assert [(level.size.width, level.size.height) for _, level in levels] == [*oracle.level_dimensions]
        said, metadata = oracle.properties, source.index.metadata
        assert metadata.mpp_x == metadata.mpp_y == pytest.approx(float(said["openslide.mpp-x"]))
        assert metadata.objective_power == float(said["openslide.objective-power"])
        assert metadata.barcode == said["openslide.barcode"]
        assert set(metadata.pictures) == {*oracle.associated_images}
        for name in ("label", "macro"):
            theirs = np.asarray(oracle.associated_images[name].convert("RGB")).astype(int)
            assert quality_db(picture(getattr(slide, name)) - theirs) > 35
        compared = 0
        for theirs_number, (number, level) in enumerate(levels):
            down = int(oracle.level_downsamples[theirs_number])
            for row in range(level.grid.height):
                for col in range(level.grid.width):
                    area = tile_region(level.size, level.tile, col, row)
                    seen = oracle.read_region((area.x * down, area.y * down), theirs_number, (area.width, area.height))
                    rgba = np.asarray(seen).astype(int)
                    wanted = np.where(rgba[..., 3:] > 0, rgba[..., :3], 255)
                    ours = picture(source.get(number, col, row))
                    assert quality_db(ours - wanted) > 40, (number, col, row)
                    if wanted.std() > 20:
                        assert quality_db(ours[1:] - wanted[:-1]) < 40, "the control: one pixel aside is far off"
                    compared += 1
        assert compared > 15


def test_channels_are_shown_in_their_colours_through_the_window_that_is_stated(
    tmp_path: Path, sandbox: Sandbox, cutter: CutterPool
) -> None:
    """Blue, green and red channels of 16 bits, made of the red, green and blue of the specimen."""
    with served(czi.MAKERS["channels"](tmp_path), sandbox, cutter) as (source, _):
        stated = source.index.metadata.properties["iain.display-window"].split("; ")
        wanted = np.zeros((700, 1000, 3))
        for number, words in enumerate(stated):
            low, high = (int(one) for one in words.split()[1].split("–"))
            values = tissue()[..., number] * 12.0 + 300
            wanted[..., 2 - number] = np.clip((values - low) / (high - low), 0, 1) * 255
        assert [words.split()[2] for words in stated] == ["#0000ff", "#00ff00", "#ff0000"]
        level = source.index.levels[0]
        for row in range(level.grid.height):
            for col in range(level.grid.width):
                area = tile_region(level.size, level.tile, col, row)
                ours = picture(source.get(0, col, row))
                there = wanted[area.y : area.y + area.height, area.x : area.x + area.width]
                assert quality_db(ours - there) > 40, (col, row)
        assert source.index.metadata.mpp_x == MPP
