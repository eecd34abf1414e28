"""Shares: what left a site and what came to it, with whom, why, until when, and whether it was opened.

For lab managers. A share is a consultation or a link, seen from outside: no question, no opinion, and nothing of how
long anybody looked.
"""

import statistics
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, ScalarSelect, func, or_, select
from sqlalchemy.orm import InstrumentedAttribute, aliased

from sharing import audit, consultations, links, policy
from sharing.clock import MINUTE_US
from sharing.db.engine import Session
from sharing.db.tables import (
    CaseRow,
    ConsultationRow,
    ConsultationSlideRow,
    LinkRow,
    LinkSlideRow,
    MemberRow,
    SiteRow,
)
from sharing.errors import InvalidError
from sharing.subjects import Member
from sharing.vocabulary import (
    Act,
    Action,
    ConsultationId,
    ConsultationState,
    Entity,
    LinkId,
    LinkState,
    MemberId,
    Purpose,
    SiteId,
)

HOUR_US = 60 * MINUTE_US
DAY_US = 24 * HOUR_US
WEEK_US = 7 * DAY_US
BOUNDS_US = (15 * MINUTE_US, HOUR_US, 4 * HOUR_US, DAY_US, 3 * DAY_US)
"""Where times are cut into classes: each up to its bound, and the last class beyond all."""


class Kind(StrEnum):
    CONSULTATION = "consultation"
    LINK = "link"


class Direction(StrEnum):
    OUT = "out"
    IN = "in"


@dataclass(frozen=True, slots=True)
class Filters:
    """Which shares are asked for. Times in µs since the epoch: made from `since_us` on, before `until_us`."""

    kind: Kind | None = None
    site: SiteId | None = None
    """The other site; a guest has none."""
    person: MemberId | None = None
    """Who shared it."""
    purpose: Purpose | None = None
    since_us: int | None = None
    until_us: int | None = None
    opened: bool | None = None


@dataclass(frozen=True, slots=True)
class Share:
    kind: Kind
    id: str
    reference: str
    direction: Direction
    accession: str | None
    """Of the own site's cases alone."""
    by_id: MemberId
    by: str
    with_site_id: SiteId | None
    """The other site; None for a link."""
    with_name: str
    """The member or the site asked; of what came in, the site that asks; empty for a guest."""
    purpose: Purpose
    reason: str
    """Of a link of the own site; else empty."""
    slides: int
    created_us: int
    until_us: int | None
    """When a link ends by itself; a consultation ends by a move."""
    opened_us: int | None
    answered_us: int | None
    ended_us: int | None
    state: ConsultationState | LinkState
    live: bool
    """Whether somebody outside may see slides by it now."""

    @property
    def may_end(self) -> bool:
        """Whether the lab manager who reads this can take the slides back."""
        return self.live and self.direction is Direction.OUT


@dataclass(frozen=True, slots=True)
class Week:
    start_us: int
    """Its Monday, midnight UTC."""
    consultations: int
    links: int


@dataclass(frozen=True, slots=True)
class Times:
    """How long something took: the median, and how many in each class of BOUNDS_US, the last without a bound."""

    median_us: int | None
    classes: tuple[tuple[int | None, int], ...]


@dataclass(frozen=True, slots=True)
class Figures:
    weeks: tuple[Week, ...]
    """Without a gap from the first share to the last."""
    opening: Times
    answer: Times


def list_shares(session: Session, subject: Member, filters: Filters | None = None, *, limit: int = 5000) -> list[Share]:
    """What the subject's site shares and what is shared with it, newest first. The question goes on record: the
    transaction must be a writing one. Raises RefusedError if the role may not.
    """
    filters = filters or Filters()
    policy.require(session, subject, Action.VIEW_SHARES, subject, Entity("site", subject.site_id))
    found: list[Share] = []
    if filters.kind is not Kind.LINK:
        found += _consultations(session, subject, filters, limit)
    if filters.kind is not Kind.CONSULTATION and filters.site is None:
        found += _links(session, subject, filters, limit)
    asked = {field.name: str(value) for field in fields(filters) if (value := getattr(filters, field.name)) is not None}
    audit.record(session, site_id=subject.site_id, act=Act.SHARES_READ, subject=subject, detail=asked)
    return sorted(found, key=lambda share: (-share.created_us, share.id))[:limit]


def people(session: Session, subject: Member) -> list[tuple[MemberId, str]]:
    """Who of the subject's site has shared anything, to choose from; by name."""
    policy.require(session, subject, Action.VIEW_SHARES, subject, Entity("site", subject.site_id))
    asked = select(ConsultationRow.requester_id).where(ConsultationRow.site_id == subject.site_id)
    linked = select(LinkRow.maker_id).where(LinkRow.site_id == subject.site_id)
    rows = session.execute(
        select(MemberRow.id, MemberRow.name)
        .where(or_(MemberRow.id.in_(asked), MemberRow.id.in_(linked)))
        .order_by(MemberRow.name)
    )
    return [(row.id, row.name) for row in rows]


def end(session: Session, subject: Member, kind: Kind, share_id: str) -> None:
    """Take the slides back. Raises NotFoundError, RefusedError, or ConflictError if it had ended."""
    match kind:
        case Kind.CONSULTATION:
            consultations.end(session, subject, ConsultationId(share_id))
        case Kind.LINK:
            links.revoke(session, subject, LinkId(share_id))


def figures(shares: Sequence[Share]) -> Figures:
    """What the charts show of these shares."""
    return Figures(
        weeks=tuple(_weeks(shares)),
        opening=_times(s.opened_us - s.created_us for s in shares if s.opened_us is not None),
        answer=_times(s.answered_us - s.created_us for s in shares if s.answered_us is not None),
    )


