"""Writes down when this process learned of each access epoch: from then on it shows nothing by an older one.

The thread that reads the epoch only says so; another writes, so that a slow database keeps nobody's right alive.
"""

import logging
import threading
from collections import deque

from sharing import epoch
from sharing.clock import SECOND_US
from sharing.db.engine import Database
from sharing.vocabulary import new_id

WRITE_EVERY_S = 0.25
PRUNE_EVERY_US = 24 * 3600 * SECOND_US
# Should the database not take them for long, the oldest are given up.
MAX_KEPT = 1000

log = logging.getLogger(__name__)


class EpochsSeen:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._process = new_id()
        self._seen: deque[tuple[int, int]] = deque(maxlen=MAX_KEPT)
        self._first = True
        self._pruned_us = 0

    def add(self, seen: int) -> None:
        """That this epoch has been seen just now. Never waits."""
        self._seen.append((seen, self._database.clock.now_us()))

    def run(self, stop: threading.Event) -> None:
        """Writes until `stop` is set, and once more then. Runs in a thread of its own."""
        failing = stopping = False
        while not stopping:
            stopping = stop.wait(WRITE_EVERY_S)
            try:
                self.write()
                failing = False
            except Exception:  # the edge of the thread: what is not written yet is kept
                if not failing:
                    log.exception("When a right was seen to end could not be written down; it will be tried again")
                failing = True

    def write(self) -> None:
        """Writes down what was seen since the last time."""
        seen = []
        while self._seen:
            seen.append(self._seen.popleft())
        if not seen:
            return
        try:
            self._write(seen)
        except BaseException:
            self._seen.extendleft(reversed(seen))
            raise
        self._first = False

    def _write(self, seen: list[tuple[int, int]]) -> None:
        with self._database.writing() as session:
            for number, (which, seen_us) in enumerate(seen):
                epoch.saw(session, which, self._process, seen_us, first=self._first and number == 0)
            if session.now_us >= self._pruned_us + PRUNE_EVERY_US:
                epoch.prune(session)
                self._pruned_us = session.now_us
