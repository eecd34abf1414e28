"""Figures as bars: nothing is lost between the count and its drawing."""

from datetime import date

from sharing.shares import BOUNDS_US, DAY_US, HOUR_US, WEEK_US, Times, Week
from slideserver.pages import charts

MONDAY_US = 1_794_787_200_000_000  # 2026-11-16


def test_the_weeks_end_with_the_last_that_counts_and_show_the_gaps():
    found = charts.weeks([Week(MONDAY_US - 2 * WEEK_US, 3, 1), Week(MONDAY_US - WEEK_US, 0, 0), Week(MONDAY_US, 1, 1)])
    assert len(found.columns) == charts.WEEKS
    assert found.columns[-1].monday == date(2026, 11, 16)
    assert [column.total for column in found.columns[-3:]] == [4, 0, 2]
    assert found.columns[-3].height == 2 * found.columns[-1].height
    assert all(column.monday.weekday() == 0 for column in found.columns)


def test_every_bar_stands_on_the_ground_and_within_the_drawing():
    found = charts.weeks([Week(MONDAY_US - n * WEEK_US, n, n) for n in range(30, -1, -1)])
    assert len(found.columns) == charts.WEEKS
    for column in found.columns:
        assert 0 <= column.x < column.x + column.width <= found.width
        assert column.y >= charts.HEAD
        assert abs(column.y + column.height - found.ground) < 0.2


def test_no_share_draws_nothing():
    assert charts.weeks([]).columns == ()


def test_every_class_of_delays_has_a_word_and_the_longest_bar_is_whole():
    times = Times(HOUR_US, tuple(zip((*BOUNDS_US, None), (0, 2, 4, 1, 0, 1), strict=True)))
    found = charts.delays(times, of=11)
    assert [each.length for each in found.classes] == [0, 50, 100, 25, 0, 25]
    assert (found.waiting, found.median_us) == (3, HOUR_US)
    assert len({each.word for each in found.classes}) == len(BOUNDS_US) + 1


def test_nothing_ended_is_all_waiting():
    found = charts.delays(Times(None, tuple((bound, 0) for bound in (*BOUNDS_US, None))), of=2)
    assert (found.waiting, found.median_us) == (2, None)
    assert all(each.length == 0 for each in found.classes)
    assert DAY_US in charts.CLASSES
