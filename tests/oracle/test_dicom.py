"""DICOM against OpenSlide; against wsidicom what OpenSlide does not read; against pydicom what neither does."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import openslide
import pydicom
import pytest
from fixtures.comparison import faults, psnr, whole_levels
from fixtures.served import picture, served
from PIL import Image
from wsidicom import WsiDicom

from benchmarks.layouts import dicom
from benchmarks.layouts.specimen import pyramid
from tiler.cutters import CutterPool
from tiler.geometry import Region
from tiler.sandbox import Sandbox

_TILES = 12 + 4


def as_openslide(path: Path) -> list[np.ndarray]:
    with openslide.OpenSlide(first_of(path)) as slide:
        return whole_levels(slide)


def as_wsidicom(path: Path) -> list[np.ndarray]:
    with WsiDicom.open(sorted(path.iterdir())) as slide:
        sizes = [(level.size.width, level.size.height) for level in slide.pyramid]
        return [
            np.asarray(slide.read_region((0, 0), number, size).convert("RGB")).astype(int)
            for number, size in enumerate(sizes)
        ]


def as_pydicom(path: Path) -> list[np.ndarray]:
    return [put_together(pydicom.dcmread(each)) for each in sorted(path.iterdir())]


def put_together(instance: pydicom.Dataset) -> np.ndarray:
    """The frames side by side."""
    height, width = instance.TotalPixelMatrixRows, instance.TotalPixelMatrixColumns
    across, down = -(-width // instance.Columns), -(-height // instance.Rows)
    tiles = instance.pixel_array.reshape(down, across, instance.Rows, instance.Columns, -1)
    whole = tiles.swapaxes(1, 2).reshape(down * instance.Rows, across * instance.Columns, -1)
    return whole[:height, :width].astype(int)


def first_of(path: Path) -> Path:
    return path if path.is_file() else min(path.iterdir())


ORACLES: dict[str, Callable[[Path], list[np.ndarray]]] = {
    **dict.fromkeys(
        (
            "jpeg",
            "jpeg-rgb",
            "sparse",
            "concatenation",
            "extended-offset-table",
            "no-offset-table",
            "fragments",
            "small-frames",
            "jpeg-2000",
            "uncompressed",
        ),
        as_openslide,
    ),
    **dict.fromkeys(
        ("jpeg-grey", "focal-planes", "htj2k", "jpeg-ls", "jpeg-lossless", "rle", "grey-sparse"), as_wsidicom
    ),
    **dict.fromkeys(("planar", "deflated"), as_pydicom),
}


@pytest.mark.parametrize("key", ORACLES)
def test_every_tile_shows_what_an_independent_reader_sees(
    key: str, sandbox: Sandbox, cutter: CutterPool, tmp_path: Path
) -> None:
    """Equal where frames are served as they are, 40 dB where they are decoded."""
    path = dicom.MAKERS[key](tmp_path)
    with served(path, sandbox, cutter) as (source, _):
        assert faults(source, ORACLES[key](path)) == (_TILES, [])


@pytest.mark.parametrize("key", ["grey-16", "colour-16"])
def test_more_than_eight_bits_are_shown_through_the_window_that_is_told(
    key: str, sandbox: Sandbox, cutter: CutterPool, tmp_path: Path
) -> None:
    path = dicom.MAKERS[key](tmp_path)
    values = as_pydicom(path)
    low, high = (0, 4095)
    if key == "grey-16":
        low, high = np.percentile(values[-1], (0.1, 99.9), method="nearest")
    wanted = [
        np.rint((np.clip(each, low, high) - low) * 255 / (high - low)).repeat(3 // each.shape[2], 2) for each in values
    ]
    with served(path, sandbox, cutter) as (source, _):
        assert source.index.metadata.properties["iain.display-window"] == f"{low}–{high}"
        assert faults(source, wanted) == (_TILES, [])


def test_optical_paths_are_added_each_in_its_colour(sandbox: Sandbox, cutter: CutterPool, tmp_path: Path) -> None:
    """They are in one file at full resolution, in two below."""
    path = dicom.channels(tmp_path)
    first, second = (pyramid(each, 2) for each in (dicom.scan(dicom.GREY, 1)[0], dicom.second_channel()))
    wanted = [
        np.dstack([coded(one), coded(other), np.zeros_like(coded(one))])
        for one, other in zip(first, second, strict=True)
    ]
    with served(path, sandbox, cutter) as (source, _):
        told = source.index.metadata.properties
        assert told["iain.display-window"] == "1: 0–255 #ff0000; 2: 0–255 #00ff00"
        assert told["dicom.optical-paths"] == "2"
        assert faults(source, wanted) == (_TILES, [])


def coded(pixels: np.ndarray) -> np.ndarray:
    """What is left of a level after its frames were encoded."""
    whole = np.zeros_like(pixels, int)
    for (x, y), tile in zip(
        dicom.positions(pixels, dicom.GREY.tile), dicom.frames(pixels, dicom.GREY.tile), strict=True
    ):
        part = whole[y - 1 : y + 255, x - 1 : x + 255]
        part[:] = picture(dicom.jpeg(tile))[: part.shape[0], : part.shape[1], 0]
    return whole


def test_label_overview_and_facts_are_what_openslide_says(sandbox: Sandbox, cutter: CutterPool, tmp_path: Path) -> None:
    path = dicom.pictures(tmp_path)
    with served(path, sandbox, cutter) as (source, slide), openslide.OpenSlide(first_of(path)) as other:
        facts = source.index.metadata
        assert (facts.mpp_x, facts.mpp_y) == pytest.approx(
            (float(other.properties["openslide.mpp-x"]), float(other.properties["openslide.mpp-y"]))
        )
        assert facts.objective_power == float(other.properties["openslide.objective-power"])
        assert facts.pictures == ("label", "macro", "thumbnail")
        for name, found in (("label", slide.label), ("macro", slide.macro)):
            theirs = other.associated_images[name].convert("RGB")
            ours = Image.open(io.BytesIO(found or b""))
            assert ours.size == theirs.size
            assert np.abs(picture(found or b"") - np.asarray(theirs).astype(int)).mean() < 3


def test_an_empty_place_is_outside_of_what_there_is_to_see(
    sandbox: Sandbox, cutter: CutterPool, tmp_path: Path
) -> None:
    with served(dicom.sparse(tmp_path), sandbox, cutter) as (source, _):
        assert source.index.metadata.bounds == Region(0, 0, 768, 700)
        assert picture(source.get(0, 0, 0)).min() == picture(source.get(0, 3, 2)).min() == 255


def test_a_stream_is_believed_before_its_data_set(sandbox: Sandbox, cutter: CutterPool, tmp_path: Path) -> None:
    """Some converters write RGB of what is YCbCr, by its JFIF header and its subsampled colours."""

    def claim(data: pydicom.Dataset) -> None:
        data.PhotometricInterpretation = "RGB"

    with served(dicom.slide(tmp_path, edit=claim), sandbox, cutter) as (source, _):
        error = picture(source.get(0, 1, 1)) - dicom.tissue()[256:512, 256:512].astype(int)
        assert np.abs(error).mean() < 4


def test_frames_cut_short_at_the_edge_are_shown(sandbox: Sandbox, cutter: CutterPool, tmp_path: Path) -> None:
    """No reader at hand does, so each is held against its own stream."""
    pixels = dicom.scan(dicom.JPEG, 1)[0]
    tiles = dicom.frames(pixels, dicom.JPEG.tile)
    with served(dicom.short_frames(tmp_path), sandbox, cutter) as (source, _):
        for col, row in ((0, 0), (2, 1), (3, 0), (3, 1)):
            tile = np.ascontiguousarray(tiles[4 * row + col][:, : 1000 - 256 * col])
            error = picture(source.get(0, col, row)) - picture(dicom.jpeg_422(tile))
            assert (psnr(error) > 40) if col == 3 else not error.any()
