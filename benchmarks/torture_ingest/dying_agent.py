"""`python -m benchmarks.torture_ingest.dying_agent WORK.json`: a scanner's workstation that loses its power again and
again. Prints what the scanner wrote and how often the power went, as JSON.

Between two cuts the scanner writes on: it begins slides, leaves them half written, ends them. Each life of the agent
is a process of its own that is killed after a random number of steps (statements of the queue, requests, files opened,
moved, deleted) or after a random time. Now and then the file of the queue is damaged as well.
"""

import hashlib
import json
import os
import random
import signal
import sqlite3
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

import httpx

from benchmarks.torture_ingest.scans import slide
from ingest.agent import search
from ingest.agent.client import Client
from ingest.agent.entries import Entry, State
from ingest.agent.parcels import find
from ingest.agent.queue import FILE_NAME, Queue
from ingest.agent.watching import After, Rules, Watch
from ingest.heartbeat import Trouble
from ingest.manifest import SetFile, manifest_of

STEPS = 160
LIFE_S = (0.02, 1.0)
LAST_LIFE_S = 60
DAMAGED = 0.06
_SHOWN = frozenset({"os.rename", "os.remove", "os.rmdir", "os.mkdir"})


@dataclass(frozen=True)
class Work:
    """What is to be done. `twin`: how this agent is worse than ours: `half` takes what rests for whole, `forgetful`
    forgets a slide as soon as it begins to send it."""

    server: str
    key: str
    folder: str
    after: str
    deaths: int
    seed: int
    twin: str = ""

    @property
    def scans(self) -> Path:
        return Path(self.folder, "scans")

    @property
    def state(self) -> Path:
        return Path(self.folder, "state")

    def rules(self) -> Rules:
        archive = Path(self.folder, "archive") if self.after == "move" else None
        return Rules(
            (self.scans,), After(self.after), archive, rest_s=0.06, poll_s=0.03, tell_after_s=0.2, unreachable_s=10
        )


class Scanner:
    """Writes slides, a piece at a time."""

    def __init__(self, folder: Path, chance: random.Random) -> None:
        self._folder, self._chance = folder, chance
        self._begun: list[tuple[Path, bytes]] = []
        self.slides: dict[str, dict[str, str]] = {}
        """Of every slide, by its digest, the SHA-256 of its files by their places."""

    def go_on(self) -> None:
        """Writes what was begun to its end, then a slide or two; perhaps all but the end of the last."""
        self.end()
        for _ in range(self._chance.randint(1, 2)):
            files = slide(len(self.slides), self._chance)
            self.slides[_digest(files)] = {place: hashlib.sha256(data).hexdigest() for place, data in files.items()}
            _write(self._folder, files)
        place, data = list(files.items())[-1]
        if self._chance.random() < 0.7:
            path = self._folder / place
            path.write_bytes(data[: self._chance.randint(0, len(data) - 1)])
            self._begun.append((path, data))

    def end(self) -> None:
        for path, data in self._begun:
            path.parent.mkdir(exist_ok=True)  # who sends halves also removes their folders
            path.write_bytes(data)
        self._begun.clear()


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    for place, data in files.items():
        path = folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def _digest(files: Mapping[str, bytes]) -> str:
    """What the platform is to know the slide by."""
    with tempfile.TemporaryDirectory() as folder:
        _write(Path(folder), files)
        [parcel] = find(Path(folder)).parcels
        sent = {name: path.read_bytes() for name, path in parcel.files}
    hashed = {name: hashlib.sha256(data).hexdigest() for name, data in sent.items()}
    if len(sent) == 1:
        return next(iter(hashed.values()))
    return manifest_of(SetFile(name, len(data), hashed[name]) for name, data in sent.items()).sha256


class _Silent:
    """A witness that says nothing, and a pace without limit."""

    def closed_s(self) -> float:
        return 0

    def spend(self, sent_bytes: int, stop: Event) -> None: ...
    def found(self, entry: Entry) -> None: ...
    def hashing(self, entry: Entry, done: int, total: int) -> None: ...
    def sending(self, entry: Entry, done: int, total: int) -> None: ...
    def retrying(self, entry: Entry, problem: object, pause_s: float) -> None: ...
    def put_back(self, entry: Entry) -> None: ...
    def arrived(self, entry: Entry, delivery: object) -> None: ...
    def ready(self, entry: Entry) -> None: ...
    def refused(self, entry: Entry) -> None: ...
    def trouble(self, trouble: Trouble) -> None: ...
    def cleared(self, trouble: Trouble) -> None: ...


