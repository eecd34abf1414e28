"""Shares, counted: by week, by centre, person, purpose and organ; how soon they were opened and answered.

One statement counts everything that is asked for, however many shares there are.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, CompoundSelect, Select, Text, cast, func, literal, select, union_all

from sharing import shares
from sharing.clock import MINUTE_US
from sharing.db.engine import Session
from sharing.db.tables import CaseRow, MemberRow
from sharing.errors import InvalidError
from sharing.share_search import Filters, Kind, matching, organ_for
from sharing.subjects import Member
from sharing.vocabulary import MemberId, SiteId

HOUR_US = 60 * MINUTE_US
DAY_US = 24 * HOUR_US
WEEK_US = 7 * DAY_US
BOUNDS_US = (15 * MINUTE_US, HOUR_US, 4 * HOUR_US, DAY_US, 3 * DAY_US)
"""Where times are cut into classes: each up to its bound, and the last class beyond all."""
MOST_WEEKS = 520


@dataclass(frozen=True, slots=True)
class Week:
    start_us: int
    """Its Monday, midnight UTC."""
    consultations: int
    links: int


@dataclass(frozen=True, slots=True)
class Times:
    """How long something took, to the minute: the median, and how many in each class of BOUNDS_US, the last without a
    bound."""

    median_us: int | None
    classes: tuple[tuple[int | None, int], ...]


@dataclass(frozen=True, slots=True)
class Figures:
    count: int
    consultations: int
    weeks: tuple[Week, ...]
    """Without a gap from the first share to the last."""
    opening: Times
    answer: Times
    sites: Mapping[str, int]
    """By the id of the other site, most first; the empty one stands for guests."""
    people: Mapping[MemberId, tuple[str, int]]
    """Who shared: name and number, most first."""
    purposes: Mapping[str, int]
    organs: Mapping[str, int]
    """The empty one stands for cases of which none is known."""


def figures(session: Session, subject: Member, filters: Filters | None = None) -> Figures:
    """Of all shares that are asked for, see `shares.query`. Raises InvalidError if they stretch over ten years."""
    site_id = shares.require_viewer(session, subject)
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    weeks: dict[int, Counter[str]] = defaultdict(Counter)
    counted = _counted(site_id, filters or Filters())
    for what, value, number in session.execute(counted) if counted is not None else ():
        counts[what][value] += number
    for kind in Kind:
        for week, number in counts.pop(f"week {kind}", Counter()).items():
            weeks[int(week)][kind] += number
    people = _most(counts["person"])
    names = _names(session, people)
    return Figures(
        count=counts["purpose"].total(),
        consultations=sum(made[Kind.CONSULTATION] for made in weeks.values()),
        weeks=tuple(_weeks(weeks)),
        opening=_times(counts["opening"]),
        answer=_times(counts["answer"]),
        sites=_most(counts["site"]),
        people={MemberId(who): (names.get(who, ""), count) for who, count in people.items()},
        purposes=_most(counts["purpose"]),
        organs=_most(counts["organ"]),
    )


def _counted(site_id: SiteId, filters: Filters) -> CompoundSelect[str, str, int] | None:
    """What is counted, the value for which, and how many; None if nothing can be found."""
    ways = list(matching(site_id, filters))
    if not ways:
        return None
    found = union_all(*ways).subquery().c
    # Both engines count from one copy of what was found, rather than find it anew for each count.
    copy = (
        select(
            ((found.created_us + 3 * DAY_US) // WEEK_US).label("week"),  # 1970 began on a Thursday
            found.kind.label("kind"),
            func.coalesce(found.other_id, "").label("site"),
            found.by_id.label("person"),
            found.purpose.label("purpose"),
            found.case_id.label("case_id"),
            _minutes(found.opened_us - found.created_us).label("opening"),
            _minutes(found.answered_us - found.created_us).label("answer"),
        )
        .cte("found")
        .prefix_with("MATERIALIZED")
    ).c
    fields = ("site", "person", "purpose", "opening", "answer")
    counts = [_count(name, copy[name]).where(copy[name].is_not(None)) for name in fields]
    weeks = [_count(f"week {kind}", copy.week).where(copy.kind == kind.value) for kind in Kind]
    # Cases are counted first, and looked up afterwards: there are fewer of them than shares.
    cases = select(copy.case_id, func.count().label("number")).group_by(copy.case_id).subquery().c
    organ = func.coalesce(organ_for(site_id), "").label("organ")
    by_case = select(organ, cases.number).join_from(CaseRow, cases.case_id.table, CaseRow.id == cases.case_id)
    organs = by_case.subquery().c
    of_organs = select(literal("organ"), organs.organ, cast(func.sum(organs.number), BigInteger)).group_by(organs.organ)
    return union_all(*counts, *weeks, of_organs)


def _count(what: str, column: ColumnElement[Any]) -> Select[str, str, int]:
    return select(literal(what), cast(column, Text), func.count()).group_by(column)


def _minutes(span_us: ColumnElement[int]) -> ColumnElement[int]:
    """Whole minutes that the span has begun."""
    return (span_us + (MINUTE_US - 1)) // MINUTE_US


def _weeks(counts: Mapping[int, Mapping[str, int]]) -> Iterator[Week]:
    if not counts:
        return
    if max(counts) - min(counts) > MOST_WEEKS:
        raise InvalidError("This is more than ten years. Choose a shorter period.")
    for week in range(min(counts), max(counts) + 1):
        made = counts.get(week, {})
        yield Week(week * WEEK_US - 3 * DAY_US, made.get(Kind.CONSULTATION, 0), made.get(Kind.LINK, 0))


def _times(counts: Mapping[str, int]) -> Times:
    """Of spans in minutes, each with its number. A clock that was set back makes no time negative."""
    spans = sorted((max(int(minutes), 0), count) for minutes, count in counts.items())
    total = sum(count for _, count in spans)
    classes: dict[int | None, int] = dict.fromkeys((*BOUNDS_US, None), 0)
    for minutes, count in spans:
        classes[next((bound for bound in BOUNDS_US if minutes * MINUTE_US <= bound), None)] += count
    middle = [_nth(spans, place) for place in ((total - 1) // 2, total // 2)] if total else []
    return Times(sum(middle) * MINUTE_US // 2 if middle else None, tuple(classes.items()))


def _nth(spans: Sequence[tuple[int, int]], place: int) -> int:
    for minutes, count in spans:
        place -= count
        if place < 0:
            return minutes
    raise IndexError(place)


def _most(counts: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda each: (-each[1], each[0])))


def _names(session: Session, ids: Iterable[str]) -> dict[str, str]:
    rows = session.execute(select(MemberRow.id, MemberRow.name).where(MemberRow.id.in_(list(ids))))
    return {row.id: row.name for row in rows}
