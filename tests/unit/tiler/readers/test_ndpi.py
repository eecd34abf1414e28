"""Hamamatsu files that are not what they say, and the arithmetic of restart marks."""

import io
import struct
from array import array
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from fixtures.slides import InMemory
from PIL import Image

from benchmarks.layouts import ndpi
from benchmarks.layouts.specimen import tissue
from tiler.errors import DamagedSlideError, TilerError, UnsupportedSlideError
from tiler.geometry import Region, Size
from tiler.jpeg import Colour, body, header
from tiler.opening import open_slide
from tiler.readers import restarts
from tiler.readers.ifd import directories
from tiler.readers.restarts import Strip
from tiler.slide import SlideFile, SlideFiles
from tiler.storage.local import LocalByteSource
from tiler.storage.memory import MemoryByteSource


def small() -> np.ndarray:
    return tissue(256, 64)


def opened(path: Path) -> SlideFile:
    return open_slide(InMemory(path.read_bytes()))


def marked(width: int = 256, height: int = 64, interval: int = 4, subsampling: str = "4:2:2") -> ndpi.Scan:
    return ndpi.scan(tissue(width, height), 20.0, interval=interval, subsampling=subsampling)


def strip(one: ndpi.Scan, starts: list[int] | None = None, size: Size | None = None) -> Strip:
    found = array("I", ndpi._starts(one.jpeg) if starts is None else starts)
    return Strip(MemoryByteSource(one.jpeg), 0, len(one.jpeg), size or Size(one.width, one.height), found)


def decoded(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)


def test_facts(tmp_path: Path) -> None:
    metadata = opened(ndpi.write(tmp_path / "a.ndpi", [marked(), ndpi.scan(small(), -1.0)])).metadata
    assert (metadata.format, metadata.vendor, metadata.size) == ("ndpi", "hamamatsu", Size(256, 64))
    assert metadata.mpp_x == pytest.approx(0.499, rel=1e-4)
    assert (metadata.objective_power, metadata.scanner_serial) == (20.0, "950291")
    assert (metadata.scanner_manufacturer, metadata.scanner_model) == ("Hamamatsu", "C9600-12")
    assert metadata.acquired_at == datetime(2026, 1, 2, 3, 4, 5)
    assert (metadata.barcode, metadata.focal_planes, metadata.pictures) == ("26H01234", None, ("macro",))
    assert metadata.properties["hamamatsu.YOffsetFromSlideCentre"] == "-96063"
    assert "DOE" not in str(metadata)


@pytest.mark.parametrize("text", ["Jane Doe", "DOE", "", "x" * 70 + "1", "12 34"])
def test_a_text_that_is_no_code_is_no_barcode(tmp_path: Path, text: str) -> None:
    assert opened(ndpi.write(tmp_path / "a.ndpi", [marked()], label=text)).metadata.barcode is None


def test_the_focal_plane_nearest_to_the_focus_is_shown_and_told(tmp_path: Path) -> None:
    dull = np.full_like(small(), 255)
    stack = [ndpi.scan(small() if z == 300 else dull, 20.0, plane=z) for z in (-2000, 300, 2000, 4000)]
    slide = opened(ndpi.write(tmp_path / "a.ndpi", stack))
    assert len(slide.levels) == 1
    assert slide.metadata.focal_planes == 4
    assert slide.metadata.properties["iain.focal-plane"] == "2 of 4"
    assert np.asarray(slide.decoder.tile(0, Region(0, 0, 256, 64))).std() > 1


def test_offsets_of_64_bits_are_taken_where_a_file_needs_them(tmp_path: Path) -> None:
    path = ndpi.write(tmp_path / "far.ndpi", [marked()], begin=(1 << 32) + 100)
    [found] = directories(LocalByteSource(path))
    assert found.integer(273) == (1 << 32) + 100
    assert found.text(271) == "Hamamatsu"
    near = ndpi.write(tmp_path / "near.ndpi", [marked()]).read_bytes()
    garbled = near[:-40] + b"\xff" * 40  # what some writers left behind the directory is not theirs
    assert directories(MemoryByteSource(garbled))[0].text(271) == "Hamamatsu"


def test_halves_of_offsets_are_joined() -> None:
    low = array("I", [1, 2, 3])
    assert [*restarts.starts_of(low, array("I", [0, 1, 2]))] == [1, (1 << 32) + 2, (2 << 32) + 3]
    assert restarts.starts_of(low, array("I", [0, 1])) is low
    assert restarts.starts_of(low, array("I")) is low
    again = array("I", [7, 9, 2, 8, 1])
    assert [*restarts.starts_of(again, array("I"))] == [7, 9, (1 << 32) + 2, (1 << 32) + 8, (2 << 32) + 1]


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
@pytest.mark.parametrize(("width", "height", "interval"), [(256, 64, 4), (250, 60, 8), (256, 64, 16)])
def test_tiles_are_put_together(subsampling: str, width: int, height: int, interval: int) -> None:
    one = marked(width, height, interval, subsampling)
    whole = decoded(one.jpeg)
    found = strip(one)
    assert found.makes(found.tile)
    assert not found.makes(Size(interval * 4, found.tile.height))
    assert not found.makes(Size(found.tile.width, found.tile.height + 4))
    made = found.put_together(Region(0, 0, width, height))
    body(made, Size(width, height), header(None, Colour.YCBCR))
    assert np.array_equal(decoded(made), whole)
    area = Region(101, 17, 99, 31)
    error = np.asarray(found.pixels(area)).astype(int) - whole[17:48, 101:200]
    assert np.abs(error[2:-2, 2:-2]).max() <= 24, "colours at the edge of an interval are guessed"
    assert (error == 0).mean() > 0.9


