"""Shares, counted: by week, by centre, person, purpose and organ; how soon they were opened and answered.

The database lists the values, each column in one text, and Python counts them. SQLite would sort all shares anew for
every column to group by, and take nearly twice as long.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import JSON, BigInteger, ColumnElement, Select, Text, cast, func, literal, select

from sharing import shares
from sharing.clock import MINUTE_US
from sharing.db.engine import Session
from sharing.db.tables import CaseRow, MemberRow
from sharing.errors import InvalidError
from sharing.share_search import Filters, Kind, Which, matching, organ_for
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
    filters = filters or Filters()
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for kind in Kind:
        for way in matching(site_id, replace(filters, kind=kind)) if filters.kind in (None, kind) else ():
            for what, values in session.execute(_listed(kind, way)).mappings().one().items():
                counts[what].update(values.split(",") if values is not None else ())
    people = _most(counts["person"])
    names = _names(session, people)
    return Figures(
        count=counts["purpose"].total(),
        consultations=counts[Kind.CONSULTATION].total(),
        weeks=tuple(_weeks(counts[Kind.CONSULTATION], counts[Kind.LINK])),
        opening=_times(counts["opening"]),
        answer=_times(counts["answer"]),
        sites=_most(counts["site"]),
        people={MemberId(who): (names.get(who, ""), count) for who, count in people.items()},
        purposes=_most(counts["purpose"]),
        organs=_most(_organs(session, site_id, counts["case"])),
    )


def _listed(kind: Kind, way: Which) -> Select[*tuple[str | None, ...]]:
    """Of all shares of a way, by what is counted: the values there are, with commas between them, which none has in
    itself. The kind stands for the weeks.
    """
    share = way.selected_columns
    values = {
        kind.value: (share.created_us + 3 * DAY_US) // WEEK_US,  # 1970 began on a Thursday
        "site": func.coalesce(share.other_id, ""),
        "person": share.by_id,
        "purpose": share.purpose,
        "opening": _minutes(share.opened_us - share.created_us),
        "answer": _minutes(share.answered_us - share.created_us),
        "case": share.case_id,
    }
    return way.with_only_columns(
        *(func.aggregate_strings(cast(value, Text), ",").label(what) for what, value in values.items())
    )


def _organs(session: Session, site_id: SiteId, cases: Mapping[str, int]) -> dict[str, int]:
    """Of so many shares of each case."""
    # The cases go back to the database as one text, too: one by one they would be more than a statement may hold.
    entries = func.json_each if session.get_bind().dialect.name == "sqlite" else func.json_each_text
    case = entries(literal(cases, JSON)).table_valued("key", "value")
    organ = func.coalesce(organ_for(site_id), "").label("organ")
    number = cast(func.sum(cast(case.c.value, BigInteger)), BigInteger)
    counted = select(organ, number).join_from(case, CaseRow, CaseRow.id == case.c.key).group_by(organ)
    return {each.organ: each[1] for each in session.execute(counted)}


def _minutes(span_us: ColumnElement[int]) -> ColumnElement[int]:
    """Whole minutes that the span has begun."""
    return (span_us + (MINUTE_US - 1)) // MINUTE_US


def _weeks(consultations: Mapping[str, int], links: Mapping[str, int]) -> Iterator[Week]:
    weeks = [int(week) for week in (*consultations, *links)]
    if not weeks:
        return
    if max(weeks) - min(weeks) > MOST_WEEKS:
        raise InvalidError("This is more than ten years. Choose a shorter period.")
    for week in range(min(weeks), max(weeks) + 1):
        yield Week(week * WEEK_US - 3 * DAY_US, consultations.get(str(week), 0), links.get(str(week), 0))


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
