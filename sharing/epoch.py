"""The access epoch: one number that grows whenever a right may have been taken away.

Servers keep decisions in memory and drop those of an older epoch, so that a revocation bites everywhere without any
message between them. Each writes down when it learned of an epoch, so that it can be told afterwards when the last
picture can have left.
"""

from collections.abc import Iterable
from itertools import groupby
from typing import Any

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from sharing.clock import MINUTE_US
from sharing.db.engine import Database, Session
from sharing.db.tables import AccessEpochRow, EpochMoveRow, EpochSeenRow

KEPT_US = 400 * 24 * 60 * MINUTE_US
"""How long it is kept when each epoch began, and who learned of it when: somewhat more than a year."""
LEARNED_WITHIN_US = 10 * MINUTE_US
"""What a server learns later than this it learns anew: it had lost the database, and shown nothing without it."""


def read(session: Session) -> int:
    return session.scalars(select(AccessEpochRow.epoch)).one()


class Watch:
    """Reads the epoch again and again, over one connection that it keeps, with next to no work for Python: no picture
    leaves a process that does not get to it in time, and a process is busy just when many want pictures.

    To be closed; `read` raises what the driver raises, and is to be tried again.
    """

    def __init__(self, database: Database) -> None:
        self._engine = database.engine
        self._connection: Any = None

    def read(self) -> int:
        try:
            if self._connection is None:
                self._connection = self._connect()
            cursor = self._connection.cursor()
            cursor.execute("SELECT epoch FROM access_epoch")
            [epoch] = cursor.fetchone()
            cursor.close()
        except Exception:
            self.close()
            raise
        return int(epoch)

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _connect(self) -> Any:
        """The driver's own, out of the pool; each statement by itself sees the newest state."""
        pooled = self._engine.raw_connection()
        connection = pooled.driver_connection
        pooled.detach()
        if self._engine.dialect.name == "postgresql":
            connection.autocommit = True  # type: ignore[union-attr]
        return connection


def bump(session: Session) -> None:
    """To be called in the transaction that ends a right; whatever it writes as the end is `session.now_us`, by which
    `last_tile` finds the epoch again."""
    grown = update(AccessEpochRow).values(epoch=AccessEpochRow.epoch + 1).returning(AccessEpochRow.epoch)
    epoch = session.execute(grown).scalar_one()
    session.execute(insert(EpochMoveRow).values(epoch=epoch, moved_us=session.now_us))


def saw(session: Session, epoch: int, process: str, seen_us: int, *, first: bool = False) -> None:
    """Note that a server process learned of an epoch then; `first` that it had shown nothing before."""
    new = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    row = {"epoch": epoch, "process": process, "seen_us": seen_us, "first": first}
    session.execute(new(EpochSeenRow).values(row).on_conflict_do_nothing())


def prune(session: Session) -> None:
    """Forget what is older than KEPT_US."""
    old = select(func.max(EpochMoveRow.epoch)).where(EpochMoveRow.moved_us < session.now_us - KEPT_US)
    session.execute(delete(EpochSeenRow).where(EpochSeenRow.epoch <= old.scalar_subquery()))
    session.execute(delete(EpochMoveRow).where(EpochMoveRow.moved_us < session.now_us - KEPT_US))


def last_tile(session: Session, ended_us: int) -> int | None:
    """When, at the latest, a server began to send a picture by a right that ended at `ended_us`; µs since the epoch.

    For a right that was taken away it is the moment when the last of the server processes alive then had learned of
    it. Each writes that down itself, by its own clock; a process that died before it could is not in it, and neither is
    what the network took to deliver. Either way a server that cannot read the epoch shows nothing after 750 ms.

    A right that ran out had its end in every decision from the start: then it is `ended_us`. None if no server has said
    so: none was running, none has written it down yet, or it is longer ago than KEPT_US.
    """
    which = session.scalar(select(func.max(EpochMoveRow.epoch)).where(EpochMoveRow.moved_us == ended_us))
    if which is None:
        return ended_us if ended_us > session.now_us - KEPT_US else None
    later = select(func.min(EpochMoveRow.epoch)).where(EpochMoveRow.moved_us > ended_us + LEARNED_WITHIN_US)
    bound = session.scalar(later)
    seen = (
        select(EpochSeenRow.process, EpochSeenRow.seen_us, EpochSeenRow.first)
        .where(EpochSeenRow.epoch >= which, *([EpochSeenRow.epoch < bound] if bound is not None else []))
        .order_by(EpochSeenRow.process, EpochSeenRow.epoch)
    )
    learned = [next(rows) for _, rows in groupby(session.execute(seen), key=lambda row: row.process)]
    return max((row.seen_us for row in learned if not row.first), default=None)


def last_tiles(session: Session, ended: Iterable[int]) -> dict[int, int | None]:
    """`last_tile` of many."""
    return {ended_us: last_tile(session, ended_us) for ended_us in ended}
