"""What is asked of the audit log, by those who may read the log of their site: events under filters, page by page or
all of them to be taken away. A row that somebody has altered is shown as such, and hides no other.
"""

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, literal, literal_column, select, tuple_
from sqlalchemy.exc import OperationalError

from sharing import audit, paging, policy
from sharing.db.engine import Database, Session
from sharing.db.tables import (
    AuditEventRow,
    AuditPersonalRow,
    AuditSealRow,
    CaseRow,
    MemberRow,
    SlideRow,
)
from sharing.errors import InvalidError
from sharing.paging import Page
from sharing.subjects import Member, Subject
from sharing.vocabulary import (
    Act,
    Action,
    CaseId,
    Entity,
    EventId,
    MemberId,
    Outcome,
    Purpose,
    Role,
    SiteId,
    SlideId,
)

HIGHEST = 2**63 - 1
"""The greatest number of a database."""
LATEST_US = 250_000_000_000_000_000
"""No event is of a later moment: in a calendar, that is the ninety-ninth century."""


@dataclass(frozen=True, slots=True)
class Filters:
    """Which events are asked for. Times in µs since the epoch: from `since_us` on, before `until_us`."""

    since_us: int | None = None
    until_us: int | None = None
    act: Act | None = None
    outcome: Outcome | None = None
    agent_id: str | None = None
    case_id: CaseId | None = None
    """Also what happened to its slides before they were put into it, such as their being pushed."""
    slide_id: SlideId | None = None

    def told(self) -> dict[str, str]:
        """What is asked for, to be put on record."""
        asked = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: audit.code(str(value)) for name, value in asked.items() if value is not None}


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One event as a reader of the log sees it."""

    id: EventId
    position: int
    recorded_us: int
    act: Act | None
    """None for a row that was altered past the program, so that it can no longer be read; verification names it."""
    outcome: Outcome
    agent_kind: str
    agent_id: str | None
    agent_site_id: str | None
    agent_role: str | None
    purpose: str | None
    entities: tuple[Entity, ...]
    detail: dict[str, str]
    personal: dict[str, str] | None
    """Names, network addresses, file names; None if they were erased."""
    case_id: CaseId | None
    slide_id: SlideId | None
    accession: str | None
    slide_name: str | None
    """File name of the slide, as it is known today; so are its stain and block."""
    slide_stain: str | None
    slide_block: str | None
    seq: int | None
    """Number in the chain; None until it is sealed."""

    @property
    def agent_name(self) -> str | None:
        """The name the agent had at the time."""
        return (self.personal or {}).get("agent_name")


def query(
    session: Session, subject: Subject, filters: Filters, cursor: str | None = None, *, limit: int = 100
) -> Page[AuditRow]:
    """The events of the subject's own site, newest first. The question itself goes on record: the transaction must be
    a writing one.
    """
    page = read(session, subject, filters, cursor, limit=limit)
    note_reading(session, subject, filters)
    return page


def read(
    session: Session, subject: Subject, filters: Filters, cursor: str | None = None, *, limit: int = 100
) -> Page[AuditRow]:
    """As `query`, for who puts the reading on record in another transaction, before anybody sees the rows."""
    return _read(session, require_reader(session, subject), filters, cursor, limit)


def note_reading(session: Session, subject: Subject, filters: Filters) -> None:
    site_id = require_reader(session, subject)
    audit.record(session, site_id=site_id, act=Act.AUDIT_READ, subject=subject, detail=filters.told())


def export(
    database: Database, subject: Subject, filters: Filters, *, form: str, limit: int, step: int = 1000
) -> Iterator[AuditRow]:
    """The events of the subject's own site, newest first, `limit` of them at most, to be taken away in a `form` such as
    "csv". It is on record, once, before the first row comes; nobody waits to write while the rest is read.
    """
    with database.writing() as session:
        site_id = require_reader(session, subject)
        detail = {**filters.told(), "form": form}
        audit.record(session, site_id=site_id, act=Act.AUDIT_EXPORTED, subject=subject, detail=detail)
    return paging.walk(
        database, lambda session, cursor, limit: _read(session, site_id, filters, cursor, limit), limit=limit, step=step
    )


def _read(session: Session, site_id: SiteId, filters: Filters, cursor: str | None, limit: int) -> Page[AuditRow]:
    """Two questions: which events, by the indexes alone; then what stands in these few, and in the tables beside."""
    event = AuditEventRow
    # What is said of one case, slide or person is little: it is found by their indexes. SQLite, which keeps no
    # statistics here, would walk along all that the site has, if it were not told that it cannot.
    own = event.site_id.concat("") if filters.case_id or filters.slide_id or filters.agent_id else event.site_id
    which = (
        select(event.position)
        .where(own == site_id, *_conditions(filters, site_id))
        .order_by(event.recorded_us.desc(), event.position.desc())
        .limit(limit + 1)
    )
    if cursor:
        which = which.where(tuple_(event.recorded_us, event.position) < _position(cursor))
    found = session.scalars(which).all()
    known = _rows(session, found[:limit])
    more = f"{known[-1].recorded_us}-{known[-1].position}" if len(found) > limit else None
    return Page(tuple(known), more)


def _rows(session: Session, positions: Sequence[int]) -> list[AuditRow]:
    event = AuditEventRow
    statement = (
        select(
            event.__table__,
            AuditPersonalRow.body,
            CaseRow.accession,
            SlideRow.file_name,
            SlideRow.stain,
            SlideRow.block,
            AuditSealRow.seq,
        )
        .outerjoin(AuditPersonalRow, AuditPersonalRow.event_id == event.id)
        .outerjoin(AuditSealRow, AuditSealRow.event_id == event.id)
        .outerjoin(CaseRow, and_(CaseRow.id == event.case_id, CaseRow.site_id == event.site_id))
        .outerjoin(SlideRow, and_(SlideRow.id == event.slide_id, SlideRow.site_id == event.site_id))
    )
    try:
        found = session.execute(statement.where(event.position.in_(positions))).all()
    except OperationalError:
        # SQLite holds whatever was written, also what is no text. One such row hides all others: ask for each alone.
        found = []
        for position in positions:
            with suppress(OperationalError):
                found += session.execute(statement.where(event.position == position)).all()
    rows = {row.position: _row_or_ruin(row) for row in found}
    return [rows.get(position) or _unreadable(position, _moment(session, position)) for position in positions]


def _moment(session: Session, position: int) -> Any:
    """What stands as its time in a row that the driver cannot read as a whole."""
    with suppress(OperationalError):
        return session.scalar(select(AuditEventRow.recorded_us).where(AuditEventRow.position == position))
    return None


def people(session: Session, subject: Subject) -> list[tuple[MemberId, str]]:
    """The members of the subject's own site, to choose from when asking the log about one; by name."""
    site_id = require_reader(session, subject)
    rows = session.execute(
        select(MemberRow.id, MemberRow.name).where(MemberRow.site_id == site_id).order_by(MemberRow.name)
    )
    return [(row.id, row.name) for row in rows]


