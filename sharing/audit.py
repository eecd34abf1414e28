"""The audit log: acts go in. What is asked of it is answered by `sharing.audit_search`, sealed and verified by
`sharing.chain`.

`record` runs in the transaction of the act: no act without its event, no event without its act. A refusal undoes the
act, so `record_refusal` has a short transaction of its own. The format is told in docs/reference/audit-format.md.
"""

import hashlib
import json
import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import delete, insert, select

from sharing import policy
from sharing.clock import MINUTE_US
from sharing.db.engine import Database, Session
from sharing.db.tables import (
    AuditEventRow,
    AuditPersonalRow,
    Base,
)
from sharing.errors import Refusal
from sharing.subjects import Agent, Member, Stranger, Subject, System, subject_id
from sharing.vocabulary import (
    PLATFORM,
    Act,
    Action,
    Entity,
    EventId,
    Outcome,
    Purpose,
    SiteId,
    new_id,
)

VERSION = 1
_CODE = re.compile(r"[a-z0-9._-]{1,64}")
# Under which a session keeps what is recorded `together`: rows of audit_event, each with that of audit_personal.
_GATHERED = "audit.gathered"
_Gathered = list[tuple[dict[str, Any], dict[str, Any] | None]]


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
    things = [(entity.kind, code(entity.id)) for entity in entities]
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
        "entities": canonical_json([{"id": thing, "kind": kind} for kind, thing in things]),
        "detail": canonical_json(detail or {}),
        "commitment": commitment(salt, body) if body != "{}" else None,
        "case_id": next((thing for kind, thing in things if kind == "case"), None),
        "slide_id": next((thing for kind, thing in things if kind == "slide"), None),
    }
    told = {"event_id": event_id, "salt": salt, "body": body} if body != "{}" else None
    gathered: _Gathered | None = session.info.get(_GATHERED)
    if gathered is None:
        _write(session, [(event, told)])
    else:
        gathered.append((event, told))
    return event_id


@contextmanager
def together(session: Session) -> Iterator[None]:
    """What is recorded in this block is written at its end, all at once: a fifth of the way for who records much."""
    gathered: _Gathered = []
    session.info[_GATHERED] = gathered
    try:
        yield
    finally:
        del session.info[_GATHERED]
    if gathered:
        _write(session, gathered)


def _write(session: Session, events: Sequence[tuple[dict[str, Any], dict[str, Any] | None]]) -> None:
    # Every act comes through here: inserting into the tables costs a quarter of inserting mapped rows.
    tables = Base.metadata.tables
    told = [personal for _, personal in events if personal]
    inserted = insert(tables["audit_event"]).returning(AuditEventRow.position)
    positions = session.scalars(inserted, [event for event, _ in events])
    session.execute(insert(tables["audit_pending"]), [{"position": position} for position in positions])
    if told:
        session.execute(insert(tables["audit_personal"]), told)


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


def code(value: str) -> str:
    """An id, or a word of our own, as it may stand on record for ever; "?" for what was typed instead of one, which
    may be a name.
    """
    return value if _CODE.fullmatch(value) else "?"


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no spaces, characters as they are: the one text of a value, to be hashed as UTF-8."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def commitment(salt: str, body: str) -> str:
    """What an event keeps of its personal part: SHA-256 of the salt's 64 hex digits and the part's JSON."""
    return hashlib.sha256((salt + body).encode()).hexdigest()


def _personal(subject: Subject, personal: Mapping[str, str] | None) -> dict[str, str]:
    name = None if isinstance(subject, System | Stranger) else subject.name
    return ({"agent_name": name} if name else {}) | dict(personal or {})
