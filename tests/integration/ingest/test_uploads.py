"""The tus protocol as a client on the network sees it, and what it leaves in the database and on the disk."""

import base64
import errno
import hashlib
import json
import os
import socket
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from fixtures.centres import Centres
from fixtures.tus import Tus
from fixtures.upload_server import make_uploads, serving
from fixtures.waiting import wait_until
from sqlalchemy import func, select

from ingest.protocol import UploadRequest, checksum_header
from ingest.receive import Limits
from sharing import scanners
from sharing.clock import FrozenClock
from sharing.db.engine import Database
from sharing.db.tables import AuditEventRow, JobRow, SlideFileRow, SlideRow, UploadRow

DATA = os.urandom(300_000)
SHA256 = hashlib.sha256(DATA).hexdigest()
LONG = os.urandom(5_000_000)
LONG_REQUEST = UploadRequest("longue.svs", len(LONG), hashlib.sha256(LONG).hexdigest())
REQUEST = UploadRequest("lame 1.svs", len(DATA), SHA256, "26H01234", "HES", "A1")


def stored(database: Database, what) -> list:
    with database.reading() as session:
        return list(session.scalars(select(what)))


def bytes_on_disk(var: Path) -> int:
    return sum(path.stat().st_size for path in var.rglob("*") if path.is_file())


def raw_patch(caen, location: str, offset: int, declared: int, sent: bytes, key: str | None = None) -> socket.socket:
    """A PATCH that promises `declared` bytes and sends `sent`; the connection stays open."""
    host, port = caen.url.removeprefix("http://").split(":")
    connection = socket.create_connection((host, int(port)), timeout=60)
    head = (
        f"PATCH {location} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {key or caen.key}\r\n"
        f"Tus-Resumable: 1.0.0\r\nContent-Type: application/offset+octet-stream\r\n"
        f"Upload-Offset: {offset}\r\nContent-Length: {declared}\r\n\r\n"
    )
    connection.sendall(head.encode() + sent)
    return connection


def test_options_tell_the_version_and_extensions_to_anybody(server: str) -> None:
    response = httpx.options(f"{server}/api/uploads")
    assert response.status_code == 204
    assert response.headers["Tus-Version"] == "1.0.0"
    assert response.headers["Tus-Extension"] == "creation,checksum,expiration,termination"
    assert response.headers["Tus-Checksum-Algorithm"] == "sha256,sha1"


def test_a_file_in_two_pieces_becomes_one_slide_with_job_and_audit_event(caen, database, var, centres) -> None:
    location = caen.create(REQUEST)
    assert location.startswith("/api/uploads/")
    first = caen.patch(location, 0, DATA[:100_000])
    assert (first.status_code, first.headers["Upload-Offset"]) == (204, "100000")
    assert "IAIN-Slide" not in first.headers
    head = caen.head(location)
    assert (head.status_code, head.headers["Upload-Offset"]) == (200, "100000")
    assert head.headers["Upload-Length"] == "300000"
    assert head.headers["Cache-Control"] == "no-store"
    last = caen.patch(location, 100_000, DATA[100_000:])
    assert (last.status_code, last.headers["Upload-Offset"]) == (204, "300000")

    [slide] = stored(database, SlideRow)
    assert slide.id == last.headers["IAIN-Slide"]
    assert (slide.state, slide.sha256, slide.file_name) == ("received", SHA256, "lame 1.svs")
    assert (slide.accession, slide.stain, slide.block, slide.site_id) == ("26H01234", "HES", "A1", "caen")
    [file] = stored(database, SlideFileRow)
    assert (file.slide_id, file.sha256, file.length) == (slide.id, SHA256, len(DATA))
    [job] = stored(database, JobRow)
    assert (job.kind, job.state, json.loads(job.payload)) == ("register", "queued", {"slide": slide.id})
    events = [row for row in stored(database, AuditEventRow) if row.act == "slide.received"]
    assert [(row.outcome, row.agent_id, row.slide_id) for row in events] == [
        ("success", centres.caen.agent.scanner_id, slide.id)
    ]
    assert [path.read_bytes() for path in (var / "blobs").rglob(SHA256)] == [DATA]
    assert list((var / "uploads").iterdir()) == []


