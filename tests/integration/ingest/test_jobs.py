"""The conformance suite of job queues, on both engines, and the worker that uses one. Time is the test's to move."""

import threading
from collections.abc import Callable

import pytest
from fixtures.waiting import wait_until
from sqlalchemy import select

from ingest.errors import LeaseLostError, NotNowError
from ingest.jobs import Job, JobQueue
from ingest.queues import job_queue
from ingest.worker import Effect, Worker
from sharing.clock import FrozenClock
from sharing.db.engine import Database, Session
from sharing.db.tables import JobRow

KINDS = {"draw"}


@pytest.fixture
def queue(database: Database) -> JobQueue:
    return job_queue(database)


def enqueue(database: Database, queue: JobQueue, key: str = "one", kind: str = "draw") -> None:
    with database.writing() as session:
        queue.enqueue(session, kind, key, {"slide": key})


def row(database: Database, key: str = "one") -> JobRow:
    with database.reading() as session:
        return session.scalars(select(JobRow).where(JobRow.key == key)).one()


def finish(database: Database, queue: JobQueue, job: Job) -> None:
    with database.writing() as session:
        queue.finish(session, job)


def test_a_job_is_claimed_once_and_done_once(database, queue) -> None:
    enqueue(database, queue)
    job = queue.claim("w1", KINDS, 30)
    assert (job.kind, job.key, job.payload, job.attempt) == ("draw", "one", {"slide": "one"}, 1)
    assert queue.claim("w2", KINDS, 30) is None
    finish(database, queue, job)
    assert queue.claim("w2", KINDS, 30) is None
    assert row(database).state == "done"
    with pytest.raises(LeaseLostError):
        finish(database, queue, job)


def test_enqueueing_the_same_key_again_changes_nothing(database, queue) -> None:
    enqueue(database, queue)
    enqueue(database, queue)
    finish(database, queue, queue.claim("w", KINDS, 30))
    enqueue(database, queue)
    assert queue.claim("w", KINDS, 30) is None


def test_a_job_exists_only_if_its_transaction_commits(database, queue) -> None:
    def enqueue_and_fail() -> None:
        with database.writing() as session:
            queue.enqueue(session, "draw", "one", {})
            raise RuntimeError

    with pytest.raises(RuntimeError):
        enqueue_and_fail()
    assert queue.claim("w", KINDS, 30) is None


def test_jobs_come_in_the_order_in_which_they_were_made(database, queue, clock) -> None:
    for key in ("a", "b", "c"):
        enqueue(database, queue, key)
        clock.advance(seconds=1)
    assert [queue.claim("w", KINDS, 30).key for _ in range(3)] == ["a", "b", "c"]


def test_a_worker_gets_only_kinds_that_it_knows(database, queue) -> None:
    enqueue(database, queue, kind="sing")
    assert queue.claim("w", KINDS, 30) is None


def test_the_job_of_a_killed_worker_is_taken_again(database, queue, clock) -> None:
    enqueue(database, queue)
    queue.claim("killed", KINDS, 30)
    clock.advance(seconds=20)
    assert queue.claim("w", KINDS, 30) is None
    clock.advance(seconds=10)
    assert queue.claim("w", KINDS, 30).attempt == 2


def test_a_worker_that_froze_past_its_lease_cannot_commit(database, queue, clock) -> None:
    enqueue(database, queue)
    frozen = queue.claim("frozen", KINDS, 30)
    clock.advance(seconds=90)
    with pytest.raises(LeaseLostError):
        finish(database, queue, frozen)
    awake = queue.claim("awake", KINDS, 30)
    for act in (
        lambda session: queue.hold(session, frozen),
        lambda session: queue.finish(session, frozen),
        lambda session: queue.bury(session, frozen, "no"),
    ):
        with pytest.raises(LeaseLostError), database.writing() as session:
            act(session)
    for act in (lambda: queue.renew(frozen, 30), lambda: queue.retry(frozen, "no", 1)):
        with pytest.raises(LeaseLostError):
            act()
    finish(database, queue, awake)
    assert row(database).state == "done"


def test_a_renewed_lease_holds(database, queue, clock) -> None:
    enqueue(database, queue)
    job = queue.claim("w", KINDS, 30)
    for _ in range(5):
        clock.advance(seconds=20)
        queue.renew(job, 30)
    assert queue.claim("other", KINDS, 30) is None
    finish(database, queue, job)


