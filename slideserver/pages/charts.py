"""Figures as drawings that the server renders: where each bar stands and what is written on it. Pure.

The templates draw them as SVG, in one tone, with the number on every bar: they can be read in grey and on paper.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

from sharing.clock import MINUTE_US, SECOND_US
from sharing.share_figures import DAY_US, HOUR_US, WEEK_US, Times, Week
from slideserver.pages.words import N_

WEEKS = 12
WIDTH, HEIGHT = 260, 200
"""The drawing of the weeks, in its own units."""
HEAD, FOOT, GAP = 18, 22, 6

PARTS = 6
"""How many values of a field are drawn."""

DAY_WIDTH, DAY_HEIGHT = 960, 150
"""The drawing of a day."""
QUARTER_US = 15 * MINUTE_US

CLASSES: Mapping[int | None, str] = {
    HOUR_US // 4: N_("under 15 min"),
    HOUR_US: N_("15 to 60 min"),
    4 * HOUR_US: N_("1 to 4 h"),
    DAY_US: N_("4 to 24 h"),
    3 * DAY_US: N_("1 to 3 days"),
    None: N_("over 3 days"),
}
"""Up to how long, in words; the last has no end."""


@dataclass(frozen=True, slots=True)
class Column:
    """One week: its Monday, how many of each kind, and the place of its bar. `labelled`: its date is written below."""

    monday: date
    opinions: int
    links: int
    x: float
    y: float
    width: float
    height: float
    labelled: bool

    @property
    def total(self) -> int:
        return self.opinions + self.links


@dataclass(frozen=True, slots=True)
class Weeks:
    columns: tuple[Column, ...]
    width: int = WIDTH
    height: int = HEIGHT
    ground: int = HEIGHT - FOOT


@dataclass(frozen=True, slots=True)
class Delay:
    """One class of delays: `word` is a message id, `length` that of its bar, where the longest has 100."""

    word: str
    count: int
    length: float


@dataclass(frozen=True, slots=True)
class Delays:
    """How long something took. `waiting` has no end yet; `median_us` is None when nothing has."""

    classes: tuple[Delay, ...]
    waiting: int
    median_us: int | None


@dataclass(frozen=True, slots=True)
class Part:
    """One value of a field: the name that it has in words, how many have it, and the length of its bar, where the most
    frequent one has 100."""

    value: str
    name: str
    count: int
    length: float


@dataclass(frozen=True, slots=True)
class Quarter:
    """A quarter of an hour: how fast bytes came in it, on average, and the place of its bar."""

    start_us: int
    bytes_per_s: int
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Hour:
    start_us: int
    sent_bytes: int
    slides: int


@dataclass(frozen=True, slots=True)
class Day:
    """`quarters` are those in which anything came, `hours` those in which anything came or arrived; `ticks` the place
    and the moment of each third hour; `now` the place of this minute. `highest` is one of the quarters."""

    quarters: tuple[Quarter, ...]
    highest: Quarter | None
    hours: tuple[Hour, ...]
    ticks: tuple[tuple[float, int], ...]
    now: float
    width: int = DAY_WIDTH
    height: int = DAY_HEIGHT
    ground: int = DAY_HEIGHT - FOOT


def day(sent: Iterable[tuple[int, int]], received_us: Iterable[int], start_us: int, end_us: int, now_us: int) -> Day:
    """The bytes sent by moment, and the moments when slides arrived, between two midnights: 23 to 25 hours."""
    by_quarter: dict[int, int] = {}
    by_hour: dict[int, list[int]] = {}
    for when_us, sent_bytes in sent:
        quarter_us = when_us - (when_us - start_us) % QUARTER_US
        by_quarter[quarter_us] = by_quarter.get(quarter_us, 0) + sent_bytes
        by_hour.setdefault(_hour(when_us, start_us), [0, 0])[0] += sent_bytes
    for when_us in received_us:
        by_hour.setdefault(_hour(when_us, start_us), [0, 0])[1] += 1
    most = max([1, *by_quarter.values()])
    scale, room = DAY_WIDTH / (end_us - start_us), DAY_HEIGHT - HEAD - FOOT
    quarters = []
    for quarter_us, sent_bytes in sorted(by_quarter.items()):
        height = round(sent_bytes / most * room, 1)
        seconds = min(QUARTER_US, max(MINUTE_US, now_us - quarter_us)) / SECOND_US
        quarters.append(
            Quarter(
                start_us=quarter_us,
                bytes_per_s=round(sent_bytes / seconds),
                x=round((quarter_us - start_us) * scale + 1, 1),
                y=round(DAY_HEIGHT - FOOT - height, 1),
                width=round(QUARTER_US * scale - 2, 1),
                height=height,
            )
        )
    return Day(
        quarters=tuple(quarters),
        highest=max(quarters, key=lambda quarter: quarter.height, default=None),
        hours=tuple(Hour(hour_us, *by_hour[hour_us]) for hour_us in sorted(by_hour)),
        ticks=tuple(
            (round((tick_us - start_us) * scale, 1), tick_us) for tick_us in range(start_us, end_us, 3 * HOUR_US)
        ),
        now=round((now_us - now_us % MINUTE_US - start_us) * scale, 1),
    )


def _hour(when_us: int, start_us: int) -> int:
    return when_us - (when_us - start_us) % HOUR_US


def weeks(counted: Sequence[Week]) -> Weeks:
    """The last WEEKS weeks up to the last one that counts anything; those before the first one stand empty."""
    if not counted:
        return Weeks(())
    known = {week.start_us: week for week in counted}
    last_us = counted[-1].start_us
    shown = [
        known.get(start_us, Week(start_us, 0, 0))
        for start_us in range(last_us - (WEEKS - 1) * WEEK_US, last_us + 1, WEEK_US)
    ]
    most = max(1, *(week.consultations + week.links for week in shown))
    step, room = WIDTH / WEEKS, HEIGHT - HEAD - FOOT
    columns = []
    for number, week in enumerate(shown):
        height = round((week.consultations + week.links) / most * room, 1)
        columns.append(
            Column(
                monday=datetime.fromtimestamp(week.start_us / SECOND_US, UTC).date(),
                opinions=week.consultations,
                links=week.links,
                x=round(number * step + GAP / 2, 1),
                y=round(HEIGHT - FOOT - height, 1),
                width=round(step - GAP, 1),
                height=height,
                labelled=(WEEKS - 1 - number) % 3 == 0,
            )
        )
    return Weeks(tuple(columns))


def parts(counted: Iterable[tuple[str, str, int]], *, most: int = PARTS) -> tuple[Part, ...]:
    """The first `most` of what was counted: value, name and number, the most frequent first."""
    shown = list(counted)[:most]
    highest = max((count for _, _, count in shown), default=1)
    return tuple(Part(value, name, count, round(100 * count / highest, 1)) for value, name, count in shown)


def delays(times: Times, *, of: int) -> Delays:
    """The times by class; `of` is how many could have ended."""
    ended = sum(count for _, count in times.classes)
    most = max(1, *(count for _, count in times.classes))
    return Delays(
        classes=tuple(Delay(CLASSES[bound], count, round(100 * count / most, 1)) for bound, count in times.classes),
        waiting=of - ended,
        median_us=times.median_us,
    )
