"""Moments and figures as a French and an English reader write them."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from slideserver.i18n import Language
from slideserver.pages import moments

PARIS = ZoneInfo("Europe/Paris")
FR, EN = Language.FR, Language.EN


def us(text):
    return round(datetime.fromisoformat(text).replace(tzinfo=PARIS).timestamp() * 1_000_000)


NOW = us("2026-11-21T16:40:12")


@pytest.mark.parametrize(
    ("when", "french", "english", "yesterday", "minutes"),
    [
        ("2026-11-21T16:40:10", "16 h 40", "16:40", False, 0),
        ("2026-11-21T16:28:00", "16 h 28", "16:28", False, 12),
        ("2026-11-21T09:05:00", "9 h 05", "09:05", False, None),
        ("2026-11-20T23:59:59", "23 h 59", "23:59", True, None),
        ("2026-11-16T08:00:00", "lun. 8 h 00", "Mon 08:00", False, None),
        ("2026-03-02T08:00:00", "2 mars 8 h 00", "2 Mar 08:00", False, None),
        ("2025-11-21T08:00:00", "21 nov. 2025", "21 Nov 2025", False, None),
    ],
)
def test_a_moment_is_told_by_its_distance(when, french, english, yesterday, minutes):
    moment = moments.tell(us(when), NOW, PARIS, FR)
    assert (moment.text, moment.yesterday, moment.minutes) == (french, yesterday, minutes)
    assert moments.tell(us(when), NOW, PARIS, EN).text == english


def test_a_minute_before_midnight_is_both_yesterday_and_a_minute_ago():
    moment = moments.tell(us("2026-11-20T23:59:30"), us("2026-11-21T00:00:30"), PARIS, FR)
    assert (moment.yesterday, moment.minutes) == (True, 1)


def test_a_clock_that_is_ahead_counts_as_now():
    assert moments.tell(NOW + 5_000_000, NOW, PARIS, FR).minutes == 0


def test_the_exact_moment_stands_beside():
    moment = moments.tell(NOW, NOW, PARIS, FR)
    assert moment.exact == "samedi 21 novembre 2026, 16:40:12"
    assert moment.iso == "2026-11-21T16:40:12+01:00"


def test_lengths_on_the_glass():
    assert moments.size_mm(46_000, 0.499, FR) == "23,0"
    assert moments.size_mm(46_000, 0.499, EN) == "23.0"
    assert moments.size_mm(46_000, None, FR) is None


@pytest.mark.parametrize(
    ("length", "french", "english"),
    [(0, "0 o", "0 B"), (999, "999 o", "999 B"), (1_938_955, "1,9 Mo", "1.9 MB"), (4_200_000_000, "4,2 Go", "4.2 GB")],
)
def test_sizes_of_files(length, french, english):
    assert moments.bytes_in_words(length, FR) == french
    assert moments.bytes_in_words(length, EN) == english
