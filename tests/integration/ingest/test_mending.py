"""Who has the bytes of a damaged file sends them again, and the slide is whole. On SQLite and on PostgreSQL."""

from dataclasses import replace
from pathlib import Path

import pytest
from fixtures import sets
from fixtures.centres import Centres
from fixtures.upload_server import make_uploads
from sqlalchemy import select

from ingest.errors import FileDamagedError, FilesMissingError, UnknownSlideError
from ingest.protocol import UploadRequest
from ingest.receive import Uploads
from sharing import custody
from sharing.db.engine import Database
from sharing.db.tables import AuditEventRow, SlideRow
from sharing.subjects import System
from slideserver.operations import verification

DATA = b"the only slide" * 999
ONE = UploadRequest("lame.svs", len(DATA), sets.sha256(DATA), "26H01234")
FILES = {"a/Data0000.dat": b"0" * 3000, "a/Slidedat.ini": b"[GENERAL]\n", "a.mrxs": b""}


@pytest.fixture
def uploads(database: Database, var: Path) -> Uploads:
    return make_uploads(database, var)


def send(uploads: Uploads, centres: Centres, request: UploadRequest, data: bytes) -> int:
    """The number of bytes that were wanted."""
    agent = centres.caen.agent
    with uploads.open(agent, uploads.create(agent, request).id) as arrival:
        held = arrival.held().offset
        if held < len(data):
            arrival.write(data[held:])
            arrival.finish()
    return len(data) - held


def send_set(uploads: Uploads, centres: Centres) -> list[str]:
    """The names of the files that were wanted."""
    manifest, wanted = sets.manifest(FILES), []
    glass = UploadRequest("a.mrxs", manifest.length, manifest.sha256)
    for _ in range(3):
        try:
            uploads.commit(centres.caen.agent, manifest, glass)
            return wanted
        except FilesMissingError as error:
            for name in error.names:
                send(uploads, centres, sets.request(name, FILES[name]), FILES[name])
                wanted.append(name)
    raise AssertionError("the slide does not become whole")


def spoil(var: Path, data: bytes, how: str) -> None:
    digest = sets.sha256(data)
    path = var / "blobs" / "caen" / digest[:2] / digest
    path.chmod(0o640)
    path.unlink() if how == "missing" else path.write_bytes(b"?" * (len(data) - (how == "cut")))


def damages(database: Database, var: Path) -> list[str]:
    return [flaw.damage for flaw in verification.verify(database, var, settled_s=0).flaws]


def acts(database: Database) -> list[tuple[str, str]]:
    """What became of files, and who did it."""
    event = AuditEventRow
    told = select(event.act, event.agent_kind).where(event.act.like("blob.%")).order_by(event.position)
    with database.reading() as session:
        return [(row.act, row.agent_kind) for row in session.execute(told)]


def test_what_is_there_is_taken_for_what_is_announced_at_its_length_alone(uploads: Uploads, centres: Centres) -> None:
    """Or a slide would be said to have another length than its file, and its sound file be called cut."""
    agent = centres.caen.agent
    send(uploads, centres, ONE, DATA)
    with uploads.open(agent, uploads.create(agent, replace(ONE, length=3)).id) as arrival:
        assert (arrival.held().offset, arrival.held().slide) == (0, None)
        arrival.write(DATA[:3])
        with pytest.raises(FileDamagedError):
            arrival.finish()


def test_a_cut_file_is_mended_by_sending_it_before_anybody_has_looked(uploads, centres: Centres, database, var) -> None:
    send(uploads, centres, ONE, DATA)
    spoil(var, DATA, "cut")
    assert send(uploads, centres, ONE, DATA) == len(DATA)
    assert damages(database, var) == []


@pytest.mark.parametrize("how", ["altered", "cut", "missing"])
def test_a_slide_is_mended_by_its_scanner(how: str, uploads: Uploads, database, centres: Centres, var: Path) -> None:
    assert send(uploads, centres, ONE, DATA) == len(DATA)
    spoil(var, DATA, how)
    if how != "missing":
        assert uploads.known(centres.caen.agent, ONE.sha256), "nobody has looked yet"
    assert damages(database, var) == [how]
    with pytest.raises(UnknownSlideError):
        uploads.known(centres.caen.agent, ONE.sha256)
    assert send(uploads, centres, ONE, DATA) == len(DATA)
    assert uploads.known(centres.caen.agent, ONE.sha256)
    assert acts(database) == [("blob.damaged", "system"), ("blob.sound", "agent")]
    assert damages(database, var) == []
    with database.reading() as session:
        assert len(session.scalars(select(SlideRow)).all()) == 1
        assert custody.damaged(session, System()) == []
    assert send(uploads, centres, ONE, DATA) == 0, "what is sound is not wanted again"


@pytest.mark.parametrize("how", ["altered", "missing"])
def test_one_file_of_several_is_mended(how: str, uploads: Uploads, database, centres: Centres, var: Path) -> None:
    assert send_set(uploads, centres) == ["a/Data0000.dat", "a/Slidedat.ini"]
    assert send_set(uploads, centres) == []
    spoil(var, FILES["a/Data0000.dat"], how)
    assert damages(database, var) == [how]
    with pytest.raises(UnknownSlideError):
        uploads.known(centres.caen.agent, sets.manifest(FILES).sha256)
    assert send_set(uploads, centres) == ["a/Data0000.dat"]
    assert acts(database) == [("blob.damaged", "system"), ("blob.sound", "agent")]
    assert damages(database, var) == []
    assert uploads.known(centres.caen.agent, sets.manifest(FILES).sha256)


def test_the_file_without_bytes_is_mended_without_sending(uploads, database, centres: Centres, var: Path) -> None:
    send_set(uploads, centres)
    spoil(var, b"", "missing")
    assert damages(database, var) == ["missing"]
    assert send_set(uploads, centres) == []
    assert damages(database, var) == []
