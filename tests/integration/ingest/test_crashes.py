"""What a crash at each moment leaves, and how the next request mends it."""

import hashlib
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from fixtures.centres import Centres
from fixtures.jobs import table_of_jobs
from fixtures.ports import free_port
from fixtures.tus import Tus
from fixtures.upload_server import answers, program
from fixtures.waiting import wait_until
from sqlalchemy import select, text

from ingest.errors import FileDamagedError, StoreFailedError
from ingest.protocol import UploadRequest
from ingest.receive import Uploads
from sharing.db.engine import Database
from sharing.db.tables import JobRow, SlideRow
from sharing.vocabulary import UploadId

DATA = os.urandom(3_000_000)
REQUEST = UploadRequest("lame.svs", len(DATA), hashlib.sha256(DATA).hexdigest())


@pytest.fixture
def announced(uploads: Uploads, centres: Centres) -> UploadId:
    return uploads.create(centres.caen.agent, REQUEST).id


def push(uploads: Uploads, centres: Centres, upload_id: UploadId, offset: int, data: bytes):
    with uploads.open(centres.caen.agent, upload_id) as arrival:
        arrival.expect(offset, len(data), None)
        arrival.write(data)
        return arrival.finish()


def held(uploads: Uploads, centres: Centres, upload_id: UploadId):
    with uploads.open(centres.caen.agent, upload_id) as arrival:
        return arrival.held()


def counts(database: Database) -> tuple[int, int]:
    with database.reading() as session:
        return len(session.scalars(select(SlideRow)).all()), len(session.scalars(select(JobRow)).all())


def test_the_running_digest_is_rebuilt_by_a_new_process(database, uploads, centres, var, announced) -> None:
    push(uploads, centres, announced, 0, DATA[:1_000_000])
    again = Uploads(database, uploads._home.store, uploads._home.queue, var, uploads.limits)
    assert push(again, centres, announced, 1_000_000, DATA[1_000_000:]).slide


def test_bytes_that_another_process_appended_are_in_the_digest(database, uploads, centres, var, announced) -> None:
    other = Uploads(database, uploads._home.store, uploads._home.queue, var, uploads.limits)
    for number, offset in enumerate(range(0, len(DATA), 500_000)):
        last = push((uploads, other)[number % 2], centres, announced, offset, DATA[offset : offset + 500_000])
    assert last.slide


def test_a_crash_after_the_last_byte_is_mended_by_asking_for_the_offset(uploads, centres, var, database, announced):
    (var / "uploads" / announced).write_bytes(DATA)
    assert held(uploads, centres, announced).slide
    assert counts(database) == (1, 1)


def test_a_crash_after_the_blob_was_adopted_is_mended_by_asking_for_the_offset(uploads, centres, database, announced):
    agent = centres.caen.agent
    with uploads.open(agent, announced) as arrival:
        arrival.write(DATA)
        arrival._part.sync()
        uploads._home.store.adopt(arrival._part.path, agent.site_id, REQUEST.sha256)
        arrival._release()
    assert counts(database) == (0, 0)
    assert held(uploads, centres, announced).slide
    assert counts(database) == (1, 1)
    assert held(uploads, centres, announced).slide
    assert counts(database) == (1, 1)


def test_a_crash_after_the_blob_was_adopted_is_mended_by_an_empty_piece(uploads, centres, database, announced, var):
    source = var / "whole"
    source.parent.mkdir(exist_ok=True)
    source.write_bytes(DATA)
    uploads._home.store.adopt(source, centres.caen.id, REQUEST.sha256)
    with uploads.open(centres.caen.agent, announced) as arrival:
        arrival.expect(len(DATA), 0, None)
        assert arrival.finish().slide
    assert counts(database) == (1, 1)


def test_a_database_that_fails_at_the_end_delays_the_slide_and_loses_nothing(uploads, centres, database, announced):
    def rename(old: str, new: str) -> None:
        with database.writing() as session:
            session.execute(text(f"ALTER TABLE {old} RENAME TO {new}"))

    rename(table_of_jobs(database), "away")
    with pytest.raises(StoreFailedError):
        push(uploads, centres, announced, 0, DATA)
    assert uploads._home.store.holds(centres.caen.id, REQUEST.sha256)
    rename("away", table_of_jobs(database))
    assert counts(database) == (0, 0)
    assert held(uploads, centres, announced).slide
    assert counts(database) == (1, 1)


def test_a_file_that_was_damaged_before_a_crash_is_found_out_when_asked_for(uploads, centres, var, announced) -> None:
    (var / "uploads" / announced).write_bytes(b"?" + DATA[1:])
    with pytest.raises(FileDamagedError):
        held(uploads, centres, announced)
    assert list((var / "uploads").iterdir()) == []


@contextmanager
def process(url: str, var: Path, port: int) -> Iterator[subprocess.Popen]:
    server = subprocess.Popen(program(url, var, port))
    try:
        wait_until(lambda: answers(port) or server.poll() is not None, "the server process")
        yield server
    finally:
        server.kill()
        server.wait()


def test_kill_9_in_the_middle_of_pieces_loses_no_acknowledged_byte(database, database_url, centres, var) -> None:
    port, acknowledged = free_port(), 0
    url = f"http://127.0.0.1:{port}"
    location = ""
    for kill_after in (1, 300_000, 1_100_000, 2_000_000):
        with process(database_url, var, port) as server, httpx.Client(timeout=60) as http:
            caen = Tus(url, centres.caen.scanner_key, http)
            location = caen.create(REQUEST)
            offset = int(caen.head(location).headers["Upload-Offset"])
            assert offset >= acknowledged

            def body(start: int = offset, until: int = kill_after, server: subprocess.Popen = server):
                yield DATA[start : start + until]
                server.kill()
                yield DATA[start + until :]

            with pytest.raises(httpx.TransportError):
                caen.patch(location, offset, body())
            server.wait()
        with process(database_url, var, port), httpx.Client(timeout=60) as http:
            caen = Tus(url, centres.caen.scanner_key, http)
            offset = int(caen.head(location).headers["Upload-Offset"])
            piece = caen.patch(location, offset, DATA[offset : offset + 1000])
            acknowledged = int(piece.headers["Upload-Offset"])
            assert acknowledged == min(offset + 1000, len(DATA))
    with process(database_url, var, port), httpx.Client(timeout=60) as http:
        caen = Tus(url, centres.caen.scanner_key, http)
        offset = int(caen.head(location).headers["Upload-Offset"])
        assert "IAIN-Slide" in caen.patch(location, offset, DATA[offset:]).headers
    assert [path.read_bytes() for path in (var / "blobs").rglob(REQUEST.sha256)] == [DATA]
    assert counts(database) == (1, 1)
