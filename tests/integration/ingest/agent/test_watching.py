"""The agent beside a folder that a scanner writes to, and a server that takes what it sends."""

import hashlib
import os
import sqlite3
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from fixtures.centres import Centres
from fixtures.ports import free_port
from fixtures.upload_server import make_uploads, serving
from fixtures.waiting import wait_until
from fixtures.workstation import Notes, Open, Workstation
from sqlalchemy import select

from benchmarks.torture_ingest.powercuts import say_ready
from benchmarks.torture_ingest.scans import dicom, mirax, tiff
from ingest.agent.client import Client
from ingest.agent.entries import QueuedFile, Stamp, State
from ingest.agent.queue import Queue
from ingest.agent.rules import After
from ingest.agent.settling import Settler
from ingest.agent.watching import OtherWatchError, Watch
from ingest.agent.weather import Weather
from ingest.heartbeat import Pause
from ingest.receive import Uploads
from sharing.db.engine import Database
from sharing.db.tables import SlideRow

MIRAX = mirax("lame", {"Data0000.dat": b"0" * 5000, "Data0001.dat": b"1" * 600})


@pytest.fixture
def uploads(database: Database, tmp_path: Path) -> Uploads:
    return make_uploads(database, tmp_path / "var")


@pytest.fixture
def refusing() -> set[str]:
    """Names of files that the platform refuses once they have arrived."""
    return set()


@pytest.fixture
def readied(database: Database, refusing: set[str]) -> Iterator[None]:
    """The platform makes every slide ready that it does not refuse."""
    over = threading.Event()

    def work() -> None:
        while not over.wait(0.02):
            say_ready(database, refusing)

    thread = threading.Thread(target=work)
    thread.start()
    yield
    over.set()
    thread.join()


@pytest.fixture
def desk(uploads: Uploads, centres: Centres, readied: None, tmp_path: Path) -> Iterator[Workstation]:
    with serving(uploads) as url:
        yield Workstation(tmp_path / "workstation", url, centres.caen.scanner_key)


def stored(database: Database) -> list[str]:
    with database.reading() as session:
        return sorted(session.scalars(select(SlideRow.file_name)).all())


@pytest.mark.parametrize("after", list(After))
def test_every_slide_is_sent_and_put_away_as_configured(after: After, desk: Workstation, database: Database) -> None:
    desk.after = after
    files = {
        "a.svs": tiff(b"a" * 999),
        "nuit/a.svs": tiff(b"b" * 9),
        "s/1.dcm": dicom("1.2.1", "1.2", b"p" * 9),
        "s/2.dcm": dicom("1.2.2", "1.2", b"q" * 9),
        **MIRAX,
    }
    for name, data in files.items():
        desk.write(name, data)
    desk.write("letter.txt", b"Bonjour")
    with desk.watching() as (queue, watch):
        desk.until(queue, sent=4)
        assert watch.troubles() == ()
        assert watch.pause() is None
    assert stored(database) == ["a.svs", "a.svs", "lame.mrxs", "s"]
    place = {After.KEEP: desk.scans, After.MOVE: desk.archive}.get(after)
    for name, data in files.items():
        assert (desk.scans / name).exists() is (after is After.KEEP)
        if place:
            assert (place / name).read_bytes() == data
    assert (desk.scans / "letter.txt").exists()
    assert (desk.scans / "lame").exists() is (after is After.KEEP)
    sends = [what for what in desk.notes.heard if what[0] == "arrived"]
    with desk.watching() as (queue, _):  # the same again, after a start: nothing is sent, nothing happens
        wait_until(lambda: queue.summary().waiting == 0, "an empty queue")
        desk.write("later.svs", tiff(b"later"))
        desk.until(queue, sent=5)
    assert [what for what in desk.notes.heard if what[0] == "arrived"] == [*sends, ("arrived", "later.svs")]


def test_a_namesake_in_the_archive_is_not_written_over(desk: Workstation) -> None:
    desk.after = After.MOVE
    with desk.watching() as (queue, _):
        for number in (1, 2, 3):
            desk.put(a_svs=tiff(b"%d" % number))
            desk.until(queue, sent=number)
    kept = [path for path in desk.archive.rglob("a.svs")]
    assert sorted(path.read_bytes() for path in kept) == [tiff(b"%d" % number) for number in (1, 2, 3)]


