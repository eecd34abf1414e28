"""Kill and freeze workers while they work, on both engines, and count which jobs were lost or done twice.

In each run three workers share a few jobs. One worker is killed (SIGKILL), and one is frozen for three leases and woken
(SIGSTOP, SIGCONT), each at a moment that the job names (claimed, worked, written but not committed, committed) or at
any. *Lost*: a job without its effect, or one that was given up. *Twice*: a job with more than one effect.

The same is then done to a known-bad worker without fencing, which must do jobs twice.
"""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import text

from benchmarks.torture import Plan, Result
from benchmarks.torture_ingest.job_worker import KIND, MOMENTS, TABLE
from ingest.queues import job_queue
from sharing.db.engine import open_database
from sharing.db.migrations import upgrade

sys.path.append(str(Path(__file__).parents[2] / "tests"))
from fixtures.postgres import postgres_server  # type: ignore[import-not-found]

RUNS = 60  # on both engines together
TWIN_RUNS = 5
WORKERS = 3
JOBS = 6
LEASE_S = 0.8
FROZEN_LEASES = 3
RUN_WITHIN_S = 90
ENGINES = ("sqlite", "postgresql")


@dataclass
class Tally:
    runs: int = 0
    killed: int = 0
    frozen: int = 0
    jobs: int = 0
    lost: int = 0
    twice: int = 0
    notes: list[str] = field(default_factory=list)


@dataclass
class _Hand:
    """A worker process. `wake_at` is set while it is frozen; `struck` until what it was sent is seen to have worked."""

    process: "subprocess.Popen[bytes]"
    wake_at: float | None = None
    struck: bool = False


class Workshop:
    """Workers on one database, who are replaced when they die and woken when they have slept enough."""

    def __init__(self, url: str, folder: Path, chance: random.Random, *, fenced: bool, lease_s: float) -> None:
        self.database = open_database(url)
        self.tally = Tally()
        self._queue = job_queue(self.database)
        self._url, self._folder, self._chance, self._fenced, self._lease_s = url, folder, chance, fenced, lease_s
        self._hired = 0
        self._hands: list[_Hand] = []

    def open(self) -> None:
        upgrade(self.database)
        with self.database.writing() as session:
            session.execute(text(TABLE))
        self._hands = [self._hire() for _ in range(WORKERS)]

    def run(self) -> None:
        chance, tally = self._chance, self.tally
        tally.runs += 1
        jobs = [f"run {tally.runs} job {number}" for number in range(JOBS)]
        wishes: list[dict[str, str]] = [{} for _ in jobs]
        signals: list[tuple[float, signal.Signals]] = []
        for number, which in enumerate((signal.SIGKILL, signal.SIGSTOP)):
            moment = chance.choice((*MOMENTS, "any"))
            if moment == "any":
                signals.append((time.monotonic() + chance.uniform(0, 0.4), which))
            else:
                wishes[number] = {"moment": moment, "signal": which.name}
        together = list(zip(jobs, wishes, strict=True))
        chance.shuffle(together)
        with self.database.writing() as session:
            for key, wish in together:
                self._queue.enqueue(session, KIND, key, wish)
        tally.jobs += JOBS
        deadline = time.monotonic() + RUN_WITHIN_S
        while self._open_jobs() or signals or any(hand.wake_at or hand.struck for hand in self._hands):
            if time.monotonic() > deadline:
                tally.notes.append(f"run {tally.runs}: jobs are still open after {RUN_WITHIN_S} s")
                break
            self._look_after()
            signals = [entry for entry in signals if not self._hit(*entry)]
            time.sleep(0.01)

    def close(self) -> Tally:
        """The tally, once every worker has done what it had in hand."""
        for hand in self._hands:
            hand.process.send_signal(signal.SIGCONT)
            hand.process.terminate()
        for hand in self._hands:
            try:
                hand.process.wait(30)
            except subprocess.TimeoutExpired:
                hand.process.kill()
                hand.process.wait()
        self.count()
        self.database.close()
        return self.tally

    def count(self) -> int:
        """How many jobs were done twice by now; the tally knows the rest."""
        with self.database.reading() as session:
            drawn = Counter(session.scalars(text("SELECT key FROM drawing")))
            ended = session.execute(text("SELECT key, state FROM job")).all()
        self.tally.twice = sum(times > 1 for times in drawn.values())
        self.tally.lost = sum(drawn[key] == 0 or state != "done" for key, state in ended)
        self.tally.lost += self.tally.jobs - len(ended)
        return self.tally.twice

    def _hire(self) -> _Hand:
        self._hired += 1
        name = f"worker-{self._hired}"
        command = [sys.executable, "-m", "benchmarks.torture_ingest.job_worker", self._url, name, str(self._lease_s)]
        if not self._fenced:
            command.append("unfenced")
        with (self._folder / f"{name}.log").open("wb") as log:
            return _Hand(subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log))

    def _look_after(self) -> None:
        """Replaces the dead, and wakes those who have slept for three leases."""
        for number, hand in enumerate(self._hands):
            found, status = os.waitpid(hand.process.pid, os.WNOHANG | os.WUNTRACED)
            if found and os.WIFSTOPPED(status):
                self.tally.frozen += 1
                hand.struck = False
                hand.wake_at = time.monotonic() + FROZEN_LEASES * self._lease_s
            elif found:
                hand.process.returncode = os.waitstatus_to_exitcode(status)
                if hand.process.returncode != -signal.SIGKILL:
                    raise RuntimeError(f"A worker ended by itself; see its log in {self._folder}")
                self.tally.killed += 1
                self._hands[number] = self._hire()
            elif hand.wake_at and time.monotonic() > hand.wake_at:
                hand.wake_at = None
                hand.process.send_signal(signal.SIGCONT)

    def _hit(self, at: float, which: signal.Signals) -> bool:
        """Whether the signal was due, and somebody who is awake got it."""
        awake = [hand for hand in self._hands if not hand.wake_at and not hand.struck]
        if time.monotonic() < at or not awake:
            return False
        hand = self._chance.choice(awake)
        hand.struck = True
        hand.process.send_signal(which)
        return True

    def _open_jobs(self) -> int:
        with self.database.reading() as session:
            return len(self._queue.progress(session))


