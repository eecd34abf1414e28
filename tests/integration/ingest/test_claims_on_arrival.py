"""The same bytes for another accession number: never two cases in silence, and nobody's word is lost."""

import hashlib
import os
import threading

import pytest
from fixtures.sets import commit, manifest
from fixtures.sets import request as one_of_several
from fixtures.tus import Tus
from fixtures.upload_server import make_uploads
from sqlalchemy import select

from ingest import announcements
from ingest.agent.client import Client
from ingest.agent.upload import Glass, Patience, Pusher
from ingest.errors import UploadBusyError
from ingest.protocol import UploadRequest
from sharing.db.tables import AuditEventRow, ClaimRow, SlideRow

DATA = os.urandom(30_000)
SHA256 = hashlib.sha256(DATA).hexdigest()


def glass(accession: str | None, name: str = "lame.svs", sha256: str | None = SHA256) -> UploadRequest:
    return UploadRequest(name, len(DATA), sha256, accession, "HES")


def pushed(client: Tus, request: UploadRequest) -> str:
    location = client.create(request)
    head = client.head(location)
    return head.headers.get("IAIN-Slide") or client.patch(location, 0, DATA).headers["IAIN-Slide"]


def status(client: Tus, slide: str) -> tuple[str | None, bool]:
    body = client.call("GET", f"/api/uploads/slides/{slide}").json()
    return body["accession"], body["claimed"]


def claims(database) -> list[tuple[str, str]]:
    with database.reading() as session:
        acts = session.scalars(select(AuditEventRow.act).where(AuditEventRow.act == "slide.claimed")).all()
        rows = session.scalars(select(ClaimRow).order_by(ClaimRow.created_us)).all()
    assert len(acts) == len(rows)
    return [(row.slide_id, row.accession) for row in rows]


def test_another_number_for_the_same_bytes_becomes_a_claim_once(caen, database) -> None:
    slide = pushed(caen, glass("26H01234"))
    assert status(caen, slide) == ("26H01234", False)
    for _ in range(2):
        assert pushed(caen, glass("26h09999", "copie.svs")) == slide
        assert status(caen, slide) == ("26H01234", True)
    assert claims(database) == [(slide, "26H09999")]
    with database.reading() as session:
        assert len(session.scalars(select(SlideRow)).all()) == 1


def test_the_same_number_or_none_is_no_claim(caen, database) -> None:
    slide = pushed(caen, glass("26H01234"))
    for accession in ("26H01234", " 26h01234 ", None):
        assert pushed(caen, glass(accession)) == slide
    assert status(caen, slide) == ("26H01234", False)
    assert claims(database) == []


def test_who_cannot_say_the_digest_beforehand_meets_the_claim_at_the_end(caen, database) -> None:
    slide = pushed(caen, glass("26H01234"))
    location = caen.create(glass("26H09999", sha256=None))
    assert caen.head(location).headers["Upload-Offset"] == "0"
    assert caen.patch(location, 0, DATA).headers["IAIN-Slide"] == slide
    assert claims(database) == [(slide, "26H09999")]


def test_a_set_under_another_number_becomes_a_claim(caen, database) -> None:
    files = {"a.mrxs": b"head", "a/Slidedat.ini": b"[GENERAL]"}
    for name, data in files.items():
        caen.patch(caen.create(one_of_several(name, data)), 0, data)
    slides = {
        commit(caen, manifest(files), accession).headers["IAIN-Slide"]
        for accession in ("26H01234", "26H09999", "26H09999")
    }
    [slide] = slides
    assert claims(database) == [(slide, "26H09999")]


def test_the_agent_does_not_stop_at_what_is_known_when_the_number_differs(server, caen, centres, database, tmp_path):
    slide = pushed(caen, glass("26H01234"))
    path = tmp_path / "26H09999.svs"
    path.write_bytes(DATA)
    with Client(server, centres.caen.scanner_key) as client:
        pusher = Pusher(client, Silent(), Patience(5, 0))
        same = pusher.push(path, Glass("26h01234"))
        assert (same.status.slide, same.already_known, same.status.claimed) == (slide, True, False)
        other = pusher.push(path, Glass("26H09999"))
    assert (other.status.slide, other.already_known, other.sent_bytes) == (slide, True, 0)
    assert (other.status.accession, other.status.claimed) == ("26H01234", True)
    assert claims(database) == [(slide, "26H09999")]


def test_while_bytes_move_under_one_number_the_other_waits(caen, database, clock) -> None:
    first = caen.create(glass("26H01234"))
    caen.patch(first, 0, DATA[:1000])
    waits = caen.announce(glass("26H09999"))
    assert (waits.status_code, waits.headers["IAIN-Problem"]) == (423, "upload-busy")
    assert caen.announce(glass(None)).headers["Location"] == first, "the control: no other number, no other slide"
    slide = caen.patch(first, 1000, DATA[1000:]).headers["IAIN-Slide"]
    assert pushed(caen, glass("26H09999")) == slide
    assert claims(database) == [(slide, "26H09999")]


