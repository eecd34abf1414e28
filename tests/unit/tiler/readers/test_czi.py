"""Zeiss CZI files, value by value: how blocks lie over each other, what is chosen, and what is refused."""

import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.layouts import czi as layout
from benchmarks.layouts.czi import Block
from benchmarks.layouts.specimen import tissue
from tiler import codecs
from tiler.errors import DamagedSlideError, TilerError, UnsupportedSlideError
from tiler.geometry import Region, Size
from tiler.readers import czi, czi_scan, zisraw
from tiler.slide import SlideFile
from tiler.storage.memory import MemoryByteSource


@pytest.fixture(autouse=True)
def _with_codecs() -> None:
    codecs.load()


def read(path: Path) -> SlideFile:
    return czi.read(MemoryByteSource(path.read_bytes()))


def written(folder: Path, *blocks: Block, xml: str = "<ImageDocument/>") -> SlideFile:
    return read(layout.write(folder / "slide.czi", blocks, xml=xml))


def pixels(slide: SlideFile, level: int = 0) -> np.ndarray:
    size = slide.levels[level].size
    return np.asarray(slide.decoder.tile(level, Region(0, 0, size.width, size.height)))


def plain(value: int, side: int = 20, *, grey: bool = False) -> np.ndarray:
    return np.full((side, side) if grey else (side, side, 3), value, np.uint8)


def test_a_later_block_of_the_mosaic_lies_over_an_earlier_one(tmp_path: Path) -> None:
    """Wherever in the file they are; what no block covers is white."""
    blocks = [
        Block(plain(10), -30, 5, others={"M": 2}),
        Block(plain(99), -15, 5, others={"M": 1}),
        Block(plain(200), -30, 35, others={"M": 3}),
    ]
    shown = pixels(written(tmp_path, *blocks))
    assert shown.shape == (50, 35, 3)
    assert [shown[0, col, 0] for col in (0, 19, 20, 34)] == [10, 10, 99, 99]
    assert shown[25, 10].tolist() == [255] * 3
    assert shown[49, 19].tolist() == [200] * 3


def test_red_green_and_blue_are_in_their_places_whatever_the_compression(tmp_path: Path) -> None:
    """JPEG XR tells its own order, so it must not be turned as the others are."""
    for compression in (layout.RAW, layout.ZSTD0, layout.ZSTD1, layout.JPEG_XR):
        shown = pixels(written(tmp_path, Block(tissue(64, 48), 0, 0, compression=compression)))
        assert np.abs(shown.astype(int) - tissue(64, 48)).max() <= 1, compression


@pytest.mark.parametrize("compression", [layout.RAW, layout.ZSTD1, layout.JPEG_XR])
def test_values_of_16_bits_keep_all_of_them(compression: int, tmp_path: Path) -> None:
    values = np.arange(64 * 48, dtype=np.uint16).reshape(48, 64) * 21
    slide = written(tmp_path, Block(values, 0, 0, kind=layout.GREY16, compression=compression))
    assert np.array_equal(slide.decoder.samples(0, Region(0, 0, 64, 48))[..., 0], values)


def test_the_middle_plane_is_shown_and_said_to_be(tmp_path: Path) -> None:
    blocks = [Block(plain(50 * z, grey=True), 0, 0, kind=layout.GREY8, others={"Z": z}) for z in range(4)]
    slide = written(tmp_path, *blocks)
    assert slide.metadata.focal_planes == 4
    assert slide.metadata.properties["iain.focal-plane"] == "3 of 4"
    assert pixels(slide)[0, 0] == 100


def test_neighbours_of_a_reduction_leave_no_line_between_them(tmp_path: Path) -> None:
    """Halves of pixels are rounded in one direction, not to what is even."""
    full = Block(np.full((42, 86, 3), 90, np.uint8), 0, 0)
    coarse = [Block(plain(90, 21), x, 0, down=2) for x in (1, 43)]
    shown = pixels(written(tmp_path, full, *coarse), 1)
    assert (shown[:, 1:] == 90).all()


def test_a_reduction_counts_only_if_it_shows_all_that_full_resolution_does(tmp_path: Path) -> None:
    full = [Block(plain(90, 40), x, 0, others={"S": scene}) for scene, x in enumerate((0, 400))]
    halves = [replace(block, pixels=plain(90), down=2) for block in full]
    assert [level.size for level in written(tmp_path, *full, *halves).levels] == [Size(440, 40), Size(220, 20)]
    assert len(written(tmp_path, *full, halves[1]).levels) == 1
    assert len(written(tmp_path, *full, *(replace(half, others={"S": 0}) for half in halves)).levels) == 1


def test_a_sliver_at_the_edge_belongs_to_the_resolution_of_its_neighbours() -> None:
    """200 pixels in 3 are a sixty-seventh; the larger blocks say that it is a sixty-fourth."""
    full = [zisraw.Block(1, layout.BGR24, layout.RAW, Region(0, 0, 16_584, 640), Size(16_584, 640), {})]
    coarse = [
        zisraw.Block(2, layout.BGR24, layout.RAW, Region(0, 0, 16_384, 640), Size(256, 10), {}),
        zisraw.Block(3, layout.BGR24, layout.RAW, Region(16_384, 0, 200, 64), Size(3, 1), {}),
    ]
    planes = czi_scan.scan([*full, *coarse]).planes
    assert [(plane.down, len(plane.channels[0])) for plane in planes] == [(1, 1), (64, 2)]


