"""Inserting a row that may already be there."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import insert
from sqlalchemy.exc import IntegrityError

from sharing.db.engine import Session
from sharing.db.tables import Base
from sharing.errors import ConflictError


def insert_new(session: Session, table: type[Base], values: Mapping[str, Any], conflict: str) -> None:
    """Insert one row; raises ConflictError with the sentence `conflict` if a constraint forbids it.

    The savepoint leaves the caller's transaction usable after a conflict, on PostgreSQL too.
    """
    try:
        with session.begin_nested():
            session.execute(insert(table).values(**values))
    except IntegrityError as error:
        raise ConflictError(conflict) from error
