"""Figures as drawings that the server renders: where each bar stands and what is written on it. Pure.

The templates draw them as SVG, in one tone, with the number on every bar: they can be read in grey and on paper.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

from sharing.clock import SECOND_US
from sharing.shares import DAY_US, HOUR_US, WEEK_US, Times, Week
from slideserver.pages.words import N_

WEEKS = 12
WIDTH, HEIGHT = 260, 200
"""The drawing of the weeks, in its own units."""
HEAD, FOOT, GAP = 18, 22, 6

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


def delays(times: Times, *, of: int) -> Delays:
    """The times by class; `of` is how many could have ended."""
    ended = sum(count for _, count in times.classes)
    most = max(1, *(count for _, count in times.classes))
    return Delays(
        classes=tuple(Delay(CLASSES[bound], count, round(100 * count / most, 1)) for bound, count in times.classes),
        waiting=of - ended,
        median_us=times.median_us,
    )
