"""Philips slides against OpenSlide: stored tiles and empty places pixel for pixel, decoded ones nearly."""

from pathlib import Path

import numpy as np
import openslide
import pytest
from fixtures.comparison import faults, whole_levels
from fixtures.served import picture, served

from benchmarks.layouts import philips
from tiler.cutters import CutterPool
from tiler.index import LevelKind
from tiler.sandbox import Sandbox


@pytest.mark.parametrize("kind", ["jpeg", "sparse", "pictures", "uncompressed"])
def test_every_tile_shows_what_openslide_reads(kind: str, tmp_path: Path, sandbox: Sandbox, cutter: CutterPool) -> None:
    path = philips.MAKERS[kind](tmp_path)
    with openslide.OpenSlide(path) as oracle, served(path, sandbox, cutter) as (source, slide):
        wanted = whole_levels(oracle)
        tiles, wrong = faults(source, wanted)
        assert wrong == []
        assert tiles == 17
        stored = source.index.levels[0].kind is LevelKind.STORED
        assert stored is (kind != "uncompressed")
        for name, data in (("label", slide.label), ("macro", slide.macro)):
            theirs = np.asarray(oracle.associated_images[name].convert("RGB")).astype(int)
            assert np.abs(picture(data or b"") - theirs).mean() < 6
        if kind == "sparse":
            assert source.index.metadata.bounds is not None
            assert all((level[:, : level.shape[1] // 2] == 255).all() for level in wanted[:2])
            # The control: a place shown empty that is not, or not empty that is
            assert faults(source, [*wanted[:2], np.roll(wanted[2], 1, 0)])[1]


def test_the_facts_are_openslides(tmp_path: Path, sandbox: Sandbox, cutter: CutterPool) -> None:
    path = philips.MAKERS["jpeg"](tmp_path)
    with openslide.OpenSlide(path) as oracle, served(path, sandbox, cutter) as (source, _):
        said, metadata = oracle.properties, source.index.metadata
        assert metadata.mpp_x == pytest.approx(float(said["openslide.mpp-x"]))
        assert metadata.mpp_y == pytest.approx(float(said["openslide.mpp-y"]))
        assert metadata.objective_power == float(said["openslide.objective-power"])
        assert metadata.barcode == said["openslide.barcode"] == philips.BARCODE
        assert metadata.scanner_manufacturer == said["philips.DICOM_MANUFACTURER"]
        assert metadata.scanner_serial == said["philips.DICOM_DEVICE_SERIAL_NUMBER"]
        assert metadata.properties.items() <= {**said}.items()
        assert not any("isyntax" in text for text in metadata.properties.values()), "a file's name may be a person's"
