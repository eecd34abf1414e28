"""Leica slides against OpenSlide, which shows the whole glass: the same pixels where something was scanned."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import openslide
import pytest
import tifffile
from fixtures.comparison import faults, on_paper
from fixtures.served import picture, served
from PIL import Image

from benchmarks.layouts import leica
from benchmarks.layouts.specimen import MPP, tissue
from tiler.cutters import CutterPool
from tiler.index import LevelKind
from tiler.sandbox import Sandbox


def scanned(slide: openslide.OpenSlide, areas: Sequence[leica.Area]) -> list[np.ndarray]:
    """What OpenSlide shows in the box around the areas, level by level. It counts the pixels of each level from the
    corner of the glass and drops what is left of one; area by area, or a region that begins left of an area would show
    it one pixel off."""
    found = []
    for number, by in enumerate(slide.level_downsamples):
        nanometres = MPP * 1000 * leica.STEP**number
        corners = [(int(area.x / nanometres), int(area.y / nanometres)) for area in areas]
        sizes = [
            (area.planes[0].shape[1] // leica.STEP**number, area.planes[0].shape[0] // leica.STEP**number)
            for area in areas
        ]
        left, top = min(x for x, _ in corners), min(y for _, y in corners)
        right = max(x + width for (x, _), (width, _) in zip(corners, sizes, strict=True))
        bottom = max(y + height for (_, y), (_, height) in zip(corners, sizes, strict=True))
        canvas = np.full((bottom - top, right - left, 3), 255)
        for (x, y), (width, height) in zip(corners, sizes, strict=True):
            shown = on_paper(slide, number, (math.ceil(x * by), math.ceil(y * by)), (width, height))
            canvas[y - top : y - top + height, x - left : x - left + width] = shown
        found.append(canvas)
    return found


@pytest.mark.parametrize("kind", ["jpeg", "no-macro", "areas", "uncompressed"])
def test_every_tile_shows_what_openslide_reads(kind: str, tmp_path: Path, sandbox: Sandbox, cutter: CutterPool) -> None:
    path = leica.MAKERS[kind](tmp_path)
    with openslide.OpenSlide(path) as oracle, served(path, sandbox, cutter) as (source, slide):
        wanted = scanned(oracle, leica.two_areas() if kind == "areas" else [leica.one_area()])
        tiles, wrong = faults(source, wanted)
        assert wrong == []
        assert tiles > 12
        assert (source.index.levels[0].kind is LevelKind.STORED) is (kind in ("jpeg", "no-macro"))
        size = source.index.levels[0].size
        assert [size.width, size.height] == [
            int(oracle.properties[f"openslide.bounds-{each}"]) for each in ("width", "height")
        ]
        if kind == "no-macro":
            assert slide.macro is None
        else:
            theirs = np.asarray(oracle.associated_images["macro"].convert("RGB")).astype(int)
            assert np.abs(picture(slide.macro or b"") - theirs).mean() < 6


def test_an_area_that_is_a_pixel_off_would_be_seen(tmp_path: Path, sandbox: Sandbox, cutter: CutterPool) -> None:
    """The control."""
    path = leica.MAKERS["areas"](tmp_path)
    with openslide.OpenSlide(path) as oracle, served(path, sandbox, cutter) as (source, _):
        wanted = scanned(oracle, leica.two_areas())
        wanted[0] = np.concatenate([wanted[0][:, :500], np.roll(wanted[0][:, 500:], 1, 1)], axis=1)
        assert len(faults(source, wanted)[1]) > 3


def test_the_middle_focal_plane_is_shown(tmp_path: Path, sandbox: Sandbox, cutter: CutterPool) -> None:
    """OpenSlide knows the first one only; the middle one is the one in focus."""
    path = leica.MAKERS["focal-planes"](tmp_path)
    with served(path, sandbox, cutter) as (source, _):
        metadata = source.index.metadata
        assert (metadata.focal_planes, metadata.properties["iain.focal-plane"]) == (3, "2 of 3")
        sharp = tissue()[:256, 512:768].astype(int)
        assert np.abs(picture(source.get(0, 2, 0)) - sharp).mean() < 6
        blurred = np.asarray(Image.fromarray(tissue()).reduce(4).resize((1000, 700), Image.Resampling.BICUBIC))
        assert np.abs(picture(source.get(0, 2, 0)) - blurred[:256, 512:768]).mean() > 8


def test_channels_are_shown_together_in_their_colours(tmp_path: Path, sandbox: Sandbox, cutter: CutterPool) -> None:
    """OpenSlide reads no fluorescence. Of each level, its pages as tifffile reads them."""
    path = leica.MAKERS["channels"](tmp_path)
    with tifffile.TiffFile(path) as oracle, served(path, sandbox, cutter) as (source, _):
        pages = [page.asarray().astype(int) for page in oracle.pages if page.samplesperpixel == 1]
        green, blue, red = pages[:2], pages[2:4], pages[4:]  # the middle one is the first in the file
        wanted = [np.stack(colours, axis=2) for colours in zip(red, green, blue, strict=True)]
        tiles, wrong = faults(source, wanted)
        assert (tiles, wrong) == (13, [])
        assert len(faults(source, [level[..., ::-1] for level in wanted])[1]) > 6
        assert np.abs(wanted[0] - tissue()).mean() < 6
        assert "#0000ff" in source.index.metadata.properties["iain.display-window"]


def test_the_facts_are_openslides(tmp_path: Path, sandbox: Sandbox, cutter: CutterPool) -> None:
    path = leica.MAKERS["jpeg"](tmp_path)
    with openslide.OpenSlide(path) as oracle, served(path, sandbox, cutter) as (source, _):
        said, metadata = oracle.properties, source.index.metadata
        assert metadata.mpp_x == pytest.approx(float(said["openslide.mpp-x"]))
        assert metadata.mpp_y == pytest.approx(float(said["openslide.mpp-y"]))
        assert metadata.objective_power == float(said["openslide.objective-power"])
        assert metadata.barcode == said["openslide.barcode"] == leica.BARCODE
        assert said["leica.device-model"].startswith(metadata.scanner_model or "-")
        assert metadata.acquired_at is not None
        assert metadata.acquired_at.isoformat(timespec="milliseconds") == "2026-01-02T03:04:05.250+00:00"
        assert metadata.properties["leica.device-version"] == said["leica.device-version"]