def test_a_second_number_is_not_lost_when_the_bytes_arrive_in_the_same_moment(
    uploads, caen, centres, database, var, clock
) -> None:
    first = caen.create(glass("26H01234"))
    caen.patch(first, 0, DATA[:1000])
    rest(var, first, clock)
    with database.reading() as session:
        looked_up = announcements.standing(session, centres.caen.agent, glass("26H09999"))
    slide = caen.patch(first, 1000, DATA[1000:]).headers["IAIN-Slide"]
    with pytest.raises(UploadBusyError), database.writing() as session:
        announcements.correct(session, uploads._parts, looked_up, glass("26H09999"))
    assert pushed(caen, glass("26H09999")) == slide, "announced once more, as who is told to wait does"
    assert claims(database) == [(slide, "26H09999")]


def test_of_what_was_given_up_the_newer_word_counts(caen, database, var, clock) -> None:
    first = caen.create(glass("26H01234"))
    caen.patch(first, 0, DATA[:1000])
    rest(var, first, clock)
    assert caen.create(glass("26H09999")) == first
    slide = caen.patch(first, 1000, DATA[1000:]).headers["IAIN-Slide"]
    assert status(caen, slide) == ("26H09999", False)


def test_bytes_that_turn_out_to_be_on_their_way_wait_for_them(caen, database, var, clock) -> None:
    """One client says which bytes it sends, another of the same scanner cannot: both send the same ones."""
    told = caen.create(glass("26H01234"))
    caen.patch(told, 0, DATA[:1000])
    untold = caen.create(glass("26H09999", sha256=None))
    waits = caen.patch(untold, 0, DATA)
    assert (waits.status_code, waits.headers["IAIN-Problem"]) == (423, "upload-busy")
    slide = caen.patch(told, 1000, DATA[1000:]).headers["IAIN-Slide"]
    assert caen.patch(untold, len(DATA), b"").headers["IAIN-Slide"] == slide
    assert claims(database) == [(slide, "26H09999")]


def test_what_rests_gives_way_to_the_same_bytes_complete(caen, var, clock) -> None:
    told = caen.create(glass(None))
    caen.patch(told, 0, DATA[:1000])
    rest(var, told, clock)
    untold = caen.create(glass(None, sha256=None))
    assert "IAIN-Slide" in caen.patch(untold, 0, DATA).headers
    assert caen.head(told).status_code == 404
    assert "IAIN-Slide" in caen.head(caen.create(glass(None))).headers


def test_two_files_without_a_digest_are_two_uploads(caen) -> None:
    first, second = (caen.create(UploadRequest(f"{n}.svs", 1000 + n, None)) for n in range(2))
    assert first != second
    slides = {
        caen.patch(location, 0, bytes([n]) * (1000 + n)).headers["IAIN-Slide"]
        for n, location in enumerate((first, second))
    }
    assert len(slides) == 2


def test_a_crash_before_an_undeclared_file_became_a_slide_is_mended(uploads, centres, database, var) -> None:
    agent = centres.caen.agent
    upload = uploads.create(agent, glass(None, sha256=None))
    with uploads.open(agent, upload.id) as arrival:
        arrival.expect(0, len(DATA), None)
        arrival.write(DATA)
        arrival._name(SHA256)
        uploads._home.store.adopt(arrival._part.path, "caen", SHA256)
    again = make_uploads(database, var)
    with again.open(agent, upload.id) as arrival:
        assert arrival.held().slide


def test_one_slide_however_many_send_it_at_once(caen, centres, database) -> None:
    found: list[str] = []
    numbers = [f"26H0000{number}" for number in range(4)]

    def push(number: str) -> None:
        # Each sender cannot say the digest beforehand, so that all of them really send.
        location = caen.create(glass(number, sha256=None))
        answer = caen.patch(location, 0, DATA)
        for _ in range(200):
            if answer.status_code != 423:
                break
            answer = caen.patch(location, len(DATA), b"")  # another one of the four is becoming the slide
        found.append(answer.headers["IAIN-Slide"])

    threads = [threading.Thread(target=push, args=[number]) for number in numbers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    [slide] = set(found)
    accession, claimed = status(caen, slide)
    assert claimed
    assert {accession, *(number for _, number in claims(database))} == set(numbers)


def rest(var, location: str, clock) -> None:
    """As if nothing had come for more than a minute."""
    clock.advance(minutes=2)
    at_s = clock.now_us() / 1e6 - 90
    os.utime(var / "uploads" / location.rpartition("/")[2], (at_s, at_s))


class Silent:
    """A report that nobody reads."""

    def __getattr__(self, name: str):
        return lambda *_: None
