"""Which shares are asked for: one narrow statement for each way in which something is shared.

What is told of the few on a page (`sharing.shares`) and what is counted over all (`sharing.share_figures`) start here.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Select, Text, and_, case, cast, literal, null, select
from sqlalchemy.orm import InstrumentedAttribute

from sharing import policy
from sharing.db.tables import CaseRow, ConsultationRow, LinkRow
from sharing.vocabulary import CaseId, MemberId, Purpose, SiteId

Which = Select[*tuple[Any, ...]]
"""Of shares: kind, direction, id, created_us, by_id, other_id (site), purpose, opened_us, answered_us, and organ."""


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
        """What is asked for, to be put on record."""
        return {field.name: str(value) for field in fields(self) if (value := getattr(self, field.name)) is not None}


def matching(site_id: SiteId, filters: Filters, *, organs: bool = False) -> Iterator[Which]:
    """What the site shares and what is shared with it, in no order; the organ is None unless `organs` asks for it."""
    organs = organs or filters.organ is not None
    if filters.kind is not Kind.LINK and filters.direction is not Direction.IN:
        yield _asked(site_id, filters, organs)
    if filters.kind is not Kind.LINK and filters.direction is not Direction.OUT and filters.case_id is None:
        yield _asking(site_id, filters, organs)
    if filters.kind is not Kind.CONSULTATION and filters.direction is not Direction.IN and filters.site is None:
        yield _linked(site_id, filters, organs)


def own_word(site_id: SiteId) -> ColumnElement[str | None]:
    """The organ of a case of another site, if the own site says it of its cases too: a word that nobody here has used
    might name somebody.
    """
    words = select(CaseRow.organ).where(CaseRow.site_id == site_id).correlate(None).scalar_subquery()
    return case((CaseRow.organ.in_(words), CaseRow.organ), else_=None)


def _asked(site_id: SiteId, filters: Filters, organs: bool) -> Which:
    row = ConsultationRow
    statement = _narrow(Kind.CONSULTATION, Direction.OUT, row, row.requester_id, row.to_site_id, row.answered_us)
    statement = _of_case(statement, row, CaseRow.organ, filters, organs)
    return statement.where(
        row.site_id == site_id, *_conditions(filters, row, row.requester_id), *_with(row.to_site_id, filters)
    )


def _asking(site_id: SiteId, filters: Filters, organs: bool) -> Which:
    row = ConsultationRow
    statement = _narrow(Kind.CONSULTATION, Direction.IN, row, row.requester_id, row.site_id, row.answered_us)
    statement = _of_case(statement, row, own_word(site_id), filters, organs)
    seen = and_(row.to_site_id == site_id, ~policy.undone())
    return statement.where(seen, *_conditions(filters, row, row.requester_id), *_with(row.site_id, filters))


def _linked(site_id: SiteId, filters: Filters, organs: bool) -> Which:
    row = LinkRow
    statement = _narrow(Kind.LINK, Direction.OUT, row, row.maker_id, cast(null(), Text), cast(null(), BigInteger))
    statement = _of_case(statement, row, CaseRow.organ, filters, organs)
    return statement.where(row.site_id == site_id, *_conditions(filters, row, row.maker_id))


def _narrow(
    kind: Kind,
    direction: Direction,
    row: type[ConsultationRow] | type[LinkRow],
    by: InstrumentedAttribute[MemberId],
    other: ColumnElement[Any] | InstrumentedAttribute[SiteId],
    answered_us: ColumnElement[Any] | InstrumentedAttribute[int | None],
) -> Which:
    return select(
        literal(kind.value).label("kind"),
        literal(direction.value).label("direction"),
        row.id.label("id"),
        row.created_us.label("created_us"),
        by.label("by_id"),
        other.label("other_id"),
        row.purpose.label("purpose"),
        row.opened_us.label("opened_us"),
        answered_us.label("answered_us"),
    )


def _of_case(
    statement: Which,
    row: type[ConsultationRow] | type[LinkRow],
    organ: ColumnElement[str | None] | InstrumentedAttribute[str | None],
    filters: Filters,
    organs: bool,
) -> Which:
    """The case costs a look-up for every share: it is joined only where its organ matters."""
    if not organs:
        return statement.add_columns(cast(null(), Text).label("organ"))
    joined = statement.add_columns(organ.label("organ")).join(CaseRow, CaseRow.id == row.case_id)
    return joined if filters.organ is None else joined.where(organ == filters.organ)


def _with(other: InstrumentedAttribute[SiteId], filters: Filters) -> Iterator[ColumnElement[bool]]:
    if filters.site is not None:
        yield other == filters.site


def _conditions(
    filters: Filters, row: type[ConsultationRow] | type[LinkRow], by: InstrumentedAttribute[MemberId]
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
