"""Which levels a slide offers for those its scanner stored."""

import pytest

from tiler.errors import DamagedSlideError, UnsupportedSlideError
from tiler.geometry import Size
from tiler.ladder import Native, ladder, must_be_built, origin

T240, T256 = Size(240, 240), Size(256, 256)


def shape(*stored: tuple[int, int], tile: Size = T240) -> list[tuple[int, int, bool]]:
    levels = ladder([Native(Size(*size), tile) for size in stored])
    return [(level.size.width, level.size.height, level.stored) for level in levels]


def test_a_single_level_is_halved_down_to_one_tile() -> None:
    assert shape((2220, 2967)) == [
        (2220, 2967, True),
        (1110, 1484, False),
        (555, 742, False),
        (278, 371, False),
        (139, 186, False),
    ]


def test_an_aperio_slide_gets_the_steps_in_between() -> None:
    kinds = shape((46000, 32914), (11500, 8228), (2875, 2057))
    assert [stored for _, _, stored in kinds] == [True, False, True, False, True, False, False, False, False]
    assert kinds[1] == (23000, 16457, False)
    assert kinds[-1] == (180, 129, False)


def test_a_power_of_two_pyramid_gets_nothing() -> None:
    assert shape((1024, 768), (512, 384), (256, 192), tile=T256) == [
        (1024, 768, True),
        (512, 384, True),
        (256, 192, True),
    ]


def test_steps_of_three_are_near_enough() -> None:
    assert [one[2] for one in shape((900, 900), (300, 300), (100, 100))] == [True, False, True, False, True]
    assert [one[2] for one in shape((1000, 1000), (400, 400), (160, 160))] == [True, True, True]


def test_a_derived_level_shares_the_tile_size_of_the_finer_one() -> None:
    levels = ladder([Native(Size(4000, 4000), T240), Native(Size(1000, 1000), T256)])
    assert [level.tile for level in levels] == [T240, T240, T256, T256, T256]


def test_downsamples_are_relative_to_the_first_level() -> None:
    assert [round(level.downsample, 3) for level in ladder([Native(Size(1600, 800), T240)])] == [1, 2, 4, 8]


@pytest.mark.parametrize(
    "sizes",
    [
        [(1000, 1000), (1000, 1000)],
        [(1000, 1000), (2000, 2000)],
        [(1000, 1000), (900, 900)],
        [(4000, 4000), (2000, 1000)],
        [(4000, 1000), (1000, 1000)],
    ],
)
def test_what_is_not_one_image_at_falling_sizes_is_refused(sizes: list[tuple[int, int]]) -> None:
    with pytest.raises(DamagedSlideError):
        shape(*sizes)


def test_rounding_to_whole_tiles_is_allowed() -> None:
    assert len(shape((2220, 2967), (1136, 1520))) == 5
    assert shape((1000, 7), (500, 3), (250, 1), (125, 1))[-1] == (125, 1, True)


def test_a_huge_slide_without_overview_is_built_before_it_is_looked_at() -> None:
    without = ladder([Native(Size(200_000, 150_000), T256)])
    assert must_be_built(without)
    assert len(without) == 11
    assert not must_be_built(ladder([Native(Size(200_000, 150_000), T256), Native(Size(12_500, 9_375), T256)]))
    assert not must_be_built(ladder([Native(Size(64 * 240, 64 * 240), T240)]))


def test_a_slide_that_nobody_could_build_is_refused() -> None:
    with pytest.raises(UnsupportedSlideError, match="overview"):
        shape((400_000, 300_000))


def test_what_is_derived_comes_from_a_stored_level_within_three_steps() -> None:
    levels = ladder([Native(Size(46000, 32914), T240), Native(Size(11500, 8228), T240), Native(Size(2875, 2057), T240)])
    assert [origin(levels, number) for number in (1, 3, 5, 6, 7, 8)] == [
        (0, 2),
        (2, 2),
        (4, 2),
        (4, 4),
        (4, 8),
        (7, 2),
    ]


@pytest.mark.parametrize(("tile", "most"), [(512, 8), (528, 4), (1024, 4), (2048, 2)])
def test_large_tiles_are_reduced_in_smaller_steps(tile: int, most: int) -> None:
    levels = ladder([Native(Size(32 * tile, 32 * tile), Size(tile, tile))])
    assert max(origin(levels, number)[1] for number in range(1, len(levels))) == most
