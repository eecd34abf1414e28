"""One state of the database, taken while others write, and given back: SQLite's backup API, PostgreSQL's own programs.

What a backup copies from the store is read from the snapshot, never from the living database, so both agree.
"""

import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import URL, Connection, create_engine, inspect, make_url, select, text

from sharing.db.engine import Database
from sharing.db.migrations import schema_of as schema_of
from sharing.db.tables import SlideFileRow, SlideRow
from sharing.vocabulary import SlideState
from slideserver.operations.manifest import BackupError, TableContents

FILES = {"sqlite": "database.sqlite", "postgresql": "database.dump"}
_MODULUS = 1 << 256


@dataclass(frozen=True, slots=True)
class StoredSlide:
    """What the database says a ready slide's directory holds."""

    id: str
    index_digest: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    taken_us: int
    engine: str
    schema: str
    tables: dict[str, TableContents]
    blobs: tuple[tuple[str, str], ...]
    """Site and SHA-256 of every file of every slide."""
    slides: tuple[StoredSlide, ...]


def take(database: Database, directory: Path) -> Snapshot:
    """Write the snapshot as `FILES[engine]` into the directory."""
    target = directory / FILES[database.engine.dialect.name]
    taken_us = database.clock.now_us()
    if database.engine.dialect.name == "sqlite":
        _copy_sqlite(Path(database.engine.url.database or ""), target)
        engine = create_engine(f"sqlite:///{target}")
        with engine.connect() as connection:
            snapshot = _describe(connection, taken_us)
        engine.dispose()
        return snapshot
    with database.engine.connect().execution_options(
        isolation_level="REPEATABLE READ", postgresql_readonly=True
    ) as connection:
        # It waits for pg_dump, which may take hours.
        connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
        exported = connection.execute(text("SELECT pg_export_snapshot()")).scalar_one()
        dump = ["--format=custom", "--no-owner", "--no-privileges", f"--snapshot={exported}", f"--file={target}"]
        _run(database.engine.url, "pg_dump", *dump)
        return _describe(connection, taken_us)


def put_back(url: str, directory: Path, engine: str) -> None:
    """Fill an empty database with the snapshot in the directory. Raises BackupError when it is not empty."""
    address = make_url(url)
    require_empty(url, engine)
    source = directory / FILES[engine]
    if engine == "sqlite":
        _copy_sqlite(source, Path(address.database or ""))
    else:
        restore = ["--no-owner", "--no-privileges", "--single-transaction", "--exit-on-error"]
        _run(address, "pg_restore", *restore, str(source), database_option=True)


def require_empty(url: str, engine: str) -> None:
    """Raises BackupError unless a backup of this engine can be given back at this address."""
    address = make_url(url)
    if address.get_backend_name() != engine:
        raise BackupError(
            f"The backup is of a {engine} database, the address is one of {address.get_backend_name()}. "
            f"Give a {engine} address with --database-url."
        )
    if engine == "sqlite":
        if Path(address.database or "").exists():
            raise BackupError(f"There is a database at {address.database} already. A backup goes into an empty place.")
        return
    with _connected(url) as connection:
        if inspect(connection).get_table_names():
            raise BackupError(
                f"The database {address.database} has tables already. Make a new, empty one (createdb) for the backup."
            )


def contents(url: str) -> dict[str, TableContents]:
    """What the tables of a database hold now."""
    with _connected(url) as connection:
        return _contents(connection)


def _describe(connection: Connection, taken_us: int) -> Snapshot:
    schema = schema_of(connection)
    if not schema:
        raise BackupError("The database is empty. Run `iain migrate` first, or check --var and --database-url.")
    blobs = select(SlideRow.site_id, SlideFileRow.sha256).join(SlideRow, SlideRow.id == SlideFileRow.slide_id)
    ready = select(SlideRow.id, SlideRow.index_digest).where(SlideRow.state == SlideState.READY)
    return Snapshot(
        taken_us,
        connection.dialect.name,
        schema,
        _contents(connection),
        tuple((row.site_id, row.sha256) for row in connection.execute(blobs.distinct())),
        tuple(StoredSlide(row.id, row.index_digest or "") for row in connection.execute(ready)),
    )


def _contents(connection: Connection) -> dict[str, TableContents]:
    return {name: _table(connection, name) for name in sorted(inspect(connection).get_table_names())}


def _table(connection: Connection, name: str) -> TableContents:
    quoted = connection.dialect.identifier_preparer.quote(name)
    # The columns in the order of their names: migrations that came another way may have them in another order.
    columns = sorted(column["name"] for column in inspect(connection).get_columns(name))
    listed = ", ".join(connection.dialect.identifier_preparer.quote(column) for column in columns)
    rows = total = 0
    statement = text(f"SELECT {listed} FROM {quoted}")  # noqa: S608 - names come from the catalogue, and are quoted
    with connection.execution_options(stream_results=True).execute(statement) as result:
        for row in result:
            line = json.dumps(list(row), ensure_ascii=False, default=repr).encode()
            total = (total + int.from_bytes(hashlib.sha256(line).digest())) % _MODULUS
            rows += 1
    return TableContents(rows, f"{total:064x}")


def _copy_sqlite(source: Path, target: Path) -> None:
    """SQLite's online backup: readers and writers of the source go on, and the copy is one state of it."""
    if not source.is_file():
        raise BackupError(f"There is no database at {source}. Check --var and --database-url.")
    target.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(source)) as reader, closing(sqlite3.connect(target)) as writer:
        reader.backup(writer)  # in one step: under WAL nobody waits for it
        writer.execute("PRAGMA journal_mode = DELETE")  # one file, without a log beside it
    descriptor = os.open(target, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _run(url: URL, program: str, *arguments: str, database_option: bool = False) -> None:
    """One of PostgreSQL's programs. The password goes by its environment: arguments are there for all to see."""
    query = {name: value for name, value in url.query.items() if isinstance(value, str)}
    places = {
        "PGHOST": url.host or query.get("host"),
        "PGPORT": str(url.port) if url.port else query.get("port"),
        "PGUSER": url.username,
        "PGPASSWORD": url.password,
        "PGDATABASE": url.database,
        "PGSSLMODE": query.get("sslmode"),
        "PGSSLROOTCERT": query.get("sslrootcert"),
        "PGPASSFILE": query.get("passfile"),
    }
    environment = {**os.environ, **{name: value for name, value in places.items() if value}}
    command = [_program(program), *arguments]
    if database_option:
        command.append(f"--dbname={url.database}")
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr.strip().splitlines() or [f"it ended with status {done.returncode}"])[-1]
        raise BackupError(f"{program} failed: {said}")


def _program(name: str) -> str:
    """PostgreSQL's newest on this machine: an older one refuses a newer server."""
    versions = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: float(path.parts[-3]))
    found = str(versions[-1]) if versions else shutil.which(name)
    if found is None:
        raise BackupError(
            f"The program {name} is missing. Install PostgreSQL's client: apt-get install postgresql-client."
        )
    return found


@contextmanager
def _connected(url: str) -> Iterator[Connection]:
    address = make_url(url)
    if address.get_backend_name() == "postgresql":
        address = address.set(drivername="postgresql+psycopg")
    engine = create_engine(address, hide_parameters=True)
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()