def test_a_refused_slide_stays_with_its_reason_until_a_person_retries(desk: Workstation, refusing: set[str]) -> None:
    desk.after = After.DELETE
    refusing.add("bad.svs")
    desk.put(bad_svs=tiff(b"bad"), good_svs=tiff(b"good"))
    with desk.watching() as (queue, _):
        desk.until(queue, sent=1, refused=1)
        [entry] = queue.entries(State.REFUSED)
        assert (entry.name, entry.code, entry.detail) == ("bad.svs", "damaged", "It is cut short.")
        assert queue.troubles()[0].code == "damaged"
        assert (desk.scans / "bad.svs").exists()
        wait_until(lambda: ("refused", "damaged") in desk.notes.heard, "the first refusal")
        assert queue.retry("bad.svs") == 1
        wait_until(lambda: desk.notes.heard.count(("refused", "damaged")) == 2, "the second refusal")
    assert (desk.scans / "bad.svs").exists()
    assert not (desk.scans / "good.svs").exists()


def test_nothing_is_deleted_that_is_not_what_was_proved(desk: Workstation, database: Database) -> None:
    """The file is written to once more between its arrival and the moment at which it would go."""
    desk.after = After.DELETE
    path = desk.write("a.svs", tiff(b"first"))

    class Writing(Notes):
        def arrived(self, entry, delivery) -> None:
            super().arrived(entry, delivery)
            if entry.length == len(tiff(b"first")):
                path.write_bytes(tiff(b"second, and longer"))

    desk.notes = Writing()
    with desk.watching() as (queue, _):
        wait_until(lambda: not path.exists(), "the second one to be sent")
        desk.until(queue, queued=0, sending=0, arrived=0, settling=0)
    with database.reading() as session:
        proved = set(session.scalars(select(SlideRow.sha256)).all())
    assert proved == {hashlib.sha256(tiff(text)).hexdigest() for text in (b"first", b"second, and longer")}


def test_bytes_that_changed_under_the_same_name_size_and_time_are_kept_and_told(desk: Workstation) -> None:
    desk.after = After.DELETE
    path = desk.write("a.svs", tiff(b"first"))
    status = path.stat()

    class Rotting(Notes):
        def arrived(self, entry, delivery) -> None:
            path.write_bytes(tiff(b"worse"))
            os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))

    desk.notes = Rotting()
    with desk.watching() as (queue, _):
        wait_until(lambda: any(each.code == "not-as-sent" for each in queue.troubles()), "the trouble")
    assert path.read_bytes() == tiff(b"worse")


def test_what_a_power_cut_interrupted_is_gone_on_with(desk: Workstation, database: Database) -> None:
    """Of a slide of several files, the first was deleted; the next is what was proved, the last no longer."""
    desk.after = After.DELETE
    for name, data in MIRAX.items():
        desk.write(name, data)

    with desk.watching() as (queue, _):
        desk.until(queue, sent=1)
    with Queue(desk.folder / "state") as queue:
        [entry] = queue.entries()
        places = {file.name: str(file.path.relative_to(desk.scans)) for file in entry.files}
        queue.settle(entry, {name: hashlib.sha256(MIRAX[place]).hexdigest() for name, place in places.items()}, None)
    kept = desk.write("lame/Data0001.dat", b"1" * 599 + b"2")
    proved_one = desk.write("lame/Data0000.dat", MIRAX["lame/Data0000.dat"])
    for file in entry.files:
        if file.path.exists():
            os.utime(file.path, ns=(file.mtime_ns, file.mtime_ns))
    with desk.watching() as (queue, _):
        desk.until(queue, settling=0, sent=1)
    assert kept.exists()
    assert not proved_one.exists()


