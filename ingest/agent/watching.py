"""Watched folders: what a scanner writes there is found, sent once it is complete, and put away once it is proved.

Folders are polled, because shares of other computers tell nobody of their changes.
"""

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Event

from ingest.agent.client import Client
from ingest.agent.courier import Courier
from ingest.agent.queue import Queue
from ingest.agent.queue_file import is_damage
from ingest.agent.rules import After, Pace, Rules, Witness
from ingest.agent.search import Search
from ingest.agent.settling import Settler
from ingest.agent.weather import Weather
from ingest.heartbeat import Pause, Trouble

__all__ = ["After", "OtherWatchError", "Pace", "Rules", "Watch", "Witness"]

LOCK_NAME = "watch.lock"
QUEUE_REBUILT, QUEUE_UNWRITABLE = "queue-rebuilt", "queue-unwritable"
_OF_THE_QUEUE = (QUEUE_REBUILT, QUEUE_UNWRITABLE)
REMEMBERED_DAYS = 30
AGAIN_S = 10.0
_DAY_US = 24 * 3600 * 1_000_000


class OtherWatchError(Exception):
    """Another process watches with the same state folder."""


class Watch:
    """`Watch(rules, queue, connect, pace, witness).run(stop)`; `connect` makes one client for each thread."""

    def __init__(self, rules: Rules, queue: Queue, connect: Callable[[], Client], pace: Pace, witness: Witness) -> None:
        self._rules, self._queue, self._connect = rules, queue, connect
        self._pace, self._witness = pace, witness
        self._weather = Weather()
        self._lock, self._is_damaged = threading.Lock(), Event()
        self._failure: Exception | None = None
        self._troubles: dict[tuple[str, str], Trouble] = {}

    def run(self, stop: Event) -> None:
        """Watches until `stop` is set; what is under way then is gone on with next time. Raises OtherWatchError,
        OSError when the state folder is out of reach, and whatever ended one of its threads."""
        with _alone(self._queue.path.with_name(LOCK_NAME)):
            while not stop.is_set():
                self._watch(stop)
                if self._failure:
                    raise self._failure
                if self._is_damaged.is_set():
                    self._queue.rebuild()
                    self._is_damaged.clear()

    def _watch(self, stop: Event) -> None:
        """Until `stop` is set, or the queue turns out to be damaged."""
        if self._queue.set_aside:
            rebuilt = Trouble(str(self._queue.path), QUEUE_REBUILT, str(self._queue.set_aside), _now_us())
            with self._lock:
                self._troubles[rebuilt.name, rebuilt.code] = rebuilt
            self._witness.trouble(rebuilt)
        self._queue.reopen()
        self._queue.forget_before(_now_us() - REMEMBERED_DAYS * _DAY_US)
        over = Event()
        threads = [
            threading.Thread(target=self._work, args=(work, over), name=name) for name, work in self._works().items()
        ]
        for thread in threads:
            thread.start()
        try:
            self._search(stop)
        finally:
            over.set()
            for thread in threads:
                thread.join()

    def pause(self) -> Pause | None:
        """Why nothing is being sent just now, when there is a reason."""
        if self._pace.closed_s():
            return Pause.QUIET_HOURS
        return self._weather.pause()

    def troubles(self) -> tuple[Trouble, ...]:
        """Of the folders, the server and the queue's file; those of slides are `Queue.troubles`."""
        with self._lock:
            found = tuple(self._troubles.values())
        code = self._weather.code
        return (*found, Trouble("", code, self._weather.detail)) if code else found

    def _works(self) -> Mapping[str, Callable[[Client, Event], None]]:
        def carry(client: Client, stop: Event) -> None:
            name = threading.current_thread().name

            def hold_up(error: Exception) -> bool:
                return self._hold_up(name, error, stop)

            Courier(self._rules, self._queue, client, self._pace, self._weather, self._witness, hold_up).run(stop)

        def settle(client: Client, stop: Event) -> None:
            Settler(self._rules, self._queue, client, self._weather, self._witness).run(stop)

        return {f"courier {number}": carry for number in range(1, self._rules.parallel + 1)} | {"settler": settle}

    def _work(self, work: Callable[[Client, Event], None], stop: Event) -> None:
        """A thread's whole life: when the queue cannot be written, it begins again a little later."""
        name = threading.current_thread().name
        while not stop.is_set():
            try:
                with self._connect() as client:
                    work(client, stop)
            except (OSError, sqlite3.Error) as error:
                if self._is_damage(error):
                    return
                self._hold_up(name, error, stop)
            except Exception as error:  # the end of this thread is the end of all: somebody has to notice
                self._failure = error
                return
            else:
                return

    def _search(self, stop: Event) -> None:
        rules = self._rules
        apart = [each for each in (rules.archive, self._queue.path.parent) if each]
        searches = [
            Search(each, rules.rest_s, rules.tell_after_s, time.monotonic, _now_us, tuple(_below(each, apart)))
            for each in (folder.absolute() for folder in rules.folders)
        ]
        while not (stop.is_set() or self._is_damaged.is_set() or self._failure):
            try:
                told: list[Trouble] = []
                for search in searches:
                    told += self._look(search)
                self._tell(told)
                self._queue.forget_removed()
            except sqlite3.Error as error:
                if self._is_damage(error):
                    return
                self._hold_up("search", error, stop)
            stop.wait(rules.poll_s)

    def _is_damage(self, error: Exception) -> bool:
        """Whether the queue's file is damaged; all work on it then ends."""
        if is_damage(error):
            self._is_damaged.set()
        return self._is_damaged.is_set()

    def _look(self, search: Search) -> tuple[Trouble, ...]:
        """Puts in the queue what is new in a folder; what ails the folder."""
        sight = search.look(self._queue.stamps())
        for slide in sight.slides:
            if entry := self._queue.add(slide.name, search.root, slide.files):
                self._witness.found(entry)
        self._queue.tell_incomplete(search.root, sight.incomplete)
        return sight.folder

    def _hold_up(self, name: str, error: Exception, stop: Event) -> bool:
        """Tells that the queue cannot be written and waits for a while; False when there is no use in trying again."""
        if self._is_damage(error):
            return False
        trouble = Trouble(str(self._queue.path), QUEUE_UNWRITABLE, str(error), _now_us())
        self._witness.trouble(trouble)
        with self._lock:
            self._troubles[name, QUEUE_UNWRITABLE] = trouble
        over = stop.wait(AGAIN_S)
        with self._lock:
            self._troubles.pop((name, QUEUE_UNWRITABLE), None)
        return not over

    def _tell(self, troubles: list[Trouble]) -> None:
        """Tells what is new, and what is over, of the troubles of folders."""
        told = {(each.name, each.code): each for each in troubles}
        with self._lock:
            before = {key: each for key, each in self._troubles.items() if key[1] not in _OF_THE_QUEUE}
            over = {key: each for key, each in before.items() if key not in told}
            new = {key: each for key, each in told.items() if key not in before}
            self._troubles.update(new)
            for key in over:
                del self._troubles[key]
        for each in new.values():
            self._witness.trouble(each)
        for each in over.values():
            self._witness.cleared(each)


def _below(root: Path, folders: Iterable[Path]) -> Iterator[Path]:
    """As these folders are called below the root, if they are, whatever links lead to either."""
    real = Path(os.path.realpath(root))
    for folder in folders:
        yield folder.absolute()
        place = Path(os.path.realpath(folder))
        if place.is_relative_to(real):
            yield root / place.relative_to(real)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Holds a lock that the death of this process ends, on every system: that of an SQLite transaction."""
    with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as lock:
        try:
            lock.execute("BEGIN EXCLUSIVE")
        except sqlite3.Error as error:
            if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:
                raise OtherWatchError(str(error)) from error
            raise OSError(f"{path}: {error}") from error
        yield


def _now_us() -> int:
    return time.time_ns() // 1000
