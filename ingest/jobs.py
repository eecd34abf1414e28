"""Work that outlives a process: a queue in the platform's own database, with leases and fencing tokens. What every
queue promises, and the one on SQLite; that on PostgreSQL is `ingest.procrastination`.

A job is enqueued in the transaction that makes it necessary, so that neither exists without the other. A worker holds
it for a lease; a lease that ran out is anybody's. Each claim raises the job's fence, and a result is committed in the
very transaction that shows the fence is still ours: a worker that froze and woke up changes nothing. Delivery is at
least once, effects are exactly once. Time is the database session's (`Session.now_us`).
"""

import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

from sqlalchemy import Select, and_, or_, select, update
from sqlalchemy.dialects.sqlite import insert

from ingest.errors import LeaseLostError
from sharing.clock import SECOND_US
from sharing.db.engine import Database, Session
from sharing.db.tables import JobRow
from sharing.vocabulary import new_id

ERROR_MAX_CHARS = 500
OPEN = ("queued", "running")


@dataclass(frozen=True, slots=True)
class Job:
    """A claimed job. `attempt` counts from 1; `fence` proves the claim."""

    id: str
    kind: str
    key: str
    payload: dict[str, str]
    attempt: int
    fence: int


@dataclass(frozen=True, slots=True)
class Progress:
    """What can be told of a job to who waits for it."""

    kind: str
    key: str
    state: str
    """`queued`, `running`, `done`, or `dead`: given up."""
    attempts: int
    done_units: int | None
    """Out of `units`; both None for a job that does not tell, or not yet."""
    units: int | None
    last_error: str | None
    worker: str | None
    created_us: int
    finished_us: int | None


class JobQueue(Protocol):
    """What a worker and the code that makes work need of a queue; every implementation passes one conformance suite."""

    def enqueue(self, session: Session, kind: str, key: str, payload: dict[str, str]) -> None:
        """To be done once the caller's transaction commits; the same kind and key again changes nothing."""
        ...

    def claim(self, worker: str, kinds: Collection[str], lease_s: float) -> Job | None:
        """The job that has waited longest, ours for `lease_s`; None when nothing is due."""
        ...

    def renew(self, job: Job, lease_s: float) -> None:
        """Ours for `lease_s` from now. Raises LeaseLostError."""
        ...

    def report(self, job: Job, done: int, units: int, *, durable: bool) -> None:
        """How far a long job has come. What is `durable` need not be done again, so tries are counted anew from there:
        a job that gets on is not given up because the server was often restarted. Raises LeaseLostError."""
        ...

    def hold(self, session: Session, job: Job) -> None:
        """Nobody else can take the job before the caller's transaction ends. Raises LeaseLostError."""
        ...

    def finish(self, session: Session, job: Job) -> None:
        """Done, if the caller's transaction commits. Raises LeaseLostError: then nothing else may be written in it."""
        ...

    def bury(self, session: Session, job: Job, error: str) -> None:
        """Given up for good, under the same fence as `finish`."""
        ...

    def retry(self, job: Job, error: str, delay_s: float, *, counted: bool = True) -> None:
        """Due again in `delay_s`; an attempt that is not counted leaves the number of tries as it was."""
        ...

    def progress(self, session: Session, keys: Collection[str] | None = None) -> tuple[Progress, ...]:
        """Of the jobs with these keys, ended ones too; without keys, of all that are open. The oldest first."""
        ...


class SqlJobQueue:
    """The lease table. Whoever writes is alone: SQLite has one writer."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def enqueue(self, session: Session, kind: str, key: str, payload: dict[str, str]) -> None:
        session.execute(
            insert(JobRow)
            .values(
                id=new_id(),
                kind=kind,
                key=key,
                payload=json.dumps(payload),
                state="queued",
                attempts=0,
                not_before_us=session.now_us,
                fence=0,
                created_us=session.now_us,
            )
            .on_conflict_do_nothing(index_elements=["kind", "key"])
        )

    def claim(self, worker: str, kinds: Collection[str], lease_s: float) -> Job | None:
        # A look without the right to write, so that idle workers do not queue for the one writer of SQLite.
        with self._database.reading() as session:
            if session.scalar(_due(kinds, session.now_us)) is None:
                return None
        with self._database.writing() as session:
            row = session.scalar(_due(kinds, session.now_us))
            if row is None:
                return None
            row.state, row.worker = "running", worker
            row.attempts += 1
            row.fence += 1
            row.lease_until_us = session.now_us + round(lease_s * SECOND_US)
            return Job(row.id, row.kind, row.key, json.loads(row.payload), row.attempts, row.fence)

    def renew(self, job: Job, lease_s: float) -> None:
        with self._database.writing() as session:
            self._move(session, job, lease_until_us=session.now_us + round(lease_s * SECOND_US))

    def report(self, job: Job, done: int, units: int, *, durable: bool) -> None:
        anew = {"attempts": 0} if durable else {}
        with self._database.writing() as session:
            self._move(session, job, done_units=done, units=units, **anew)

    def hold(self, session: Session, job: Job) -> None:
        self._move(session, job, state="running")

    def finish(self, session: Session, job: Job) -> None:
        self._move(session, job, state="done", lease_until_us=None, finished_us=session.now_us)

    def bury(self, session: Session, job: Job, error: str) -> None:
        self._move(
            session,
            job,
            state="dead",
            lease_until_us=None,
            finished_us=session.now_us,
            last_error=error[:ERROR_MAX_CHARS],
        )

    def retry(self, job: Job, error: str, delay_s: float, *, counted: bool = True) -> None:
        with self._database.writing() as session:
            self._move(
                session,
                job,
                state="queued",
                lease_until_us=None,
                attempts=job.attempt - (not counted),
                not_before_us=session.now_us + round(delay_s * SECOND_US),
                last_error=error[:ERROR_MAX_CHARS],
            )

    def progress(self, session: Session, keys: Collection[str] | None = None) -> tuple[Progress, ...]:
        return progress(session, keys)

    def _move(self, session: Session, job: Job, **values: str | int | None) -> None:
        """The fence: one conditional update, in a transaction that nobody else writes beside."""
        moved = session.execute(
            update(JobRow)
            .where(
                JobRow.id == job.id,
                JobRow.fence == job.fence,
                JobRow.state == "running",
                JobRow.lease_until_us > session.now_us,
            )
            .values(**values)
            .returning(JobRow.id)
        ).first()
        if moved is None:
            raise LeaseLostError(job.id)


def progress(session: Session, keys: Collection[str] | None = None) -> tuple[Progress, ...]:
    """As `JobQueue.progress`. On PostgreSQL `job` is a view of what its queue keeps."""
    still_open = and_(
        JobRow.state.in_(OPEN), JobRow.finished_us.is_(None)
    )  # an engine has an index of one or the other
    which = still_open if keys is None else JobRow.key.in_(keys)
    return tuple(
        Progress(
            row.kind,
            row.key,
            row.state,
            row.attempts,
            row.done_units,
            row.units,
            row.last_error,
            row.worker,
            row.created_us,
            row.finished_us,
        )
        for row in session.scalars(select(JobRow).where(which).order_by(JobRow.created_us, JobRow.id))
    )


def _due(kinds: Collection[str], now_us: int) -> Select[JobRow]:
    waiting = and_(JobRow.state == "queued", JobRow.not_before_us <= now_us)
    abandoned = and_(JobRow.state == "running", JobRow.lease_until_us <= now_us)
    return (
        select(JobRow)
        .where(JobRow.kind.in_(kinds), or_(waiting, abandoned))
        .order_by(JobRow.not_before_us, JobRow.id)
        .limit(1)
    )
