"""The page of formats is that of the readers' tables."""

from pathlib import Path

import pytest

from benchmarks.formats_page import PAGE, page
from tiler.errors import UnsupportedSlideError
from tiler.formats import Cell, Format, Handling
from tiler.opening import FOREIGN, FORMATS, open_slide
from tiler.slide import ALONE, SlideFiles


def test_the_page_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(FORMATS), "run python -m benchmarks.formats_page"


def test_every_kind_has_a_line() -> None:
    cells = (
        Cell("one", "JPEG | tiles", Handling.STORED),
        Cell("two", "strips", Handling.DECODED),
        Cell("three", "floating point", Handling.REFUSED, "cannot be shown"),
    )
    lines = page([Format("made", "A made format", "nobody", cells)]).splitlines()
    assert "| JPEG \\| tiles | served as it is |" in lines
    assert "| strips | decoded |" in lines
    assert "| floating point | refused: “cannot be shown” |" in lines
    assert "1 formats, 3 kinds of images in them: 1 served as it is, 1 decoded, 1 refused." in lines


@pytest.mark.parametrize(("at", "magic", "name"), FOREIGN)
def test_what_is_refused_by_name_is_named(tmp_path: Path, at: int, magic: bytes, name: str) -> None:
    (tmp_path / ALONE).write_bytes(bytes(at) + magic + bytes(300))
    with pytest.raises(UnsupportedSlideError, match=name):
        open_slide(SlideFiles(tmp_path))
    assert name in page(FORMATS)
