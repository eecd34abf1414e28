"""What only the queue on PostgreSQL has: procrastinate's tables, its own tools, and the jobs of the time before."""

import threading
from collections.abc import Callable, Iterator
from importlib import resources

import pytest
from procrastinate import App, SyncPsycopgConnector
from procrastinate.jobs import Job as Told
from sqlalchemy import inspect, text

from ingest.jobs import JobQueue
from ingest.procrastination import ProcrastinateQueue
from sharing.db.engine import Database, open_database
from sharing.db.migrations import downgrade, upgrade
from sharing.db.migrations.versions import v0006_procrastinate as migration
from sharing.db.tables import JobRow
from sharing.errors import SchemaError
from slideserver.operations import snapshots

pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
KINDS = ["draw"]


@pytest.fixture
def queue(database: Database) -> JobQueue:
    return ProcrastinateQueue(database)


@pytest.fixture
def tools(database_url: str) -> Iterator[App]:
    """procrastinate as its command line opens it, knowing nothing of us."""
    app = App(connector=SyncPsycopgConnector(conninfo=database_url))
    with app.open():
        yield app


def enqueue(database: Database, queue: JobQueue, *keys: str) -> None:
    with database.writing() as session:
        for key in keys:
            queue.enqueue(session, "draw", key, {"slide": key})


def finish(database: Database, queue: JobQueue, key: str) -> None:
    job = queue.claim("w", KINDS, 30)
    assert job is not None
    assert job.key == key
    with database.writing() as session:
        queue.finish(session, job)


def names_of(database: Database) -> list[str]:
    """All that procrastinate has made in a database."""
    with database.reading() as session:
        return [
            name
            for catalogue, column in (("pg_class", "relname"), ("pg_proc", "proname"), ("pg_type", "typname"))
            for name in session.scalars(text(f"SELECT {column} FROM {catalogue} WHERE {column} LIKE '%procrastinate%'"))
        ]


def test_its_own_tools_see_the_jobs_as_they_are(database, queue, tools) -> None:
    enqueue(database, queue, "done", "dead", "running", "queued")
    finish(database, queue, "done")
    with database.writing() as session:
        queue.bury(session, queue.claim("w", KINDS, 30), "no")
    queue.claim("w", KINDS, 30)
    assert tools.check_connection()
    jobs: list[Told] = tools.job_manager.list_jobs(queue="draw")
    assert [(job.task_name, job.task_kwargs["slide"], job.status) for job in jobs] == [
        ("draw", "done", "succeeded"),
        ("draw", "dead", "failed"),
        ("draw", "running", "doing"),
        ("draw", "queued", "todo"),
    ]
    [row] = tools.job_manager.list_queues()
    assert (row["jobs_count"], row["succeeded"], row["failed"], row["doing"], row["todo"]) == (4, 1, 1, 1, 1)


def test_no_worker_is_left_behind(database, queue, clock) -> None:
    """Each claim is a worker to procrastinate; the heart of one that has nothing in hand need not be looked at."""

    def workers() -> int:
        with database.reading() as session:
            return session.scalar(text("SELECT count(*) FROM procrastinate_workers"))

    enqueue(database, queue, "one")
    assert queue.claim("killed", KINDS, 30)
    clock.advance(seconds=30)
    queue.retry(queue.claim("w", KINDS, 30), "once more", 0)
    assert workers() == 0
    job = queue.claim("w", KINDS, 30)
    assert workers() == 1
    with database.writing() as session:
        queue.finish(session, job)
    assert queue.claim("w", KINDS, 30) is None
    assert workers() == 0


def test_a_job_that_the_holder_is_about_to_end_is_not_taken_for_stalled(database, queue, clock) -> None:
    """Its transaction was begun in time. Nobody waits for it, and nobody takes the job."""
    enqueue(database, queue, "one")
    job = queue.claim("slow", KINDS, 30)
    with database.writing() as session:
        queue.hold(session, job)
        with database.engine.begin() as other:  # as by `clock.advance`, which would wait for the job's row
            other.execute(text("UPDATE procrastinate_workers SET last_heartbeat = now() - interval '1 hour'"))
        assert queue.claim("quick", KINDS, 30) is None
        session.execute(text("UPDATE procrastinate_workers SET last_heartbeat = now()"))
        queue.finish(session, job)
    assert queue.claim("quick", KINDS, 30) is None


def test_many_who_find_stalled_jobs_at_once_take_each_of_them_once(database, queue, clock) -> None:
    keys = [f"job{number}" for number in range(12)]
    enqueue(database, queue, *keys)
    for _ in keys:
        queue.claim("killed", KINDS, 30)
    clock.advance(seconds=31)
    taken = []
    at_once = threading.Barrier(4)

    def take() -> None:
        at_once.wait()
        while job := queue.claim("w", KINDS, 30):
            taken.append((job.key, job.attempt))

    together(take, 4)
    assert sorted(taken) == sorted((key, 2) for key in keys)


