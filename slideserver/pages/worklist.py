"""How a list of cases is narrowed, put in order and grouped for reading. Pure: cases in, groups out."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal, get_args
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from sharing.cases import Case
from sharing.slides import Slide
from sharing.vocabulary import SlideState
from slideserver.pages.moments import at
from slideserver.pages.words import N_

Sort = Literal["received", "accession", "patient", "organ"]
Standing = Literal["", "ready", "pending", "refused", "empty"]
PENDING = (SlideState.RECEIVED, SlideState.INDEXING)


@dataclass(frozen=True, slots=True)
class Listed:
    """A case as one row: the case's own fields, and how its slides stand."""

    id: str
    accession: str
    patient_name: str
    patient_sex: str | None
    patient_birth_year: int | None
    organ: str | None
    slides: tuple[Slide, ...]
    ready: int
    pending: int
    refused: int
    received_us: int
    """When its latest slide arrived, or the case itself while it has none."""

    @property
    def first_ready(self) -> str | None:
        return next((slide.id for slide in self.slides if slide.state is SlideState.READY), None)

    @property
    def standing(self) -> Standing:
        if self.refused:
            return "refused"
        if self.pending:
            return "pending"
        return "ready" if self.ready else "empty"


def listed(case: Case) -> Listed:
    states = [slide.state for slide in case.slides]
    return Listed(
        id=case.id,
        accession=case.accession,
        patient_name=case.patient_name,
        patient_sex=case.patient_sex,
        patient_birth_year=case.patient_birth_year,
        organ=case.organ,
        slides=case.slides,
        ready=states.count(SlideState.READY),
        pending=sum(state in PENDING for state in states),
        refused=states.count(SlideState.REFUSED),
        received_us=max((slide.received_us for slide in case.slides), default=case.registered_us),
    )


@dataclass(frozen=True, slots=True)
class Search:
    """What the address asks of the list. An unknown order or state is as good as none."""

    q: str
    organ: str
    state: str
    sort: Sort
    descending: bool

    @classmethod
    def of(cls, q: str, organ: str, state: str, sort: str) -> "Search":
        names: tuple[Sort, ...] = get_args(Sort)
        for name in names:
            if sort.removeprefix("-") == name:
                return cls(q.strip(), organ, state, name, descending=sort.startswith("-"))
        return cls(q.strip(), organ, state, "received", descending=True)

    @property
    def narrowed(self) -> bool:
        return bool(self.q or self.organ or self.state)

    @property
    def typed(self) -> str:
        """What was asked for in words."""
        return " ".join(filter(None, (self.q, self.organ)))

    @property
    def sort_value(self) -> str:
        return ("-" if self.descending else "") + self.sort

    def sorted_by(self, name: Sort) -> str:
        """The address of the same list in the order of `name`; the other way round when it already is."""
        descending = not self.descending if name == self.sort else name == "received"
        fields = {"q": self.q, "organ": self.organ, "state": self.state, "sort": ("-" if descending else "") + name}
        return "/cases?" + urlencode({key: value for key, value in fields.items() if value})


@dataclass(frozen=True, slots=True)
class Group:
    """Cases under one head; `name` is a message id, empty when the order is not that of time."""

    name: str
    cases: Sequence[Listed]


def arrange(cases: Sequence[Listed], search: Search, now_us: int, timezone: ZoneInfo) -> list[Group]:
    """The cases that `search` leaves, in its order; by day when that order is the time of arrival."""
    left = [
        case
        for case in cases
        if (not search.organ or case.organ == search.organ) and (not search.state or case.standing == search.state)
    ]
    keys = {
        "received": lambda case: case.received_us,
        "accession": lambda case: case.accession,
        "patient": lambda case: case.patient_name.casefold(),
        "organ": lambda case: (case.organ or "\uffff").casefold(),
    }
    left.sort(key=keys[search.sort], reverse=search.descending)
    if search.sort != "received":
        return [Group("", left)] if left else []
    today = at(now_us, timezone).date()
    groups: dict[str, list[Listed]] = {}
    for case in left:
        groups.setdefault(_period(at(case.received_us, timezone).date(), today), []).append(case)
    return [Group(name, members) for name, members in groups.items()]


def _period(day: date, today: date) -> str:
    if day >= today:
        return N_("Today")
    if day == today - timedelta(days=1):
        return N_("Yesterday")
    if day > today - timedelta(days=7):
        return N_("The last seven days")
    return N_("Earlier")
