"""What a Philips file says about its levels and itself, and what is not believed."""

import base64
from datetime import datetime

import pytest
from fixtures.slides import InMemory, one_level

from benchmarks.layouts import philips
from tiler.errors import DamagedSlideError, TilerError, UnsupportedSlideError
from tiler.geometry import Region, Size
from tiler.indexing import build_index
from tiler.opening import open_slide
from tiler.readers import tiff
from tiler.slide import SlideFile, StoredLevel
from tiler.synthetic.pyramid import description


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return philips.MAKERS["jpeg"](tmp_path_factory.mktemp("philips")).read_bytes()


@pytest.fixture(scope="module")
def sparse(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return philips.MAKERS["sparse"](tmp_path_factory.mktemp("philips")).read_bytes()


def opened(data: bytes, old: bytes = b"", new: bytes = b"") -> SlideFile:
    """With some words of its XML exchanged for others of the same length."""
    assert old in data
    assert len(old) == len(new)
    return open_slide(InMemory(data.replace(old, new)))


def test_levels_have_their_true_size_and_the_tiles_for_it(plain: bytes) -> None:
    levels = opened(plain).levels
    assert [level.size for level in levels] == [Size(1024, 768), Size(512, 384), Size(256, 192)]
    assert [len(level.offsets) for level in levels if isinstance(level, StoredLevel)] == [12, 4, 1]


def test_places_around_what_was_scanned_are_empty(sparse: bytes) -> None:
    slide = opened(sparse)
    assert slide.metadata.bounds == Region(512, 0, 512, 768)
    first = slide.levels[0]
    assert isinstance(first, StoredLevel)
    assert [bool(length) for length in first.lengths] == [False, False, True, True] * 3


def test_the_facts_of_the_scanner_are_read(plain: bytes) -> None:
    metadata = opened(plain).metadata
    assert (metadata.scanner_manufacturer, metadata.scanner_model) == ("PHILIPS", "UFS Scanner")
    assert metadata.acquired_at == datetime(2026, 1, 2, 3, 4, 5)
    assert metadata.barcode == philips.BARCODE
    assert metadata.objective_power == 40
    assert metadata.mpp_x == metadata.mpp_y == pytest.approx(0.499)


def test_without_a_description_nobody_knows_the_true_size_of_its_levels() -> None:
    with pytest.raises(UnsupportedSlideError, match="no description of its levels"):
        open_slide(InMemory(one_level(change={tiff.SOFTWARE: description("Philips DP v1.0")})))


def test_rows_come_before_columns_in_a_pixel_spacing(plain: bytes) -> None:
    once = b"&quot;0.000499000&quot; &quot;0.000499000&quot;</Attribute><Attribute Name="
    once += b'"PIIM_PIXEL_DATA_REPRESENTATION_SEQUENCE'
    slide = opened(plain, once, once.replace(b"0.000499000", b"0.000500000", 1))
    assert (slide.metadata.mpp_x, slide.metadata.mpp_y) == (pytest.approx(0.499), pytest.approx(0.5))


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        (b"levels=40,20,10", b"levels=10000,10", "objective_power"),
        (b"20260102030405.000000", b"1 January 2026 evening"[:21], "acquired_at"),
        (base64.b64encode(philips.BARCODE.encode()), b"!" * 12, "barcode"),
    ],
)
def test_what_cannot_be_told_is_missing(plain: bytes, old: bytes, new: bytes, field: str) -> None:
    assert getattr(opened(plain).metadata, field) is not None
    assert getattr(opened(plain, old, new).metadata, field) is None


WRONG: dict[str, tuple[bytes, bytes, type[TilerError], str]] = {
    "no number": (b"0.000998000", b"0.00099800x", DamagedSlideError, "pixel spacings do not fit"),
    "finer than the finest": (b"0.000998000", b"0.000098000", DamagedSlideError, "pixel spacings do not fit"),
    "nothing between pixels": (b"0.000499000", b"0.000000000", DamagedSlideError, "pixel spacings do not fit"),
    "twice as coarse": (b"0.000998000", b"0.009980000", DamagedSlideError, "get smaller|proportions|fit"),
    "another document": (b'="DPUfsImport"', b'="DPUfsExport"', UnsupportedSlideError, "Philips"),
    "no scan": (b">WSI<", b">ABC<", UnsupportedSlideError, "0 scans"),
    "entities": (
        b'<?xml version="1.0" encoding="UTF-8" ?>',
        b"<!DOCTYPE x [<!ENTITY y 'z'>]>".ljust(39),
        DamagedSlideError,
        "XML",
    ),
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_a_description_that_contradicts_the_file_is_refused(
    wrong: tuple[bytes, bytes, type[TilerError], str], plain: bytes
) -> None:
    old, new, error, words = wrong
    files = InMemory(plain.replace(old, new))
    assert len(old) == len(new)
    with pytest.raises(error, match=words):
        build_index(files, open_slide(files))
