"""The SQLite file of the queue: made, opened, looked at for damage."""

import os
import sqlite3
from pathlib import Path

BUSY_S = 30.0
_FORM = 1
_TABLES = (
    """CREATE TABLE entry (
        id INTEGER PRIMARY KEY,
        mark TEXT NOT NULL UNIQUE,
        name TEXT NOT NULL,
        state TEXT NOT NULL,
        root BLOB NOT NULL,
        length INTEGER NOT NULL,
        found_us INTEGER NOT NULL,
        changed_us INTEGER NOT NULL,
        due_us INTEGER NOT NULL DEFAULT 0,
        attempts INTEGER NOT NULL DEFAULT 0,
        code TEXT,
        detail TEXT,
        slide TEXT,
        place BLOB
    )""",
    "CREATE INDEX entry_state ON entry (state, due_us, id)",
    """CREATE TABLE file (
        entry_id INTEGER NOT NULL REFERENCES entry (id) ON DELETE CASCADE,
        name TEXT NOT NULL,
        path BLOB NOT NULL,
        length INTEGER NOT NULL,
        mtime_ns INTEGER NOT NULL,
        sha256 TEXT,
        PRIMARY KEY (entry_id, name)
    )""",
    "CREATE INDEX file_path ON file (path)",
    f"PRAGMA user_version = {_FORM}",
)


def opened(path: Path) -> sqlite3.Connection:
    """Raises sqlite3.DatabaseError when the file is damaged, its subclass OperationalError when it is out of reach."""
    db = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
    try:
        # A rollback journal, and no log beside the file: one file to keep whole. EXTRA is FULL, and the folder's entry
        # of the journal is gone from the disk, too, when a transaction is told to be over.
        db.execute("PRAGMA journal_mode = DELETE").fetchall()
        db.execute("PRAGMA synchronous = EXTRA")
        db.execute("PRAGMA fullfsync = ON")
        db.execute("PRAGMA foreign_keys = ON")
        _prepare(db)
    except BaseException:
        db.close()
        raise
    return db


def _prepare(db: sqlite3.Connection) -> None:
    db.execute("BEGIN IMMEDIATE")
    [(form,)] = db.execute("PRAGMA user_version").fetchall()
    if not form and not db.execute("SELECT 1 FROM sqlite_master").fetchall():
        for statement in _TABLES:
            db.execute(statement)
    elif form != _FORM:
        raise sqlite3.DatabaseError(f"form {form}")
    db.execute("COMMIT")
    if (found := db.execute("PRAGMA integrity_check(1)").fetchall()) != [("ok",)]:
        raise sqlite3.DatabaseError(str(found))


def put_aside(path: Path, now_us: int) -> Path:
    """Renames a damaged queue, with what SQLite keeps beside it; where it is now."""
    aside = path.with_name(f"{path.stem}-damaged-{now_us}{path.suffix}")
    for suffix in ("", "-journal", "-wal", "-shm"):
        beside = path.with_name(path.name + suffix)
        if beside.exists():  # somebody may have taken it away
            os.replace(beside, aside.with_name(aside.name + suffix))
    return aside


def is_damage(error: Exception) -> bool:
    """Whether a queue's file is damaged or gone, and not merely out of reach for a while."""
    if isinstance(error, sqlite3.OperationalError):
        return getattr(error, "sqlite_errorname", "") == "SQLITE_READONLY_DBMOVED"
    return isinstance(error, sqlite3.DatabaseError)