def test_who_enqueues_the_same_at_once_makes_one_job(database, queue) -> None:
    at_once = threading.Barrier(4)

    def make() -> None:
        at_once.wait()
        enqueue(database, queue, "one")

    together(make, 4)
    assert queue.claim("w", KINDS, 30).key == "one"
    assert queue.claim("w", KINDS, 30) is None


def together(work: Callable[[], None], times: int) -> None:
    threads = [threading.Thread(target=work) for _ in range(times)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()


def test_the_view_has_the_columns_that_are_read(database) -> None:
    columns = {column["name"]: column["type"] for column in inspect(database.engine).get_columns("job")}
    assert set(columns) == set(JobRow.__table__.columns.keys())
    for column in JobRow.__table__.columns:
        assert columns[column.name].python_type is column.type.python_type, column.name


ADD = text(
    "INSERT INTO job (id, kind, key, payload, state, attempts, not_before_us, lease_until_us, fence, worker, "
    "last_error, created_us, finished_us, done_units, units) VALUES (:id, 'draw', :id, '{\"slide\": \"s\"}', :state, "
    ":attempts, :now_us, 1, 3, 'w', 'once', :now_us, :finished, 5, 9)"
)


def test_the_jobs_of_the_time_before_go_on_and_come_back(database, queue, clock) -> None:
    downgrade(database, "0005")
    rows = [("a", "queued", 0), ("b", "running", 2), ("c", "done", 1), ("d", "dead", 5), ("e", "queued", 4)]
    with database.engine.begin() as connection:
        for name, state, attempts in rows:
            later = clock.now_us() + 10**9 * (name == "e")
            values = {"id": name, "state": state, "attempts": attempts, "now_us": later}
            connection.execute(ADD, values | {"finished": 7 if state in ("done", "dead") else None})
        before = connection.execute(text("SELECT * FROM job ORDER BY id")).mappings().all()
    upgrade(database)
    with database.reading() as session:
        after = session.execute(text("SELECT * FROM job ORDER BY id")).mappings().all()
        assert len(queue.progress(session)) == 3
    taken = {"state", "lease_until_us", "fence", "payload"}
    assert [drop(row, taken) for row in after] == [drop(row, taken) for row in before]
    assert [row["state"] for row in after] == ["queued", "queued", "done", "dead", "queued"]
    enqueue(database, queue, "c", "d")  # done, and given up: both for ever
    first, second = queue.claim("w", KINDS, 30), queue.claim("w", KINDS, 30)
    assert [(job.key, job.attempt, job.payload) for job in (first, second)] == [
        ("a", 1, {"slide": "s"}),
        ("b", 3, {"slide": "s"}),
    ]
    assert queue.claim("w", KINDS, 30) is not None  # "e", whose time is past today
    downgrade(database, "0005")
    with database.reading() as session:
        left = session.execute(text("SELECT * FROM job ORDER BY id")).mappings().all()
    assert [(row["id"], row["state"], row["attempts"]) for row in left] == [
        ("a", "queued", 1),
        ("b", "queued", 3),
        ("c", "done", 1),
        ("d", "dead", 5),
        ("e", "queued", 5),
    ]
    assert names_of(database) == []


def drop(row, names):
    return {name: value for name, value in row.items() if name not in names}


def test_the_migration_takes_no_tables_that_it_does_not_know(database_url, monkeypatch) -> None:
    """A newer procrastinate has other tables: these come by a migration of ours, which this test asks for."""
    schema = (resources.files("procrastinate.sql") / "schema.sql").read_text()
    assert migration._procrastinate() == schema
    monkeypatch.setattr(migration, "_SCHEMA_SHA256", "0" * 64)
    with pytest.raises(SchemaError, match="procrastinate has other tables"):
        migration._procrastinate()


def test_a_job_in_hand_when_a_backup_was_taken_is_done_after_it_was_given_back(
    database, queue, database_url, postgres, clock, tmp_path
) -> None:
    enqueue(database, queue, "done", "in hand", "waiting")
    finish(database, queue, "done")
    lost = queue.claim("w", KINDS, 0.01)
    snapshots.take(database, tmp_path)
    name = f"again_{database_url.rpartition('_')[2]}"
    url = postgres.create(name)
    snapshots.put_back(url, tmp_path, "postgresql")
    assert snapshots.contents(url) == snapshots.contents(database_url)
    again = open_database(url)
    restored = ProcrastinateQueue(again)
    enqueue(again, restored, "done")
    first, second = restored.claim("w", KINDS, 30), restored.claim("w", KINDS, 30)
    assert [(first.key, first.attempt), (second.key, second.attempt)] == [("in hand", 2), ("waiting", 1)]
    assert first.fence > lost.fence
    assert restored.claim("w", KINDS, 30) is None
    again.close()
    postgres.drop(name)