def _consultations(session: Session, subject: Member, filters: Filters, limit: int) -> Iterator[Share]:
    row, requester, member, asking, asked = (
        ConsultationRow,
        aliased(MemberRow),
        aliased(MemberRow),
        aliased(SiteRow),
        aliased(SiteRow),
    )
    mine = row.site_id == subject.site_id
    statement = (
        select(
            row,
            requester.name.label("by"),
            member.name.label("member"),
            asking.name.label("asking"),
            asked.name.label("asked"),
            CaseRow.accession,
            _count(ConsultationSlideRow.consultation_id, row.id),
        )
        .join(requester, requester.id == row.requester_id)
        .outerjoin(member, member.id == row.to_member_id)
        .join(asking, asking.id == row.site_id)
        .join(asked, asked.id == row.to_site_id)
        .join(CaseRow, CaseRow.id == row.case_id)
        .where(
            or_(mine, (row.to_site_id == subject.site_id) & ~policy.undone()),
            *_conditions(filters, row.requester_id, row.purpose, row.created_us, row.opened_us),
        )
        .order_by(row.created_us.desc(), row.id)
        .limit(limit)
    )
    if filters.site is not None:
        other = filters.site
        statement = statement.where(or_(mine & (row.to_site_id == other), ~mine & (row.site_id == other)))
    for found, by, member_name, asking_name, asked_name, accession, slides in session.execute(statement):
        out, state = found.site_id == subject.site_id, ConsultationState(found.state)
        yield Share(
            kind=Kind.CONSULTATION,
            id=found.id,
            reference=found.reference,
            direction=Direction.OUT if out else Direction.IN,
            accession=accession if out else None,
            by_id=found.requester_id,
            by=by,
            with_site_id=found.to_site_id if out else found.site_id,
            with_name=(f"{member_name}, {asked_name}" if member_name else asked_name) if out else asking_name,
            purpose=Purpose(found.purpose),
            reason="",
            slides=slides,
            created_us=found.created_us,
            until_us=None,
            opened_us=found.opened_us,
            answered_us=found.answered_us,
            ended_us=found.ended_us,
            state=state,
            live=state in policy.SHOWING,
        )


def _links(session: Session, subject: Member, filters: Filters, limit: int) -> Iterator[Share]:
    statement = (
        select(LinkRow, MemberRow.name, CaseRow.accession, _count(LinkSlideRow.link_id, LinkRow.id))
        .join(MemberRow, MemberRow.id == LinkRow.maker_id)
        .join(CaseRow, CaseRow.id == LinkRow.case_id)
        .where(
            LinkRow.site_id == subject.site_id,
            *_conditions(filters, LinkRow.maker_id, LinkRow.purpose, LinkRow.created_us, LinkRow.opened_us),
        )
        .order_by(LinkRow.created_us.desc(), LinkRow.id)
        .limit(limit)
    )
    for row, by, accession, slides in session.execute(statement):
        state = policy.link_state(session, row)
        over = row.expires_us if row.expires_us <= session.now_us else None
        yield Share(
            kind=Kind.LINK,
            id=row.id,
            reference=row.reference,
            direction=Direction.OUT,
            accession=accession,
            by_id=row.maker_id,
            by=by,
            with_site_id=None,
            with_name="",
            purpose=Purpose(row.purpose),
            reason=row.reason,
            slides=slides,
            created_us=row.created_us,
            until_us=row.expires_us,
            opened_us=row.opened_us,
            answered_us=None,
            ended_us=row.revoked_us if row.revoked_us is not None else over,
            state=state,
            live=state in links.ADMITTED,
        )


def _count(column: InstrumentedAttribute[Any], value: InstrumentedAttribute[Any]) -> ScalarSelect[int]:
    return select(func.count()).where(column == value).scalar_subquery()


def _conditions(
    filters: Filters,
    person: InstrumentedAttribute[MemberId],
    purpose: InstrumentedAttribute[str],
    made_us: InstrumentedAttribute[int],
    opened_us: InstrumentedAttribute[int | None],
) -> Iterator[ColumnElement[bool]]:
    if filters.person is not None:
        yield person == filters.person
    if filters.purpose is not None:
        yield purpose == filters.purpose
    if filters.since_us is not None:
        yield made_us >= filters.since_us
    if filters.until_us is not None:
        yield made_us < filters.until_us
    if filters.opened is not None:
        yield opened_us.is_not(None) if filters.opened else opened_us.is_(None)


def _weeks(shares: Sequence[Share]) -> Iterator[Week]:
    if not shares:
        return
    counts = Counter((_monday(share.created_us), share.kind) for share in shares)
    first, last = min(counts)[0], max(counts)[0]
    if last - first > 520 * WEEK_US:
        raise InvalidError("This is more than ten years. Choose a shorter period.")
    for start in range(first, last + 1, WEEK_US):
        yield Week(start, counts[start, Kind.CONSULTATION], counts[start, Kind.LINK])


def _monday(at_us: int) -> int:
    return at_us - (at_us + 3 * DAY_US) % WEEK_US  # 1970 began on a Thursday


def _times(spans_us: Iterable[int]) -> Times:
    spans = [max(span, 0) for span in spans_us]  # a clock that was set back makes no time negative
    cut = Counter(next((bound for bound in BOUNDS_US if span <= bound), None) for span in spans)
    classes = tuple((bound, cut[bound]) for bound in (*BOUNDS_US, None))
    return Times(round(statistics.median(spans)) if spans else None, classes)
