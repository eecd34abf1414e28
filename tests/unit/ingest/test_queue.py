"""The agent's queue: what it remembers of a slide, and that it is whole whatever happens to its file."""

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest.agent.entries import QueuedFile, State
from ingest.agent.queue import GONE, Queue
from ingest.heartbeat import Trouble

ROOT = Path("/scans")


class Clock:
    def __init__(self) -> None:
        self.us = 1_000_000_000

    def __call__(self) -> int:
        return self.us


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def queue(tmp_path: Path, clock: Clock) -> Iterator[Queue]:
    with Queue(tmp_path / "state", clock) as queue:
        yield queue


def files(name: str = "a.svs", *, length: int = 10, mtime_ns: int = 1) -> list[QueuedFile]:
    return [QueuedFile(name, ROOT / name, length, mtime_ns)]


def test_a_slide_goes_its_way(queue: Queue, clock: Clock) -> None:
    added = queue.add("a.svs", ROOT, files())
    assert (added.state, added.files, added.length, added.root) == (State.QUEUED, tuple(files()), 10, ROOT)
    assert queue.summary().waiting == 1
    assert queue.summary().waiting_bytes == 10
    clock.us += 5
    taken = queue.take()
    assert (taken.id, taken.state) == (added.id, State.SENDING)
    assert queue.take() is None
    arrived = queue.arrive(taken, "s" * 26)
    assert (arrived.state, arrived.slide) == (State.ARRIVED, "s" * 26)
    settling = queue.settle(arrived, {"a.svs": "f" * 64}, Path("/archive"))
    assert (settling.state, settling.files[0].sha256, settling.place) == (
        State.SETTLING,
        "f" * 64,
        Path("/archive"),
    )
    sent = queue.finish(settling)
    assert (sent.state, sent.slide) == (State.SENT, "s" * 26)
    summary = queue.summary(clock.us)
    assert (summary.waiting, summary.oldest_us, summary.last_sent, summary.sent_since) == (0, None, "a.svs", 1)
    assert summary.counts[State.SENT] == 1
    assert queue.summary(clock.us + 1).sent_since == 0


def test_the_same_files_are_queued_once_and_others_of_their_name_instead_of_them(queue: Queue) -> None:
    assert queue.add("a.svs", ROOT, files())
    assert queue.add("a.svs", ROOT, files()) is None
    assert queue.add("a.svs", ROOT, files(length=11))
    assert [entry.length for entry in queue.entries()] == [11]
    queue.finish(queue.take())
    assert queue.add("a.svs", ROOT, files(length=11)) is None, "what was sent is not sent again"
    assert queue.add("a.svs", ROOT, files(length=12))
    assert [entry.length for entry in queue.entries()] == [11, 12], "and not forgotten when other bytes come"


def test_what_cannot_be_sent_now_waits_its_time_and_a_person_can_shorten_it(queue: Queue, clock: Clock) -> None:
    queue.add("a.svs", ROOT, files())
    back = queue.put_back(queue.take(), "quota-exceeded", "full", pause_s=60)
    assert (back.state, back.attempts, back.code, back.detail) == (State.QUEUED, 1, "quota-exceeded", "full")
    assert queue.take() is None
    assert queue.retry("b.svs") == 0
    assert queue.retry("a.svs") == 1
    assert queue.take().code is None
    queue.put_back(queue.entries()[0], "quota-exceeded", pause_s=60)
    clock.us += 60_000_000
    assert queue.take()


def test_a_refused_slide_stays_until_a_person_retries(queue: Queue) -> None:
    queue.add("a.svs", ROOT, files())
    queue.refuse(queue.take(), "damaged", "cut short")
    assert queue.take() is None
    assert queue.add("a.svs", ROOT, files()) is None
    [trouble] = queue.troubles()
    assert (trouble.name, trouble.code, trouble.detail) == ("a.svs", "damaged", "cut short")
    assert queue.retry() == 1
    assert queue.troubles() == ()
    assert queue.take().state is State.SENDING


def test_a_slide_whose_files_went_away_is_queued_when_they_are_back(queue: Queue) -> None:
    queue.add("a.svs", ROOT, files())
    queue.refuse(queue.take(), GONE)
    assert not queue.stamps()
    assert queue.add("a.svs", ROOT, files())
    assert [entry.state for entry in queue.entries()] == [State.QUEUED]


def test_what_was_on_its_way_is_to_be_sent_after_a_start(tmp_path: Path) -> None:
    with Queue(tmp_path) as queue:
        queue.add("a.svs", ROOT, files())
        queue.add("b.svs", ROOT, files("b.svs"))
        queue.take()
        queue.put_back(queue.take(), "unreadable-file", pause_s=600)
    with Queue(tmp_path) as queue:
        queue.reopen()
        assert {queue.take().name, queue.take().name} == {"a.svs", "b.svs"}


def test_incomplete_slides_are_those_told_last(queue: Queue) -> None:
    queue.tell_incomplete(ROOT, [Trouble("a.svs", "incomplete-file", "1 / 2", 5), Trouble("b", "incomplete-set", "c")])
    queue.tell_incomplete(Path("/other"), [Trouble("a.svs", "incomplete-file")])
    queue.tell_incomplete(ROOT, [Trouble("a.svs", "incomplete-file", "1 / 3", 5)])
    told = {(each.name, each.detail, each.since_us) for each in queue.troubles()}
    assert told == {("a.svs", "1 / 3", 5), ("a.svs", "", 0)}
    queue.tell_incomplete(ROOT, [])
    assert len(queue.entries(State.INCOMPLETE)) == 1
    assert not queue.stamps()
    assert queue.take() is None


