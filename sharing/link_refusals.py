"""How often each link was tried in vain, and why: for whoever made it.

What the holder of a right secret is refused stands in the audit log, and is counted here in the same transaction. Wrong
secrets are counted in memory (`count_later`): a flood of them writes nothing. The sealer's thread calls `write_down`
within a second.
"""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite

from sharing.db.engine import Database, Session
from sharing.db.tables import LinkRefusalRow
from sharing.vocabulary import LinkId, LinkState, Vain


@dataclass(frozen=True, slots=True)
class InVain:
    """The vain tries at a link for one reason; `last_us` is right to a second."""

    reason: Vain | LinkState
    count: int
    last_us: int


def count(session: Session, link_id: LinkId, reason: Vain | LinkState, times: int = 1) -> None:
    """Add to the counts of a link, which must exist."""
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    statement = insert(LinkRefusalRow).values(
        link_id=link_id, reason=reason, count=times, first_us=session.now_us, last_us=session.now_us
    )
    session.execute(
        statement.on_conflict_do_update(
            index_elements=["link_id", "reason"],
            set_={"count": LinkRefusalRow.count + statement.excluded.count, "last_us": statement.excluded.last_us},
        )
    )


def count_later(database: Database, link_id: LinkId, reason: Vain) -> None:
    """Count one in memory, until `write_down`."""
    database.link_tries.add((link_id, reason))


def write_down(database: Database) -> None:
    """Add what this process has counted in memory to what the database holds."""
    if not database.link_tries:
        return
    counts = database.link_tries.take()
    try:
        with database.writing() as session:
            for (link_id, reason), times in sorted(counts.items()):
                count(session, link_id, Vain(reason), times)
    except BaseException:
        for key, times in counts.items():
            database.link_tries.add(key, times)
        raise


def of(session: Session, link_ids: Collection[LinkId]) -> dict[LinkId, tuple[InVain, ...]]:
    """The vain tries at each of the links that has any, the latest reason first."""
    rows = session.scalars(
        select(LinkRefusalRow)
        .where(LinkRefusalRow.link_id.in_(link_ids))
        .order_by(LinkRefusalRow.last_us.desc(), LinkRefusalRow.reason)
    )
    found: dict[LinkId, tuple[InVain, ...]] = {}
    for row in rows:
        told = InVain(_reason(row.reason), row.count, row.last_us)
        found[row.link_id] = (*found.get(row.link_id, ()), told)
    return found


def _reason(value: str) -> Vain | LinkState:
    return Vain(value) if value in set(Vain) else LinkState(value)