class _Forgetful(Queue):
    """The twin that forgets what it has begun to send."""

    def take(self) -> Entry | None:
        entry = super().take()
        if entry:
            self.finish(entry)
        return entry


def live(work: Work, die: Callable[[], None] | None) -> None:
    """One life of the agent: until it dies, or nothing is left to be done. `die` is called at every step."""
    rules, quiet, stop = work.rules(), _Silent(), Event()
    if work.twin == "half":
        search.lack_of = lambda _: None  # type: ignore[assignment,attr-defined]
    with (_Forgetful if work.twin == "forgetful" else Queue)(work.state) as queue:
        if die:
            _die_at_steps(work, queue, die)
        watch = Watch(rules, queue, lambda: _client(work, die), quiet, quiet)
        ending = threading.Thread(target=_stop_at_the_end, args=(work, rules, queue, stop))
        ending.start()
        watch.run(stop)
        ending.join()


def _client(work: Work, die: Callable[[], None] | None) -> Client:
    client = Client(work.server, work.key)
    if die:
        step = die

        def hear(_: httpx.Request | httpx.Response) -> None:
            step()

        client._http.event_hooks = {"request": [hear], "response": [hear]}
    return client


def _die_at_steps(work: Work, queue: Queue, die: Callable[[], None]) -> None:
    queue._db.set_trace_callback(lambda _: die())
    below = (str(work.scans), str(work.folder))

    def hear(name: str, arguments: tuple[Any, ...]) -> None:
        if name in _SHOWN or (name == "open" and str(arguments[0]).startswith(below)):
            die()

    sys.addaudithook(hear)


def _stop_at_the_end(work: Work, rules: Rules, queue: Queue, stop: Event) -> None:
    """The life of an agent that is let live ends when it has done all there is."""
    waits = threading.Event()
    calm = 0
    while not stop.is_set() and calm < 3:
        waits.wait(0.15)
        try:
            counts = queue.summary().counts
            unsent = [each for each in (State.QUEUED, State.SENDING, State.ARRIVED, State.SETTLING) if counts[each]]
            known = queue.stamps()
            left = [
                path
                for parcel in find(work.scans).parcels
                for _, path in parcel.files
                if not any(path == stamp.path for stamp in known)
            ]
        except (OSError, sqlite3.Error):
            continue
        calm = 0 if unsent or left else calm + 1
    stop.set()


def _process(work: Work, chance: random.Random | None) -> bool:
    """One life in a process of its own; whether it was killed."""
    child = os.fork()
    if child:
        return os.WIFSIGNALED(os.waitpid(child, 0)[1])
    die = None
    if chance is None:
        signal.setitimer(signal.ITIMER_REAL, LAST_LIFE_S)
    else:
        left = chance.randint(1, STEPS) if chance.random() < 0.6 else sys.maxsize
        signal.setitimer(signal.ITIMER_REAL, chance.uniform(*LIFE_S))  # nobody handles it: it kills

        def die() -> None:
            nonlocal left
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    live(work, die)
    os._exit(0)


def _damage(path: Path, chance: random.Random) -> bool:
    """Damages the queue's file as a failing disk would."""
    if not path.exists() or chance.random() >= DAMAGED:
        return False
    data = bytearray(path.read_bytes())
    if chance.random() < 0.5:
        del data[chance.randrange(len(data)) :]
    else:
        at = chance.randrange(max(1, len(data) - 2000))
        data[at : at + 2000] = chance.randbytes(2000)
    path.write_bytes(data)
    return True


def main() -> None:
    work = Work(**json.loads(Path(sys.argv[1]).read_text()))
    chance = random.Random(work.seed)
    work.scans.mkdir(parents=True)
    scanner = Scanner(work.scans, chance)
    deaths = lives = damaged = 0
    while deaths < work.deaths and lives < 3 * work.deaths:
        scanner.go_on()
        damaged += _damage(work.state / FILE_NAME, chance)
        lives += 1
        if work.twin == "half":  # who is to send halves needs the time for it
            _process(work, None)
            deaths += 1
        else:
            deaths += _process(work, random.Random(chance.random()))
    scanner.end()
    ended = not _process(work, None)
    report = {"deaths": deaths, "ended": ended, "damaged": damaged, "slides": scanner.slides}
    print(json.dumps(report))


if __name__ == "__main__":
    main()
