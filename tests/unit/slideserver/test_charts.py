"""Figures as bars: nothing is lost between the count and its drawing."""

from datetime import date

from sharing.share_figures import BOUNDS_US, DAY_US, HOUR_US, WEEK_US, Times, Week
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


def test_a_day_draws_what_came_in_each_quarter_and_counts_it_by_the_hour():
    start, minute = MONDAY_US, 60_000_000
    sent = [(start, 10), (start + 14 * minute, 20), (start + 15 * minute, 60), (start + 23 * HOUR_US, 15)]
    found = charts.day(sent, [start, start + 59 * minute, start + 2 * HOUR_US], start, start + DAY_US, start + DAY_US)
    assert [(hour.sent_bytes, hour.slides) for hour in found.hours] == [(90, 2), (0, 1), (15, 0)]
    assert [quarter.start_us - start for quarter in found.quarters] == [0, 15 * minute, 23 * HOUR_US]
    assert found.highest == found.quarters[1]
    assert found.quarters[0].height == found.highest.height / 2
    for quarter in found.quarters:
        assert 0 <= quarter.x < quarter.x + quarter.width <= found.width
        assert quarter.y >= charts.HEAD
        assert abs(quarter.y + quarter.height - found.ground) < 0.2


def test_a_day_may_have_25_hours_and_may_be_empty():
    found = charts.day([(MONDAY_US + 24 * HOUR_US, 1)], [], MONDAY_US, MONDAY_US + 25 * HOUR_US, MONDAY_US)
    assert len(found.ticks) == 9
    assert found.quarters[0].x + found.quarters[0].width <= found.width
    empty = charts.day([], [], MONDAY_US, MONDAY_US + DAY_US, MONDAY_US)
    assert (empty.quarters, empty.highest, empty.hours) == ((), None, ())


def test_a_quarter_that_has_just_begun_is_as_fast_as_its_bytes_came():
    found = charts.day([(MONDAY_US, 6_000)], [], MONDAY_US, MONDAY_US + DAY_US, MONDAY_US + 60_000_000)
    assert found.quarters[0].bytes_per_s == 100
