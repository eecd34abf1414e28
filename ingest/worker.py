"""One thread that takes jobs from the queue and does them, one at a time.

A handler does the slow part without a transaction and hands back its effect; the effect is committed together with the
end of the job, under the fence of the claim. So no handler can forget the fence, and none can commit twice.
"""

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol

from ingest.errors import LeaseLostError, NotNowError
from ingest.jobs import Job, JobQueue
from sharing.db.engine import Database, Session

log = logging.getLogger(__name__)

Effect = Callable[[Session], None]

LEASE_S = 15.0
POLL_S = 0.25
MAX_ATTEMPTS = 5  # a server killed in the middle of a job costs one, too
RETRY_S = (2.0, 60.0)  # first and longest pause before another try
NOT_NOW_S = 15.0


class Handler(Protocol):
    """What one kind of job is. Both may be called again for the same job: after a crash, or by two workers at once."""

    def work(self, job: Job) -> Effect:
        """The effect to commit. Raises NotNowError when the machine prevents the work; any other is a failed try."""
        ...

    def give_up(self, job: Job, tries: int) -> Effect:
        """The effect of a job that failed, or killed its worker, `tries` times."""
        ...


class Worker:
    """Takes jobs of the kinds it has handlers for until it is told to stop."""

    def __init__(
        self,
        database: Database,
        queue: JobQueue,
        handlers: Mapping[str, Handler],
        name: str,
        *,
        lease_s: float = LEASE_S,
        poll_s: float = POLL_S,
        max_attempts: int = MAX_ATTEMPTS,
    ) -> None:
        self._database, self._queue, self._handlers, self._name = database, queue, handlers, name
        self._lease_s, self._poll_s, self._max_attempts = lease_s, poll_s, max_attempts

    def run(self, stop: threading.Event) -> None:
        """Works until `stop` is set; the job in hand is finished first."""
        while not stop.is_set():
            try:
                worked = self.step()
            except Exception:  # the edge of the thread: a worker that dies of one bad moment serves nobody
                log.exception("The worker could not use the database; it tries again")
                worked = False
            if not worked:
                stop.wait(self._poll_s)

    def step(self) -> bool:
        """Does one job; False when none is due."""
        job = self._queue.claim(self._name, self._handlers.keys(), self._lease_s)
        if job is None:
            return False
        try:
            with self._heartbeat(job):
                self._do(job)
        except LeaseLostError:
            log.warning("Job %s (%s) was taken over; what this worker did is dropped", job.id, job.kind)
        return True

    def _do(self, job: Job) -> None:
        handler = self._handlers[job.kind]
        if job.attempt > self._max_attempts:  # the last one ended with its worker, and could not say so
            self._bury(job, "the worker died or froze each time")
            return
        try:
            effect = handler.work(job)
            with self._database.writing() as session:
                self._queue.finish(session, job)
                effect(session)
        except LeaseLostError:
            raise
        except NotNowError as error:
            log.warning("Job %s (%s) waits: %s", job.id, job.kind, error)
            self._queue.retry(job, str(error), NOT_NOW_S, counted=False)
        except Exception as error:  # whatever a job does, the next one must still be done
            log.warning("Job %s (%s) failed, try %d", job.id, job.kind, job.attempt, exc_info=True)
            if job.attempt >= self._max_attempts:
                self._bury(job, repr(error))
            else:
                first, longest = RETRY_S
                self._queue.retry(job, repr(error), min(longest, first * 2 ** (job.attempt - 1)))

    def _bury(self, job: Job, error: str) -> None:
        effect = self._handlers[job.kind].give_up(job, self._max_attempts)
        with self._database.writing() as session:
            self._queue.bury(session, job, error)
            effect(session)

    @contextmanager
    def _heartbeat(self, job: Job) -> Iterator[None]:
        """Renews the lease while the block runs, from a thread of its own."""
        done = threading.Event()

        def beat() -> None:
            while not done.wait(self._lease_s / 3):
                try:
                    self._queue.renew(job, self._lease_s)
                except LeaseLostError:
                    return
                except Exception:  # one missed beat is no loss; the fence decides in the end
                    log.warning("The lease of job %s could not be renewed", job.id, exc_info=True)

        thread = threading.Thread(target=beat, name=f"{self._name}-heartbeat", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()
