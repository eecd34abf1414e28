"""MIRAX slides against OpenSlide, and against what the camera saw."""

from pathlib import Path

import numpy as np
import openslide
import pytest
from fixtures.served import picture, served
from PIL import Image

from benchmarks.layouts import mrxs
from benchmarks.layouts.specimen import tissue
from tiler.address import tile_region
from tiler.cutters import CutterPool
from tiler.geometry import Region
from tiler.sandbox import Sandbox
from tiler.source import TileSource


def on_paper(image: Image.Image) -> np.ndarray:
    flat = Image.new("RGB", image.size, (255, 255, 255))
    flat.paste(image, mask=image.getchannel("A"))
    return np.asarray(flat).astype(int)


def quality_db(error: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / max(np.mean(error.astype(float) ** 2), 1e-9)))


def compare(source: TileSource, oracle: openslide.OpenSlide) -> int:
    """Every tile of every level that the scanner made; how many there are."""
    compared = 0
    for number, level in enumerate(source.index.levels):
        if not level.native:
            continue
        theirs = oracle.level_dimensions.index((level.size.width, level.size.height))
        down = oracle.level_downsamples[theirs]
        for row in range(level.grid.height):
            for col in range(level.grid.width):
                area = tile_region(level.size, level.tile, col, row)
                corner = (round(area.x * down), round(area.y * down))
                wanted = on_paper(oracle.read_region(corner, theirs, (area.width, area.height)))
                assert quality_db(picture(source.get(number, col, row)) - wanted) > 40, (number, col, row)
                compared += 1
    return compared


@pytest.mark.parametrize("kind", ["jpeg", "overlaps"])
def test_every_tile_shows_what_openslide_reads(kind: str, tmp_path: Path, sandbox: Sandbox, cutter: CutterPool) -> None:
    folder = mrxs.MAKERS[kind](tmp_path)
    with (
        openslide.OpenSlide(folder / "slide.mrxs") as oracle,
        served(folder, sandbox, cutter) as (source, slide),
    ):
        assert compare(source, oracle) == 12 + 4 + 1
        assert source.index.metadata.mpp_x == float(oracle.properties["openslide.mpp-x"])
        assert source.index.metadata.scanner_serial == "0417"
        assert picture(slide.label).std() > 10
        assert picture(slide.macro).std() > 10


def test_each_look_of_the_camera_lies_where_it_was_seen(tmp_path: Path, sandbox: Sandbox, cutter: CutterPool) -> None:
    folder = mrxs.make(tmp_path, overlap=16)
    with served(folder, sandbox, cutter) as (source, _):
        shown = picture(source.get(0, 3, 1))
    seen = tissue(1024, 768)[256:512, 768 : 768 + shown.shape[1]].astype(int)
    assert quality_db(shown - seen) > 28, "encoded once by the scanner and once here"
    assert quality_db(shown[:, 1:] - seen[:, :-1]) < 25, "the control: one pixel aside is far off"


def test_empty_space_is_told_and_left_out_of_the_thumbnail(
    tmp_path: Path, sandbox: Sandbox, cutter: CutterPool
) -> None:
    folder = mrxs.make(tmp_path, blank=2)
    with served(folder, sandbox, cutter) as (source, slide):
        bounds = source.index.metadata.bounds
        assert bounds == Region(512, 0, 512, 768)
        assert (picture(source.get(0, 0, 0)) >= 253).all()
        small = picture(slide.thumbnail)
        assert small.shape[1] / small.shape[0] == pytest.approx(512 / 768, abs=0.01)