def torture(url: str, folder: Path, runs: int, seed: int, *, fenced: bool = True, lease_s: float = LEASE_S) -> Tally:
    """`runs` runs on one database; of the known-bad worker as many as it takes to do a job twice."""
    folder.mkdir(parents=True, exist_ok=True)
    shop = Workshop(url, folder, random.Random(seed), fenced=fenced, lease_s=lease_s)
    engine = shop.database.engine.dialect.name
    try:
        shop.open()
        for number in range(runs):
            shop.run()
            print(f"  {engine} {number + 1}/{runs}: killed {shop.tally.killed}, frozen {shop.tally.frozen}", flush=True)
            if not fenced and shop.count():
                break
    finally:
        tally = shop.close()
    return tally


def run(plan: Plan) -> Result:
    each = max(2, plan.times(RUNS) // 2)

    def ours(engine: str) -> Tally:
        with _empty(engine, plan.folder / engine) as url:
            return torture(url, plan.folder / engine, each, plan.seed)

    def twin(engine: str) -> Tally:
        folder = plan.folder / f"{engine}-twin"
        with _empty(engine, folder) as url:
            return torture(url, folder, TWIN_RUNS, plan.seed, fenced=False)

    with ThreadPoolExecutor(len(ENGINES)) as pool:  # they wait most of the time
        tallies = dict(zip(ENGINES, pool.map(ours, ENGINES), strict=True))
        twins = dict(zip(ENGINES, pool.map(twin, ENGINES), strict=True))
    both = list(tallies.values())
    lost, twice = sum(tally.lost for tally in both), sum(tally.twice for tally in both)
    return Result(
        figures={
            "jobs.kill9_runs": sum(tally.killed for tally in both),
            "jobs.frozen_runs": sum(tally.frozen for tally in both),
            "jobs.lost": lost,
            "jobs.effects_twice": twice,
            "jobs.twin_effects_twice": sum(tally.twice for tally in twins.values()),
        },
        failed=bool(lost or twice),
        notes=tuple(note for tally in both for note in tally.notes)
        + tuple(f"{name}: {tally.runs} runs, {tally.jobs} jobs" for name, tally in tallies.items()),
        void=tuple(f"the worker without fencing on {name}" for name, tally in twins.items() if not tally.twice),
    )


@contextmanager
def _empty(engine: str, folder: Path) -> Iterator[str]:
    """The address of a new database."""
    folder.mkdir()
    if engine == "sqlite":
        yield f"sqlite:///{folder / 'jobs.db'}"
        return
    with postgres_server() as server:
        yield server.create("jobs")
