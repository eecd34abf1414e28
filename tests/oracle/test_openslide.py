"""Our tiles against OpenSlide's pixels: what the browser decodes is what OpenSlide reads at the same place."""

import io
import random
from pathlib import Path

import numpy as np
import openslide
import pytest
from PIL import Image

from tiler.address import tile_region
from tiler.index import TileIndex
from tiler.sandbox import Sandbox
from tiler.source import TileSource

RANDOM = random.Random(2026)


def pixels(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def native_levels(index: TileIndex) -> list[int]:
    return [number for number, level in enumerate(index.levels) if level.stored]


def test_both_see_the_same_levels(slide: Path, source: TileSource) -> None:
    with openslide.OpenSlide(slide) as oracle:
        ours = [source.index.levels[number] for number in native_levels(source.index)]
        assert [(level.size.width, level.size.height) for level in ours] == list(oracle.level_dimensions)
        assert [level.downsample for level in ours] == pytest.approx(oracle.level_downsamples)


def test_both_read_the_same_facts(slide: Path, source: TileSource) -> None:
    metadata = source.index.metadata
    with openslide.OpenSlide(slide) as oracle:
        said = oracle.properties
        assert metadata.mpp_x == pytest.approx(float(said[openslide.PROPERTY_NAME_MPP_X]), rel=1e-6)
        assert metadata.mpp_y == pytest.approx(float(said[openslide.PROPERTY_NAME_MPP_Y]), rel=1e-6)
        power = said.get(openslide.PROPERTY_NAME_OBJECTIVE_POWER)
        assert metadata.objective_power == (float(power) if power else None)


def test_stored_tiles_decode_to_the_pixels_openslide_reads(slide: Path, source: TileSource) -> None:
    compared = 0
    with openslide.OpenSlide(slide) as oracle:
        for theirs, number in enumerate(native_levels(source.index)):
            level = source.index.levels[number]
            cells = level.grid
            corner = (cells.width - 1, cells.height - 1)
            some = [(RANDOM.randrange(cells.width), RANDOM.randrange(cells.height)) for _ in range(12)]
            for col, row in {(0, 0), corner, (corner[0], 0), (0, corner[1]), *some}:
                at = tile_region(level.size, level.tile, col, row)
                by = oracle.level_downsamples[theirs]
                assert by == int(by), "the slide must let regions be addressed exactly"
                region = oracle.read_region((at.x * int(by), at.y * int(by)), theirs, (at.width, at.height))
                served = pixels(source.get(number, col, row))
                assert served.shape == (level.tile.height, level.tile.width, 3)
                cropped = served[: at.height, : at.width]
                assert np.array_equal(cropped, np.asarray(region)[..., :3]), (number, col, row)
                compared += 1
    assert compared > 12


def test_derived_tiles_are_the_picture_at_half_size(slide: Path, source: TileSource) -> None:
    """Cut tiles are encoded anew and halved by the decoder itself, so they are near, not equal; a shift of one pixel or
    a swapped child would be far."""
    derived = [number for number, level in enumerate(source.index.levels) if not level.stored]
    assert bool(derived) is (slide.suffix == ".svs"), "the TIFF has every level, the others have gaps"
    for number in derived[:2]:
        level, finer = source.index.levels[number], source.index.levels[number - 1]
        whole = np.zeros((finer.size.height, finer.size.width, 3), np.uint8)
        for row in range(finer.grid.height):
            for col in range(finer.grid.width):
                at = tile_region(finer.size, finer.tile, col, row)
                tile = pixels(source.get(number - 1, col, row))[: at.height, : at.width]
                whole[at.y : at.y + at.height, at.x : at.x + at.width] = tile
        half = np.asarray(Image.fromarray(whole).reduce(2)).astype(np.int16)
        assert half.shape[:2] == (level.size.height, level.size.width)
        for row in range(level.grid.height):
            for col in range(level.grid.width):
                at = tile_region(level.size, level.tile, col, row)
                served = pixels(source.get(number, col, row)).astype(np.int16)
                assert served.shape[:2] == (at.height, at.width)
                wanted = half[at.y : at.y + at.height, at.x : at.x + at.width]
                near = np.abs(served - wanted).mean()
                assert near < 6, (number, col, row, near)
                if at.width > 100 and at.height > 100 and wanted.std() > 20:
                    for shifted in (np.roll(wanted, 1, 0), np.roll(wanted, 1, 1), wanted[::-1], wanted[:, ::-1]):
                        assert np.abs(served - shifted).mean() > near


def test_label_and_macro_are_openslides(slide: Path, sandbox: Sandbox) -> None:
    indexed = sandbox.index_slide(slide)
    with openslide.OpenSlide(slide) as oracle:
        for name, data in (("label", indexed.label), ("macro", indexed.macro)):
            if name not in oracle.associated_images:
                assert data is None
                continue
            theirs = np.asarray(oracle.associated_images[name].convert("RGB")).astype(np.int16)
            ours = pixels(data or b"").astype(np.int16)
            assert ours.shape == theirs.shape
            assert np.abs(ours - theirs).mean() < 6