def test_a_retried_job_waits_for_its_time(database, queue, clock) -> None:
    enqueue(database, queue)
    queue.retry(queue.claim("w", KINDS, 30), "out of paint", 10)
    assert queue.claim("w", KINDS, 30) is None
    clock.advance(seconds=10)
    job = queue.claim("w", KINDS, 30)
    assert job.attempt == 2
    queue.retry(job, "dark", 0, counted=False)
    assert queue.claim("w", KINDS, 30).attempt == 2
    assert row(database).last_error == "dark"


def test_a_job_tells_how_far_it_has_come_and_what_is_durable_is_no_failure(database, queue, clock) -> None:
    enqueue(database, queue)
    for _ in range(3):
        job = queue.claim("killed", KINDS, 30)
        clock.advance(seconds=30)
    with pytest.raises(LeaseLostError):
        queue.report(job, 10, 40, durable=True)
    job = queue.claim("w", KINDS, 30)
    queue.report(job, 10, 40, durable=False)
    assert (row(database).done_units, row(database).units, row(database).attempts) == (10, 40, 4)
    queue.report(job, 20, 40, durable=True)
    assert (row(database).done_units, row(database).state) == (20, "running")
    clock.advance(seconds=30)
    assert queue.claim("next", KINDS, 30).attempt == 1


def test_a_failure_counts_even_after_something_became_durable(database, queue, clock) -> None:
    """A try that fails says so itself, whatever was achieved before; only deaths are forgiven to a job that gets on."""
    enqueue(database, queue)
    for attempt, counted in ((1, True), (2, True), (3, False), (3, True)):
        job = queue.claim("w", KINDS, 30)
        assert job.attempt == attempt
        queue.report(job, attempt, 40, durable=True)
        queue.retry(job, "torn", 0, counted=counted)
    assert queue.claim("w", KINDS, 30).attempt == 4


def test_progress_is_told_of_open_jobs_or_of_those_that_are_asked_for(database, queue, clock) -> None:
    for key in ("done", "dead", "building", "waiting"):
        enqueue(database, queue, key)
        clock.advance(seconds=1)
    finish(database, queue, queue.claim("w", KINDS, 30))
    job = queue.claim("w", KINDS, 30)
    with database.writing() as session:
        queue.bury(session, job, "no paper")
    queue.report(queue.claim("the builder", KINDS, 30), 10, 40, durable=False)

    def told(keys: list[str] | None = None) -> list[tuple[object, ...]]:
        with database.reading() as session:
            return [
                (job.kind, job.key, job.state, job.attempts, job.done_units, job.units, job.worker, job.last_error)
                for job in queue.progress(session, keys)
            ]

    building = ("draw", "building", "running", 1, 10, 40, "the builder", None)
    assert told() == [building, ("draw", "waiting", "queued", 0, None, None, None, None)]
    assert told(["building", "dead", "nobody's"]) == [
        ("draw", "dead", "dead", 1, None, None, "w", "no paper"),
        building,
    ]
    assert told([]) == []
    with database.reading() as session:
        [job] = queue.progress(session, ["done"])
    assert (job.created_us, job.finished_us) == (clock.now_us() - 4_000_000, clock.now_us())


def test_a_buried_job_never_comes_back(database, queue, clock) -> None:
    enqueue(database, queue)
    job = queue.claim("w", KINDS, 30)
    with database.writing() as session:
        queue.bury(session, job, "x" * 10_000)
    clock.advance(hours=100)
    assert queue.claim("w", KINDS, 30) is None
    assert row(database).state == "dead"
    assert len(row(database).last_error) == 500


def test_many_workers_share_the_jobs_and_none_is_done_twice(database, queue) -> None:
    for number in range(30):
        enqueue(database, queue, f"job{number}")
    done: list[str] = []

    def work(name: str) -> None:
        while job := queue.claim(name, KINDS, 30):
            finish(database, queue, job)
            done.append(job.key)

    threads = [threading.Thread(target=work, args=[f"w{n}"]) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done) == sorted(f"job{number}" for number in range(30))