def test_the_files_of_slides_are_known_by_what_they_were(queue: Queue) -> None:
    queue.add("a.svs", ROOT, files())
    assert list(queue.stamps().items()) == [((ROOT / "a.svs", 10, 1), State.QUEUED)]
    with Queue(queue.path.parent) as other:  # what another process changes is seen
        other.finish(other.take())
    assert list(queue.stamps().values()) == [State.SENT]


def test_names_that_are_no_text_are_kept_as_they_are(queue: Queue) -> None:
    path = Path(os.fsdecode(b"/scans/\xff\xfe.svs"))
    queue.add(path.name, ROOT, [QueuedFile(path.name.encode("utf-8", "replace").decode(), path, 1, 1)])
    assert queue.take().files[0].path == path


def test_what_was_done_long_ago_and_is_gone_is_forgotten(queue: Queue, clock: Clock, tmp_path: Path) -> None:
    here = tmp_path / "here.svs"
    here.touch()
    queue.add("gone", tmp_path, [QueuedFile("gone", tmp_path / "gone.svs", 0, 0)])
    queue.add("here", tmp_path, [QueuedFile("here", here, 0, 0)])
    queue.add("away", tmp_path / "share", [QueuedFile("away", tmp_path / "share" / "away.svs", 0, 0)])
    for _ in range(3):
        queue.finish(queue.take())
    queue.forget_before(clock.us)
    assert len(queue.entries()) == 3
    queue.forget_before(clock.us + 1)
    assert [entry.name for entry in queue.entries()] == ["here", "away"]


def test_a_refused_slide_that_a_person_put_away_is_forgotten(queue: Queue, tmp_path: Path) -> None:
    places = [tmp_path / name for name in ("removed", "here", "share/away")]
    for path in places:
        path.parent.mkdir(exist_ok=True)
        path.touch()
        queue.add(path.name, path.parent, [QueuedFile(path.name, path, 0, 0)])
        queue.refuse(queue.take(), "damaged")
    queue.forget_removed()
    assert len(queue.entries()) == 3
    for path in (places[0], places[2]):
        path.unlink()
    places[2].parent.rmdir()
    queue.forget_removed()
    assert [entry.name for entry in queue.entries()] == ["here", "away"]
    assert queue.retry("\udcff") == 0, "a name that is no text is nobody's"


@pytest.mark.parametrize("damage", ["noise", "half", "other"])
def test_a_damaged_file_is_set_aside_and_nothing_of_it_is_lost_to_whoever_wants_to_look(
    damage: str, tmp_path: Path
) -> None:
    with Queue(tmp_path) as queue:
        for number in range(15):
            queue.add(f"{number}.svs", ROOT, files(f"{number}.svs"))
        path = queue.path
    data = path.read_bytes()
    match damage:
        case "noise":
            path.write_bytes(data[:4096] + os.urandom(len(data) - 4096))
        case "half":
            path.write_bytes(data[: len(data) // 2])
        case "other":
            path.unlink()
            with sqlite3.connect(path) as other:
                other.execute("CREATE TABLE something (else_ TEXT)")
            other.close()
    before = path.read_bytes()
    with Queue(tmp_path) as queue:
        assert queue.set_aside.read_bytes() == before
        assert queue.entries() == []
        assert queue.add("a.svs", ROOT, files())
    with Queue(tmp_path) as queue:
        assert queue.set_aside is None
        assert len(queue.entries()) == 1


def test_who_only_reads_the_queue_puts_no_damaged_one_aside(tmp_path: Path) -> None:
    (tmp_path / "queue.db").write_bytes(b"what is left of it")
    with pytest.raises(OSError, match=r"queue\.db"):
        Queue(tmp_path, mend=False)
    assert [path.name for path in tmp_path.iterdir()] == ["queue.db"]


def test_a_slide_that_was_tried_lets_the_others_go_first(queue: Queue, clock: Clock) -> None:
    for name in ("a.svs", "b.svs"):
        queue.add(name, ROOT, files(name))
    queue.release(queue.take(), behind=True)
    assert queue.take().name == "b.svs"


def test_what_a_clock_in_the_future_put_off_is_due_once_it_is_right(queue: Queue, clock: Clock) -> None:
    queue.add("a.svs", ROOT, files())
    clock.us += 10**15
    queue.put_back(queue.take(), "unreadable-file", pause_s=60)
    clock.us -= 10**15
    assert queue.take()


def test_a_queue_that_cannot_be_reached_is_no_damaged_one(tmp_path: Path) -> None:
    (tmp_path / "queue.db").mkdir()
    with pytest.raises(OSError, match=r"queue\.db"):
        Queue(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["queue.db"]


def test_every_transaction_reaches_the_disk(queue: Queue) -> None:
    """What power cuts leave of a transaction: nothing or all, which needs these settings of SQLite."""
    assert queue._db.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    assert queue._db.execute("PRAGMA synchronous").fetchone() == (3,)
