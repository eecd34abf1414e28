"""Slides of several files, as a client on the network sees them, and what a crash at each moment leaves."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest
from fixtures.jobs import table_of_jobs
from fixtures.sets import FILES, commit, manifest, request, send, sha256
from fixtures.tus import Tus
from fixtures.upload_server import make_uploads, serving
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError, OperationalError

from ingest.arrival import settled
from ingest.errors import FilesMissingError, StoreFailedError
from ingest.manifest import SetFile, encode, manifest_of
from ingest.protocol import UploadRequest
from ingest.receive import Limits
from sharing import scanners
from sharing.clock import FrozenClock
from sharing.db.tables import AuditEventRow, JobRow, SlideFileRow, SlideRow, UploadRow

MANIFEST = manifest()
DIGESTS = {sha256(data): data for data in FILES.values()}


def stored(database, what) -> list:
    with database.reading() as session:
        return list(session.scalars(select(what)))


def blobs(var: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (var / "blobs").rglob("*") if path.is_file()}


def test_files_become_one_slide_when_all_of_them_have_come(caen, database, var, centres) -> None:
    first = commit(caen, MANIFEST)
    assert (first.status_code, first.headers["IAIN-Problem"]) == (409, "files-missing")
    assert first.json()["missing"] == sorted(FILES)
    for number, (name, data) in enumerate(FILES.items(), 1):
        sent = send(caen, name, data)
        assert (sent.status_code, sent.headers["Upload-Offset"]) == (204, str(len(data)))
        assert "IAIN-Slide" not in sent.headers
        if number < len(FILES):
            assert commit(caen, MANIFEST).json()["missing"] == sorted(list(FILES)[number:])
            assert stored(database, SlideRow) == stored(database, JobRow) == []
            assert blobs(var) == {}
    done = commit(caen, MANIFEST, "26H01234")
    assert done.status_code == 201

    [slide] = stored(database, SlideRow)
    assert slide.id == done.headers["IAIN-Slide"]
    assert (slide.state, slide.sha256, slide.file_name) == ("received", MANIFEST.sha256, "lame.mrxs")
    assert (slide.accession, slide.stain, slide.block) == ("26H01234", "HES", "A1")
    assert slide.length == sum(map(len, FILES.values()))
    rows = sorted(stored(database, SlideFileRow), key=lambda row: row.number)
    assert [(row.name, row.sha256, row.length) for row in rows] == [
        (name, sha256(FILES[name]), len(FILES[name])) for name in sorted(FILES)
    ]
    [job] = stored(database, JobRow)
    assert (job.kind, json.loads(job.payload)) == ("register", {"slide": slide.id})
    [event] = [row for row in stored(database, AuditEventRow) if row.act == "slide.received"]
    assert (event.outcome, event.slide_id, json.loads(event.detail)["files"]) == ("success", slide.id, "3")
    assert blobs(var) == DIGESTS
    assert not [path for path in (var / "aside").rglob("*") if path.is_file()]
    assert list((var / "uploads").iterdir()) == []

    again = commit(caen, MANIFEST)
    assert (again.status_code, again.headers["IAIN-Slide"]) == (200, slide.id)
    known = caen.call("GET", f"/api/uploads/known/{MANIFEST.sha256}")
    assert known.json()["slide"] == slide.id
    assert len(stored(database, JobRow)) == 1


def test_bytes_that_the_site_has_are_not_asked_for_again(caen, database, centres) -> None:
    for name, data in FILES.items():
        send(caen, name, data)
    commit(caen, MANIFEST)
    larger = FILES | {"lame/Data0001.dat": b"more", "lame/copy.dat": b"more"}
    assert commit(caen, manifest(larger)).json()["missing"] == ["lame/Data0001.dat", "lame/copy.dat"]
    send(caen, "lame/Data0001.dat", b"more")
    assert commit(caen, manifest(larger)).status_code == 201
    rouen = caen.of(centres.rouen.scanner_key)
    assert commit(rouen, MANIFEST).json()["missing"] == sorted(FILES)
    assert rouen.call("GET", f"/api/uploads/known/{MANIFEST.sha256}").status_code == 404


def test_a_file_without_bytes_need_not_be_sent(caen, database, var) -> None:
    files = {"a.mrxs": b"", "a/Slidedat.ini": b"[GENERAL]"}
    assert commit(caen, manifest(files)).json()["missing"] == ["a/Slidedat.ini"]
    send(caen, "a/Slidedat.ini", b"[GENERAL]")
    assert commit(caen, manifest(files)).status_code == 201
    assert sorted(blobs(var).values()) == [b"", b"[GENERAL]"]


def test_the_same_bytes_may_travel_alone_and_in_a_set(caen, database, var) -> None:
    name, data = next(iter(FILES.items()))
    in_set = caen.create(request(name, data))
    alone = caen.create(UploadRequest("lame.dat", len(data), sha256(data)))
    assert in_set != alone
    assert "IAIN-Slide" not in caen.patch(in_set, 0, data).headers
    assert "IAIN-Slide" in caen.patch(alone, 0, data).headers
    assert caen.head(in_set).headers["Upload-Offset"] == str(len(data))
    assert len(stored(database, SlideRow)) == 1


def test_a_manifest_that_makes_no_sense_is_refused_in_words(caen, database) -> None:
    good = encode(MANIFEST)
    path, kind = f"/api/uploads/sets/{MANIFEST.sha256}", {"Content-Type": "application/json"}
    for name, body, headers, status in [
        (path, good + b" ", kind, 400),
        (f"/api/uploads/sets/{'0' * 64}", good, kind, 400),
        ("/api/uploads/sets/x", good, kind, 400),
        (f"/api/uploads/sets/{sha256(b'{}')}", b"{}", kind, 400),
        (path, good, {"Content-Type": "text/plain"}, 415),
        (path, good, kind | {"Upload-Metadata": "stain " + "QUFB" * 30}, 400),
        (path, b" " * 1_048_577, kind, 413),
    ]:
        answer = caen.call("PUT", name, headers, body)
        assert answer.status_code == status, (name, body[:9])
        assert len(answer.json()["detail"]) > 15
    assert caen.of("iain_x").call("PUT", path, kind, good).status_code == 401
    assert stored(database, SlideRow) == []


def test_a_length_that_is_not_the_files_is_found_out(caen, database, var) -> None:
    for name, data in FILES.items():
        send(caen, name, data)
    lying = manifest_of(SetFile(file.name, file.length + 1, file.sha256) for file in MANIFEST.files)
    answer = commit(caen, lying)
    assert (answer.status_code, answer.json()["code"]) == (400, "bad-request")
    assert stored(database, SlideRow) == []
    assert blobs(var) == {}


def test_a_set_that_is_too_large_or_finds_no_room_is_told_before_it_is_sent(database, centres, var, http) -> None:
    with serving(make_uploads(database, var, Limits(max_upload_bytes=1000, spare_disk_bytes=0))) as url:
        assert commit(Tus(url, centres.caen.scanner_key, http), MANIFEST).status_code == 413
    with serving(make_uploads(database, var, Limits(spare_disk_bytes=10**17))) as url:
        assert commit(Tus(url, centres.caen.scanner_key, http), MANIFEST).status_code == 507


def test_two_scanners_of_a_site_committing_the_same_files_make_one_slide(caen, database, centres) -> None:
    with database.writing() as session:
        _, key = scanners.add_scanner(session, centres.caen.id, "Scanner Caen 2")
    clients = [caen, caen.of(key)]
    for client in clients:
        for name, data in FILES.items():
            send(client, name, data)
    found: list[str] = []

    def finish(client: Tus) -> None:
        found.append(commit(client, MANIFEST).headers["IAIN-Slide"])

    threads = [threading.Thread(target=finish, args=[client]) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 2
    assert len(set(found)) == 1
    assert len(stored(database, SlideRow)) == len(stored(database, JobRow)) == 1


def test_files_of_a_set_that_is_never_committed_go_after_a_while(uploads, caen, var, database, clock) -> None:
    for name, data in list(FILES.items())[:2]:
        send(caen, name, data)
    kept = [path for path in (var / "aside").rglob("*") if path.is_file()]
    assert len(kept) == 2
    for path in kept:
        os.utime(path, (clock.now_us() / 1e6,) * 2)
    clock.advance(hours=24 * 6)
    uploads.sweep()
    assert all(path.exists() for path in kept)
    assert len(stored(database, UploadRow)) == 2
    clock.advance(hours=25)
    uploads.sweep()
    assert not any(path.exists() for path in kept)
    assert stored(database, UploadRow) == []
    assert commit(caen, MANIFEST).json()["missing"] == sorted(FILES)
    for name, data in FILES.items():
        send(caen, name, data)
    assert commit(caen, MANIFEST).status_code == 201


def test_who_still_asks_for_a_set_keeps_its_files(uploads, caen, var, clock: FrozenClock) -> None:
    name, data = next(iter(FILES.items()))
    send(caen, name, data)
    [path] = [path for path in (var / "aside").rglob("*") if path.is_file()]
    os.utime(path, (1, 1))
    commit(caen, MANIFEST)
    assert path.stat().st_mtime > 1_000_000_000


def test_who_sends_bytes_that_lie_aside_already_has_the_full_time(uploads, caen, centres, var, database) -> None:
    with database.writing() as session:
        _, key = scanners.add_scanner(session, centres.caen.id, "Scanner Caen 2")
    name, data = next(iter(FILES.items()))
    location = caen.of(key).create(request(name, data))
    caen.of(key).patch(location, 0, data[:100])
    send(caen, name, data)
    [path] = [path for path in (var / "aside").rglob("*") if path.is_file()]
    os.utime(path, (1, 1))
    assert caen.of(key).patch(location, 100, data[100:]).status_code == 204
    assert path.stat().st_mtime > 1_000_000_000


def test_room_is_asked_for_what_is_still_to_come(caen, uploads, centres, var, database, http, monkeypatch) -> None:
    """The file of which most has arrived needs no second place on the disk."""
    name, data = next(iter(FILES.items()))
    location = caen.create(request(name, data))
    caen.patch(location, 0, data[:299_000])
    few = manifest({name: data, "lame/copy.dat": data, "lame.mrxs": b"x"})
    usage = shutil.disk_usage(var)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1001))
    assert commit(caen, few).json()["missing"] == ["lame.mrxs", "lame/Data0000.dat", "lame/copy.dat"]
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))
    assert commit(caen, few).status_code == 507
    monkeypatch.undo()


@pytest.fixture
def arrived(caen) -> None:
    for name, data in FILES.items():
        send(caen, name, data)


def glass() -> UploadRequest:
    return UploadRequest("lame.mrxs", MANIFEST.length, MANIFEST.sha256)


def test_a_crash_after_some_files_were_taken_is_mended_by_committing_again(uploads, arrived, centres, database, var):
    agent, home = centres.caen.agent, uploads._home
    for taken in list(DIGESTS)[:2]:
        home.store.adopt(home.aside.path(agent.site_id, taken), agent.site_id, taken)
    assert stored(database, SlideRow) == []
    assert uploads.commit(agent, MANIFEST, glass()).new
    assert not uploads.commit(agent, MANIFEST, glass()).new
    assert blobs(var) == DIGESTS


def test_what_another_commitment_moved_is_durable_before_the_slide_is_told(
    uploads, arrived, centres, var, monkeypatch
) -> None:
    """It may have moved the files, and died before it came to the folders."""
    for path in [path for path in (var / "aside").rglob("*") if path.is_file()]:
        place = var / "blobs" / path.relative_to(var / "aside")
        place.parent.mkdir(parents=True)
        path.rename(place)
    synced: list[str] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    assert uploads.commit(centres.caen.agent, MANIFEST, glass()).new
    assert {str(var / "blobs" / "caen" / digest[:2]) for digest in DIGESTS} <= set(synced)


def test_a_database_that_fails_at_the_end_delays_the_slide_and_loses_nothing(uploads, arrived, centres, database, var):
    def rename(old: str, new: str) -> None:
        with database.writing() as session:
            session.execute(text(f"ALTER TABLE {old} RENAME TO {new}"))

    rename(table_of_jobs(database), "away")
    with pytest.raises(StoreFailedError):
        uploads.commit(centres.caen.agent, MANIFEST, glass())
    rename("away", table_of_jobs(database))
    assert stored(database, SlideRow) == stored(database, SlideFileRow) == []
    assert uploads.commit(centres.caen.agent, MANIFEST, glass()).new
    assert blobs(var) == DIGESTS


def test_a_database_that_fails_at_the_second_try_is_told_as_one_that_fails() -> None:
    """After another scanner was quicker with the same bytes."""
    failures = [IntegrityError("insert", {}, Exception("there")), OperationalError("begin", {}, Exception("full"))]

    def write() -> None:
        raise failures.pop(0)

    with pytest.raises(StoreFailedError):
        settled(write)


def test_a_file_that_goes_while_it_is_taken_is_named_as_missing(uploads, arrived, centres, database) -> None:
    home, agent = uploads._home, centres.caen.agent
    home.aside.path(agent.site_id, next(iter(DIGESTS))).unlink()
    with pytest.raises(FilesMissingError) as caught:
        uploads.commit(agent, MANIFEST, glass())
    assert caught.value.names == ("lame/Data0000.dat",)
    assert stored(database, SlideRow) == []


def test_a_crash_after_a_file_was_put_aside_is_mended_by_asking_for_the_offset(uploads, centres, var, database) -> None:
    name, data = next(iter(FILES.items()))
    upload_id = uploads.create(centres.caen.agent, request(name, data)).id
    part = var / "uploads" / upload_id
    part.parent.mkdir(parents=True, exist_ok=True)
    part.write_bytes(data)
    uploads._home.aside.adopt(part, centres.caen.id, sha256(data))
    with uploads.open(centres.caen.agent, upload_id) as arrival:
        assert arrival.held().offset == len(data)
    [row] = stored(database, UploadRow)
    assert row.completed_us is not None
    assert list((var / "uploads").iterdir()) == []
    assert stored(database, SlideRow) == []


def test_kill_9_between_any_two_steps_loses_nothing_and_shows_nothing_half_done(sqlite_template, tmp_path) -> None:
    """A set is sent and committed by a process that dies at its n-th statement, rename or removal; for every n."""
    script = Path(__file__).parents[2] / "fixtures" / "dying_commitment.py"
    # A process that dies loses nothing that the kernel has: memory is as good a disk for this, and faster.
    place = "/dev/shm" if os.access("/dev/shm", os.W_OK) else tmp_path
    with tempfile.TemporaryDirectory(dir=place) as folder:
        done = subprocess.run(
            [sys.executable, "-P", script, sqlite_template, folder], capture_output=True, text=True, timeout=120
        )
    assert done.returncode == 0, done.stderr
    deaths, slides = map(int, done.stdout.split())
    assert deaths >= 30
    assert slides == deaths + 1
