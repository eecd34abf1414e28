"""Every stored file is read again now and then, and compared with its digest, so that a disk that forgets is found out
while a backup still remembers.

One thread does it, slowly and after everybody else. When each file was last looked at stands in the database: a restart
goes on where the last one was.
"""

import ctypes
import logging
import os
import platform
import threading
import time
from pathlib import Path

from sharing import custody
from sharing.clock import SECOND_US
from sharing.custody import Kept
from sharing.db.engine import Database
from tiler.errors import BlobNotFoundError
from tiler.index import file_name
from tiler.storage.base import BlobStore
from tiler.storage.proof import Damage, Told, prove

AGAIN_AFTER_S = 30 * 24 * 3600
DAMAGED_AGAIN_AFTER_S = 24 * 3600  # a disk that was away, or a file that somebody put back
FIRST_AFTER_S = 60.0  # a server that starts has better things to do
ASK_EVERY_S = 600.0
BATCH = 100
WRITE_EVERY_S = 60.0

_IOPRIO_SET = {"x86_64": 251, "aarch64": 30}  # the number of the system call
_IDLE = 3 << 13  # IOPRIO_CLASS_IDLE, see ioprio_set(2)

log = logging.getLogger(__name__)


class _StoppedError(Exception):
    pass


def look(store: BlobStore, slides: Path, kept: Kept, told: Told = lambda _: None) -> Damage | None:
    """What is wrong with one file, in the store or in the directory of its slide below `slides`; None when it is
    sound."""
    if kept.index_of is not None:
        return prove(slides / kept.index_of / file_name(kept.sha256), kept.sha256, kept.length, told)
    try:
        return prove(store.path(kept.site_id, kept.sha256), kept.sha256, kept.length, told)
    except BlobNotFoundError:
        return Damage.MISSING


class Scrub:
    """Reads at most `bytes_per_s`, each file again after `again_after_s`, and sooner if it was damaged."""

    def __init__(
        self,
        database: Database,
        store: BlobStore,
        slides: Path,
        bytes_per_s: int,
        *,
        again_after_s: float = AGAIN_AFTER_S,
        damaged_again_after_s: float = DAMAGED_AGAIN_AFTER_S,
        first_after_s: float = FIRST_AFTER_S,
    ) -> None:
        self._database, self._store, self._slides = database, store, slides
        self._bytes_per_s, self._first_after_s = bytes_per_s, first_after_s
        self._again_after_s, self._damaged_again_after_s = again_after_s, damaged_again_after_s

    def run(self, stop: threading.Event) -> None:
        """Looks at files until `stop` is set."""
        give_way()
        wait_s = self._first_after_s
        while not stop.wait(wait_s):
            try:
                wait_s = 0.0 if self.round(stop) else ASK_EVERY_S
            except Exception:  # the edge of the thread: what was not looked at is due still
                log.exception("Stored files could not be looked at; the next try is in %s s", ASK_EVERY_S)
                wait_s = ASK_EVERY_S

    def round(self, stop: threading.Event) -> int:
        """Looks at the files that are due, `BATCH` at most, until `stop` is set; their number."""
        with self._database.reading() as session:
            before_us = session.now_us - round(self._again_after_s * SECOND_US)
            damaged_before_us = session.now_us - round(self._damaged_again_after_s * SECOND_US)
            files = custody.due(session, before_us, damaged_before_us, limit=BATCH)
        found: list[tuple[Kept, Damage | None]] = []
        written, looked = time.monotonic(), 0
        try:
            for kept in files:
                damage = look(self._store, self._slides, kept, lambda count: self._pace(count, stop))
                found.append((kept, damage))
                looked += 1
                if damage:
                    log.error("A stored file of %s is %s: %s. Run: iain verify", kept.site_id, damage, kept.sha256)
                if damage or time.monotonic() - written > WRITE_EVERY_S:
                    self._write(found)
                    written = time.monotonic()
        except _StoppedError:
            pass
        self._write(found)
        return looked

    def _pace(self, count: int, stop: threading.Event) -> None:
        if stop.wait(count / self._bytes_per_s):
            raise _StoppedError

    def _write(self, found: list[tuple[Kept, Damage | None]]) -> None:
        if found:
            with self._database.writing() as session:
                for kept, damage in found:
                    custody.record(session, kept.site_id, kept.sha256, damage)
        found.clear()


def give_way() -> None:
    """From now on this thread gets what computing time and what disk nobody else wants; where the kernel allows it."""
    thread = threading.get_native_id()
    os.setpriority(os.PRIO_PROCESS, thread, 19)
    number = _IOPRIO_SET.get(platform.machine())
    if number is not None:
        ctypes.CDLL(None).syscall(number, 1, thread, _IDLE)
