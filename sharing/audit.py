"""The audit log: acts go in, questions are answered. Sealing and verifying the chain is `sharing.chain`'s.

`record` runs in the transaction of the act: no act without its event, no event without its act. A refusal undoes the
act, so `record_refusal` has a short transaction of its own. The format is told in docs/reference/audit-format.md.
"""

import hashlib
import json
import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, delete, insert, literal, or_, select, tuple_

from sharing import policy
from sharing.clock import MINUTE_US
from sharing.db.engine import Database, Session
from sharing.db.tables import (
    AuditEventRow,
    AuditPersonalRow,
    AuditSealRow,
    Base,
    CaseRow,
    MemberRow,
    SlideRow,
)
from sharing.errors import InvalidError, Refusal
from sharing.subjects import Agent, Member, Stranger, Subject, System, subject_id
from sharing.vocabulary import (
    PLATFORM,
    Act,
    Action,
    CaseId,
    Entity,
    EventId,
    MemberId,
    Outcome,
    Purpose,
    SiteId,
    SlideId,
    new_id,
)

VERSION = 1


def record(
    session: Session,
    *,
    site_id: SiteId,
    act: Act,
    subject: Subject,
    outcome: Outcome = Outcome.SUCCESS,
    entities: Sequence[Entity] = (),
    detail: Mapping[str, str] | None = None,
    personal: Mapping[str, str] | None = None,
    purpose: Purpose | None = None,
) -> EventId:
    """Put an act on record in the chain of `site_id`, the site that owns what was acted on.

    `detail` holds codes, counts and digests, for ever. Whatever names a person (login, network address, file name)
    belongs into `personal`, which can be erased; the subject's name is added there by itself.
    """
    event_id = EventId(new_id())
    body = canonical_json(_personal(subject, personal))
    salt = secrets.token_hex(32)
    event = {
        "id": event_id,
        "version": VERSION,
        "site_id": site_id,
        "recorded_us": session.now_us,
        "type": act.type,
        "act": act,
        "action": act.code,
        "outcome": outcome,
        "agent_kind": subject.kind,
        "agent_id": subject_id(subject),
        "agent_site_id": subject.site_id if isinstance(subject, Member | Agent) else None,
        "agent_role": subject.role if isinstance(subject, Member) else None,
        "purpose": purpose,
        "entities": canonical_json([{"id": entity.id, "kind": entity.kind} for entity in entities]),
        "detail": canonical_json(detail or {}),
        "commitment": commitment(salt, body) if body != "{}" else None,
        "case_id": next((entity.id for entity in entities if entity.kind == "case"), None),
        "slide_id": next((entity.id for entity in entities if entity.kind == "slide"), None),
    }
    # Every act comes through here: inserting into the tables costs a quarter of inserting mapped rows.
    tables = Base.metadata.tables
    position = session.execute(insert(tables["audit_event"]).returning(AuditEventRow.position), event).scalar_one()
    session.execute(insert(tables["audit_pending"]), {"position": position})
    if body != "{}":
        session.execute(insert(tables["audit_personal"]), {"event_id": event_id, "salt": salt, "body": body})
    return event_id


def record_refusal(database: Database, refusal: Refusal, *, personal: Mapping[str, str] | None = None) -> None:
    """Put a "no" on record, after the transaction that met it is over. Those to strangers are counted, not listed."""
    if isinstance(refusal.subject, Stranger):
        count_stranger(database, refusal.action, site_id=refusal.site_id)
        return
    with database.writing() as session:
        record_refused(session, refusal, personal=personal)


def record_refused(session: Session, refusal: Refusal, *, personal: Mapping[str, str] | None = None) -> None:
    """As `record_refusal`, to somebody known, in a transaction that undoes nothing of it."""
    record(
        session,
        site_id=refusal.site_id,
        act=Act.ACCESS_REFUSED,
        outcome=Outcome.REFUSED,
        subject=refusal.subject,
        entities=refusal.entities,
        detail={"asked": refusal.action, "reason": refusal.reason},
        personal=personal,
    )


