"""Which shares are asked for: one narrow statement for each way in which something is shared.

What is told of the few on a page (`sharing.shares`) and what is counted over all (`sharing.share_figures`) start here.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Select, Text, and_, case, cast, literal, null, or_, select
from sqlalchemy.orm import InstrumentedAttribute, aliased

from sharing import audit, policy
from sharing.db.tables import CaseRow, ConsultationRow, LinkRow
from sharing.vocabulary import CaseId, MemberId, Purpose, SiteId

Which = Select[*tuple[Any, ...]]
"""Of shares: kind, id, created_us, by_id, other_id (site), purpose, opened_us, answered_us and case_id."""


class Kind(StrEnum):
    CONSULTATION = "consultation"
    LINK = "link"


class Direction(StrEnum):
    OUT = "out"
    IN = "in"


@dataclass(frozen=True, slots=True)
class Filters:
    """Which shares are asked for. Times in µs since the epoch: made from `since_us` on, before `until_us`."""

    direction: Direction | None = None
    kind: Kind | None = None
    site: SiteId | None = None
    """The other site; a guest has none."""
    person: MemberId | None = None
    """Who shared it."""
    purpose: Purpose | None = None
    organ: str | None = None
    since_us: int | None = None
    until_us: int | None = None
    opened: bool | None = None
    case_id: CaseId | None = None
    """One of the own site."""

    def told(self) -> dict[str, str]:
        """What is asked for, to be put on record for ever: all but the organ, which is typed."""
        asked = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "organ"}
        return {name: audit.code(str(value).lower()) for name, value in asked.items() if value is not None}

    def typed(self) -> dict[str, str]:
        """What of it can be erased."""
        return {"organ": self.organ} if self.organ else {}


def matching(site_id: SiteId, filters: Filters) -> Iterator[Which]:
    """What the site shares and what is shared with it, in no order."""
    if filters.kind is not Kind.LINK and filters.direction is not Direction.IN:
        yield _asked(site_id, filters)
    if filters.kind is not Kind.LINK and filters.direction is not Direction.OUT and filters.case_id is None:
        yield _asking(site_id, filters)
    if filters.kind is not Kind.CONSULTATION and filters.direction is not Direction.IN and filters.site is None:
        yield _linked(site_id, filters)


def organ_for(site_id: SiteId) -> ColumnElement[str | None]:
    """The organ of the CaseRow in a statement, as far as the site may read it: of a case of another site only in a word
    that the own site says of its cases too. Another might name somebody.
    """
    words = select(CaseRow.organ).where(CaseRow.site_id == site_id).correlate(None).scalar_subquery()
    return case((or_(CaseRow.site_id == site_id, CaseRow.organ.in_(words)), CaseRow.organ), else_=None)


def _asked(site_id: SiteId, filters: Filters) -> Which:
    row = ConsultationRow
    statement = _narrow(Kind.CONSULTATION, row, row.requester_id, row.to_site_id, row.answered_us)
    conditions = _conditions(filters, row, row.requester_id)
    mine = (row.site_id == site_id, *_of_own_cases(site_id, row, filters))
    return statement.where(*mine, *conditions, *_with(row.to_site_id, filters))


def _asking(site_id: SiteId, filters: Filters) -> Which:
    row = ConsultationRow
    statement = _narrow(Kind.CONSULTATION, row, row.requester_id, row.site_id, row.answered_us)
    conditions = _conditions(filters, row, row.requester_id)
    seen = and_(row.to_site_id == site_id, ~policy.undone())
    theirs = (seen, *_of_their_cases(site_id, row, filters))
    return statement.where(*theirs, *conditions, *_with(row.site_id, filters))


def _linked(site_id: SiteId, filters: Filters) -> Which:
    row = LinkRow
    statement = _narrow(Kind.LINK, row, row.maker_id, cast(null(), Text), cast(null(), BigInteger))
    mine = (row.site_id == site_id, *_of_own_cases(site_id, row, filters))
    return statement.where(*mine, *_conditions(filters, row, row.maker_id))


def _narrow(
    kind: Kind,
    row: type[ConsultationRow] | type[LinkRow],
    by: InstrumentedAttribute[MemberId],
    other: ColumnElement[Any] | InstrumentedAttribute[SiteId],
    answered_us: ColumnElement[Any] | InstrumentedAttribute[int | None],
) -> Which:
    """Nothing that the indexes of shares do not hold."""
    return select(
        literal(kind.value).label("kind"),
        row.id.label("id"),
        row.created_us.label("created_us"),
        by.label("by_id"),
        other.label("other_id"),
        row.purpose.label("purpose"),
        row.opened_us.label("opened_us"),
        answered_us.label("answered_us"),
        row.case_id.label("case_id"),
    )


def _of_own_cases(
    site_id: SiteId, row: type[ConsultationRow] | type[LinkRow], filters: Filters
) -> Iterator[ColumnElement[bool]]:
    if filters.organ is not None:
        its = select(CaseRow.id).where(CaseRow.site_id == site_id, CaseRow.organ == filters.organ)
        yield row.case_id.in_(its)


def _of_their_cases(site_id: SiteId, row: type[ConsultationRow], filters: Filters) -> Iterator[ColumnElement[bool]]:
    """As `organ_for` tells it."""
    if filters.organ is not None:
        own = aliased(CaseRow)
        yield select(own.id).where(own.site_id == site_id, own.organ == filters.organ).exists()
        yield select(CaseRow.id).where(CaseRow.id == row.case_id, CaseRow.organ == filters.organ).exists()


def _with(other: InstrumentedAttribute[SiteId], filters: Filters) -> Iterator[ColumnElement[bool]]:
    if filters.site is not None:
        yield other == filters.site


def _conditions(
    filters: Filters,
    row: type[ConsultationRow] | type[LinkRow],
    by: InstrumentedAttribute[MemberId],
) -> Iterator[ColumnElement[bool]]:
    if filters.person is not None:
        yield by == filters.person
    if filters.purpose is not None:
        yield row.purpose == filters.purpose
    if filters.since_us is not None:
        yield row.created_us >= filters.since_us
    if filters.until_us is not None:
        yield row.created_us < filters.until_us
    if filters.opened is not None:
        yield row.opened_us.is_not(None) if filters.opened else row.opened_us.is_(None)
    if filters.case_id is not None:
        yield row.case_id == filters.case_id
