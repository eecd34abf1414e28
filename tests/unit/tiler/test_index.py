"""The index file: what is written is found again, and nothing else is taken for one."""

import hashlib
import struct
from dataclasses import replace
from pathlib import Path

import pytest

from tiler import index
from tiler.errors import BadIndexError, TileNotFoundError
from tiler.geometry import Size
from tiler.index import LevelKind, StoredTile, TileIndex
from tiler.ladder import Native, ladder
from tiler.metadata import SlideMetadata

LEVELS = ladder([Native(Size(1000, 600), Size(256, 256)), Native(Size(250, 150), Size(256, 256))])
HEADERS = [b"\xff\xd8 first", b"\xff\xd8 second"]
METADATA = SlideMetadata("tiff", "generic", Size(1000, 600), mpp_x=0.5)


def tile_of(number: int) -> StoredTile:
    return StoredTile(offset=2**40 + number, length=2**31 + number, blob=0, header=number % 2)


def built(blobs: int = 1) -> bytes:
    tiles = b"".join(index.pack_tile(tile_of(n)) for n in range(13))
    return index.build(LEVELS, tiles, HEADERS, METADATA, blobs=blobs)


@pytest.fixture
def opened() -> TileIndex:
    return TileIndex(built())


def test_levels_and_metadata_come_back(opened: TileIndex) -> None:
    assert opened.levels == LEVELS
    assert [level.stored for level in opened.levels] == [level.placed for level in opened.levels] == [True, False, True]
    assert opened.metadata == METADATA


def test_every_stored_tile_is_located(opened: TileIndex) -> None:
    places = [opened.locate(0, number % 4, number // 4) for number in range(12)] + [opened.locate(2, 0, 0)]
    for number, place in enumerate(places):
        tile = tile_of(number)
        assert place == (0, tile.offset, tile.length, HEADERS[tile.header])
        assert all(type(value) is int for value in place[:3])


def test_a_derived_tile_has_no_place(opened: TileIndex) -> None:
    assert opened.locate(1, 1, 1) is None


def test_a_later_generation_has_places_for_what_was_built_and_the_version_of_the_first(opened: TileIndex) -> None:
    levels = [level if level.stored else replace(level, built=True) for level in LEVELS]
    tiles = b"".join(index.pack_tile(tile_of(n)) for n in range(17))
    later = TileIndex(index.build(levels, tiles, HEADERS, METADATA, blobs=2, generation=1, version=opened.version))
    assert (later.version, later.generation) == (opened.version, 1)
    assert later.digest != opened.digest
    assert later.levels == tuple(levels)
    place = tile_of(15)
    assert later.locate(1, 1, 1) == (0, place.offset, place.length, HEADERS[place.header])
    assert later.locate(2, 0, 0) == (0, tile_of(16).offset, tile_of(16).length, HEADERS[0])


def test_it_knows_which_files_it_uses() -> None:
    tiles = [replace(tile_of(number), blob=(0, 7, 65_535)[number % 3]) for number in range(13)]
    data = index.build(LEVELS, b"".join(map(index.pack_tile, tiles)), HEADERS, METADATA, blobs=65_536)
    assert TileIndex(data).used_blobs == {0, 7, 65_535}
    decoded = [replace(level, kind=LevelKind.DECODED) if level.stored else level for level in LEVELS]
    assert TileIndex(index.build(decoded, b"", (), METADATA, blobs=9)).used_blobs == frozenset()


@pytest.mark.parametrize("blobs", [1, 2])
def test_of_one_or_two_files_it_looks_at_no_tile(blobs: int) -> None:
    assert TileIndex(built(blobs=blobs)).used_blobs == set(range(blobs))


@pytest.mark.parametrize("where", [(-1, 0, 0), (3, 0, 0), (0, -1, 0), (0, 4, 0), (0, 0, 3), (1, 2, 0), (2, 1, 0)])
def test_outside_the_grid_there_is_no_tile(opened: TileIndex, where: tuple[int, int, int]) -> None:
    with pytest.raises(TileNotFoundError):
        opened.locate(*where)


def test_a_file_is_known_by_its_digest(tmp_path: Path) -> None:
    path = tmp_path / "some.index"
    path.write_bytes(built())
    digest = hashlib.sha256(built()).hexdigest()
    found = TileIndex.open(path, digest=digest)
    assert (found.digest, found.version) == (digest, digest[:16])
    assert found.locate(2, 0, 0) == TileIndex(built()).locate(2, 0, 0)


def test_a_changed_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "some.index"
    data = bytearray(built())
    digest = hashlib.sha256(data).hexdigest()
    data[200] ^= 1
    path.write_bytes(data)
    with pytest.raises(BadIndexError, match="changed"):
        TileIndex.open(path, digest=digest)


def test_a_missing_or_empty_file_is_refused(tmp_path: Path) -> None:
    for name in ("missing.bin", "empty.bin"):
        (tmp_path / "empty.bin").touch()
        with pytest.raises(BadIndexError, match="missing or empty"):
            TileIndex.open(tmp_path / name, digest=None)


def test_every_shorter_or_longer_file_is_refused() -> None:
    data = built()
    for length in range(len(data)):
        with pytest.raises(BadIndexError):
            TileIndex(data[:length])
    with pytest.raises(BadIndexError):
        TileIndex(data + b"\0")


@pytest.mark.parametrize(
    ("at", "value"),
    [
        (0, 0),  # magic
        (8, 1),  # version
        (12, 0),  # levels
        (12, 33),
        (20, 257),  # headers
        (24, 2**20),  # metadata
        (28, 0),  # cutting
        (32, 1),  # generation, without the first one's identity
        (36, 1),  # identity, in a first generation
        (44, 0),  # width of level 0
        (48, 2**31),  # its height
        (52, 0),  # its tile width
        (56, 4096),  # its tile height
        (60, 3),  # kind
        (60, 1 << 16 | 1),  # a stored level that was built
        (64, 2),  # media type
        (84, 1 << 16),  # a derived level that was built, in a first generation
    ],
)
def test_a_count_out_of_bounds_is_refused(at: int, value: int) -> None:
    data = bytearray(built())
    struct.pack_into("<I", data, at, value)
    with pytest.raises(BadIndexError):
        TileIndex(bytes(data))


def test_a_claim_of_two_billion_tiles_costs_nothing() -> None:
    data = bytearray(built())
    struct.pack_into("<4I", data, 44, 2_000_000, 2_000_000, 16, 16)
    with pytest.raises(BadIndexError, match="larger"):
        TileIndex(bytes(data))
