"""A slide given back as a file."""

import base64
import hashlib
import io
import socket
import time
import zipfile

import httpx
from fixtures.server import SCAN, World
from fixtures.waiting import wait_until

from sharing import audit_search, epoch, sites
from sharing.audit_search import Filters
from sharing.slides import Slide
from sharing.vocabulary import Act, Outcome
from slideserver.api.downloads import PIECE_BYTES
from tiler.storage.local import LocalBlobStore

WHOLE = SCAN.read_bytes()
FILES = 10


def address(slide: Slide) -> str:
    return f"/api/slides/{slide.id}/file"


def on_record(world: World, act: Act = Act.SLIDE_DOWNLOADED) -> list[audit_search.AuditRow]:
    with world.database.writing() as session:
        return list(audit_search.query(session, world.centres.caen.lab_manager, Filters(act=act)).rows)


def test_byte_for_byte_whole_and_in_parts(world: World) -> None:
    slide = world.add_slide(world.centres.caen, "26H01234")
    browser = world.signed_in("pathologiste.caen")
    whole = browser.get(address(slide))
    digest = hashlib.sha256(WHOLE).digest()
    assert (whole.status_code, whole.content == WHOLE) == (200, True)
    assert whole.headers["content-length"] == str(len(WHOLE))
    assert whole.headers["repr-digest"] == f"sha-256=:{base64.b64encode(digest).decode()}:"
    assert whole.headers["cache-control"] == "no-store"
    assert 'filename="CMU-1-Small-Region.svs"' in whole.headers["content-disposition"]
    for value, part in (("bytes=1000-", WHOLE[1000:]), ("bytes=5-9", WHOLE[5:10]), ("bytes=-7", WHOLE[-7:])):
        some = browser.get(address(slide), headers={"Range": value, "If-Range": whole.headers["etag"]})
        assert (some.status_code, some.content == part) == (206, True)
        assert some.headers["content-range"].startswith("bytes ")
    stale = browser.get(address(slide), headers={"Range": "bytes=5-9", "If-Range": '"other"'})
    assert (stale.status_code, len(stale.content)) == (200, len(WHOLE))
    beyond = browser.get(address(slide), headers={"Range": f"bytes={len(WHOLE)}-"})
    assert beyond.status_code == 416
    assert beyond.headers["content-range"] == f"bytes */{len(WHOLE)}"
    events = on_record(world)
    assert [int(event.detail["bytes"]) for event in events] == [len(WHOLE), 7, 5, len(WHOLE) - 1000, len(WHOLE)]
    assert {(event.slide_id, event.case_id, event.detail["sha256"]) for event in events} == {
        (slide.id, slide.case_id, slide.sha256)
    }
    assert [event.outcome for event in on_record(world, Act.SLIDE_OPENED)] == []
    told = browser.get(f"/api/slides/{slide.id}").json()["file"]
    assert told == {"url": address(slide), "length": len(WHOLE)}, "what the viewer offers"
    trainee = world.signed_in("interne.caen")
    assert trainee.get(f"/api/slides/{slide.id}").json()["file"] is None
    assert trainee.get(address(slide)).status_code == 403


def test_several_files_come_as_one_archive(world: World) -> None:
    slide = world.add_slide(world.centres.caen, "26H01234", files=2)
    answer = world.signed_in("pathologiste.caen").get(address(slide), headers={"Range": "bytes=5-9"})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/zip")
    assert 'filename="CMU-1-Small-Region.zip"' in answer.headers["content-disposition"]
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.namelist() == ["CMU-1-Small-Region.svs", "CMU-1-Small-Region.svs.x"]
        assert all(archive.read(name) == WHOLE for name in archive.namelist())
    (event,) = on_record(world)
    assert event.detail["files"] == "2"


def test_only_for_those_at_home_who_may(world: World) -> None:
    slide = world.add_slide(world.centres.caen, "26H01234")
    world.ask(slide, world.centres.rouen)
    guest = world.guest(world.link(slide))
    absent = address(slide).replace(slide.id, "a" * 26)
    asked = world.signed_in("pathologiste.rouen")
    assert asked.get(f"/tiles/{slide.id}/{slide.version}/0/0_0").status_code == 200
    answers = {who.get(path).status_code for who in (asked,) for path in (address(slide), absent)}
    assert answers == {404}
    assert {guest.get(address(slide)).status_code, world.client().get(address(slide)).status_code} == {401}
    assert world.signed_in("technicien.caen").get(address(slide)).status_code == 403
    assert on_record(world) == []
    refused = [event for event in on_record(world, Act.ACCESS_REFUSED) if event.detail["asked"] == "slide.download"]
    assert {event.outcome for event in refused} == {Outcome.REFUSED}


def test_a_slide_whose_file_is_lost_is_said_so_before_anything_is_sent(world: World) -> None:
    slide = world.add_slide(world.centres.caen, "26H01234")
    path = LocalBlobStore(world.settings.var / "blobs").path(slide.site_id, slide.sha256)
    path.rename(path.with_suffix(".away"))
    answer = world.signed_in("pathologiste.caen").get(address(slide))
    assert answer.status_code == 409
    assert on_record(world) == []


def test_it_is_cut_when_the_right_goes(world: World) -> None:
    """What was in the network's hands when the right went may still arrive, and nothing after it."""
    slide = world.add_slide(world.centres.caen, "26H01234", files=FILES)
    with open_download(world, slide) as connection:
        taken = len(connection.recv(PIECE_BYTES))
        with world.database.writing() as session:
            sites.disable_member(session, world.centres.caen.pathologist.id)
        wait_until_seen(world, session.now_us)
        taken += len(rest(connection))
    assert taken < FILES * len(WHOLE) / 2
    assert world.client().get("/readyz").status_code == 200


def test_who_keeps_the_right_gets_the_whole_through_a_change_of_epoch(world: World) -> None:
    slide = world.add_slide(world.centres.caen, "26H01234", files=FILES)
    with open_download(world, slide) as connection:
        taken = connection.recv(PIECE_BYTES)
        with world.database.writing() as session:
            sites.disable_member(session, world.centres.rouen.pathologist.id)
        wait_until_seen(world, session.now_us)
        taken += rest(connection)
    assert taken.endswith(b"0\r\n\r\n")
    assert len(taken) > FILES * len(WHOLE)


def open_download(world: World, slide: Slide) -> socket.socket:
    """A connection whose buffers hold little, so that the server soon waits for its reader."""
    token = dict(world.signed_in("pathologiste.caen").cookies)["iain_session"]
    url = httpx.URL(world.url)
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 256 * 1024)
    connection.settimeout(60)
    connection.connect((url.host, url.port))
    head = f"Host: {url.host}\r\nCookie: iain_session={token}\r\nConnection: close\r\n\r\n"
    connection.sendall(f"GET {address(slide)} HTTP/1.1\r\n{head}".encode())
    return connection


def rest(connection: socket.socket) -> bytes:
    taken, deadline = bytearray(), time.monotonic() + 60
    while piece := connection.recv(PIECE_BYTES):
        taken += piece
        assert time.monotonic() < deadline
    return bytes(taken)


def wait_until_seen(world: World, ended_us: int) -> None:
    """Until the server has learned that a right has ended."""

    def seen() -> bool:
        with world.database.reading() as session:
            return epoch.last_tile(session, ended_us) is not None

    wait_until(seen, "the server to learn of it")
