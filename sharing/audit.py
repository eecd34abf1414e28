"""The audit log: acts go in, questions are answered. Sealing and verifying the chain is `sharing.chain`'s.

`record` runs in the transaction of the act: no act without its event, no event without its act. A refusal undoes the
act, so `record_refusal` has a short transaction of its own. The format is told in docs/reference/audit-format.md.
"""

import hashlib
import json
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import insert

from sharing.clock import MINUTE_US
from sharing.db.engine import Database, Session
from sharing.db.tables import AuditEventRow, AuditPendingRow, AuditPersonalRow
from sharing.errors import Refusal
from sharing.subjects import Member, Stranger, Subject, System, subject_id
from sharing.vocabulary import PLATFORM, Act, Entity, EventId, Outcome, Purpose, SiteId, new_id

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
    position = session.execute(
        insert(AuditEventRow)
        .values(
            id=event_id,
            version=VERSION,
            site_id=site_id,
            recorded_us=session.now_us,
            type=act.type,
            act=act,
            action=act.code,
            outcome=outcome,
            agent_kind=subject.kind,
            agent_id=subject_id(subject),
            agent_site_id=None if isinstance(subject, System | Stranger) else subject.site_id,
            agent_role=subject.role if isinstance(subject, Member) else None,
            purpose=purpose,
            entities=canonical_json([{"id": entity.id, "kind": entity.kind} for entity in entities]),
            detail=canonical_json(detail or {}),
            commitment=commitment(salt, body) if body != "{}" else None,
            case_id=next((entity.id for entity in entities if entity.kind == "case"), None),
            slide_id=next((entity.id for entity in entities if entity.kind == "slide"), None),
        )
        .returning(AuditEventRow.position)
    ).scalar_one()
    session.execute(insert(AuditPendingRow).values(position=position))
    if body != "{}":
        session.execute(insert(AuditPersonalRow).values(event_id=event_id, salt=salt, body=body))
    return event_id


def record_refusal(database: Database, refusal: Refusal, *, personal: Mapping[str, str] | None = None) -> None:
    """Put a "no" on record, after the transaction that met it is over. Those to strangers are counted, not listed."""
    if isinstance(refusal.subject, Stranger):
        count_stranger(database, refusal.action, site_id=refusal.site_id)
        return
    with database.writing() as session:
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


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no spaces, characters as they are: the one text of a value, to be hashed as UTF-8."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def commitment(salt: str, body: str) -> str:
    """What an event keeps of its personal part: SHA-256 of the salt's 64 hex digits and the part's JSON."""
    return hashlib.sha256((salt + body).encode()).hexdigest()


def _personal(subject: Subject, personal: Mapping[str, str] | None) -> dict[str, str]:
    name = {} if isinstance(subject, System | Stranger) else {"agent_name": subject.name}
    return name | dict(personal or {})