@pytest.mark.parametrize("key", ["-", "iain_x", "iain_" + "a" * 26 + "_" + "b" * 43])
def test_a_wrong_key_leaves_no_byte_on_the_disk(caen, var, database, key: str) -> None:
    location = caen.create(REQUEST)
    headers = {
        "Content-Type": "application/offset+octet-stream",
        "Upload-Offset": "0",
        "Upload-Length": str(len(DATA)),
        "Upload-Metadata": REQUEST.metadata(),
    }
    for method in ("POST", "HEAD", "PATCH", "DELETE"):
        target = "/api/uploads" if method == "POST" else location
        body = iter([DATA]) if method == "PATCH" else None
        response = caen.of(key).call(method, target, headers, body)
        assert (response.status_code, response.headers["IAIN-Problem"]) == (401, "key-refused")
        assert bytes_on_disk(var) == 0
    assert len(stored(database, UploadRow)) == 1


def test_a_stranger_is_answered_before_the_body_is_sent(caen, var) -> None:
    location = caen.create(REQUEST)
    with raw_patch(caen, location, 0, len(DATA), DATA[:10_000], key="iain_wrong") as connection:
        answer = connection.recv(4096)  # 290 000 promised bytes are still unsent
    assert answer.startswith(b"HTTP/1.1 401 ")
    assert bytes_on_disk(var) == 0


def test_the_uploads_of_another_scanner_do_not_exist(caen, centres: Centres, database) -> None:
    location = caen.create(REQUEST)
    rouen = caen.of(centres.rouen.scanner_key)
    for response in (rouen.head(location), rouen.patch(location, 0, DATA), rouen.call("DELETE", location)):
        assert (response.status_code, response.headers["IAIN-Problem"]) == (404, "unknown-upload")
    missing = caen.head("/api/uploads/" + "a" * 26)
    assert (missing.status_code, missing.headers["IAIN-Problem"]) == (404, "unknown-upload")
    refused = [row for row in stored(database, AuditEventRow) if row.act == "access.refused"]
    assert len(refused) == 3
    assert {row.agent_id for row in refused} == {centres.rouen.agent.scanner_id}


def test_an_id_that_is_none_never_becomes_a_file_name(caen, var) -> None:
    for name in ("..%2f..%2fiain.db", "%2e%2e", "A" * 26, "a" * 25, "a" * 27):
        assert caen.head(f"/api/uploads/{name}").status_code == 404
        assert caen.patch(f"/api/uploads/{name}", 0, DATA).status_code == 404
    assert not (var / "uploads").exists()


def test_announcing_twice_is_one_upload(caen, centres: Centres, database) -> None:
    first = caen.create(REQUEST)
    caen.patch(first, 0, DATA[:1000])
    assert caen.create(REQUEST) == first
    assert caen.of(centres.rouen.scanner_key).create(REQUEST) != first
    assert len(stored(database, UploadRow)) == 2


def test_announcing_twice_at_once_is_one_upload(caen, database) -> None:
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(caen.create(REQUEST))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1
    assert len(stored(database, UploadRow)) == 1


