"""MIRAX slides against OpenSlide, and against what the camera saw."""

from pathlib import Path

import openslide
import pytest
from fixtures.comparison import compared_with_openslide, psnr
from fixtures.served import picture, served

from benchmarks.layouts import mrxs
from benchmarks.layouts.specimen import tissue
from tiler.cutters import CutterPool
from tiler.geometry import Region
from tiler.sandbox import Sandbox


@pytest.mark.parametrize("kind", ["jpeg", "overlaps"])
def test_every_tile_shows_what_openslide_reads(kind: str, tmp_path: Path, sandbox: Sandbox, cutter: CutterPool) -> None:
    folder = mrxs.MAKERS[kind](tmp_path)
    with (
        openslide.OpenSlide(folder / "slide.mrxs") as oracle,
        served(folder, sandbox, cutter) as (source, slide),
    ):
        assert compared_with_openslide(source, oracle) == 12 + 4 + 1
        assert source.index.metadata.mpp_x == float(oracle.properties["openslide.mpp-x"])
        assert source.index.metadata.scanner_serial == "0417"
        assert picture(slide.label).std() > 10
        assert picture(slide.macro).std() > 10


def test_each_look_of_the_camera_lies_where_it_was_seen(tmp_path: Path, sandbox: Sandbox, cutter: CutterPool) -> None:
    folder = mrxs.make(tmp_path, overlap=16)
    with served(folder, sandbox, cutter) as (source, _):
        shown = picture(source.get(0, 3, 1))
    seen = tissue(1024, 768)[256:512, 768 : 768 + shown.shape[1]].astype(int)
    assert psnr(shown - seen) > 28, "encoded once by the scanner and once here"
    assert psnr(shown[:, 1:] - seen[:, :-1]) < 25, "the control: one pixel aside is far off"


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
