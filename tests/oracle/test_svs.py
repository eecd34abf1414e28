"""Aperio slides against OpenSlide, and against tiffslide as a second reader: stored tiles pixel for pixel, decoded ones
nearly."""

from datetime import datetime
from pathlib import Path

import numpy as np
import openslide
import pytest
import tiffslide
from fixtures.comparison import faults, whole_levels
from fixtures.served import picture, served

from benchmarks.layouts import svs as layout
from tiler.cutters import CutterPool
from tiler.sandbox import Sandbox


@pytest.mark.parametrize("kind", ["jpeg-rgb-tables", "jpeg-ycbcr", "jpeg-2000-rgb", "jpeg-2000-ycbcr"])
def test_every_tile_shows_what_both_readers_read(
    kind: str, tmp_path: Path, sandbox: Sandbox, cutter: CutterPool
) -> None:
    path = layout.MAKERS[kind](tmp_path)
    with openslide.OpenSlide(path) as oracle, served(path, sandbox, cutter) as (source, slide):
        tiles, wrong = faults(source, wanted := whole_levels(oracle))
        assert wrong == []
        assert tiles == 17
        assert source.index.levels[0].stored is ("jpeg-2000" not in kind)
        assert faults(source, [np.roll(one, 1, 0) for one in wanted])[1], "the control: one pixel aside"
        for name, data in (("label", slide.label), ("macro", slide.macro)):
            theirs = np.asarray(oracle.associated_images[name].convert("RGB")).astype(int)
            assert np.abs(picture(data or b"") - theirs).mean() < 6
        if kind != "jpeg-2000-ycbcr":  # of which tiffslide takes the colours for red, green and blue
            second = tiffslide.TiffSlide(path)
            read = [
                second.read_region((0, 0), level, size, as_array=True).astype(int)
                for level, size in enumerate(second.level_dimensions)
            ]
            second.close()
            assert faults(source, read)[1] == []


def test_a_level_with_gaps_is_made_from_the_finer_one(tmp_path: Path, sandbox: Sandbox, cutter: CutterPool) -> None:
    path = layout.MAKERS["gaps-below"](tmp_path)
    with openslide.OpenSlide(path) as oracle, served(path, sandbox, cutter) as (source, _):
        assert [level.native for level in source.index.levels] == [True, False, False, False]
        assert faults(source, whole_levels(oracle)[:1])[1] == []


def test_the_facts_are_openslides(tmp_path: Path, sandbox: Sandbox, cutter: CutterPool) -> None:
    path = layout.MAKERS["jpeg-ycbcr"](tmp_path)
    with openslide.OpenSlide(path) as oracle, served(path, sandbox, cutter) as (source, _):
        said, metadata = oracle.properties, source.index.metadata
        assert metadata.mpp_x == metadata.mpp_y == float(said["openslide.mpp-x"])
        assert metadata.objective_power == float(said["openslide.objective-power"])
        assert metadata.scanner_serial == said["aperio.ScanScope ID"]
        assert metadata.scanner_model == said["aperio.ScannerType"]
        assert metadata.barcode == said["aperio.Barcode"] == layout.BARCODE
        assert metadata.acquired_at == datetime.fromisoformat("2026-03-02T09:30:00+01:00")
        assert metadata.pictures == ("label", "macro", "thumbnail")
        assert metadata.properties.items() <= {**said}.items()
        assert not {"aperio.User", "aperio.Filename"} & metadata.properties.keys()