def require_reader(session: Session, subject: Subject) -> SiteId:
    """The site whose log the subject may read: the own one. Raises RefusedError if the role may not."""
    if not isinstance(subject, Member):
        raise InvalidError("The audit log answers members, each about the own site.")
    policy.require(session, subject, Action.READ_AUDIT, subject, Entity("site", subject.site_id))
    return subject.site_id


def _conditions(filters: Filters, site_id: SiteId) -> Iterator[ColumnElement[bool]]:
    event = AuditEventRow
    if filters.since_us is not None:
        yield event.recorded_us >= filters.since_us
    if filters.until_us is not None:
        yield event.recorded_us < filters.until_us
    if filters.case_id is not None:
        # A case has few events among many: find them by their own indexes, whatever else is asked.
        its_slides = select(SlideRow.id).where(SlideRow.case_id == filters.case_id, SlideRow.site_id == site_id)
        of_case = select(event.position).where(event.case_id == filters.case_id)
        yield event.position.in_(of_case.union(select(event.position).where(event.slide_id.in_(its_slides))))
    if filters.outcome is not None and filters.outcome is not Outcome.SUCCESS:
        yield event.outcome != literal_column("'success'")  # in the very words of the index of what went wrong
    for column, value in (
        (event.act, filters.act),
        (event.outcome, filters.outcome),
        (event.agent_id, filters.agent_id),
        (event.slide_id, filters.slide_id),
    ):
        if value is not None:
            yield column == value


def _position(cursor: str) -> ColumnElement[Any]:
    match = re.fullmatch(r"(-?\d{1,19})-(\d{1,18})", cursor, re.ASCII)
    if not match or abs(int(match[1])) > HIGHEST:
        raise InvalidError("This is no place in the audit log. Start again from its first page.")
    return tuple_(literal(int(match[1])), literal(int(match[2])))


def _row_or_ruin(row: Row[*tuple[Any, ...]]) -> AuditRow:
    try:
        return _row(row)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return _unreadable(row.position, row.recorded_us)


def _row(row: Row[*tuple[Any, ...]]) -> AuditRow:
    """Raises ValueError, TypeError, KeyError or AttributeError for what no event can be."""
    entities = tuple(Entity(_text(each["kind"]), _text(each["id"])) for each in json.loads(row.entities))
    if not isinstance(row.recorded_us, int) or not 0 <= row.recorded_us <= LATEST_US:
        raise ValueError("no moment")
    return AuditRow(
        id=EventId(_text(row.id)),
        position=row.position,
        recorded_us=row.recorded_us,
        act=Act(row.act),
        outcome=Outcome(row.outcome),
        agent_kind=_text(row.agent_kind),
        agent_id=_text_or_none(row.agent_id),
        agent_site_id=_text_or_none(row.agent_site_id),
        agent_role=row.agent_role and Role(row.agent_role),
        purpose=row.purpose and Purpose(row.purpose),
        entities=entities,
        detail=_texts(row.detail),
        personal={} if row.commitment is None else _texts(row.body) if row.body else None,
        case_id=row.case_id and CaseId(_text(row.case_id)),
        slide_id=row.slide_id and SlideId(_text(row.slide_id)),
        accession=row.accession,
        slide_name=row.file_name,
        slide_stain=row.stain,
        slide_block=row.block,
        seq=row.seq,
    )


def _unreadable(position: int, recorded_us: Any) -> AuditRow:
    """What is left to say of a row that was altered past the program: where it stands. In SQLite, what was overwritten
    with words stands before all numbers.
    """
    return AuditRow(
        id=EventId(""),
        position=position,
        recorded_us=recorded_us if isinstance(recorded_us, int) else HIGHEST,
        act=None,
        outcome=Outcome.FAILED,
        agent_kind="stranger",
        agent_id=None,
        agent_site_id=None,
        agent_role=None,
        purpose=None,
        entities=(),
        detail={},
        personal={},
        case_id=None,
        slide_id=None,
        accession=None,
        slide_name=None,
        slide_stain=None,
        slide_block=None,
        seq=None,
    )


def _texts(text: str) -> dict[str, str]:
    return {key: _text(value) for key, value in json.loads(text).items()}


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("no text")
    return value


def _text_or_none(value: Any) -> str | None:
    return None if value is None else _text(value)
