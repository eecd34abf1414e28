"""What the agent knows of every slide that it found: one SQLite file, which a power cut leaves as it was after the last
transaction.

The queue is memory, not truth: the slides are in the folders and on the platform. When its file is damaged it is set
aside, and what lies in the folders is asked about anew; the platform then says what it has already.
"""

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ingest.agent.entries import Entry, QueuedFile, State, Summary, mark_of
from ingest.heartbeat import Trouble

FILE_NAME = "queue.db"
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
_COLUMNS = "id, name, state, root, length, found_us, changed_us, attempts, code, detail, slide, place"


def _wall_clock_us() -> int:
    return time.time_ns() // 1000


class Queue:
    """The file in a state folder. Its methods may be called from several threads and processes; each is a transaction
    of its own, durable when it returns. Use as a context manager, or call `close`."""

    def __init__(self, folder: Path, now_us: Callable[[], int] = _wall_clock_us) -> None:
        """Opens or makes the queue. `set_aside` is where a damaged one was put. Raises OSError."""
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / FILE_NAME
        self.set_aside: Path | None = None
        self._now_us, self._lock = now_us, threading.RLock()
        try:
            self._db = _opened(self.path)
        except sqlite3.OperationalError as error:  # locked, full, not writable: nothing of it is damaged
            raise OSError(f"{self.path}: {error}") from error
        except sqlite3.DatabaseError:
            self.set_aside = _put_aside(self.path, now_us())
            self._db = _opened(self.path)

    def __enter__(self) -> "Queue":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        with self._lock:
            self._db.close()

    # What a person asks

    def summary(self, since_us: int = 0) -> Summary:
        """`since_us`: from when on slides are counted as `sent_since`."""
        counts = dict.fromkeys(State, 0)
        with self._lock:
            for state, number in self._all("SELECT state, count(*) FROM entry GROUP BY state"):
                counts[State(state)] = number
            [(waiting, length, oldest)] = self._all(
                "SELECT count(*), coalesce(sum(length), 0), min(found_us) FROM entry"
                " WHERE state IN ('queued', 'sending')"
            )
            last = self._all(
                "SELECT name, changed_us FROM entry WHERE state = 'sent' ORDER BY changed_us DESC, id DESC LIMIT 1"
            )
            [(since,)] = self._all(
                "SELECT count(*) FROM entry WHERE state = 'sent' AND changed_us >= ?", since_us
            )
        name, sent_us = last[0] if last else (None, None)
        return Summary(counts, waiting, length, oldest, name, sent_us, since)

    def entries(self, state: State | None = None, limit: int = 1000) -> list[Entry]:
        """In the order in which they were found; those that are SENT from the last one backwards."""
        order = "changed_us DESC, id DESC" if state is State.SENT else "id"
        return self._entries(f"WHERE ? IS NULL OR state = ? ORDER BY {order} LIMIT ?", state, state, limit)

    def retry(self, name: str | None = None) -> int:
        """Puts refused slides of this name (without one: all) in the queue again, and lets those wait no longer that
        wait for their next try. How many slides that concerns."""
        return self._change(
            "UPDATE entry SET state = 'queued', code = NULL, detail = NULL, attempts = 0, due_us = 0, changed_us = ?"
            " WHERE (state = 'refused' OR (state = 'queued' AND due_us > 0)) AND (? IS NULL OR name = ?)",
            self._now_us(),
            name,
            name,
        )

    def troubles(self) -> tuple[Trouble, ...]:
        """What waits for a person: refused slides, incomplete ones, and those whose last try failed."""
        found = self._all(
            "SELECT name, code, coalesce(detail, ''), found_us FROM entry WHERE code IS NOT NULL"
            " AND state IN ('refused', 'incomplete', 'queued') ORDER BY state != 'refused', id LIMIT 1000"
        )
        return tuple(Trouble(*each) for each in found)
