"""Ventana slides against OpenSlide, and against what was scanned."""

from pathlib import Path

import numpy as np
import openslide
import pytest
from fixtures.served import picture, served
from PIL import Image

from benchmarks.layouts import bif
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


@pytest.mark.parametrize(("kind", "tiles"), [("overlaps", 17), ("areas", 28), ("no-areas", 17)])
def test_every_tile_shows_what_openslide_reads(
    kind: str, tiles: int, tmp_path: Path, sandbox: Sandbox, cutter: CutterPool
) -> None:
    path = bif.MAKERS[kind](tmp_path)
    with openslide.OpenSlide(path) as oracle, served(path, sandbox, cutter) as (source, slide):
        assert compare(source, oracle) == tiles
        metadata = source.index.metadata
        assert metadata.mpp_x == float(oracle.properties["openslide.mpp-x"])
        assert metadata.objective_power == float(oracle.properties["openslide.objective-power"])
        assert metadata.scanner_serial == oracle.properties["ventana.UnitNumber"]
        assert picture(slide.macro).std() > 10


def test_tiles_that_overlap_lie_where_they_were_seen(tmp_path: Path, sandbox: Sandbox, cutter: CutterPool) -> None:
    with served(bif.MAKERS["overlaps"](tmp_path), sandbox, cutter) as (source, _):
        shown = picture(source.get(0, 2, 1))
    seen = tissue(1024, 768)[256:512, 512:768].astype(int)
    assert quality_db(shown - seen) > 28, "encoded once by the scanner and once here"
    assert quality_db(shown[:, 1:] - seen[:, :-1]) < 25, "the control: one pixel aside is far off"


def test_areas_lie_as_on_the_glass(tmp_path: Path, sandbox: Sandbox, cutter: CutterPool) -> None:
    """The first area 40 pixels from the left and above the other, between them nothing."""
    with served(bif.MAKERS["areas"](tmp_path), sandbox, cutter) as (source, _):
        assert source.index.metadata.bounds == Region(40, 0, 1156, 788)
        first, nothing = picture(source.get(0, 0, 0)), picture(source.get(0, 2, 2))
    assert (first[:, :40] >= 253).all()
    seen = tissue(762, 512)[:256, 250:466].astype(int)
    assert quality_db(first[:, 40:] - seen) > 28
    assert (nothing[:, : 700 - 512] >= 253).all()
