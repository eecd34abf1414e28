"""Synthetic slides: the same every time, readable by everybody, and full of tissue."""

from pathlib import Path

import numpy as np
import openslide
import pytest
import tifffile
from fixtures.slides import SCAN

from tiler.synthetic import Spec, make_slide
from tiler.synthetic.__main__ import main


def test_the_same_specification_gives_the_same_bytes(tmp_path: Path) -> None:
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        make_slide(tmp_path / name, Spec(400, 300, SCAN, seed=seed))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes() != (tmp_path / "c").read_bytes()


def test_the_svs_is_an_aperio_slide_to_openslide(svs_slide: Path) -> None:
    with openslide.OpenSlide(svs_slide) as slide:
        assert slide.properties["openslide.vendor"] == "aperio"
        assert slide.level_dimensions == ((2560, 1728), (640, 432))
        assert slide.properties["openslide.objective-power"] == "20"
        assert float(slide.properties["openslide.mpp-x"]) == 0.499
        assert set(slide.associated_images) == {"label", "macro", "thumbnail"}
        assert slide.properties["openslide.level[0].tile-width"] == "240"


def test_the_tiff_is_a_pyramid_to_openslide_and_tifffile(tiff_slide: Path) -> None:
    with openslide.OpenSlide(tiff_slide) as slide:
        assert slide.properties["openslide.vendor"] == "generic-tiff"
        assert slide.level_dimensions == ((1600, 1200), (800, 600), (400, 300), (200, 150))
        assert float(slide.properties["openslide.mpp-x"]) == pytest.approx(0.499)
    with tifffile.TiffFile(tiff_slide) as slide:
        assert slide.is_bigtiff
        assert [page.is_tiled for page in slide.pages] == [True] * 4
        assert slide.pages[0].photometric == 6


@pytest.mark.parametrize("layout", ["svs", "tiff"])
def test_there_is_tissue_on_white_glass(layout: str, svs_slide: Path, tiff_slide: Path) -> None:
    with openslide.OpenSlide(svs_slide if layout == "svs" else tiff_slide) as slide:
        pixels = np.asarray(slide.get_thumbnail((400, 400)).convert("RGB")).astype(int)
    stained = pixels.max(2) - pixels.min(2) > 30
    assert 0.15 < stained.mean() < 0.9
    corner = pixels[:4, :4].reshape(-1, 3)
    assert (corner > 235).all()
    red, green, blue = pixels[stained].mean(0)
    assert red > green < blue, "haematoxylin and eosin absorb green"


def test_a_level_is_the_one_above_made_smaller(tiff_slide: Path) -> None:
    with openslide.OpenSlide(tiff_slide) as slide:
        finer, coarser = (
            slide.read_region((0, 0), level, slide.level_dimensions[level]).convert("RGB") for level in (1, 2)
        )
    difference = np.abs(np.asarray(finer.reduce(2)).astype(int) - np.asarray(coarser).astype(int))
    assert difference.mean() < 4


def test_the_watermark_is_on_the_glass(tiff_slide: Path, tmp_path: Path) -> None:
    marked = tmp_path / "marked.tiff"
    make_slide(marked, Spec(1600, 1200, SCAN, seed=7, layout="tiff", watermark="DÉMO"))
    images = []
    for path in (tiff_slide, marked):
        with openslide.OpenSlide(path) as slide:
            images.append(np.asarray(slide.read_region((0, 0), 0, slide.dimensions)).astype(int))
    changed = np.abs(images[0] - images[1]).max(2) > 20
    assert changed.any()
    rows, cols = np.nonzero(changed)
    assert rows.min() > 1000
    assert cols.max() < 600


def test_the_command_makes_the_slide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "made.tiff"
    arguments = [str(out), "--width", "600", "--height", "400", "--layout", "tiff", "--texture", str(SCAN)]
    monkeypatch.setattr("sys.argv", ["tiler.synthetic", *arguments])
    main()
    with openslide.OpenSlide(out) as slide:
        assert slide.dimensions == (600, 400)
