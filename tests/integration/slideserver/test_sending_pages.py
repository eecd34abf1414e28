"""A person's browser sends a slide: with the session that it has anyway, from our own pages, and from no other."""

import hashlib
import os

import httpx
from fixtures.server import World, running_server

from ingest.protocol import UploadRequest
from sharing.clock import FrozenClock, SystemClock
from sharing.db.tables import AuditEventRow, SlideRow, UploadRow

DATA = os.urandom(200_000)
REQUEST = UploadRequest("lame.svs", len(DATA), hashlib.sha256(DATA).hexdigest(), "26H01234")
FOREIGN = [
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Origin": "http://evil.example"},
    {"Origin": "null"},
    {},
]


def patched(browser: httpx.Client, location: str, offset: int, data: bytes, **headers: str) -> httpx.Response:
    kind = {"Content-Type": "application/offset+octet-stream", "Upload-Offset": str(offset)}
    return browser.patch(location, content=data, headers={"Tus-Resumable": "1.0.0", **kind, **headers})


def announced(browser: httpx.Client, **headers: str) -> httpx.Response:
    told = {"Upload-Length": str(REQUEST.length), "Upload-Metadata": REQUEST.metadata()}
    return browser.post("/api/uploads", headers={"Tus-Resumable": "1.0.0", **told, **headers})


def bytes_on_disk(world: World) -> int:
    folder = world.settings.var / "uploads"
    return sum(path.stat().st_size for path in folder.iterdir()) if folder.exists() else 0


def test_a_persons_browser_sends_a_slide_to_the_own_site(world: World) -> None:
    browser = world.signed_in("pathologiste.caen")
    location = announced(browser).headers["Location"]
    assert patched(browser, location, 0, DATA[:70_000]).headers["Upload-Offset"] == "70000"
    head = browser.head(location, headers={"Tus-Resumable": "1.0.0"})
    assert head.headers["Upload-Offset"] == "70000"
    slide = patched(browser, location, 70_000, DATA[70_000:]).headers["IAIN-Slide"]
    assert browser.get(f"/api/uploads/slides/{slide}").json()["accession"] == "26H01234"
    with world.database.reading() as session:
        row = session.get(SlideRow, slide)
        events = [event for event in session.query(AuditEventRow) if event.act == "slide.received"]
    assert (row.site_id, row.scanner_id) == ("caen", None)
    assert [event.agent_id for event in events] == [world.centres.caen.pathologist.id]


def test_the_page_of_another_origin_writes_nothing_with_the_cookie(world: World) -> None:
    browser = world.signed_in("technicien.caen")
    location = announced(browser).headers["Location"]
    del browser.headers["Sec-Fetch-Site"]
    for headers in FOREIGN:
        assert announced(browser, **headers).status_code == 403, headers
        assert patched(browser, location, 0, DATA, **headers).status_code == 403, headers
        assert browser.delete(location, headers={"Tus-Resumable": "1.0.0", **headers}).status_code == 403, headers
        assert bytes_on_disk(world) == 0
    with world.database.reading() as session:
        assert session.query(UploadRow).count() == 1
    assert patched(browser, location, 0, DATA, Origin=world.url).status_code == 204, "the control: our own page"

    # Beside a key no cookie is read, else the page of another origin would only have to add a senseless one.
    for shown in ("Bearer iain_wrong", "Bearer", "Basic eDp5", ""):
        answer = announced(browser, Authorization=shown)
        assert (answer.status_code, answer.headers["IAIN-Problem"]) == (401, "key-refused"), shown
    asked = {"Origin": "http://evil.example", "Access-Control-Request-Method": "PATCH"}
    answer = browser.options("/api/uploads", headers=asked)
    assert not [name for name in answer.headers if name.startswith("access-control-")]


def test_nobody_else_goes_on_with_it_nor_a_session_that_is_over(world: World) -> None:
    browser = world.signed_in("technicien.caen")
    location = announced(browser).headers["Location"]
    for login in ("pathologiste.caen", "technicien.rouen"):
        answer = patched(world.signed_in(login), location, 0, DATA)
        assert (answer.status_code, answer.headers["IAIN-Problem"]) == (404, "unknown-upload")
    assert bytes_on_disk(world) == 0
    patched(browser, location, 0, DATA[:1000])
    cookies = dict(browser.cookies)
    browser.post("/logout")
    browser.cookies.update(cookies)
    answer = patched(browser, location, 1000, DATA[1000:])
    assert (answer.status_code, answer.json()["code"]) == (401, "signed-out")
    assert bytes_on_disk(world) == 1000
    again = world.signed_in("technicien.caen")
    assert announced(again).headers["Location"] == location, "what had arrived is there after signing in"
    assert "IAIN-Slide" in patched(again, location, 1000, DATA[1000:]).headers


def test_a_guest_sends_nothing(world: World) -> None:
    guest = world.guest(world.link(world.add_slide(world.centres.caen, "26H01234")))
    answer = announced(guest)
    assert (answer.status_code, answer.json()["code"]) == (401, "key-refused")


def test_sending_keeps_the_session_alive(world: World, sandbox) -> None:
    clock = FrozenClock(SystemClock().now_us())
    with running_server(world.settings, clock, sandbox=sandbox) as url:
        browser = world.signed_in("technicien.caen", url)
        location = announced(browser).headers["Location"]
        for piece in range(4):
            clock.advance(minutes=20)
            assert patched(browser, location, piece * 10, DATA[piece * 10 : piece * 10 + 10]).status_code == 204
        clock.advance(minutes=31)
        assert patched(browser, location, 40, DATA[40:]).status_code == 401
