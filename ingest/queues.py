"""The queue that goes with a database."""

from ingest.jobs import JobQueue, SqlJobQueue
from ingest.procrastination import ProcrastinateQueue
from sharing.db.engine import Database


def job_queue(database: Database) -> JobQueue:
    """The lease table on SQLite, procrastinate's tables on PostgreSQL."""
    return ProcrastinateQueue(database) if database.engine.dialect.name == "postgresql" else SqlJobQueue(database)
