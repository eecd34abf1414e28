"""Refusals of strangers: one event a minute, site and reason says how many there were.

`audit.count_stranger` counts in memory; the sealer calls `keep` within a second, so that a crash loses no more than
that, and `close` turns each minute that is over into an event.
"""

from collections.abc import Mapping
from datetime import UTC, datetime

from sqlalchemy import ColumnElement, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from sharing import audit
from sharing.clock import MINUTE_US, SECOND_US
from sharing.db.engine import Session
from sharing.db.tables import StrangerRefusalRow
from sharing.subjects import Stranger
from sharing.tally import Refused
from sharing.vocabulary import Act, Outcome


def keep(session: Session, counts: Mapping[Refused, int]) -> None:
    """Add the counts of one process to those that the database holds."""
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    for (site_id, minute_us, reason), count in sorted(counts.items()):
        statement = insert(StrangerRefusalRow).values(site_id=site_id, minute_us=minute_us, reason=reason, count=count)
        session.execute(
            statement.on_conflict_do_update(
                index_elements=["site_id", "minute_us", "reason"],
                set_={"count": StrangerRefusalRow.count + statement.excluded.count},
            )
        )


def due(session: Session) -> bool:
    """Whether `close` has something to do."""
    return session.scalar(select(StrangerRefusalRow.count).where(_over(session)).limit(1)) is not None


def close(session: Session) -> None:
    """Turn the counts of every minute that is over into events."""
    table = StrangerRefusalRow
    rows = session.execute(
        delete(table).where(_over(session)).returning(table.site_id, table.minute_us, table.reason, table.count)
    )
    for row in sorted(rows):
        minute = datetime.fromtimestamp(row.minute_us / SECOND_US, UTC).strftime("%Y-%m-%dT%H:%MZ")
        audit.record(
            session,
            site_id=row.site_id,
            act=Act.STRANGERS_REFUSED,
            outcome=Outcome.REFUSED,
            subject=Stranger(),
            detail={"count": str(row.count), "minute": minute, "reason": row.reason},
        )


def _over(session: Session) -> ColumnElement[bool]:
    return StrangerRefusalRow.minute_us <= session.now_us - MINUTE_US
