import io
from pathlib import Path

import openslide
import pytest
from PIL import Image

from benchmarks.tiles.pictures import DifferentPicturesError, require_alike

SCAN = Path(__file__).parents[2] / "data" / "CMU-1-Small-Region.svs"


@pytest.fixture(scope="module")
def scan():
    with openslide.OpenSlide(SCAN) as slide:
        yield slide


def jpeg(image: Image.Image, quality=75):
    data = io.BytesIO()
    image.convert("RGB").save(data, "JPEG", quality=quality)
    return data.getvalue()


def test_a_second_compression_and_a_crop_at_the_edge_pass(scan):
    tile = scan.read_region((960, 960), 0, (256, 256))
    require_alike([(jpeg(tile, 90), jpeg(tile)), (jpeg(tile, 90), jpeg(tile.crop((0, 0, 200, 256))))])


@pytest.mark.parametrize("shift", [(16, 0), (0, 16), (256, 0)])
def test_another_place_of_the_slide_does_not(scan, shift):
    tile = scan.read_region((960, 960), 0, (256, 256))
    other = scan.read_region((960 + shift[0], 960 + shift[1]), 0, (256, 256))
    with pytest.raises(DifferentPicturesError, match="Pair 1 of 2 differs"):
        require_alike([(jpeg(tile), jpeg(tile)), (jpeg(tile), jpeg(other))])
