"""OME-TIFF files, value by value: what the description says, what is chosen by it, and what is refused."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile

from benchmarks.layouts import ome as layout
from benchmarks.layouts.specimen import tissue
from tiler import codecs
from tiler.errors import DamagedSlideError, TilerError, UnsupportedSlideError
from tiler.geometry import Region
from tiler.readers import ifd, ome
from tiler.slide import SlideFile, SlideFiles
from tiler.storage.local import LocalByteSource


@pytest.fixture(autouse=True)
def _with_codecs() -> None:
    codecs.load()


def read(path: Path) -> SlideFile:
    source = LocalByteSource(path)
    found = ifd.directories(source)
    assert ome.recognises(found)
    return ome.read(SlideFiles(path.parent), source, found)


def pixels(slide: SlideFile, level: int = 0) -> np.ndarray:
    size = slide.levels[level].size
    return np.asarray(slide.decoder.tile(level, Region(0, 0, size.width, size.height)))


def described(folder: Path, kind: str, change: Callable[[str], str]) -> SlideFile:
    return read(layout.described(layout.MAKERS[kind](folder), change))


@pytest.mark.parametrize("kind", ["deflate", "planar", "three-channels"])
def test_colours_are_the_same_however_they_are_stored(kind: str, tmp_path: Path) -> None:
    slide = read(layout.MAKERS[kind](tmp_path))
    assert np.array_equal(pixels(slide), tissue())
    assert len(slide.levels) > 1


def test_channels_are_the_same_in_jpeg_2000(tmp_path: Path) -> None:
    paths = {kind: tmp_path / kind for kind in ("jpeg-2000", "channels")}
    for path in paths.values():
        path.mkdir()
    packed, plain = (read(layout.MAKERS[kind](path)) for kind, path in paths.items())
    assert packed.metadata.properties == plain.metadata.properties
    assert np.array_equal(pixels(packed), pixels(plain))


@pytest.mark.parametrize("compression", [33003, 33004, 33005])
def test_colours_in_jpeg_2000_are_what_their_streams_say(compression: int, tmp_path: Path) -> None:
    """Aperio means YCbCr by 33003; Bio-Formats does not."""
    path = tmp_path / "slide.ome.tif"
    how = {"compression": compression, "compressionargs": {"reversible": True, "mct": True}}
    tifffile.imwrite(path, tissue(256, 256), ome=True, bigtiff=True, photometric="rgb", tile=(128, 128), **how)
    assert np.array_equal(pixels(read(path)), tissue(256, 256))


def test_the_middle_plane_is_shown_and_said_to_be(tmp_path: Path) -> None:
    path = layout.MAKERS["planes"](tmp_path)
    slide = read(path)
    assert slide.metadata.focal_planes == 5
    assert slide.metadata.properties["iain.focal-plane"] == "3 of 5"
    low, high = map(int, slide.metadata.properties["iain.display-window"].split("–"))
    values = tifffile.imread(path)[2].astype(float)
    wanted = np.clip((values - low) / (high - low), 0, 1) * 255
    assert np.abs(pixels(slide) - wanted).max() <= 0.5


def test_signed_values_are_shown_from_the_least_on(tmp_path: Path) -> None:
    slide = read(layout.MAKERS["signed"](tmp_path))
    values = (tissue()[..., 1] // 2).astype(np.int8)
    low, high = map(int, slide.metadata.properties["iain.display-window"].split("–"))
    assert np.array_equal(pixels(slide) == 255, values >= high)
    assert np.array_equal(pixels(slide) == 0, values <= low)


@pytest.mark.parametrize(("axes", "shown"), [("CZYX", [1, 4, 7]), ("ZCYX", [3, 4, 5])])
def test_channels_and_planes_are_found_in_the_order_that_the_description_gives(
    axes: str, shown: list[int], tmp_path: Path
) -> None:
    """Of three channels and three planes: the middle plane of each channel."""
    values = np.stack([np.full((64, 64), number, np.uint8) for number in range(9)]).reshape(3, 3, 64, 64)
    path = tmp_path / "slide.ome.tif"
    tifffile.imwrite(path, values, ome=True, bigtiff=True, photometric="minisblack", metadata={"axes": axes})
    assert read(path).decoder.samples(0, Region(0, 0, 1, 1)).ravel().tolist() == shown


def test_facts_come_from_the_description_and_names_stay_in_it(tmp_path: Path) -> None:
    metadata = read(layout.MAKERS["channels"](tmp_path)).metadata
    assert metadata.mpp_x == metadata.mpp_y == pytest.approx(0.499)
    assert (metadata.objective_power, metadata.focal_planes) == (20.0, 1)
    scanner = (metadata.scanner_manufacturer, metadata.scanner_model, metadata.scanner_serial)
    assert scanner == ("Hamamatsu", "C13210", "000123")
    assert metadata.acquired_at is not None
    assert metadata.acquired_at.isoformat() == "2026-01-02T03:04:05"
    assert b"private" not in metadata.to_json()


@pytest.mark.parametrize(
    ("size", "unit", "mpp"),
    [
        ("499", "nm", 0.499),
        ("0.000499", "mm", 0.499),
        ("0.499", None, 0.499),
        ("0.5", "pixel", None),
        ("-1", "µm", None),
    ],
)
def test_physical_sizes_are_taken_in_their_units(
    size: str, unit: str | None, mpp: float | None, tmp_path: Path
) -> None:
    def change(text: str) -> str:
        text = re.sub(r' PhysicalSize[XY](Unit)?="[^"]*"', "", text)
        units = "".join(f' PhysicalSize{axis}Unit="{unit}"' for axis in "XY" if unit)
        return text.replace("<Pixels", f'<Pixels PhysicalSizeX="{size}" PhysicalSizeY="{size}"{units}', 1)

    metadata = described(tmp_path, "grey-16", change).metadata
    assert metadata.mpp_x == metadata.mpp_y == (pytest.approx(mpp) if mpp else None)


def test_files_that_are_missing_are_named(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedSlideError, match=r"slide-2\.ome\.tif, slide-3\.ome\.tif\."):
        read(layout.MAKERS["several-files"](tmp_path))
    with pytest.raises(UnsupportedSlideError, match=r"slide\.companion\.ome"):
        read(layout.MAKERS["companion"](tmp_path))


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ('SizeX="1000"', 'SizeX="999"', "another size than they have"),
        ('SizeX="1000"', 'SizeX="0"', "no sound SizeX"),
        ('SizeX="1000"', 'SizeX="1e3"', "no sound SizeX"),
        ('SizeC="3"', 'SizeC="2"', "contradicts itself"),
        ('SizeZ="1"', 'SizeZ="5000"', "focal planes"),
        ('SizeT="1"', 'SizeT="2"', "time series"),
        ('DimensionOrder="XYCZT"', 'DimensionOrder="XYQ"', "order of dimensions"),
        ("<OME ", '<!DOCTYPE a [<!ENTITY b "c">]><OME ', "document type"),
        ("</OME>", "</EMO>", "description is damaged"),
        ("<Image ", "<Nothing ", "damaged"),
    ],
)
def test_descriptions_that_cannot_be_are_refused(old: str, new: str, sentence: str, tmp_path: Path) -> None:
    def change(text: str) -> str:
        assert old in text or old.startswith("Dim")
        return re.sub(r'DimensionOrder="\w*"', new, text) if old.startswith("Dim") else text.replace(old, new)

    with pytest.raises(TilerError, match=sentence):
        described(tmp_path, "channels", change)


def test_images_that_the_file_does_not_hold_are_refused(tmp_path: Path) -> None:
    def change(text: str) -> str:
        return re.sub(r"<TiffData[^>]*/>", '<TiffData IFD="7"/>', text)

    with pytest.raises(DamagedSlideError, match="does not hold"):
        described(tmp_path, "channels", change)


def test_a_channel_in_two_places_is_refused(tmp_path: Path) -> None:
    """Which of two images is it? The last that is named would be one of them, and perhaps the wrong one."""
    twice = '<TiffData FirstC="1" IFD="0"/></Pixels>'
    with pytest.raises(DamagedSlideError, match="contradicts itself"):
        described(tmp_path, "channels", lambda text: text.replace("</Pixels>", twice))


def test_a_place_of_no_channel_is_not_that_of_another_plane(tmp_path: Path) -> None:
    values = np.stack([np.full((64, 64), number, np.uint8) for number in range(6)]).reshape(2, 3, 64, 64)
    path = tmp_path / "slide.ome.tif"
    tifffile.imwrite(path, values, ome=True, bigtiff=True, photometric="minisblack", metadata={"axes": "ZCYX"})
    sound = '<TiffData IFD="0" PlaneCount="3"/><TiffData FirstZ="1" IFD="3" PlaneCount="3"/>'
    parts = sound + '<TiffData FirstC="4" IFD="0"/>'
    slide = read(layout.described(path, lambda text: re.sub(r"<TiffData.*/>", parts, text)))
    assert slide.decoder.samples(0, Region(0, 0, 1, 1)).ravel().tolist() == [3, 4, 5]


def test_a_picture_that_cannot_be_found_is_left_out(tmp_path: Path) -> None:
    slide = described(tmp_path, "jpeg", lambda text: text.replace('<TiffData IFD="2"', '<TiffData IFD="77"'))
    assert slide.metadata.pictures == ("label",)
