"""The part file: its lock, its length and its digest."""

import contextlib
import hashlib
import os
import threading
from pathlib import Path

import pytest

from ingest.errors import UploadBusyError
from ingest.parts import Parts


@pytest.fixture
def parts(tmp_path: Path) -> Parts:
    return Parts(tmp_path / "uploads")


def test_a_part_is_as_long_as_what_was_appended(parts: Parts) -> None:
    part = parts.lock("one")
    assert part.length == 0
    part.append(b"abc")
    part.append(b"def")
    part.truncate(4)
    part.append(b"X")
    part.sync()
    part.close()
    assert parts.lock("one").length == 5
    assert (parts.folder / "one").read_bytes() == b"abcdX"


def test_only_one_holds_a_part(parts: Parts) -> None:
    first = parts.lock("one")
    with pytest.raises(UploadBusyError):
        parts.lock("one")
    parts.lock("two").close()
    first.close()
    parts.lock("one").close()


def test_a_refused_lock_leaves_no_descriptor_open(parts: Parts) -> None:
    first = parts.lock("one")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        with pytest.raises(UploadBusyError):
            parts.lock("one")
    assert len(os.listdir("/proc/self/fd")) == before
    first.close()


def test_a_file_that_was_moved_away_while_it_was_locked_is_not_written_again(parts: Parts, tmp_path: Path) -> None:
    first = parts.lock("one")
    first.append(b"blob")
    first.path.rename(tmp_path / "blob")
    second = parts.lock("one")
    second.append(b"new")
    assert second.length == 3
    assert (tmp_path / "blob").read_bytes() == b"blob"
    first.close()
    second.close()


def test_the_digest_is_of_everything_that_was_accepted(parts: Parts) -> None:
    part = parts.lock("one")
    part.append(b"a" * 3_000_000)
    assert part.sha256() == hashlib.sha256(b"a" * 3_000_000).hexdigest()
    part.append(b"wrong")
    part.truncate(3_000_000)
    part.append(b"right")
    part.close()
    expected = hashlib.sha256(b"a" * 3_000_000 + b"right").hexdigest()
    assert parts.lock("one").sha256() == expected


def test_the_digest_of_what_another_process_appended_is_read_from_the_file(parts: Parts) -> None:
    first, other = parts, Parts(parts.folder)
    for writer, data in ((first, b"a" * 10), (other, b"b" * 10), (first, b"c" * 10)):
        part = writer.lock("one")
        part.append(data)
        part.sync()
        part.close()
    expected = hashlib.sha256(b"a" * 10 + b"b" * 10 + b"c" * 10).hexdigest()
    assert first.lock("one").sha256() == expected


def test_a_piece_that_is_dropped_leaves_the_digest_of_what_came_before(parts: Parts) -> None:
    part = parts.lock("one")
    part.append(b"kept")
    part.sync()
    part.append(b"dropped")
    part.truncate(4)
    part.close()
    part = parts.lock("one")
    part.append(b"dropped, too")
    part.truncate(4)
    part.append(b"!")
    assert part.sha256() == hashlib.sha256(b"kept!").hexdigest()
    part.truncate(2)
    assert part.sha256() == hashlib.sha256(b"ke").hexdigest()
    part.close()


def test_whatever_may_not_be_durable_is_synced_and_nothing_twice(parts: Parts, monkeypatch) -> None:
    synced: list[bool] = []
    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda fd: (synced.append(os.path.isdir(f"/proc/self/fd/{fd}")), fsync(fd)))

    def folders_synced() -> list[bool]:
        found, synced[:] = list(synced), []
        return found

    part = parts.lock("one")
    part.append(b"abc")
    part.sync()
    assert folders_synced() == [False, True]  # the bytes, then the name
    part.sync()
    assert folders_synced() == []
    part.append(b"def")
    part.truncate(3)
    part.sync()
    assert folders_synced() == [False]
    part.close()
    part = parts.lock("one")
    part.sync()
    assert folders_synced() == []
    part.close()
    part = Parts(parts.folder).lock("one")  # of a process that does not know what the one before it had synced
    part.sync()
    assert folders_synced() == [False, True]
    part.close()


def test_a_discarded_part_starts_anew(parts: Parts) -> None:
    part = parts.lock("one")
    part.append(b"abc")
    part.sha256()
    part.discard()
    part.close()
    again = parts.lock("one")
    again.append(b"xyz")
    assert again.sha256() == hashlib.sha256(b"xyz").hexdigest()
    again.close()


def test_a_blob_is_never_written_by_who_waited_for_its_part(parts: Parts, tmp_path: Path) -> None:
    """The moment between opening a part and locking it, met by trying often."""
    done = threading.Event()

    def intrude() -> None:
        while not done.is_set():
            with contextlib.suppress(UploadBusyError):
                part = parts.lock("one")
                part.append(b"!")
                part.truncate(0)
                part.close()

    intruders = [threading.Thread(target=intrude) for _ in range(3)]
    for intruder in intruders:
        intruder.start()
    blobs = []
    while len(blobs) < 400:
        with contextlib.suppress(UploadBusyError):
            part = parts.lock("one")
            part.append(b"blob")
            blobs.append(part.path.rename(tmp_path / f"blob{len(blobs)}"))
            part.close()
    done.set()
    for intruder in intruders:
        intruder.join()
    assert {blob.read_bytes() for blob in blobs} == {b"blob"}