def test_what_the_site_already_has_is_known_to_that_site_alone(caen, centres: Centres) -> None:
    path = f"/api/uploads/known/{SHA256}"
    assert caen.call("GET", path).status_code == 404
    location = caen.create(REQUEST)
    slide = caen.patch(location, 0, DATA).headers["IAIN-Slide"]
    assert caen.call("GET", path).json() == {
        "slide": slide, "state": "received", "matched": False, "accession": "26H01234",
        "refusal_code": None, "refusal_reason": None, "claimed": False,
    }  # fmt: skip
    assert caen.call("GET", f"/api/uploads/slides/{slide}").json()["state"] == "received"
    rouen = caen.of(centres.rouen.scanner_key)
    for foreign in (path, f"/api/uploads/slides/{slide}"):
        response = rouen.call("GET", foreign)
        assert (response.status_code, response.headers["IAIN-Problem"]) == (404, "unknown-slide")
    assert caen.call("GET", "/api/uploads/known/xyz").status_code == 404


def test_the_same_bytes_at_two_sites_are_two_slides(caen, centres: Centres, database) -> None:
    rouen = caen.of(centres.rouen.scanner_key)
    slides = {client.patch(client.create(REQUEST), 0, DATA).headers["IAIN-Slide"] for client in (caen, rouen)}
    assert len(slides) == 2


def test_a_piece_at_the_wrong_offset_changes_nothing(caen) -> None:
    location = caen.create(REQUEST)
    caen.patch(location, 0, DATA[:100_000])
    for offset in (0, 1, 99_999, 100_001, 300_000):
        response = caen.patch(location, offset, DATA[:10])
        assert (response.status_code, response.headers["IAIN-Problem"]) == (409, "wrong-offset")
        assert caen.head(location).headers["Upload-Offset"] == "100000"


def test_a_damaged_piece_is_dropped_and_may_be_sent_again(caen) -> None:
    location = caen.create(REQUEST)
    caen.patch(location, 0, DATA[:50_000])
    good = checksum_header(hashlib.sha256(DATA[50_000:]).digest())
    bad = caen.patch(location, 50_000, DATA[50_000:-1] + b"?", Upload_Checksum=good)
    assert (bad.status_code, bad.json()["code"]) == (460, "piece-damaged")
    assert caen.head(location).headers["Upload-Offset"] == "50000"
    assert "IAIN-Slide" in caen.patch(location, 50_000, DATA[50_000:], Upload_Checksum=good).headers


def test_a_file_with_another_digest_than_announced_leaves_nothing(caen, var, database) -> None:
    location = caen.create(REQUEST)
    response = caen.patch(location, 0, DATA[:-1] + b"?")
    assert (response.status_code, response.headers["Content-Type"]) == (460, "application/problem+json")
    assert response.json()["code"] == "file-damaged"
    assert "sent again" in response.json()["detail"]
    assert bytes_on_disk(var) == 0
    assert stored(database, UploadRow) == stored(database, SlideRow) == stored(database, JobRow) == []
    assert caen.head(location).status_code == 404
    [event] = [row for row in stored(database, AuditEventRow) if row.act == "slide.received"]
    assert event.outcome == "failed"
    assert "IAIN-Slide" in caen.patch(caen.create(REQUEST), 0, DATA).headers


def test_more_than_announced_is_refused_before_and_while_it_comes(caen, var) -> None:
    location = caen.create(REQUEST)
    declared = caen.patch(location, 0, DATA + b"x")
    chunked = caen.patch(location, 0, iter([DATA, b"x" * 2_000_000]))
    assert [r.status_code for r in (declared, chunked)] == [413, 413]
    assert caen.head(location).headers["Upload-Offset"] == "0"
    assert bytes_on_disk(var) == 0


def test_a_cut_connection_keeps_what_arrived(caen, var) -> None:
    location = caen.create(LONG_REQUEST)
    with raw_patch(caen, location, 0, len(LONG), LONG[:4_500_000]):
        # The last megabyte may still be in memory; it counts as arrived only once it is on the disk.
        wait_until(lambda: bytes_on_disk(var) >= 3_000_000, "the bytes to reach the disk")
    wait_until(lambda: caen.head(location).status_code == 200, "the server to notice the cut")
    offset = int(caen.head(location).headers["Upload-Offset"])
    assert 3_000_000 <= offset <= 4_500_000
    assert "IAIN-Slide" in caen.patch(location, offset, LONG[offset:]).headers


