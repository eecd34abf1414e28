"""A worker that kills or freezes itself at the moment that a job names: `python -m … URL NAME LEASE_S [unfenced]`.

Its jobs draw a line in the table `drawing`, which takes as many of one job as it is given. The known-bad one draws in a
transaction of its own and ends the job in the next, as a queue has it that knows no fencing.
"""

import os
import random
import signal
import sys
import threading
import time
from types import FrameType

from sqlalchemy import event, text

from ingest.errors import LeaseLostError
from ingest.jobs import Job
from ingest.queues import job_queue
from ingest.worker import Effect, Worker
from sharing.db.engine import Session, open_database

KIND = "draw"
MOMENTS = ("claimed", "worked", "written", "committed")
TABLE = "CREATE TABLE drawing (key TEXT NOT NULL, worker TEXT NOT NULL)"
LINE = text("INSERT INTO drawing (key, worker) VALUES (:key, :worker)")
WORK_S = (0.0, 0.12)


class Drawing:
    """The handler. What a job's payload wants of its worker is done at its first try only."""

    def __init__(self, name: str) -> None:
        self._name = name

    def work(self, job: Job) -> Effect:
        self._reached("claimed", job)
        time.sleep(random.uniform(*WORK_S))  # the slow part of a job
        self._reached("worked", job)

        def effect(session: Session) -> None:
            session.execute(LINE, {"key": job.key, "worker": self._name})
            self._reached("written", job)
            event.listen(session, "after_commit", lambda _: self._reached("committed", job))

        return effect

    def give_up(self, job: Job, tries: int) -> Effect:
        return lambda session: None

    def _reached(self, moment: str, job: Job) -> None:
        if job.attempt == 1 and job.payload.get("moment") == moment:
            os.kill(os.getpid(), signal.Signals[job.payload["signal"]])


class UnfencedWorker(Worker):
    """Looks right, and is, as long as nobody is killed or freezes."""

    def _do(self, job: Job) -> None:
        effect = self._handlers[job.kind].work(job)
        with self._database.writing() as session:
            effect(session)
        try:
            with self._database.writing() as session:
                self._queue.finish(session, job)
        except LeaseLostError:
            pass


def main(url: str, name: str, lease_s: float, kind: type[Worker]) -> None:
    stop = threading.Event()

    def end(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, end)
    database = open_database(url)
    kind(database, job_queue(database), {KIND: Drawing(name)}, name, lease_s=lease_s, poll_s=0.03).run(stop)
    database.close()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]), UnfencedWorker if sys.argv[4:] == ["unfenced"] else Worker)
