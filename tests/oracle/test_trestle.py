"""Trestle slides against OpenSlide, alone and with their companions, with and without overlaps."""

from pathlib import Path

import numpy as np
import openslide
import pytest
from fixtures.comparison import faults, whole_levels
from fixtures.served import picture, served

from benchmarks.layouts import trestle
from tiler.cutters import CutterPool
from tiler.index import LevelKind
from tiler.sandbox import Sandbox


@pytest.mark.parametrize("kind", ["jpeg", "companions", "overlaps", "uncompressed"])
def test_every_tile_shows_what_openslide_reads(kind: str, tmp_path: Path, sandbox: Sandbox, cutter: CutterPool) -> None:
    path = trestle.MAKERS[kind](tmp_path)
    slide_file = path / trestle.NAME if path.is_dir() else path
    with openslide.OpenSlide(slide_file) as oracle, served(path, sandbox, cutter) as (source, slide):
        wanted = whole_levels(oracle)
        tiles, wrong = faults(source, wanted)
        assert wrong == []
        assert tiles == 17
        assert (source.index.levels[0].kind is LevelKind.STORED) is (kind in ("jpeg", "companions"))
        said, metadata = oracle.properties, source.index.metadata
        assert metadata.mpp_x == pytest.approx(float(said["openslide.mpp-x"]))
        assert metadata.objective_power == float(said["openslide.objective-power"])
        assert metadata.properties.items() <= {**said}.items()
        if kind == "companions":
            theirs = np.asarray(oracle.associated_images["macro"].convert("RGB")).astype(int)
            assert np.abs(picture(slide.macro or b"") - theirs).mean() < 6
        else:
            assert slide.macro is None
        if kind == "overlaps":  # the control: tiles a pixel off their place would be seen
            assert len(faults(source, [np.roll(level, 1, 1) for level in wanted])[1]) > 12
