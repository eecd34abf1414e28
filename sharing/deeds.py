"""What somebody has just done, by the record of it: a page says that something was done only if it was."""

import json
from collections.abc import Collection, Mapping

from sqlalchemy import select

from sharing.clock import MINUTE_US
from sharing.db.engine import Session
from sharing.db.tables import AuditEventRow
from sharing.subjects import Member
from sharing.vocabulary import Act, Entity, Outcome

JUST_US = 10 * MINUTE_US


def just_done(
    session: Session, subject: Member, acts: Collection[Act], about: Entity, detail: Mapping[str, str] | None = None
) -> bool:
    """Whether the subject did one of these acts to a thing, with such particulars, within the last ten minutes."""
    event = AuditEventRow
    rows = session.execute(
        select(event.entities, event.detail).where(
            event.agent_id == subject.id,
            event.recorded_us > session.now_us - JUST_US,
            event.act.in_(acts),
            event.outcome == Outcome.SUCCESS,
        )
    )
    return any(_tells(row.entities, row.detail, about, detail or {}) for row in rows)


def _tells(entities: str, detail: str, about: Entity, wanted: Mapping[str, str]) -> bool:
    try:
        things, told = json.loads(entities), json.loads(detail)
        return {"id": about.id, "kind": about.kind} in things and bool(wanted.items() <= told.items())
    except (ValueError, TypeError, AttributeError, RecursionError):  # altered past the program
        return False
