"""The queue on PostgreSQL: procrastinate's tables and functions, called in our own transactions.

Each claim registers a worker with procrastinate, and that worker's number, which is never given twice, is the fence;
its heartbeat is the lease. `job_record` has what procrastinate has no room for: the key that is unique for ever, how
long the lease is, how far the job has come. procrastinate's own program for workers is not used: it ends a job in a
transaction of its own, so a job's effect and its end could not be one. Time is the database's, for all machines alike.
"""

import json
from collections.abc import Collection
from typing import Any, Literal

from sqlalchemy import Result, TextClause, text

from ingest.errors import LeaseLostError
from ingest.jobs import ERROR_MAX_CHARS, Job, Progress, progress
from sharing.db.engine import Database, Session
from sharing.vocabulary import new_id

_RECORD = text(
    "INSERT INTO job_record (id, kind, key, created_us) VALUES (:id, :kind, :key, :now_us) "
    "ON CONFLICT (kind, key) DO NOTHING RETURNING id"
)
_DEFER = text(
    "UPDATE job_record SET job_id = (procrastinate_defer_jobs_v1(ARRAY[CAST(ROW("
    ":kind, :kind, 0, NULL, NULL, CAST(:args AS jsonb), NULL) AS procrastinate_job_to_defer_v1)]))[1] WHERE id = :id"
)
_JOB = (
    "FROM procrastinate_jobs j JOIN job_record r ON r.job_id = j.id "
    "LEFT JOIN procrastinate_workers w ON w.id = j.worker_id "
)
_STALLED = (
    f"SELECT j.id, j.worker_id {_JOB} WHERE j.status = 'doing' AND j.queue_name = ANY(CAST(:kinds AS varchar[])) "
    "AND (w.id IS NULL OR w.last_heartbeat + make_interval(secs => r.lease_s) <= now())"
)
_WAITING = (
    "SELECT 1 FROM procrastinate_jobs WHERE status = 'todo' "
    "AND queue_name = ANY(CAST(:kinds AS varchar[])) AND (scheduled_at IS NULL OR scheduled_at <= now())"
)
_DUE = text(f"SELECT EXISTS ({_WAITING}) OR EXISTS ({_STALLED})")
# Who holds a job may be about to end it, in a transaction that has not ended: then it is not stalled.
_TAKE_STALLED = text(f"{_STALLED} FOR UPDATE OF j SKIP LOCKED")
_AGAIN = text("SELECT procrastinate_retry_job_v2(:job, now(), NULL, NULL, NULL)")
_REGISTER = text("SELECT worker_id FROM procrastinate_register_worker_v1()")
_UNREGISTER = text("SELECT procrastinate_unregister_worker_v1(:fence)")
_FETCH = text("SELECT id, task_name, args, attempts FROM procrastinate_fetch_job_v2(CAST(:kinds AS varchar[]), :fence)")
_CLAIMED = text("UPDATE job_record SET worker = :worker, lease_s = :lease_s WHERE job_id = :job RETURNING id, key")
_HELD = text(
    f"SELECT j.id {_JOB} WHERE r.id = :id AND j.status = 'doing' AND j.worker_id = :fence "
    "AND w.last_heartbeat + make_interval(secs => r.lease_s) > clock_timestamp() FOR UPDATE OF j"
)
_BEAT = text("SELECT procrastinate_update_heartbeat_v1(:fence)")
_LEASE = text("UPDATE job_record SET lease_s = :lease_s WHERE id = :id")
_TOLD = text("UPDATE job_record SET done_units = :done, units = :units WHERE id = :id")
# procrastinate will count the try under way when it ends, and it is not to count: one less than none.
_ANEW = text("UPDATE procrastinate_jobs SET attempts = -1 WHERE id = :job")
_TRIES = text("UPDATE procrastinate_jobs SET attempts = :tries WHERE id = :job")
_END = text("SELECT procrastinate_finish_job_v1(:job, CAST(:status AS procrastinate_job_status), false)")
_ENDED = text("UPDATE job_record SET finished_us = :now_us, last_error = coalesce(:error, last_error) WHERE id = :id")
_RETRY = text(
    "SELECT procrastinate_retry_job_v2(:job, clock_timestamp() + make_interval(secs => :delay_s), NULL, NULL, NULL)"
)
_FAILED = text("UPDATE job_record SET last_error = :error WHERE id = :id")


