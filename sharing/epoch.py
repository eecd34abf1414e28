"""The access epoch: one number that grows whenever a right may have been taken away.

Servers keep decisions in memory and drop those of an older epoch, so that a revocation bites everywhere without any
message between them.
"""

from sqlalchemy import insert, select, update

from sharing.db.engine import Session
from sharing.db.tables import AccessEpochRow, EpochMoveRow


def read(session: Session) -> int:
    return session.scalars(select(AccessEpochRow.epoch)).one()


def bump(session: Session) -> None:
    grown = update(AccessEpochRow).values(epoch=AccessEpochRow.epoch + 1).returning(AccessEpochRow.epoch)
    epoch = session.execute(grown).scalar_one()
    session.execute(insert(EpochMoveRow).values(epoch=epoch, moved_us=session.now_us))