def test_what_the_platform_has_no_more_is_sent_again_before_it_goes(desk: Workstation, database: Database) -> None:
    """It was proved once; since then the platform was restored from an older copy."""
    desk.after = After.DELETE
    path = desk.write("a.svs", tiff(b"a"))
    with Queue(desk.folder / "state") as queue:
        queue.add("a.svs", desk.scans, [QueuedFile("a.svs", *Stamp.of(path))])
        queue.settle(queue.take(), {"a.svs": hashlib.sha256(tiff(b"a")).hexdigest()}, None)
    with desk.watching() as (queue, _):
        desk.until(queue, sent=1)
    assert ("put back", "unknown-slide") in desk.notes.heard
    assert stored(database) == ["a.svs"]
    assert not path.exists()


def test_the_server_comes_and_goes(uploads: Uploads, centres: Centres, readied: None, tmp_path: Path) -> None:
    port = free_port()
    desk = Workstation(tmp_path / "workstation", f"http://127.0.0.1:{port}", centres.caen.scanner_key)
    desk.put(a_svs=tiff(b"a"))
    with desk.watching() as (queue, watch):
        wait_until(lambda: watch.pause() is Pause.UNREACHABLE, "the silence to be noticed")
        assert [trouble.code for trouble in watch.troubles()] == ["unreachable"]
        with serving(uploads, port):
            desk.until(queue, sent=1)
            assert watch.pause() is None
            assert watch.troubles() == ()


def test_a_key_that_is_refused_refuses_no_slide(desk: Workstation, centres: Centres) -> None:
    desk.key, key = "iain_" + "a" * 26 + "_" + "b" * 43, desk.key
    desk.put(a_svs=tiff(b"a"))
    with desk.watching() as (queue, watch):
        wait_until(lambda: watch.pause() is Pause.KEY_REFUSED, "the refusal")
        assert queue.summary().waiting == 1
        assert queue.summary().counts[State.REFUSED] == 0
    desk.key = key
    with desk.watching() as (queue, _):
        desk.until(queue, sent=1)


def test_an_upload_goes_on_where_it_was_when_the_hours_are_quiet_or_the_program_ends(
    desk: Workstation, database: Database
) -> None:
    large = tiff(b"a" * 30_000_000)
    desk.pace = Open(rate=40_000_000)
    desk.put(a_svs=large)
    with desk.watching() as (queue, watch):
        wait_until(lambda: desk.notes.most > 17_000_000, "the second piece")
        desk.pace.closed = True
        desk.until(queue, queued=1)
        assert watch.pause() is Pause.QUIET_HOURS
    assert stored(database) == []
    desk.pace, desk.notes = Open(), (heard := Notes())
    first: list[int] = []
    heard.sending = lambda entry, done, total: first.append(done)  # type: ignore[method-assign]
    with desk.watching() as (queue, _):
        desk.until(queue, sent=1)
    assert first[0] >= 16_000_000
    assert stored(database) == ["a.svs"]


def test_two_watches_do_not_share_a_queue(desk: Workstation) -> None:
    with desk.watching() as (queue, _):
        desk.put(a_svs=tiff(b"a"))
        desk.until(queue, sent=1)
        with Queue(desk.folder / "state") as other:
            second = Watch(desk.rules(), other, lambda: Client(desk.url, desk.key), desk.pace, desk.notes)
            with pytest.raises(OtherWatchError):
                second.run(threading.Event())


def test_a_clock_in_a_far_future_ends_nothing(desk: Workstation) -> None:
    desk.after = After.DELETE
    path = desk.write("a.svs", tiff(b"a"))
    os.utime(path, (2**34 - 1, 2**34 - 1))
    with desk.watching() as (queue, _):
        desk.until(queue, sent=1)
    assert not path.exists()


def test_a_namesake_that_was_archived_meanwhile_is_not_written_over(desk: Workstation) -> None:
    """One of two files of the same name could not be moved when its turn came, and the other went before it."""
    desk.after = After.MOVE
    path = desk.write("a.svs", tiff(b"one"))
    with desk.watching() as (queue, _):
        desk.until(queue, sent=1)
    with Queue(desk.folder / "state") as queue:
        [entry] = queue.entries()
        queue.settle(entry, {"a.svs": hashlib.sha256(tiff(b"one")).hexdigest()}, desk.archive)
    (desk.archive / "a.svs").rename(path)
    (desk.archive / "a.svs").write_bytes(tiff(b"two"))
    with desk.watching() as (queue, _):
        desk.until(queue, sent=1)
    assert sorted(each.read_bytes() for each in desk.archive.rglob("a.svs")) == [tiff(b"one"), tiff(b"two")]


