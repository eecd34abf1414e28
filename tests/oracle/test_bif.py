"""Ventana slides against OpenSlide, and against what was scanned."""

from pathlib import Path

import openslide
import pytest
from fixtures.comparison import compared_with_openslide, psnr
from fixtures.served import picture, served

from benchmarks.layouts import bif
from benchmarks.layouts.specimen import tissue
from tiler.cutters import CutterPool
from tiler.geometry import Region
from tiler.sandbox import Sandbox


@pytest.mark.parametrize(("kind", "tiles"), [("overlaps", 17), ("areas", 28), ("no-areas", 17)])
def test_every_tile_shows_what_openslide_reads(
    kind: str, tiles: int, tmp_path: Path, sandbox: Sandbox, cutter: CutterPool
) -> None:
    path = bif.MAKERS[kind](tmp_path)
    with openslide.OpenSlide(path) as oracle, served(path, sandbox, cutter) as (source, slide):
        assert compared_with_openslide(source, oracle) == tiles
        metadata = source.index.metadata
        assert metadata.mpp_x == float(oracle.properties["openslide.mpp-x"])
        assert metadata.objective_power == float(oracle.properties["openslide.objective-power"])
        assert metadata.scanner_serial == oracle.properties["ventana.UnitNumber"]
        assert picture(slide.macro).std() > 10


def test_tiles_that_overlap_lie_where_they_were_seen(tmp_path: Path, sandbox: Sandbox, cutter: CutterPool) -> None:
    with served(bif.MAKERS["overlaps"](tmp_path), sandbox, cutter) as (source, _):
        shown = picture(source.get(0, 2, 1))
    seen = tissue(1024, 768)[256:512, 512:768].astype(int)
    assert psnr(shown - seen) > 28, "encoded once by the scanner and once here"
    assert psnr(shown[:, 1:] - seen[:, :-1]) < 25, "the control: one pixel aside is far off"


def test_areas_lie_as_on_the_glass(tmp_path: Path, sandbox: Sandbox, cutter: CutterPool) -> None:
    """The first area 40 pixels from the left and above the other, between them nothing."""
    with served(bif.MAKERS["areas"](tmp_path), sandbox, cutter) as (source, _):
        assert source.index.metadata.bounds == Region(40, 0, 1156, 788)
        first, nothing = picture(source.get(0, 0, 0)), picture(source.get(0, 2, 2))
    assert (first[:, :40] >= 253).all()
    seen = tissue(762, 512)[:256, 250:466].astype(int)
    assert psnr(first[:, 40:] - seen) > 28
    assert (nothing[:, : 700 - 512] >= 253).all()
