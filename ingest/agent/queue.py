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

from ingest.agent.entries import Entry, QueuedFile, Stamp, State, Summary, mark_of
from ingest.agent.queue_file import opened, put_aside
from ingest.heartbeat import Trouble

FILE_NAME = "queue.db"
LONGEST_WAIT_US = 3600 * 1_000_000
GONE = "missing-file"
"""The code of a slide whose files went away before it was sent."""
_COLUMNS = "id, name, state, root, length, found_us, changed_us, attempts, code, detail, slide, place"


def _wall_clock_us() -> int:
    return time.time_ns() // 1000


class Queue:
    """The file in a state folder. Its methods may be called from several threads and processes; each is a transaction
    of its own, durable when it returns. Use as a context manager, or call `close`."""

    def __init__(self, folder: Path, now_us: Callable[[], int] = _wall_clock_us, *, mend: bool = True) -> None:
        """Opens or makes the queue. Who may `mend` a damaged one puts it to `set_aside`. Raises OSError."""
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / FILE_NAME
        self.set_aside: Path | None = None
        self._now_us, self._lock = now_us, threading.RLock()
        self._stamps: dict[Stamp, State] = {}
        self._stamped: object = None
        try:
            self._db = opened(self.path)
        except sqlite3.OperationalError as error:  # locked, full, not writable: nothing of it is damaged
            raise OSError(f"{self.path}: {error}") from error
        except sqlite3.DatabaseError as error:
            if not mend:
                raise OSError(f"{self.path}: {error}") from error
            self._begin_anew()

    def __enter__(self) -> "Queue":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def rebuild(self) -> None:
        """Puts a queue aside that turned out to be damaged. Raises OSError."""
        with self._lock:
            self._db.close()
            self._begin_anew()

    def _begin_anew(self) -> None:
        self.set_aside, self._stamped = put_aside(self.path, self._now_us()), None
        self._db = opened(self.path)

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
            [(since,)] = self._all("SELECT count(*) FROM entry WHERE state = 'sent' AND changed_us >= ?", since_us)
        name, sent_us = last[0] if last else (None, None)
        return Summary(counts, waiting, length, oldest, name, sent_us, since)

    def entries(self, state: State | None = None, limit: int = 1000) -> list[Entry]:
        """In the order in which they were found; those that are SENT from the last one backwards."""
        order = "changed_us DESC, id DESC" if state is State.SENT else "id"
        return self._entries(f"WHERE ? IS NULL OR state = ? ORDER BY {order} LIMIT ?", state, state, limit)

    def retry(self, name: str | None = None) -> int:
        """Puts refused slides of this name (without one: all) in the queue again, and lets those wait no longer that
        wait for their next try. How many slides that concerns."""
        name = None if name is None else plain(name)
        return self._change(
            "UPDATE entry SET state = 'queued', code = NULL, detail = NULL, attempts = 0, due_us = 0, changed_us = ?"
            " WHERE (state = 'refused' OR (state = 'queued' AND due_us > 0)) AND (? IS NULL OR name = ?)",
            self._now_us(),
            name,
            name,
        )

    def troubles(self) -> tuple[Trouble, ...]:
        """What waits for a person: refused slides first, then all others about which there is something to say."""
        found = self._all(
            "SELECT name, code, coalesce(detail, ''), found_us FROM entry WHERE code IS NOT NULL"
            " ORDER BY state != 'refused', id LIMIT 1000"
        )
        return tuple(Trouble(*each) for each in found)

    # What the watch of folders does

    def reopen(self) -> None:
        """After a start: what was on its way is to be sent, and nothing waits any longer for its next try."""
        self._change("UPDATE entry SET state = 'queued', due_us = 0 WHERE state IN ('queued', 'sending')")

    def add(self, name: str, root: Path, files: Iterable[QueuedFile]) -> Entry | None:
        """Puts a slide in the queue; None when these very files are in it, unless they were
        GONE. What waits in it for other contents of one of the files is no more."""
        files, now_us = tuple(files), self._now_us()
        with self._writing():
            self._db.execute("DELETE FROM entry WHERE mark = ? AND code = ?", (mark_of(files), GONE))
            if self._all("SELECT 1 FROM entry WHERE mark = ?", mark_of(files)):
                return None
            for file in files:
                self._db.execute(
                    "DELETE FROM entry WHERE state IN ('queued', 'refused')"
                    " AND id IN (SELECT entry_id FROM file WHERE path = ?)",
                    (os.fsencode(file.path),),
                )
            row = self._db.execute(
                "INSERT INTO entry (mark, name, state, root, length, found_us, changed_us)"
                " VALUES (?, ?, 'queued', ?, ?, ?, ?)",
                (mark_of(files), plain(name), os.fsencode(root), sum(each.length for each in files), now_us, now_us),
            )
            self._db.executemany(
                "INSERT INTO file (entry_id, name, path, length, mtime_ns) VALUES (?, ?, ?, ?, ?)",
                [(row.lastrowid, each.name, os.fsencode(each.path), each.length, each.mtime_ns) for each in files],
            )
            return self._entries("WHERE id = ?", row.lastrowid)[0]

    def take(self) -> Entry | None:
        """The slide whose turn it is, now SENDING."""
        with self._writing():
            now_us = self._now_us()
            # What is due in a far future was noted by a clock that has been put right since.
            taken = self._entries(
                "WHERE state = 'queued' AND NOT due_us BETWEEN ? AND ? ORDER BY due_us, id LIMIT 1",
                now_us + 1,
                now_us + LONGEST_WAIT_US,
            )
            if not taken:
                return None
            self._change("UPDATE entry SET state = 'sending', changed_us = ? WHERE id = ?", now_us, taken[0].id)
            return self._now(taken[0])

    def put_back(self, entry: Entry, code: str, detail: str = "", pause_s: float = 0) -> Entry:
        """It will be tried again after the pause; `code` says why it was not sent."""
        now_us = self._now_us()
        self._change(
            "UPDATE entry SET state = 'queued', code = ?, detail = ?, attempts = attempts + 1, due_us = ?,"
            " changed_us = ? WHERE id = ?",
            code,
            plain(detail),
            now_us + int(pause_s * 1e6),
            now_us,
            entry.id,
        )
        return self._now(entry)

    def release(self, entry: Entry, *, behind: bool = False) -> None:
        """It was not sent because the program stops or may not send now; `behind` all others, when it was tried."""
        due_us = self._now_us() if behind else 0
        self._change("UPDATE entry SET state = 'queued', due_us = ? WHERE id = ?", due_us, entry.id)

    def arrive(self, entry: Entry, slide: str) -> Entry:
        """The server has a slide with these bytes."""
        return self._move(entry, State.ARRIVED, slide=slide)

    def refuse(self, entry: Entry, code: str, detail: str = "") -> Entry:
        return self._move(entry, State.REFUSED, slide=entry.slide, code=code, detail=plain(detail))

    def settle(self, entry: Entry, digests: Mapping[str, str], place: Path | None) -> Entry:
        """Remembers what was proved of each file, by its name, before the first of them goes."""
        with self._writing():
            self._db.executemany(
                "UPDATE file SET sha256 = ? WHERE entry_id = ? AND name = ?",
                [(sha256, entry.id, name) for name, sha256 in digests.items()],
            )
            return self._move(entry, State.SETTLING, slide=entry.slide, place=os.fsencode(place) if place else None)

    def hinder(self, entry: Entry, code: str, detail: str = "") -> None:
        """Its files could not be put away, and will be tried again."""
        self._change("UPDATE entry SET code = ?, detail = ? WHERE id = ?", code, plain(detail), entry.id)

    def finish(self, entry: Entry) -> Entry:
        """All is done."""
        place = os.fsencode(entry.place) if entry.place else None
        return self._move(entry, State.SENT, slide=entry.slide, place=place)

    def drop(self, entry: Entry) -> None:
        """Forgets it: its files are others now, and will be found as such."""
        self._change("DELETE FROM entry WHERE id = ?", entry.id)

    def tell_incomplete(self, root: Path, troubles: Iterable[Trouble]) -> None:
        """These, and no others, are the slides below a folder that have been incomplete for long."""
        place = os.fsencode(root)
        told = {plain(each.name): (each.code, plain(each.detail), each.since_us) for each in troubles}
        with self._writing():
            found = self._all(
                "SELECT name, code, detail, found_us FROM entry WHERE state = 'incomplete' AND root = ?", place
            )
            known = {name: tuple(rest) for name, *rest in found}
            for name in known.keys() - told.keys():
                self._db.execute(
                    "DELETE FROM entry WHERE state = 'incomplete' AND root = ? AND name = ?", (place, name)
                )
            for name, (code, detail, since_us) in told.items():
                if known.get(name) != (code, detail, since_us):
                    self._db.execute(
                        "INSERT OR REPLACE INTO entry (mark, name, state, root, length, found_us, changed_us, code,"
                        " detail) VALUES (?, ?, 'incomplete', ?, 0, ?, ?, ?, ?)",
                        (f"incomplete {place.hex()} {name}", name, place, since_us, self._now_us(), code, detail),
                    )

    def forget_before(self, us: int) -> None:
        """Forgets what was done or refused before, and is no longer where it was found."""
        self._forget("state IN ('sent', 'refused') AND changed_us < ?", us)

    def forget_removed(self) -> None:
        """Forgets refused slides of which a person has put all files away, as they were told. Those that went away
        before they were sent are told on."""
        self._forget("state = 'refused' AND code != ?", GONE)

    def _forget(self, which: str, *values: object) -> None:
        """Unless all of the folder is away, perhaps for a while."""
        for entry in self._entries(f"WHERE {which}", *values):
            if entry.files and entry.root.is_dir() and not any(os.path.lexists(each.path) for each in entry.files):
                self.drop(entry)

    def stamps(self) -> Mapping[Stamp, State]:
        """Every file of every slide as it was found, and how its slide stands; without those that are GONE."""
        with self._lock:
            version = self._db.total_changes, self._all("PRAGMA data_version")
            if version != self._stamped:  # somebody, here or in another process, changed something
                found = self._all(
                    "SELECT path, file.length, mtime_ns, state FROM file JOIN entry ON entry.id = entry_id"
                    " WHERE code IS NULL OR code != ?",
                    GONE,
                )
                self._stamps = {Stamp(Path(os.fsdecode(path)), *rest): State(state) for path, *rest, state in found}
                self._stamped = version
            return self._stamps

    def _move(self, entry: Entry, state: State, **values: object) -> Entry:
        columns = {"code": None, "detail": None} | values
        names = "".join(f", {name} = ?" for name in columns)
        self._change(
            f"UPDATE entry SET state = ?, changed_us = ?{names} WHERE id = ?",  # noqa: S608 our own column names
            state,
            self._now_us(),
            *columns.values(),
            entry.id,
        )
        return self._now(entry)

    def _now(self, entry: Entry) -> Entry:
        """The entry as it is now; as it was when somebody has forgotten it."""
        found = self._entries("WHERE id = ?", entry.id)
        return found[0] if found else entry

    def _entries(self, clause: str, *values: object) -> list[Entry]:
        with self._lock:
            rows = self._all(f"SELECT {_COLUMNS} FROM entry {clause}", *values)  # noqa: S608 our own clauses
            return [_entry(row, self._files(row[0])) for row in rows]

    def _files(self, entry_id: int) -> tuple[QueuedFile, ...]:
        rows = self._all(
            "SELECT name, path, length, mtime_ns, sha256 FROM file WHERE entry_id = ? ORDER BY rowid", entry_id
        )
        return tuple(QueuedFile(name, Path(os.fsdecode(path)), *rest) for name, path, *rest in rows)

    def _all(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        with self._lock:
            return self._db.execute(statement, values).fetchall()

    def _change(self, statement: str, *values: object) -> int:
        with self._lock:
            return self._db.execute(statement, values).rowcount

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")


def plain(text: str) -> str:
    """The text without what no database keeps: halves of characters from a name that is no Unicode."""
    return text.encode("utf-8", "replace").decode()


def _entry(row: tuple[Any, ...], files: tuple[QueuedFile, ...]) -> Entry:
    number, name, state, root, length, found_us, changed_us, attempts, code, detail, slide, place = row
    return Entry(
        id=number,
        name=name,
        state=State(state),
        files=files,
        root=Path(os.fsdecode(root)),
        length=length,
        found_us=found_us,
        changed_us=changed_us,
        attempts=attempts,
        code=code,
        detail=detail,
        slide=slide,
        place=Path(os.fsdecode(place)) if place is not None else None,
    )