@pytest.mark.parametrize(
    ("width", "interval", "tile"),
    [
        (4096, 2048, Size(2048, 256)),
        (4096, 256, Size(512, 512)),
        (4000, 40, Size(480, 480)),
        (1200, 1200, Size(1200, 256)),
    ],
)
def test_the_tile_fits_the_intervals(width: int, interval: int, tile: Size) -> None:
    pixels = np.full((520, width, 3), 200, np.uint8)
    one = ndpi.scan(pixels, 20.0, interval=interval // 8, subsampling="4:4:4")
    assert strip(one).tile == tile


def test_an_interval_wider_than_a_tile_may_be_is_decoded() -> None:
    one = ndpi.scan(np.full((16, 2056, 3), 200, np.uint8), 20.0, interval=257, subsampling="4:4:4")
    assert strip(one).tile == Size(256, 256)
    assert not strip(one).makes(Size(256, 256))


def test_rgb_is_not_taken_for_ycbcr() -> None:
    one = ndpi.scan(small(), 20.0, interval=32, subsampling="4:4:4", keep_rgb=True)
    found = strip(one)
    assert not found.makes(Size(256, 64))
    assert np.abs(np.asarray(found.pixels(Region(0, 0, 256, 64))).astype(int) - small()).mean() < 4


def test_a_frame_too_large_to_say_is_not_believed() -> None:
    one = marked()
    at = one.jpeg.index(b"\xff\xc0") + 5
    silent = replace(one, jpeg=one.jpeg[:at] + bytes(4) + one.jpeg[at + 4 :])
    assert np.array_equal(decoded(strip(silent).put_together(Region(0, 0, 256, 64))), decoded(one.jpeg))
    other = replace(one, jpeg=one.jpeg[:at] + struct.pack(">HH", 64, 240) + one.jpeg[at + 4 :])
    with pytest.raises(DamagedSlideError, match="240 × 64 pixels, where the slide says 256 × 64"):
        strip(other)


@pytest.mark.parametrize(
    "change", [lambda s: s[:-1], lambda s: [s[0] + 1, *s[1:]], lambda s: [s[0], *s[:0:-1]], lambda s: []]
)
def test_marks_in_the_wrong_places_are_not_used(change) -> None:
    one = marked()
    found = strip(one, change(ndpi._starts(one.jpeg)))
    assert found.tile == Size(256, 256)
    assert np.array_equal(np.asarray(found.pixels(Region(0, 0, 256, 64))), decoded(one.jpeg))


@pytest.mark.parametrize("at", [5, -2])
def test_marks_that_are_elsewhere_than_told_are_damage(at: int) -> None:
    one = marked()
    starts = ndpi._starts(one.jpeg)
    starts[at] += 1
    with pytest.raises(DamagedSlideError, match="restart marks are not where"):
        strip(one, starts).put_together(Region(0, 0, 256, 64))


def test_marks_too_far_apart_are_not_followed() -> None:
    one = marked()
    far = one.jpeg + bytes(20 << 20)
    starts = array("I", ndpi._starts(one.jpeg))
    starts[-1] = len(far) - 10
    with pytest.raises(DamagedSlideError, match="farther apart"):
        Strip(MemoryByteSource(far), 0, len(far), Size(256, 64), starts).put_together(Region(0, 0, 256, 64))


def test_refusals(tmp_path: Path) -> None:
    with pytest.raises(DamagedSlideError, match="holds no scan"):
        opened(ndpi.write(tmp_path / "a.ndpi", [ndpi.scan(small(), -1.0)]))
    with pytest.raises(DamagedSlideError, match="behind the end of the file"):
        Strip(MemoryByteSource(bytes(100)), 50, 51, Size(8, 8), [])
    with pytest.raises(DamagedSlideError, match="does not begin as one"):
        Strip(MemoryByteSource(bytes(100)), 0, 100, Size(8, 8), [])
    cmyk = io.BytesIO()
    Image.new("CMYK", (64, 64)).save(cmyk, "JPEG")
    with pytest.raises(UnsupportedSlideError, match="neither 8-bit colour nor 8-bit grey"):
        Strip(MemoryByteSource(cmyk.getvalue()), 0, len(cmyk.getvalue()), Size(64, 64), [])
    cut = marked()
    with pytest.raises(DamagedSlideError, match="cannot be decoded"):
        strip(replace(cut, jpeg=cut.jpeg[:-300]), []).pixels(Region(0, 0, 256, 64))


def test_every_cut_and_every_flip_is_a_slide_or_a_sentence(tmp_path: Path) -> None:
    whole = ndpi.write(tmp_path / "a.ndpi", [marked(), ndpi.scan(small(), -1.0)]).read_bytes()
    opened_ones = 0
    for at in range(0, len(whole), max(1, len(whole) // 300)):
        for data in (whole[:at], whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :]):
            try:
                slide = open_slide(InMemory(data))
                size = slide.levels[0].size
                slide.decoder.tile(0, Region(0, 0, min(64, size.width), min(64, size.height)))
                opened_ones += 1
            except TilerError:
                continue
    assert opened_ones


def test_lists_of_files_are_refused_by_name(tmp_path: Path) -> None:
    """Also when the files they list lie beside them."""
    for key in ("vms", "vmu", "ndpis"):
        folder = tmp_path / key
        folder.mkdir()
        ndpi.MAKERS[key](folder)
        (folder / "a.jpg").write_bytes(marked().jpeg)
        with pytest.raises(UnsupportedSlideError, match=f"a Hamamatsu {key.upper()}"):
            open_slide(SlideFiles(folder))