def test_what_was_to_be_deleted_stays_once_files_are_to_be_kept(desk: Workstation) -> None:
    desk.put(a_svs=tiff(b"a"))
    with desk.watching() as (queue, _):
        desk.until(queue, sent=1)
    with Queue(desk.folder / "state") as queue:
        [entry] = queue.entries()
        queue.settle(entry, {"a.svs": hashlib.sha256(tiff(b"a")).hexdigest()}, None)
    with desk.watching() as (queue, _):
        desk.until(queue, sent=1)
    assert (desk.scans / "a.svs").exists()


def test_a_large_file_that_is_read_once_more_holds_up_no_end(desk: Workstation) -> None:
    class Ending(threading.Event):
        """Somebody ends the program a moment later."""

        asked = 0

        def is_set(self) -> bool:
            self.asked += 1
            return self.asked > 3

    path, large = desk.scans / "a.svs", tiff(b"a" * 5_000_000)
    desk.put(a_svs=large)
    with desk.watching() as (queue, _):
        desk.until(queue, sent=1)
    desk.after = After.DELETE
    with Queue(desk.folder / "state") as queue, Client(desk.url, desk.key) as client:
        [entry] = queue.entries()
        queue.settle(entry, {"a.svs": hashlib.sha256(large).hexdigest()}, None)
        settler = Settler(desk.rules(), queue, client, Weather(), desk.notes, lambda: 0.0)
        settler.settle_all(Ending())
        assert [entry.state for entry in queue.entries()] == [State.SETTLING]
        assert path.exists()
    with desk.watching() as (queue, _):
        desk.until(queue, sent=1)
    assert not path.exists()


def test_a_queue_that_somebody_took_away_is_made_anew(desk: Workstation, database: Database) -> None:
    with desk.watching() as (queue, watch):
        desk.put(a_svs=tiff(b"a" * 99))
        desk.until(queue, sent=1)
        queue.path.unlink()
        desk.put(b_svs=tiff(b"b" * 99))
        wait_until(lambda: any(each.code == "queue-rebuilt" for each in watch.troubles()), "the loss to be noticed")
        desk.until(queue, sent=2)
    assert stored(database) == ["a.svs", "b.svs"]


def test_a_lock_that_cannot_be_taken_is_no_other_watch(desk: Workstation) -> None:
    with Queue(desk.folder / "state") as queue:
        (desk.folder / "state" / "watch.lock").write_bytes(b"what a power cut left" * 99)
        watch = Watch(desk.rules(), queue, lambda: Client(desk.url, desk.key), desk.pace, desk.notes)
        with pytest.raises(OSError, match=r"watch\.lock"):
            watch.run(threading.Event())


