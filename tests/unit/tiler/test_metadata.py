"""Metadata cross a border of trust as JSON: what comes back is what was meant, or an error."""

import json
from datetime import UTC, datetime

import pytest

from tiler.errors import BadIndexError
from tiler.geometry import Size
from tiler.metadata import MPP_RANGE, SlideMetadata, clean_text, number_within

FULL = SlideMetadata(
    format="svs",
    vendor="aperio",
    size=Size(46000, 32914),
    mpp_x=0.499,
    mpp_y=0.5,
    objective_power=20.0,
    scanner_manufacturer="Aperio",
    scanner_model="GT450",
    scanner_serial="SS1302",
    acquired_at=datetime(2009, 12, 29, 9, 59, 15, tzinfo=UTC),
    icc_profile_present=True,
    properties={"aperio.MPP": "0.4990"},
)


@pytest.mark.parametrize("metadata", [FULL, SlideMetadata("tiff", "generic", Size(1, 1))])
def test_metadata_survive_the_journey(metadata: SlideMetadata) -> None:
    assert SlideMetadata.from_json(metadata.to_json()) == metadata


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("mpp_x", "0.5"),
        ("mpp_x", -1.0),
        ("mpp_y", 1e300),
        ("objective_power", True),
        ("width", 0),
        ("width", 2.5),
        ("height", 2**32),
        ("vendor", ""),
        ("vendor", "a\u202eb"),
        ("vendor", "line\nbreak"),
        ("vendor", "x" * 300),
        ("format", None),
        ("acquired_at", "yesterday"),
        ("icc_profile_present", 1),
        ("properties", {str(number): "x" for number in range(100)}),
        ("properties", {"key": 5}),
        ("properties", []),
        ("surprise", "x"),
    ],
)
def test_a_field_out_of_bounds_is_an_error(field: str, value: object) -> None:
    plain = {**json.loads(FULL.to_json()), field: value}
    with pytest.raises(BadIndexError):
        SlideMetadata.from_json(json.dumps(plain).encode())


@pytest.mark.parametrize("data", [b"", b"[]", b"null", b"{}", b"\xff", b"[" * 100_000, b" " * 70_000, b'{"mpp_x":NaN}'])
def test_what_is_no_metadata_is_an_error(data: bytes) -> None:
    with pytest.raises(BadIndexError):
        SlideMetadata.from_json(data)


def test_text_is_one_clean_line() -> None:
    assert clean_text("  a\tb\r\nc\u2028d\x00 ") == "a b  c d"
    assert clean_text(" \n ") is None
    assert clean_text(None) is None
    assert len(clean_text("x" * 1000) or "") == 256


@pytest.mark.parametrize("value", ["nan", "inf", "-0.5", "0", "", "twenty", "1e999", None, "1000"])
def test_an_implausible_number_is_no_number(value: str | None) -> None:
    assert number_within(value, MPP_RANGE) is None


def test_a_plausible_number_is_taken() -> None:
    assert number_within("0.4990", MPP_RANGE) == 0.499