def test_one_writer_at_a_time(caen, var) -> None:
    location = caen.create(LONG_REQUEST)
    with raw_patch(caen, location, 0, len(LONG), LONG[:2_000_000]):
        wait_until(lambda: bytes_on_disk(var) >= 1_000_000, "the first writer to be at work")
        for response in (caen.patch(location, 0, LONG), caen.call("DELETE", location)):
            assert (response.status_code, response.headers["IAIN-Problem"]) == (423, "upload-busy")
    wait_until(lambda: caen.head(location).status_code == 200, "the upload to be free")
    assert int(caen.head(location).headers["Upload-Offset"]) >= 1_000_000


def test_who_asks_for_the_offset_has_given_up_what_is_under_way(caen, centres, var) -> None:
    """As after a network that died in silence: the first request is still believed in, and its sender is back."""
    location = caen.create(LONG_REQUEST)
    with raw_patch(caen, location, 0, len(LONG), LONG[:2_500_000]) as connection:
        wait_until(lambda: bytes_on_disk(var) >= 1_000_000, "the first writer to be at work")
        foreign = caen.of(centres.rouen.scanner_key).head(location)
        assert foreign.status_code == 404, "nobody else can make it give way"
        head = caen.head(location)
        assert head.status_code == 200
        assert connection.recv(4096).startswith(b"HTTP/1.1 408 ")
    offset = int(head.headers["Upload-Offset"])
    assert 1_000_000 <= offset <= 2_500_000
    assert "IAIN-Slide" in caen.patch(location, offset, LONG[offset:]).headers


def test_a_sender_that_falls_silent_gives_the_upload_back(database, centres, var, http) -> None:
    with serving(make_uploads(database, var), stall_s=0.2) as url:
        caen = Tus(url, centres.caen.scanner_key, http)
        location = caen.create(REQUEST)
        with raw_patch(caen, location, 0, len(DATA), DATA[:1000]) as connection:
            assert connection.recv(4096).startswith(b"HTTP/1.1 408 ")
            assert caen.head(location).headers["Upload-Offset"] == "1000"


def test_ending_an_upload_removes_it(caen, var, database) -> None:
    location = caen.create(REQUEST)
    caen.patch(location, 0, DATA[:1000])
    assert caen.call("DELETE", location).status_code == 204
    assert caen.head(location).status_code == 404
    assert bytes_on_disk(var) == 0
    assert stored(database, UploadRow) == []


def test_a_finished_upload_answers_and_takes_nothing_more(caen) -> None:
    location = caen.create(REQUEST)
    slide = caen.patch(location, 0, DATA).headers["IAIN-Slide"]
    head = caen.head(location)
    assert (head.headers["IAIN-Slide"], head.headers["Upload-Offset"]) == (slide, str(len(DATA)))
    again = caen.patch(location, len(DATA), b"")
    assert (again.status_code, again.headers["IAIN-Slide"]) == (204, slide)
    assert caen.patch(location, len(DATA), b"x").status_code == 413
    assert caen.patch(location, 0, DATA).status_code == 409
    assert caen.call("DELETE", location).status_code == 204
    assert caen.head(location).headers["IAIN-Slide"] == slide


METADATA = REQUEST.metadata()


SENSELESS_ANNOUNCEMENTS = [
    ({"Tus-Resumable": "0.2.2"}, 412),
    ({"Upload-Length": "-1"}, 400),
    ({"Upload-Length": "1e3"}, 400),
    ({"Upload-Length": "0"}, 400),
    ({"Upload-Length": "9" * 30}, 400),
    ({"Upload-Length": str(10**12)}, 413),
    ({"Upload-Metadata": "set"}, 400),
    ({"Upload-Metadata": "sha256 !!"}, 400),
    ({"Upload-Metadata": METADATA + "," + METADATA}, 400),
    ({"Upload-Metadata": METADATA + ",x " + base64.b64encode(b"y" * 4000).decode()}, 400),
    ({"Upload-Metadata": "sha256 " + base64.b64encode(b"A" * 64).decode()}, 400),
    ({"Upload-Metadata": f"{METADATA},label {base64.b64encode(bytes([255])).decode()}"}, 400),
]


