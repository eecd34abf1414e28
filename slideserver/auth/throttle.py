"""How often somebody may try to sign in, so that guessing is hopeless and nobody can lock a colleague out.

Tries are counted for an account *from one address* (10 in 15 minutes), for one address over all accounts (50: a
hospital may stand behind a single one), and for an account over all addresses it has never signed in from (30). The
addresses its owner has used are exempt from the last, so that an attacker with many addresses slows only himself.
Counted in a small database of its own in the data directory, for all processes on it together; it is no part of a
backup, and may be deleted at any time.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv6Address, ip_address
from pathlib import Path
from threading import Lock

from sharing.clock import Clock

WINDOW_US = 15 * 60 * 1_000_000
PAIR, SOURCE, ACCOUNT = 10, 50, 30
MAX_TRIES = 300_000
MAX_FAMILIAR = 10_000
BUSY_TIMEOUT_S = 5

SCHEMA = """
CREATE TABLE IF NOT EXISTS try (login TEXT NOT NULL, source TEXT NOT NULL, at_us INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS try_of ON try (login, source, at_us);
CREATE INDEX IF NOT EXISTS try_at ON try (at_us);
CREATE TABLE IF NOT EXISTS familiar (login TEXT NOT NULL, source TEXT NOT NULL, UNIQUE (login, source));
"""

# Login and source; one of them is empty where all of its kind are meant.
Key = tuple[str, str]


class Throttle:
    """`admit` each try before its password is checked; tell `succeeded` when it was right."""

    def __init__(self, clock: Clock, path: Path) -> None:
        self._clock = clock
        self._lock = Lock()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
        # Several processes open it at the same moment. SQLite waits only for a lock taken in one step; to change
        # the journal, or to go from reading to writing, it refuses at once.
        self._connection.executescript(f"PRAGMA synchronous = NORMAL; BEGIN IMMEDIATE; {SCHEMA} COMMIT;")

    def close(self) -> None:
        self._connection.close()

    def admit(self, login: str, source: str) -> int:
        """0: go on, and the try is counted. Otherwise the seconds to wait; such a try is not counted."""
        now = self._clock.now_us()
        with self._writing() as connection:
            limits = self._limits(login, source)
            wait_us = max(self._wait_us(key, limit, now) for key, limit in limits)
            if wait_us > 0:
                return -(-wait_us // 1_000_000)
            connection.executemany("INSERT INTO try VALUES (?, ?, ?)", [(*key, now) for key, _ in limits])
            connection.execute("DELETE FROM try WHERE at_us <= ?", (now - WINDOW_US,))
            connection.execute("DELETE FROM try WHERE rowid <= (SELECT max(rowid) FROM try) - ?", (MAX_TRIES,))
        return 0

    def succeeded(self, login: str, source: str) -> None:
        """Forgets the tries of this login from this source, gives the last one back to the others."""
        with self._writing() as connection:
            for key, _ in self._limits(login, source):
                connection.execute(
                    "DELETE FROM try WHERE rowid = (SELECT max(rowid) FROM try WHERE login = ? AND source = ?)", key
                )
            connection.execute("DELETE FROM try WHERE login = ? AND source = ?", (login, source))
            connection.execute("INSERT OR REPLACE INTO familiar VALUES (?, ?)", (login, source))
            connection.execute(
                "DELETE FROM familiar WHERE rowid <= (SELECT max(rowid) FROM familiar) - ?", (MAX_FAMILIAR,)
            )

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._lock, self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            yield self._connection

    def _limits(self, login: str, source: str) -> list[tuple[Key, int]]:
        limits = [((login, source), PAIR), (("", source), SOURCE)]
        known = self._connection.execute("SELECT 1 FROM familiar WHERE login = ? AND source = ?", (login, source))
        if known.fetchone() is None:
            limits.append(((login, ""), ACCOUNT))
        return limits

    def _wait_us(self, key: Key, limit: int, now: int) -> int:
        """A key is full while the oldest of its last `limit` tries is younger than the window."""
        oldest = self._connection.execute(
            "SELECT at_us FROM try WHERE login = ? AND source = ? ORDER BY at_us DESC LIMIT 1 OFFSET ?",
            (*key, limit - 1),
        ).fetchone()
        return int(oldest[0]) + WINDOW_US - now if oldest else 0


def source_of(host: str | None) -> str:
    """What the tries of an address are counted under: IPv4 whole, IPv6 by its /64, which is what one customer gets."""
    if host is None:
        return "unknown"
    try:
        address = ip_address(host)
    except ValueError:
        return host
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return f"{IPv6Address(int(address) >> 64 << 64)}/64"
    return str(address)
