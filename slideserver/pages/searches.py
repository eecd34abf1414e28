"""What an address asks of a list. The journal and the shares are asked in one way: by fields with known values, a place
to go on from, and links that lead to the same question with one part changed. Pure.
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from slideserver.pages import moments
from slideserver.pages.words import N_

Reading = Callable[[str], str]
"""What a field makes of what the address says: empty when it does not understand."""


def word(text: str) -> str:
    """Something typed, on one line and not too long."""
    return " ".join(text.split())[:64]


def key(text: str) -> str:
    """The id of something."""
    return text if re.fullmatch(r"[\w.-]{1,64}", text, re.ASCII) else ""


def day(text: str) -> str:
    return text if moments.day_of(text) else ""


def one_of(values: Collection[str]) -> Reading:
    return lambda text: text if text in values else ""


@dataclass(frozen=True, slots=True)
class Search:
    """The fields that are asked for and understood, in the order of the page; `search.person` in a template is the
    value of a field, empty if it was not asked. `since` and `until` are days, the second one included.
    """

    path: str
    fields: tuple[str, ...]
    asked: Mapping[str, str]
    cursor: str = ""

    def __getitem__(self, name: str) -> str:
        if name not in self.fields:
            raise KeyError(name)
        return self.asked.get(name, "")

    @property
    def narrowed(self) -> bool:
        return bool(self.asked)

    def address(self, path: str = "", cursor: str = "", **changes: str) -> str:
        """The same question at `path` (else at its own), with some fields changed, from `cursor` on."""
        asked = {**self.asked, **changes, "cursor": cursor}
        query = urlencode({name: value for name in (*self.fields, "cursor") if (value := asked.get(name))})
        return f"{path or self.path}?{query}" if query else path or self.path

    def since_us(self, timezone: ZoneInfo) -> int | None:
        return moments.midnight_us(self["since"], timezone)

    def until_us(self, timezone: ZoneInfo) -> int | None:
        return moments.midnight_us(self["until"], timezone, days_later=1)


def search(path: str, fields: Mapping[str, Reading], query: Mapping[str, str]) -> Search:
    """What the query of an address asks; what it does not understand counts as not asked."""
    asked = {name: value for name, read in fields.items() if (value := read(query.get(name, "")))}
    return Search(path, tuple(fields), asked, query.get("cursor", ""))


@dataclass(frozen=True, slots=True)
class Period:
    """A span of days that people ask for by name (a message id), as the fields of a search have it."""

    name: str
    since: str
    until: str


def periods(today: date) -> Iterator[Period]:
    """The spans of which lab managers give account, up to `today`."""
    quarter = date(today.year, today.month - (today.month - 1) % 3, 1)
    last_quarter = _month_before(_month_before(_month_before(quarter)))
    month = today.replace(day=1)
    for name, since, until in (
        (N_("This month"), month, today),
        (N_("Last month"), _month_before(month), month - timedelta(1)),
        (N_("This quarter"), quarter, today),
        (N_("Last quarter"), last_quarter, quarter - timedelta(1)),
        (N_("This year"), date(today.year, 1, 1), today),
        (N_("Last year"), date(today.year - 1, 1, 1), date(today.year - 1, 12, 31)),
    ):
        yield Period(name, since.isoformat(), until.isoformat())


def _month_before(month: date) -> date:
    return (month - timedelta(1)).replace(day=1)