def test_an_announcement_that_makes_no_sense_is_refused_in_words(caen, database) -> None:
    good = {"Upload-Length": str(len(DATA)), "Upload-Metadata": METADATA}
    for headers, status in SENSELESS_ANNOUNCEMENTS:
        response = caen.call("POST", "/api/uploads", good | headers)
        assert response.status_code == status, headers
        assert response.headers["Content-Type"] == "application/problem+json"
        assert len(response.json()["detail"]) > 15
    assert stored(database, UploadRow) == []


SENSELESS_PIECES = [
    ({"Content-Type": "text/plain"}, 415),
    ({"Upload-Offset": "x"}, 400),
    ({"Upload-Checksum": "md5 xxxx"}, 400),
    ({"Upload-Checksum": "sha256 xxxx"}, 400),
    ({"Upload-Checksum": "sha256 !"}, 400),
    ({"Tus-Resumable": ""}, 412),
]


def test_a_piece_that_makes_no_sense_is_refused_before_it_is_read(caen, var) -> None:
    location = caen.create(REQUEST)
    fixed = {"Content-Type": "application/offset+octet-stream", "Upload-Offset": "0"}
    for headers, status in SENSELESS_PIECES:
        assert caen.call("PATCH", location, fixed | headers, DATA).status_code == status, headers
    assert bytes_on_disk(var) == 0


def test_a_scanner_may_not_open_uploads_without_end(database, centres, var, http) -> None:
    with serving(make_uploads(database, var, Limits(max_open_uploads=2, spare_disk_bytes=0))) as url:
        caen = Tus(url, centres.caen.scanner_key, http)
        answers = [caen.announce(UploadRequest("a.svs", 10, hashlib.sha256(bytes([n])).hexdigest())) for n in range(3)]
        assert [answer.status_code for answer in answers] == [201, 201, 413]
        assert answers[-1].json()["code"] == "too-many-uploads"
        assert caen.call("DELETE", answers[0].headers["Location"]).status_code == 204
        assert caen.announce(UploadRequest("a.svs", 10, SHA256)).status_code == 201