class Drawing:
    """A handler that does what the test tells it, and notes in the database what it committed."""

    def __init__(self, queue: JobQueue, during: Callable[[Job], None] = lambda job: None) -> None:
        self.queue, self.during = queue, during

    def work(self, job: Job) -> Effect:
        self.during(job)
        return lambda session: self._note(session, f"drawn-{job.key}")

    def give_up(self, job: Job, tries: int) -> Effect:
        return lambda session: self._note(session, f"gave-up-{job.key}-{tries}")

    def _note(self, session: Session, what: str) -> None:
        self.queue.enqueue(session, "note", what, {})


def notes(database: Database) -> list[str]:
    with database.reading() as session:
        return list(session.scalars(select(JobRow.key).where(JobRow.kind == "note").order_by(JobRow.key)))


def worker(database: Database, queue: JobQueue, during=lambda job: None, **options) -> Worker:
    return Worker(database, queue, {"draw": Drawing(queue, during)}, "w", **options)


def test_the_effect_is_committed_with_the_end_of_the_job(database, queue) -> None:
    enqueue(database, queue)
    one = worker(database, queue)
    assert one.step()
    assert not one.step()
    assert notes(database) == ["drawn-one"]
    assert row(database).state == "done"


def test_a_worker_that_wakes_up_after_another_did_its_job_changes_nothing(database, queue, clock: FrozenClock) -> None:
    enqueue(database, queue)

    def freeze(_: Job) -> None:
        clock.advance(seconds=90)
        assert worker(database, queue).step()
        assert notes(database) == ["drawn-one"]

    with database.writing() as session:
        session.execute(select(1))
    assert worker(database, queue, freeze).step()
    assert notes(database) == ["drawn-one"]
    assert (row(database).state, row(database).attempts) == ("done", 2)


def test_a_worker_frozen_past_its_lease_commits_nothing_even_if_it_is_alone(database, queue, clock) -> None:
    enqueue(database, queue)
    assert worker(database, queue, lambda _: clock.advance(seconds=31), lease_s=30).step()
    assert notes(database) == []
    assert worker(database, queue).step()
    assert notes(database) == ["drawn-one"]


def test_a_job_that_fails_is_tried_a_bounded_number_of_times_and_then_given_up(database, queue, clock) -> None:
    enqueue(database, queue)
    tries: list[int] = []

    def fail(job: Job) -> None:
        tries.append(job.attempt)
        raise ZeroDivisionError

    one = worker(database, queue, fail, max_attempts=3)
    for _ in range(10):
        one.step()
        clock.advance(minutes=2)
    assert tries == [1, 2, 3]
    assert notes(database) == ["gave-up-one-3"]
    assert (row(database).state, row(database).last_error) == ("dead", "ZeroDivisionError()")


def test_a_job_that_kills_its_worker_each_time_is_given_up(database, queue, clock) -> None:
    enqueue(database, queue)
    for _ in range(3):
        assert queue.claim("killed", KINDS, 30)
        clock.advance(seconds=30)
    assert worker(database, queue, lambda _: pytest.fail("it must not be tried again"), max_attempts=3).step()
    assert notes(database) == ["gave-up-one-3"]


def test_waiting_for_the_machine_costs_no_attempt(database, queue, clock) -> None:
    enqueue(database, queue)

    def not_now(_: Job) -> None:
        raise NotNowError("the disk is full")

    one = worker(database, queue, not_now, max_attempts=2)
    for _ in range(10):
        assert one.step()
        clock.advance(minutes=1)
    assert worker(database, queue, max_attempts=2).step()
    assert notes(database) == ["drawn-one"]


def test_the_lease_is_renewed_while_a_long_job_runs(database, queue, clock) -> None:
    enqueue(database, queue)
    lease_s = 0.3 if database.engine.dialect.name == "sqlite" else 2.0  # where time passes by itself as well

    def long(_: Job) -> None:
        for _ in range(3):
            clock.advance(seconds=lease_s / 2.5)
            before = row(database).lease_until_us
            wait_until(lambda before=before: row(database).lease_until_us > before, "the heartbeat")

    assert worker(database, queue, long, lease_s=lease_s).step()
    assert notes(database) == ["drawn-one"]
    assert row(database).attempts == 1


def test_a_running_worker_stops_when_told(database, queue) -> None:
    enqueue(database, queue)
    stop = threading.Event()
    thread = threading.Thread(target=worker(database, queue, poll_s=0.01).run, args=[stop])
    thread.start()
    wait_until(lambda: notes(database) == ["drawn-one"], "the job")
    stop.set()
    thread.join(60)
    assert not thread.is_alive()