def count_stranger(database: Database, reason: str, *, site_id: SiteId = PLATFORM) -> None:
    """Count one refusal of somebody unknown: in memory, so that a flood of them costs the database nothing.

    The next `chain.seal` of this process writes the counts down, and makes one event of each minute that is over.
    `reason` comes from our code, never from the visitor: it is kept for ever.
    """
    now_us = database.clock.now_us()
    database.strangers.add((site_id, now_us - now_us % MINUTE_US, reason))


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


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One event as a reader of the log sees it."""

    id: EventId
    position: int
    recorded_us: int
    act: Act
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


@dataclass(frozen=True, slots=True)
class Page:
    rows: tuple[AuditRow, ...]
    next: str | None
    """The cursor of the following page; None on the last."""


def query(session: Session, subject: Subject, filters: Filters, cursor: str | None = None, *, limit: int = 100) -> Page:
    """The events of the subject's own site, newest first. The question itself goes on record: the transaction must be
    a writing one.
    """
    site_id = require_reader(session, subject)
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
        .where(event.site_id == site_id, *_conditions(filters, site_id))
        .order_by(event.recorded_us.desc(), event.position.desc())
        .limit(limit + 1)
    )
    if cursor:
        statement = statement.where(tuple_(event.recorded_us, event.position) < _position(cursor))
    rows = [_row(row) for row in session.execute(statement)]
    more = f"{rows[limit - 1].recorded_us}-{rows[limit - 1].position}" if len(rows) > limit else None
    asked = {field.name: str(value) for field in fields(filters) if (value := getattr(filters, field.name)) is not None}
    record(session, site_id=site_id, act=Act.AUDIT_READ, subject=subject, detail=asked)
    return Page(tuple(rows[:limit]), more)


def people(session: Session, subject: Subject) -> list[tuple[MemberId, str]]:
    """The members of the subject's own site, to choose from when asking the log about one; by name."""
    site_id = require_reader(session, subject)
    rows = session.execute(
        select(MemberRow.id, MemberRow.name).where(MemberRow.site_id == site_id).order_by(MemberRow.name)
    )
    return [(row.id, row.name) for row in rows]


def erase_personal(session: Session, subject: Subject, event_id: EventId) -> bool:
    """Erase what an event says of persons; False if there is nothing left of it. The chain stays whole, and the erasure
    is itself on record.
    """
    site_id = session.scalars(select(AuditEventRow.site_id).where(AuditEventRow.id == event_id)).one_or_none()
    if site_id is None:
        raise policy.absent("event")
    about = Entity("event", event_id)
    policy.require(session, subject, Action.ERASE_PERSONAL, policy.AtSite(site_id), about)
    erased = delete(AuditPersonalRow).where(AuditPersonalRow.event_id == event_id).returning(AuditPersonalRow.event_id)
    if session.execute(erased).one_or_none() is None:
        return False
    record(session, site_id=site_id, act=Act.PERSONAL_ERASED, subject=subject, entities=[about])
    return True


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
        its_slides = select(SlideRow.id).where(SlideRow.case_id == filters.case_id, SlideRow.site_id == site_id)
        yield or_(event.case_id == filters.case_id, event.slide_id.in_(its_slides))
    for column, value in (
        (event.act, filters.act),
        (event.outcome, filters.outcome),
        (event.agent_id, filters.agent_id),
        (event.slide_id, filters.slide_id),
    ):
        if value is not None:
            yield column == value


def _position(cursor: str) -> ColumnElement[Any]:
    match = re.fullmatch(r"(\d{1,18})-(\d{1,18})", cursor, re.ASCII)
    if not match:
        raise InvalidError("This is no place in the audit log. Start again from its first page.")
    return tuple_(literal(int(match[1])), literal(int(match[2])))


def _row(row: Row[*tuple[Any, ...]]) -> AuditRow:
    return AuditRow(
        id=row.id,
        position=row.position,
        recorded_us=row.recorded_us,
        act=Act(row.act),
        outcome=Outcome(row.outcome),
        agent_kind=row.agent_kind,
        agent_id=row.agent_id,
        agent_site_id=row.agent_site_id,
        agent_role=row.agent_role,
        purpose=row.purpose,
        entities=tuple(Entity(entity["kind"], entity["id"]) for entity in json.loads(row.entities)),
        detail=json.loads(row.detail),
        personal={} if row.commitment is None else json.loads(row.body) if row.body else None,
        case_id=row.case_id,
        slide_id=row.slide_id,
        accession=row.accession,
        slide_name=row.file_name,
        slide_stain=row.stain,
        slide_block=row.block,
        seq=row.seq,
    )


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no spaces, characters as they are: the one text of a value, to be hashed as UTF-8."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def commitment(salt: str, body: str) -> str:
    """What an event keeps of its personal part: SHA-256 of the salt's 64 hex digits and the part's JSON."""
    return hashlib.sha256((salt + body).encode()).hexdigest()


def _personal(subject: Subject, personal: Mapping[str, str] | None) -> dict[str, str]:
    name = None if isinstance(subject, System | Stranger) else subject.name
    return ({"agent_name": name} if name else {}) | dict(personal or {})
