import pytest
from fixtures.slides import SCAN, InMemory

from benchmarks.tiles.passed import NothingComparedError, equal_share, scan_data
from tiler.address import TileAddress
from tiler.index import TileIndex
from tiler.indexing import build_index
from tiler.opening import open_slide
from tiler.storage.local import LocalByteSource


@pytest.fixture(scope="module")
def passed_on():
    """The description of the small scan, and some of its tiles, as the platform gives them."""
    blob, files = LocalByteSource(SCAN), InMemory(SCAN.read_bytes())
    index = TileIndex(build_index(files, open_slide(files)))
    description = {
        "levels": [{"width": level.size.width, "height": level.size.height} for level in index.levels],
        "tile_url": "/{level}/{col}_{row}",
    }
    tiles = {}
    for address in (TileAddress(0, 1, 1), TileAddress(0, 2, 3), TileAddress(0, 5, 6), TileAddress(0, 8, 10)):
        _, offset, length, header = index.locate(*address)
        tiles[description["tile_url"].format(**address._asdict())] = header + blob.read_at(offset, length)
    blob.close()
    return description, tiles


def test_tiles_that_are_passed_on_have_the_image_data_of_the_file(passed_on):
    assert equal_share(SCAN, *passed_on) == 1.0


def test_one_changed_bit_is_seen(passed_on):
    description, tiles = passed_on
    path, tile = next(iter(tiles.items()))
    changed = tile[:-40] + bytes([tile[-40] ^ 1]) + tile[-39:]
    assert equal_share(SCAN, description, tiles | {path: changed}) == 0.75


def test_two_swapped_tiles_are_seen(passed_on):
    description, tiles = passed_on
    (first, a), (second, b), *_ = tiles.items()
    assert equal_share(SCAN, description, tiles | {first: b, second: a}) == 0.5


def test_nothing_compared_is_no_share(passed_on):
    description, _ = passed_on
    with pytest.raises(NothingComparedError):
        equal_share(SCAN, description, {"/0/900_900": b""})


def test_image_data_begins_after_the_header_of_the_scan():
    assert scan_data(b"\xff\xd8\xff\xdb\x00\x03\x01\xff\xda\x00\x04\x01\x02data\xff\xd9") == b"data\xff\xd9"
