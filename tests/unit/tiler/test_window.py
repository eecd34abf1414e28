"""What is shown of values that no screen can show, worked out by hand."""

import numpy as np
import pytest

from tiler import window
from tiler.errors import UnsupportedSlideError
from tiler.geometry import Size
from tiler.window import Rgb


def test_eight_bits_are_shown_as_they_are() -> None:
    colours = np.arange(27, dtype=np.uint8).reshape(3, 3, 3)
    shown = window.of_colour(colours.reshape(-1, 3))
    assert shown.words is None
    assert np.array_equal(np.asarray(shown.picture(colours)), colours)
    grey = window.of_channels(colours.reshape(-1, 1), [Rgb(255, 0, 0)])
    assert grey.words is None
    assert grey.picture(colours[..., :1]).mode == "L", "one channel alone is grey, whatever its colour"


@pytest.mark.parametrize(("greatest", "high"), [(4095, 4095), (4096, 8191), (65535, 65535), (3, 255)])
def test_the_three_of_a_colour_share_one_window(greatest: int, high: int) -> None:
    values = np.array([[0, 1, greatest]], np.uint16)
    shown = window.of_colour(values)
    assert shown.words == f"0–{high}"
    assert np.asarray(shown.picture(values[None]))[0, 0].tolist() == [
        0,
        round(255 / high),
        round(greatest * 255 / high),
    ]


def test_sixteen_bit_grey_reaches_from_the_darkest_to_the_brightest_but_for_a_thousandth() -> None:
    values = np.arange(1001, dtype=np.uint16)[:, None] + 5000
    shown = window.of_channels(values, [None])
    assert shown.words == "5001–5999"
    picture = np.asarray(shown.picture(np.array([[[5000], [5001], [5500], [5999], [65535]]], np.uint16)))
    assert picture.tolist() == [[0, 0, 128, 255, 255]]


def test_one_value_everywhere_and_signed_values_are_shown_too() -> None:
    assert window.of_channels(np.full((9, 1), 7, np.uint16), [None]).words == "7–8"
    signed = window.of_channels(np.array([[-1], [96]], np.int8), [None])
    assert signed.words == "-1–96"
    assert np.asarray(signed.picture(np.array([[[-128], [-1], [96]]], np.int8))).tolist() == [[0, 0, 255]]


def test_channels_are_added_in_their_colours() -> None:
    values = np.array([[0, 0], [255, 255]], np.uint8)
    shown = window.of_channels(values, [None, Rgb(255, 0, 255)])
    assert shown.words == "1: 0–255 #ff0000; 2: 0–255 #ff00ff"
    picture = np.asarray(shown.picture(np.array([[[100, 0], [0, 100], [200, 200]]], np.uint8)))
    assert picture.tolist() == [[[100, 0, 0], [100, 0, 100], [255, 0, 200]]]
    assert len(window.of_channels(np.zeros((1, 8), np.uint16), [None] * 8).words or "") <= 256


@pytest.mark.parametrize("kind", ["float32", "uint32", "int64", "bool"])
def test_other_kinds_of_values_are_refused_by_name(kind: str) -> None:
    with pytest.raises(UnsupportedSlideError, match=f"of the kind {kind}; only whole numbers of 8 or 16 bits"):
        window.of_channels(np.zeros((1, 1), kind), [None])


def test_more_channels_than_can_be_told_apart_are_refused() -> None:
    with pytest.raises(UnsupportedSlideError, match="9 channels; up to 8"):
        window.of_channels(np.zeros((1, 9), np.uint16), [None] * 9)


def test_it_looks_at_all_of_a_small_level_and_all_over_a_large_one() -> None:
    assert sum(area.size.area for area in window.areas(Size(700, 300), 8)) == 700 * 300
    assert sum(area.size.area for area in window.areas(Size(1536, 1536), 1)) == 1536**2
    large = window.areas(Size(102_400, 25_600), 3)
    assert len(large) == 16
    assert {area.x for area in large} == {50 * 256, 150 * 256, 250 * 256, 350 * 256}
    assert {area.y for area in large} == {12 * 256, 37 * 256, 62 * 256, 87 * 256}
    assert len(window.areas(Size(100_000, 200), 1)) == 4
    assert [len(window.areas(Size(9000, 9000), channels)) for channels in (1, 4, 8)] == [16, 9, 4]