def test_two_scanners_of_a_site_sending_the_same_bytes_make_one_slide(caen, database, centres) -> None:
    with database.writing() as session:
        _, key = scanners.add_scanner(session, centres.caen.id, "Scanner Caen 2")
    clients = [caen, caen.of(key)]
    locations = [client.create(REQUEST) for client in clients]
    found: list[str] = []

    def finish(number: int) -> None:
        answer = clients[number].patch(locations[number], 0, DATA)
        if answer.status_code == 409:  # the other was so much faster that nothing is missing any more
            answer = clients[number].head(locations[number])
        found.append(answer.headers["IAIN-Slide"])

    threads = [threading.Thread(target=finish, args=[number]) for number in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 2
    assert len(set(found)) == 1
    with database.reading() as session:
        assert session.scalar(select(func.count()).select_from(SlideRow)) == 1
        assert session.scalar(select(func.count()).select_from(JobRow)) == 1


def test_the_sweep_removes_only_what_was_abandoned(uploads, caen, var, database, clock: FrozenClock) -> None:
    kept, abandoned = (
        caen.create(UploadRequest("a.svs", 100, hashlib.sha256(name).hexdigest())) for name in (b"kept", b"abandoned")
    )
    for location in (kept, abandoned):
        caen.patch(location, 0, b"x" * 10)
    folder = var / "uploads"
    (folder / ("o" * 26)).write_bytes(b"orphan")
    now_s = clock.now_us() / 1e6
    for path in folder.iterdir():
        os.utime(path, (now_s, now_s))
    clock.advance(hours=24 * 6)
    six_days_on = clock.now_us() / 1e6
    os.utime(folder / kept.rpartition("/")[2], (six_days_on, six_days_on))
    uploads.sweep()
    assert len(list(folder.iterdir())) == 3
    clock.advance(hours=24 * 1.5)
    uploads.sweep()
    assert [path.name for path in folder.iterdir()] == [kept.rpartition("/")[2]]
    assert [row.id for row in stored(database, UploadRow)] == [kept.rpartition("/")[2]]


def test_a_sender_who_comes_back_while_it_is_swept_keeps_every_byte(uploads, caen, var, clock, monkeypatch) -> None:
    location = caen.create(UploadRequest("a.svs", 100, hashlib.sha256(b"a").hexdigest()))
    caen.patch(location, 0, b"x" * 10)
    part = var / "uploads" / location.rpartition("/")[2]
    os.utime(part, (clock.now_us() / 1e6,) * 2)
    clock.advance(hours=24 * 8)
    lock = uploads._parts.lock

    def late(name: str):
        with part.open("ab") as file:
            file.write(b"y")
        os.utime(part, (clock.now_us() / 1e6,) * 2)
        return lock(name)

    monkeypatch.setattr(uploads._parts, "lock", late)
    uploads.sweep()
    monkeypatch.undo()
    assert caen.head(location).headers["Upload-Offset"] == "11"


def test_it_is_said_when_an_unfinished_upload_expires(caen, var, clock) -> None:
    created = caen.announce(REQUEST)
    location = created.headers["Location"]
    week = timedelta(days=7)
    assert expiry(created) == at(clock) + week
    clock.advance(hours=1)
    first = caen.patch(location, 0, DATA[:1000])
    assert expiry(first) - expiry(created) >= timedelta(0)
    part = var / "uploads" / location.rpartition("/")[2]
    os.utime(part, (clock.now_us() / 1e6,) * 2)
    for answer in (caen.head(location), caen.announce(REQUEST)):
        assert expiry(answer) == at(clock) + week
    last = caen.patch(location, 1000, DATA[1000:])
    assert "Upload-Expires" not in last.headers
    assert "Upload-Expires" not in caen.head(location).headers


def expiry(answer: httpx.Response) -> datetime:
    """As RFC 9110 writes it, or an error."""
    return datetime.strptime(answer.headers["Upload-Expires"], "%a, %d %b %Y %H:%M:%S GMT").replace(tzinfo=UTC)


def at(clock) -> datetime:
    return datetime.fromtimestamp(clock.now_us() // 1_000_000, UTC)


def test_a_full_disk_is_told_in_words_wherever_it_is_met(uploads, caen, monkeypatch) -> None:
    location = caen.create(REQUEST)

    def full(_: str) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(uploads._parts, "lock", full)
    for answer in (caen.head(location), caen.patch(location, 0, DATA), caen.call("DELETE", location)):
        assert (answer.status_code, answer.headers["IAIN-Problem"]) == (507, "disk-full")


def test_sha1_of_a_piece_is_heard_too(caen) -> None:
    """Every tus server has to know it."""
    location = caen.create(REQUEST)
    sums = [base64.b64encode(hashlib.sha1(data).digest()).decode() for data in (DATA[:-1], DATA)]
    wrong, right = (caen.patch(location, 0, DATA, Upload_Checksum=f"sha1 {each}") for each in sums)
    assert (wrong.status_code, right.status_code) == (460, 204)


def test_the_same_bytes_with_another_length_contradict_themselves(caen) -> None:
    caen.create(REQUEST)
    answer = caen.announce(UploadRequest("a.svs", len(DATA) + 1, SHA256))
    assert (answer.status_code, answer.json()["code"]) == (400, "bad-request")