class ProcrastinateQueue:
    """`JobQueue` on a PostgreSQL database that has migration 6."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def enqueue(self, session: Session, kind: str, key: str, payload: dict[str, str]) -> None:
        names = {"id": new_id(), "kind": kind, "key": key, "now_us": session.now_us}
        if _run(session, _RECORD, **names).first():
            _run(session, _DEFER, id=names["id"], kind=kind, args=json.dumps(payload))

    def claim(self, worker: str, kinds: Collection[str], lease_s: float) -> Job | None:
        # A look without the right to write: idle workers leave nothing for the database to clean up.
        names = list(kinds)
        with self._database.reading() as session:
            if not session.scalar(_DUE, {"kinds": names}):
                return None
        with self._database.writing() as session:
            self._retry_stalled(session, names)
            fence = _run(session, _REGISTER).scalar_one()
            found = _run(session, _FETCH, kinds=names, fence=fence).one()
            if found.id is None:  # somebody else was quicker
                _run(session, _UNREGISTER, fence=fence)
                return None
            record = _run(session, _CLAIMED, worker=worker, lease_s=lease_s, job=found.id).one()
            return Job(record.id, found.task_name, record.key, found.args, found.attempts + 1, fence)

    def renew(self, job: Job, lease_s: float) -> None:
        with self._database.writing() as session:
            self._held(session, job)
            _run(session, _BEAT, fence=job.fence)
            _run(session, _LEASE, id=job.id, lease_s=lease_s)

    def report(self, job: Job, done: int, units: int, *, durable: bool) -> None:
        with self._database.writing() as session:
            number = self._held(session, job)
            _run(session, _TOLD, id=job.id, done=done, units=units)
            if durable:
                _run(session, _ANEW, job=number)

    def hold(self, session: Session, job: Job) -> None:
        self._held(session, job)

    def finish(self, session: Session, job: Job) -> None:
        self._end(session, job, "succeeded", None)

    def bury(self, session: Session, job: Job, error: str) -> None:
        self._end(session, job, "failed", error[:ERROR_MAX_CHARS])

    def retry(self, job: Job, error: str, delay_s: float, *, counted: bool = True) -> None:
        with self._database.writing() as session:
            number = self._held(session, job)
            _run(session, _RETRY, job=number, delay_s=delay_s)
            _run(session, _TRIES, job=number, tries=job.attempt - (not counted))
            _run(session, _FAILED, id=job.id, error=error[:ERROR_MAX_CHARS])
            _run(session, _UNREGISTER, fence=job.fence)

    def progress(self, session: Session, keys: Collection[str] | None = None) -> tuple[Progress, ...]:
        return progress(session, keys)

    def _held(self, session: Session, job: Job) -> int:
        """The fence: procrastinate's number of the job, whose row stays locked until the caller's transaction ends."""
        number = session.scalar(_HELD, {"id": job.id, "fence": job.fence})
        if number is None:
            raise LeaseLostError(job.id)
        return int(number)

    def _end(self, session: Session, job: Job, status: Literal["succeeded", "failed"], error: str | None) -> None:
        number = self._held(session, job)
        _run(session, _END, job=number, status=status)
        _run(session, _ENDED, id=job.id, now_us=session.now_us, error=error)
        _run(session, _UNREGISTER, fence=job.fence)

    def _retry_stalled(self, session: Session, kinds: list[str]) -> None:
        """What procrastinate leaves to its users: jobs whose worker's heart has stopped are to be done again."""
        for stalled in _run(session, _TAKE_STALLED, kinds=kinds).all():
            _run(session, _AGAIN, job=stalled.id)
            _run(session, _UNREGISTER, fence=stalled.worker_id)


def _run(session: Session, statement: TextClause, **values: object) -> Result[Any]:
    return session.execute(statement, values)