def test_facts_come_from_the_description_and_people_stay_in_it(tmp_path: Path) -> None:
    metadata = read(layout.MAKERS["uncompressed"](tmp_path)).metadata
    assert metadata.mpp_x == metadata.mpp_y == pytest.approx(0.499)
    assert (metadata.objective_power, metadata.scanner_model) == (20.0, "Axioscan 7")
    assert metadata.acquired_at is not None
    assert metadata.acquired_at.isoformat() == "2026-01-02T03:04:05.123456+00:00"
    assert metadata.barcode == layout.BARCODE
    assert b"DOE" not in metadata.to_json()
    assert b"private" not in metadata.to_json()
    bare = written(tmp_path, Block(plain(9), 0, 0)).metadata
    assert (bare.mpp_x, bare.objective_power, bare.scanner_model, bare.acquired_at, bare.barcode) == (None,) * 5


def test_a_damaged_picture_is_left_out_and_the_slide_is_shown(tmp_path: Path) -> None:
    path = layout.write(
        tmp_path / "slide.czi",
        [Block(plain(9), 0, 0)],
        xml="<ImageDocument/>",
        pictures={"Label": b"ZISRAWFILE", "SlidePreview": b"\xff\xd8\xff"},
    )
    slide = read(path)
    assert {name: picture() for name, picture in slide.pictures.items()} == {"label": None, "macro": None}


@pytest.mark.parametrize("at", [0.1, 0.5, 0.9, 0.999])
def test_a_file_cut_short_is_refused(at: float, tmp_path: Path) -> None:
    data = layout.MAKERS["zstd1"](tmp_path).read_bytes()
    with pytest.raises(DamagedSlideError):
        czi.read(MemoryByteSource(data[: int(len(data) * at)]))


def test_a_block_whose_data_are_cut_short_is_found_before_it_is_looked_at(tmp_path: Path) -> None:
    path = layout.write(tmp_path / "slide.czi", [Block(plain(9), 0, 0)], xml="<ImageDocument/>")
    data = bytearray(path.read_bytes())
    at = data.index(b"ZISRAWSUBBLOCK") + 32
    data[at + 8 : at + 16] = struct.pack("<q", len(data))
    with pytest.raises(DamagedSlideError, match="cut short"):
        czi.read(MemoryByteSource(bytes(data)))


@pytest.mark.parametrize(
    ("where", "value", "sentence"),
    [
        (84, struct.pack("<q", -1), "not where its directory says"),
        (84, struct.pack("<q", 0), "not where its directory says"),
        (84, struct.pack("<q", 1 << 60), "cut short"),
        (100, struct.pack("<i", 1), "not finished"),
        (80, struct.pack("<i", 2), "spread over several files"),
    ],
)
def test_a_header_that_points_nowhere_is_refused(where: int, value: bytes, sentence: str, tmp_path: Path) -> None:
    path = layout.write(tmp_path / "slide.czi", [Block(plain(9), 0, 0)], xml="<ImageDocument/>")
    data = bytearray(path.read_bytes())
    data[where : where + len(value)] = value
    with pytest.raises(TilerError, match=sentence):
        czi.read(MemoryByteSource(bytes(data)))


@pytest.mark.parametrize("count", [0, -1, 3, 10**6, 2**31 - 1])
def test_a_directory_of_impossible_length_is_refused(count: int, tmp_path: Path) -> None:
    path = layout.write(tmp_path / "slide.czi", [Block(plain(9), 0, 0)], xml="<ImageDocument/>")
    data = bytearray(path.read_bytes())
    at = data.index(b"ZISRAWDIRECTORY") + 32
    data[at : at + 4] = struct.pack("<i", count)
    with pytest.raises(DamagedSlideError):
        czi.read(MemoryByteSource(bytes(data)))


def test_a_description_with_a_document_type_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DamagedSlideError, match="document type"):
        written(tmp_path, Block(plain(9), 0, 0), xml='<!DOCTYPE a [<!ENTITY b "c">]><ImageDocument/>')


def test_data_that_are_other_than_the_directory_says_are_no_tile(tmp_path: Path) -> None:
    for claimed in (
        Block(plain(9), 0, 0, compression=layout.ZSTD1),
        Block(plain(9), 0, 0, compression=layout.JPEG_XR),
        Block(plain(9, grey=True), 0, 0, kind=layout.GREY8, compression=layout.ZSTD0),
    ):
        path = layout.write(tmp_path / "slide.czi", [claimed], xml="<ImageDocument/>")
        data = path.read_bytes()
        for entry in (struct.pack("<4siifi", b"X", 0, 20, 0.0, 20), struct.pack("<4siifi", b"Y", 0, 20, 0.0, 20)):
            data = data.replace(entry, entry.replace(struct.pack("<i", 20), struct.pack("<i", 21)))
        slide = czi.read(MemoryByteSource(data))
        with pytest.raises(DamagedSlideError):
            slide.decoder.tile(0, Region(0, 0, 21, 21))


def test_blocks_that_are_too_large_to_decode_are_refused() -> None:
    block = zisraw.Block(0, layout.BGR24, layout.RAW, Region(0, 0, 20_000, 20_000), Size(20_000, 20_000), {})
    with pytest.raises(UnsupportedSlideError, match="too large"):
        czi_scan.scan([block])


@pytest.mark.parametrize(
    ("shown", "stored"),
    [(Size(20, 20), Size(40, 40)), (Size(100, 20), Size(20, 20)), (Size(21, 20), Size(20, 20))],
)
def test_a_block_of_no_one_resolution_is_refused(shown: Size, stored: Size) -> None:
    block = zisraw.Block(0, layout.BGR24, layout.RAW, Region(0, 0, shown.width, shown.height), stored, {})
    with pytest.raises(DamagedSlideError, match="impossible place or size"):
        czi_scan.scan([block])
