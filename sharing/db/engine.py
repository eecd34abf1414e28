"""The door to the database, SQLite or PostgreSQL alike: two kinds of transaction, reading and writing.

Functions above take the `Session` and never commit; the `with` block of the caller is the transaction. Its time is
read once, so that all rows of one act carry the same microsecond.
"""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, make_url, orm, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import ConnectionPoolEntry

from sharing.clock import Clock, SystemClock
from sharing.errors import BusyError
from sharing.tally import Refused, Tally, VainTry

BUSY_TIMEOUT_S = 15
BUSY = "The database is busy: another transaction is still writing. Try again in a moment."
# Of one process. More would wait for each other's locks and for the cores, not work.
KEPT_CONNECTIONS, MOST_CONNECTIONS = 10, 30
# A process that hangs in the middle of a transaction must not hold its locks for ever; PostgreSQL ends it.
IDLE_TIMEOUT_S = 120
_DEADLOCK = "40P01"  # PostgreSQL, appendix A: deadlock_detected


class Session(orm.Session):
    """One transaction at `now_us`. `writable` says which kind."""

    def __init__(self, engine: Engine, *, now_us: int, writable: bool) -> None:
        super().__init__(engine, expire_on_commit=False)
        self.now_us = now_us
        self.writable = writable


class Database:
    """A pool of connections, safe to share between threads."""

    def __init__(self, engine: Engine, clock: Clock | None = None) -> None:
        self.engine = engine
        self.clock = clock or SystemClock()
        self.strangers: Tally[Refused] = Tally()
        """Refusals of strangers that this process has not yet written down, see `sharing.strangers`."""
        self.link_tries: Tally[VainTry] = Tally()
        """Vain tries at links, likewise, see `sharing.link_refusals`."""
        self._reader = engine.execution_options(iain_writes=False, **_postgresql(engine, postgresql_readonly=True))
        self._writer = engine.execution_options(iain_writes=True)
        # SQLite has one writer at a time. Threads of this process queue here, in order, rather than poll its lock.
        self._writing = threading.Lock() if engine.dialect.name == "sqlite" else None

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A transaction that sees one state of the database and cannot write."""
        with Session(self._reader, now_us=self.clock.now_us(), writable=False) as session, session.begin():
            yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """A transaction that is durable when the block has ended, and undone when the block raises.

        Raises BusyError when other writers keep the database for longer than 15 s, and when the thread already is in
        a writing transaction.
        """
        with (
            self._turn(),
            Session(self._writer, now_us=self.clock.now_us(), writable=True) as session,
            session.begin(),
        ):
            yield session

    @contextmanager
    def connect_for_schema(self) -> Iterator[Connection]:
        """One writing transaction on a bare connection, for migrations."""
        with self._turn(), self._writer.begin() as connection:
            yield connection

    def close(self) -> None:
        self.engine.dispose()

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if self._writing and not self._writing.acquire(timeout=BUSY_TIMEOUT_S):
            raise BusyError(BUSY)
        try:
            yield
        finally:
            if self._writing:
                self._writing.release()


def open_database(url: str, clock: Clock | None = None) -> Database:
    """The database at an SQLAlchemy URL: `sqlite:////path/iain.db` or `postgresql://user@host/name`."""
    address = make_url(url)
    if address.get_backend_name() == "postgresql":
        address = address.set(drivername="postgresql+psycopg")
    # Patients' names are parameters: they stay out of error messages, and so out of logs.
    engine = create_engine(
        address,
        pool_size=KEPT_CONNECTIONS,
        max_overflow=MOST_CONNECTIONS - KEPT_CONNECTIONS,
        pool_timeout=BUSY_TIMEOUT_S,
        hide_parameters=True,
    )
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    else:
        event.listen(engine, "connect", _prepare_postgresql)
    return Database(engine, clock)


def is_deadlock(error: BaseException) -> bool:
    """Whether PostgreSQL ended a transaction because it and another waited for each other: trying again is right."""
    return isinstance(error, OperationalError) and getattr(error.orig, "sqlstate", None) == _DEADLOCK


def keep_open(session: Session) -> None:
    """Let this transaction be idle for as long as it takes, while other processes work for it."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))


def _prepare_sqlite(connection: sqlite3.Connection, _entry: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # the driver shall begin nothing by itself: `_begin_sqlite` does
    for pragma in (
        f"busy_timeout = {BUSY_TIMEOUT_S * 1000}",
        "journal_mode = WAL",
        "synchronous = FULL",
        "foreign_keys = ON",
        "secure_delete = ON",  # what is erased leaves no bytes behind in the file
        "recursive_triggers = ON",  # INSERT OR REPLACE deletes: the triggers that refuse it shall see that
    ):
        connection.execute(f"PRAGMA {pragma}")


def _prepare_postgresql(connection: Any, _entry: ConnectionPoolEntry) -> None:
    connection.autocommit = True  # else the setting would go with the transaction it was made in
    connection.execute(f"SET idle_in_transaction_session_timeout = {IDLE_TIMEOUT_S * 1000}")
    connection.autocommit = False


def _begin_sqlite(connection: Connection) -> None:
    # A deferred transaction that turns into a writing one fails at once, whatever the timeout: say it at the start.
    writes = connection.get_execution_options().get("iain_writes", True)
    connection.exec_driver_sql(f"PRAGMA query_only = {'OFF' if writes else 'ON'}")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _postgresql(engine: Engine, **options: Any) -> dict[str, Any]:
    return options if engine.dialect.name == "postgresql" else {}
