"""Generic TIFF slides against OpenSlide, and against tifffile where OpenSlide cannot read them: stored tiles pixel for
pixel, decoded ones nearly."""

from pathlib import Path

import numpy as np
import openslide
import pytest
import tifffile
from fixtures.comparison import faults, whole_levels
from fixtures.served import served

from benchmarks.layouts import tiff as layout
from tiler import window
from tiler.cutters import CutterPool
from tiler.index import JPEG, WEBP, LevelKind
from tiler.sandbox import Sandbox


def pages(path: Path) -> list[np.ndarray]:
    """The levels as tifffile reads them, as RGB in numbers that can be subtracted."""
    with tifffile.TiffFile(path) as file:
        found = [page.asarray().astype(int) for page in file.pages]
    return [np.repeat(one[..., None], 3, axis=2) if one.ndim == 2 else one for one in found]


@pytest.mark.parametrize(
    ("kind", "stored"),
    [("jpeg-ycbcr", True), ("jpeg-rgb-tables", True), ("jpeg-grey", True), ("deflate-predictor", False)],
)
def test_every_tile_shows_what_openslide_reads(
    kind: str, stored: bool, tmp_path: Path, sandbox: Sandbox, cutter: CutterPool
) -> None:
    path = layout.MAKERS[kind](tmp_path)
    with openslide.OpenSlide(path) as oracle, served(path, sandbox, cutter) as (source, _):
        tiles, wrong = faults(source, wanted := whole_levels(oracle))
        assert wrong == []
        assert tiles == (24 if kind == "jpeg-grey" else 30)
        assert source.index.levels[0].stored is stored
        assert faults(source, [np.roll(one, 1, 1) for one in wanted])[1], "the control: one pixel aside"


@pytest.mark.parametrize("kind", ["webp", "jpeg-strips", "uncompressed-strip", "lzw-odd-tiles"])
def test_every_tile_shows_what_tifffile_reads(kind: str, tmp_path: Path, sandbox: Sandbox, cutter: CutterPool) -> None:
    path = layout.MAKERS[kind](tmp_path)
    with served(path, sandbox, cutter) as (source, _):
        _, wrong = faults(source, wanted := pages(path))
        assert wrong == []
        assert faults(source, [np.roll(one, 1, 0) for one in wanted])[1], "the control: one pixel aside"
        first, *below = source.index.levels
        assert first.media_type == (WEBP if kind == "webp" else JPEG)
        assert all(level.media_type == JPEG for level in below if level.kind is LevelKind.DERIVED)


def test_sixteen_bits_are_shown_through_the_window_that_is_told(
    tmp_path: Path, sandbox: Sandbox, cutter: CutterPool
) -> None:
    path = layout.MAKERS["sixteen-bit"](tmp_path)
    with served(path, sandbox, cutter) as (source, _):
        told = source.index.metadata.properties[window.PROPERTY]
        assert told == "0–4095"
        assert faults(source, [np.round(one * 255 / 4095).astype(int) for one in pages(path)])[1] == []
