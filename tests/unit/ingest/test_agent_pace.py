"""Quiet hours by the site's clock, and a limit that all uploads share."""

from collections.abc import Callable
from datetime import UTC, datetime
from threading import Event
from zoneinfo import ZoneInfo

import pytest

from ingest.agent.clock import SiteClock
from ingest.agent.pace import Quiet, SitePace, is_ever_open, parse_quiet

PARIS = ZoneInfo("Europe/Paris")


def clock_at(moment: str) -> SiteClock:
    """A workstation whose clock stands still at a moment of UTC."""
    us = round(datetime.fromisoformat(moment).replace(tzinfo=UTC).timestamp() * 1e6)
    return SiteClock(PARIS, lambda: us)


@pytest.mark.parametrize(
    ("hours", "utc", "closed_min"),
    [
        # a working day of winter: Paris is an hour ahead
        ("08:00-18:00", "2026-01-14T06:59", 0),
        ("08:00-18:00", "2026-01-14T07:00", 600),
        ("08:00-18:00", "2026-01-14T16:59", 1),
        ("08:00-18:00", "2026-01-14T17:00", 0),
        # over midnight, and of one day of the week only: 2026-01-16 is a Friday
        ("22:00-06:00", "2026-01-14T21:00", 480),
        ("22:00-06:00", "2026-01-14T04:59", 1),
        ("fri 22:00-06:00", "2026-01-16T21:30", 450),
        ("ven 22:00-06:00", "2026-01-17T04:00", 60),
        ("fri 22:00-06:00", "2026-01-17T21:30", 0),
        ("sam,dim 00:00-24:00", "2026-01-17T12:00", 35 * 60),
        ("fri-mon 00:00-24:00", "2026-01-17T12:00", 59 * 60),
        # the night of 2026-03-29 has no hour from 2 to 3: seven hours are quiet instead of eight
        ("22:00-06:00", "2026-03-28T21:00", 420),
        ("02:00-03:00", "2026-03-29T00:59", 0),
        ("02:00-03:00", "2026-03-29T01:00", 0),
        ("01:30-02:30", "2026-03-29T00:30", 30),
        # the night of 2026-10-25 has that hour twice: nine hours are quiet
        ("22:00-06:00", "2026-10-24T20:00", 540),
        ("02:00-03:00", "2026-10-25T00:00", 120),
        ("02:00-03:00", "2026-10-25T01:59", 1),
        ("02:30-02:45", "2026-10-25T00:40", 5),
        ("02:30-02:45", "2026-10-25T01:40", 5),
    ],
)
def test_nothing_is_sent_while_a_clock_on_the_sites_wall_shows_quiet_hours(hours, utc, closed_min) -> None:
    assert SitePace(clock_at(utc), [parse_quiet(hours)]).closed_s() == closed_min * 60


def test_hours_that_follow_each_other_are_one_pause() -> None:
    pace = SitePace(clock_at("2026-01-14T11:00:30"), [parse_quiet("08:00-13:00"), parse_quiet("13:00-14:00")])
    assert pace.closed_s() == 2 * 3600 - 30


def test_the_servers_time_counts_when_the_workstations_is_wrong() -> None:
    clock = clock_at("2026-01-14T07:30")
    pace = SitePace(clock, [parse_quiet("08:00-18:00")])
    assert pace.closed_s() > 0
    clock.skew_ms = 40 * 60 * 1000  # it is 7:50 in Paris, really
    assert pace.closed_s() == 0


@pytest.mark.parametrize(
    ("utc", "hours_before"),
    [("2026-01-14T07:30", 8.5), ("2026-01-13T23:10", 1 / 6), ("2026-03-29T10:00", 11), ("2026-10-25T11:00", 13)],
)
def test_a_day_begins_at_the_sites_midnight_also_when_its_clock_is_changed(utc, hours_before) -> None:
    clock = clock_at(utc)
    assert clock.wall_us() - clock.midnight_us() == round(hours_before * 3600e6)
    clock.skew_ms = 5 * 60 * 1000
    assert clock.wall_us() - clock.midnight_us() == round((hours_before * 3600 - 300) * 1e6)


@pytest.mark.parametrize(
    "text", ["", "8-18", "08:00", "25:00-26:00", "24:00-06:00", "08:60-09:00", "xyz 08:00-09:00", "mon- 08:00-09:00x"]
)
def test_what_are_no_hours_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        parse_quiet(text)


def test_hours_that_never_end_are_found_out() -> None:
    assert is_ever_open([])
    assert is_ever_open([parse_quiet("00:00-23:59")])
    assert not is_ever_open([parse_quiet("mon-wed 00:00-24:00"), parse_quiet("jeu-dim 12:00-12:00"),
                             parse_quiet("thu 00:00-12:00")])  # fmt: skip
    assert Quiet(frozenset({0}), 0, 0).covers(datetime(2026, 1, 12, 13))


class Waits(Event):
    """A stop that nobody sets, and that lets the time pass for which it is waited for."""

    def __init__(self, pass_s: Callable[[float], None]) -> None:
        super().__init__()
        self.pass_s = pass_s

    def wait(self, timeout: float | None = None) -> bool:
        self.pass_s(timeout or 0)
        return False


class Time:
    def __init__(self) -> None:
        self.s = 1000.0

    def pass_s(self, seconds: float) -> None:
        self.s += seconds


def test_all_uploads_together_keep_below_the_limit() -> None:
    time = Time()
    pace = SitePace(clock_at("2026-01-14T07:30"), bytes_per_s=1_000_000, now_s=lambda: time.s)
    for _ in range(400):
        pace.spend(pace.slice_bytes, Waits(time.pass_s))
        time.pass_s(0.01)  # the network's own time is no time on top
    rate = pace.sent_bytes / (time.s - 1000)
    assert 950_000 <= rate <= 1_000_000
    waited: list[float] = []
    for _ in range(4):  # four threads at the same moment wait for one another
        pace.spend(250_000, Waits(waited.append))
    assert waited == pytest.approx([0.25, 0.5, 0.75, 1.0], abs=0.01)


def test_the_rate_is_that_of_the_last_minute() -> None:
    time = Time()
    pace = SitePace(clock_at("2026-01-14T07:30"), now_s=lambda: time.s)
    for _ in range(120):
        pace.spend(600_000, Event())
        time.pass_s(1)
    assert pace.bytes_per_s() == pytest.approx(600_000, rel=0.02)
    time.pass_s(30)
    assert pace.bytes_per_s() == pytest.approx(300_000, rel=0.05)
    time.pass_s(40)
    assert (pace.bytes_per_s(), pace.sent_bytes) == (0, 72_000_000)


def test_slices_are_small_where_the_limit_is() -> None:
    clock = clock_at("2026-01-14T07:30")
    assert SitePace(clock).slice_bytes == 1024 * 1024
    assert SitePace(clock, bytes_per_s=125_000).slice_bytes == 31_250
    assert SitePace(clock, bytes_per_s=1).slice_bytes == 4096