def test_an_archive_in_the_watched_folder_is_known_by_any_name(desk: Workstation, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(desk.scans)
    rules = replace(desk.rules(), after=After.MOVE, archive=tmp_path / "link" / "sent")
    desk.rules = lambda: rules  # type: ignore[method-assign]
    with desk.watching() as (queue, _):
        for number, name in enumerate(("a.svs", "b.svs"), 1):
            desk.write(name, tiff(name.encode()))
            wait_until(lambda number=number: queue.summary().counts[State.SENT] >= number, "the slide to be sent")
    assert sorted(path.relative_to(desk.scans).as_posix() for path in desk.scans.rglob("*.svs")) == [
        "sent/a.svs",
        "sent/b.svs",
    ]


def test_a_slide_of_which_a_part_lies_beside_the_watched_folder_ends_nothing(desk: Workstation) -> None:
    desk.after = After.MOVE
    for name, data in mirax("scans", {"Data0000.dat": b"0" * 500}).items():
        path = desk.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    with desk.watching() as (queue, _):
        wait_until(lambda: any(each.code == "not-deleted" for each in queue.troubles()), "the trouble")
        desk.write("other/a.svs", tiff(b"a"))
        desk.until(queue, sent=1)


def test_the_end_of_one_thread_is_the_end_of_all(desk: Workstation) -> None:
    """A service that lives and sends nothing would be noticed by nobody."""

    class Failing(Notes):
        def arrived(self, entry, delivery) -> None:
            raise ZeroDivisionError

    desk.put(a_svs=tiff(b"a"))
    with Queue(desk.folder / "state") as queue:
        watch = Watch(desk.rules(), queue, lambda: Client(desk.url, desk.key), desk.pace, Failing())
        with pytest.raises(ZeroDivisionError):
            watch.run(threading.Event())


def test_a_queue_that_was_lost_is_asked_about_anew_and_nothing_is_sent_twice(
    desk: Workstation, database: Database
) -> None:
    desk.put(a_svs=tiff(b"a" * 99))
    desk.write("s/1.dcm", dicom("1.2.1", "1.2", b"p" * 9))
    with desk.watching() as (queue, _):
        desk.until(queue, sent=2)
        path = queue.path
    path.write_bytes(b"what is left of it")
    desk.notes = Notes()
    with desk.watching() as (queue, watch):
        desk.until(queue, sent=2)
        assert [trouble.code for trouble in watch.troubles()] == ["queue-rebuilt"]
    assert desk.notes.most == 0
    assert len(stored(database)) == 2


def test_a_queue_that_is_damaged_at_work_is_made_anew(desk: Workstation, database: Database) -> None:
    with desk.watching() as (queue, watch):
        desk.put(a_svs=tiff(b"a" * 99))
        desk.until(queue, sent=1)
        with queue.path.open("r+b") as file:
            file.write(os.urandom(queue.path.stat().st_size))
        desk.put(b_svs=tiff(b"b" * 99))
        wait_until(lambda: any(each.code == "queue-rebuilt" for each in watch.troubles()), "the damage to be noticed")
        desk.until(queue, sent=2)
    assert stored(database) == ["a.svs", "b.svs"]


def test_a_queue_that_cannot_be_written_for_a_while_is_written_later(
    desk: Workstation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.agent.watching.AGAIN_S", 0.05)
    held: list[sqlite3.Connection] = []

    class Locking(Notes):
        """While the slide arrives, another program holds the file of the queue."""

        def arrived(self, entry, delivery) -> None:
            held.append(sqlite3.connect(queue.path, isolation_level=None, check_same_thread=False))
            held[0].execute("BEGIN EXCLUSIVE")

    desk.notes = Locking()
    with desk.watching() as (queue, watch):
        with queue._lock:  # the watch has its threads at work on the same connection
            queue._db.execute("PRAGMA busy_timeout = 0")
        desk.put(a_svs=tiff(b"a" * 99))
        wait_until(lambda: ("trouble", "queue-unwritable") in desk.notes.heard, "the trouble")
        held[0].close()
        desk.until(queue, sent=1)
        assert watch.troubles() == ()


def test_a_slide_that_a_person_takes_away_once_it_has_arrived_is_sent_all_the_same(desk: Workstation) -> None:
    desk.after = After.MOVE
    path = desk.scans / "a.svs"

    class Taking(Notes):
        def arrived(self, entry, delivery) -> None:
            path.unlink()

    desk.notes = Taking()
    with desk.watching() as (queue, _):
        desk.put(a_svs=tiff(b"a" * 99))
        desk.until(queue, sent=1)
        assert queue.troubles() == ()


def test_files_that_went_away_before_they_were_sent_are_told_and_sent_when_they_are_back(desk: Workstation) -> None:
    desk.pace.closed = True
    path = desk.write("a.svs", tiff(b"a"))
    with desk.watching() as (queue, _):
        desk.until(queue, queued=1)
        hidden = path.rename(desk.folder / "a.svs")
        desk.pace.closed = False
        desk.until(queue, refused=1)
        assert queue.troubles()[0].code == "missing-file"
        hidden.rename(path)
        desk.until(queue, sent=1)
