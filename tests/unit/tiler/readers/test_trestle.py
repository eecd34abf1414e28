"""Trestle slides: how their tiles overlap, and which files belong together."""

from pathlib import Path

import pytest
from fixtures.slides import InMemory, one_level

from benchmarks.layouts import trestle
from tiler.errors import DamagedSlideError, UnsupportedSlideError
from tiler.geometry import Region, Size
from tiler.opening import open_slide
from tiler.readers import tiff
from tiler.slide import DecodedLevel, SlideFiles, StoredLevel
from tiler.synthetic.pyramid import description


@pytest.fixture(scope="module")
def overlapping(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return trestle.MAKERS["overlaps"](tmp_path_factory.mktemp("trestle")).read_bytes()


def test_pixels_that_tiles_share_are_counted_once(overlapping: bytes) -> None:
    slide = open_slide(InMemory(overlapping))
    assert [level.size for level in slide.levels] == [Size(1000, 700), Size(500, 350), Size(250, 175)]
    assert all(isinstance(level, DecodedLevel) for level in slide.levels)
    assert slide.metadata.mpp_x == pytest.approx(0.499)


def test_levels_without_a_word_do_not_overlap(overlapping: bytes) -> None:
    slide = open_slide(InMemory(overlapping.replace(b"64 64 32 32 16 16", b"64 64 32 32      ")))
    assert [isinstance(level, StoredLevel) for level in slide.levels] == [False, False, True]


def test_the_left_and_upper_tile_is_on_top(overlapping: bytes) -> None:
    """As in OpenSlide. Shared pixels were encoded twice, so the two tiles differ by a little."""
    decoder = open_slide(InMemory(overlapping)).decoder
    assert decoder is not None
    whole = decoder.tile(0, Region(0, 0, 1000, 700))
    part = decoder.tile(0, Region(192, 0, 64, 64))  # which the first two tiles share
    first = decoder.tile(0, Region(0, 0, 256, 256))
    assert not any(isinstance(each, bytes) for each in (whole, part, first))
    assert part.tobytes() == whole.crop((192, 0, 256, 64)).tobytes()  # type: ignore[union-attr]
    assert part.tobytes() == first.crop((192, 0, 256, 64)).tobytes()  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (b"-4 -4 32 32 16 16", DamagedSlideError),
        (b"6e 64 32 32 16 16", DamagedSlideError),
        (b"129 64 32 32 16 1", UnsupportedSlideError),
        (b"256 256 32 32 6 6", UnsupportedSlideError),
    ],
)
def test_overlaps_that_cannot_be_are_refused(overlapping: bytes, words: bytes, error: type[Exception]) -> None:
    with pytest.raises(error, match="overlap"):
        open_slide(InMemory(overlapping.replace(b"64 64 32 32 16 16", words)))


def test_without_a_description_nobody_knows_whether_tiles_overlap() -> None:
    with pytest.raises(UnsupportedSlideError, match="no description of its tiles"):
        open_slide(InMemory(one_level(change={tiff.SOFTWARE: description("MedScan")})))


def test_companions_are_found_by_the_name_of_the_slide(tmp_path: Path) -> None:
    folder = trestle.MAKERS["companions"](tmp_path)
    files = SlideFiles(folder)
    slide = open_slide(files)
    assert files.names == ("slide.Full", "slide.info", "slide.tif")
    assert slide.metadata.pictures == ("macro",)
    assert all(isinstance(level, StoredLevel) and set(level.files or ()) == {2} for level in slide.levels)
    assert slide.pictures["macro"]() is not None
    (folder / "slide.Full").rename(folder / "other.Full")
    assert open_slide(SlideFiles(folder)).metadata.pictures == ()


def test_a_damaged_companion_is_no_reason_against_the_slide(tmp_path: Path) -> None:
    folder = trestle.MAKERS["companions"](tmp_path)
    (folder / "slide.Full").write_bytes(b"\xff\xd8\xff nothing")
    assert open_slide(SlideFiles(folder)).pictures["macro"]() is None


def test_two_slides_are_not_one(tmp_path: Path) -> None:
    folder = trestle.MAKERS["companions"](tmp_path)
    (folder / "second.tif").write_bytes((folder / "slide.tif").read_bytes())
    with pytest.raises(UnsupportedSlideError, match="several Trestle slides"):
        open_slide(SlideFiles(folder))


def test_companions_without_the_slide_are_no_slide(tmp_path: Path) -> None:
    folder = trestle.MAKERS["companions"](tmp_path)
    (folder / "slide.tif").unlink()
    with pytest.raises(UnsupportedSlideError):
        open_slide(SlideFiles(folder))
