"""What a Leica file may say about where its images lie, and what is not believed."""

from pathlib import Path

import pytest
from fixtures.slides import InMemory

from benchmarks.layouts import leica
from tiler.errors import DamagedSlideError, TilerError, UnsupportedSlideError
from tiler.geometry import Size
from tiler.opening import open_slide
from tiler.slide import SlideFile


@pytest.fixture(scope="module")
def one_area(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return leica.MAKERS["jpeg"](tmp_path_factory.mktemp("leica")).read_bytes()


@pytest.fixture(scope="module")
def two_areas(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return leica.MAKERS["areas"](tmp_path_factory.mktemp("leica")).read_bytes()


def opened(data: bytes, old: bytes = b"", new: bytes = b"") -> SlideFile:
    """With some words of its XML exchanged for others of the same length."""
    assert old in data
    assert len(old) == len(new)
    return open_slide(InMemory(data.replace(old, new)))


def test_areas_lie_where_the_glass_has_them(two_areas: bytes) -> None:
    first, second = leica.two_areas()
    slide = opened(two_areas)
    # 499 nm a pixel, counted from the corner of the glass
    across = second.x // 499 - first.x // 499 + second.planes[0].shape[1]
    down = first.y // 499 - second.y // 499 + first.planes[0].shape[0]
    assert [level.size for level in slide.levels] == [Size(across, down), Size(270, 225)]
    assert slide.metadata.properties["leica.areas"] == "2"


def test_of_areas_with_more_and_fewer_levels_those_are_read_that_all_have(two_areas: bytes) -> None:
    last = b'<dimension sizeX="120" sizeY="96" r="1" ifd="5"/>'
    slide = opened(two_areas, last, b" " * len(last))
    assert [level.size for level in slide.levels] == [opened(two_areas).levels[0].size]


def test_an_older_form_has_its_barcode_elsewhere(one_area: bytes) -> None:
    assert opened(one_area).metadata.barcode == leica.BARCODE
    older = one_area.replace(b"2010/10/01", b"2010/03/10").replace(b'name="glass"', b'barcode="77"')
    name, barcode = older.index(b"<barcode>"), older.index(b"</barcode>")
    older = older[:name] + b" " * (barcode + 10 - name) + older[barcode + 10 :]
    assert open_slide(InMemory(older)).metadata.barcode == "77"


def test_without_a_resolution_the_scanned_area_tells_the_scale(one_area: bytes) -> None:
    centimetres, none = (
        b"\x28\x01\x03\x00" + (1).to_bytes(8, "little") + b"\x03",
        b"\x28\x01\x03\x00" + (1).to_bytes(8, "little") + b"\x01",
    )
    slide = opened(one_area, centimetres, none)
    assert (slide.metadata.mpp_x, slide.metadata.mpp_y) == (pytest.approx(0.499), pytest.approx(0.499))


def test_an_overview_that_is_damaged_is_no_reason_against_the_scan(one_area: bytes) -> None:
    assert opened(one_area).metadata.pictures == ("macro",)
    broken = opened(one_area, b'r="0" ifd="0"', b'r="0" ifd="9"')
    assert broken.metadata.pictures == ()
    assert broken.levels[0].size == Size(1000, 700)


WRONG: dict[str, tuple[bytes, bytes, type[TilerError], str]] = {
    "another image": (b'ifd="2"', b'ifd="0"', DamagedSlideError, "two different sizes"),
    "no image": (b'ifd="2"', b'ifd="7"', DamagedSlideError, "does not hold"),
    "no number": (b'ifd="2"', b'ifd="x"', DamagedSlideError, "lacks a number"),
    "negative": (b'offsetX="300000"', b'offsetX="-30000"', DamagedSlideError, "impossible"),
    "nowhere": (b"<view ", b"<vieW ", DamagedSlideError, "does not say where"),
    "no extent": (b'view sizeX="499000"', b'view sizeX="000000"', DamagedSlideError, "does not say where"),
    "unknown form": (b"2010/10/01", b"2038/10/01", UnsupportedSlideError, "form that is not known"),
    "a document type": (
        b'<?xml version="1.0" encoding="utf-8"?>',
        b"<!DOCTYPE scn []>".ljust(38),
        DamagedSlideError,
        "XML",
    ),
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_a_description_that_contradicts_the_file_is_refused(
    wrong: tuple[bytes, bytes, type[TilerError], str], one_area: bytes
) -> None:
    old, new, error, words = wrong
    with pytest.raises(error, match=words):
        opened(one_area, old, new)


def test_areas_farther_apart_than_any_glass_are_refused(two_areas: bytes) -> None:
    with pytest.raises(DamagedSlideError, match="claims an image of"):
        opened(
            two_areas,
            b'offsetX="599700" offsetY="700000" spacingZ="0"',
            b'offsetX="99999999999" offsetY="70"'.ljust(46),
        )


@pytest.mark.parametrize(
    ("kind", "words"), [("areas-of-channels", "several areas of several"), ("coloured-channels", "stored in colour")]
)
def test_channels_that_are_no_one_picture_are_refused(kind: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedSlideError, match=words):
        open_slide(InMemory(leica.MAKERS[kind](tmp_path).read_bytes()))
