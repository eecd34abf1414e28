"""The platform behind nginx with the shipped configuration: what goes through, what is stopped, who is believed."""

import json
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from fixtures.centres import Centres
from fixtures.front import CERTIFICATE, Front, nginx, ports
from fixtures.platform import PROGRAMS, SCAN, Platform, clean_environment, running_platform
from fixtures.tus import Tus
from fixtures.waiting import wait_until
from sqlalchemy import text

from ingest.protocol import UploadRequest
from sharing.db.engine import Database


@pytest.fixture
def platform(tmp_path: Path, database_url: str, centres: Centres) -> Iterator[Platform]:
    port, plain_port = ports()
    front = Front(port, plain_port, tmp_path / "nginx")
    environment = {
        "IAIN_BASE_URL": front.url,
        "IAIN_SECURE_COOKIES": "true",
        "IAIN_TRUSTED_PROXIES": "127.0.0.1",
        "IAIN_PROCESSES": "1",  # that several are as one is held elsewhere, and each takes its time to start
    }
    with running_platform(tmp_path / "var", database_url=database_url, **environment) as platform:
        platform.front = front  # type: ignore[attr-defined]
        yield platform


@pytest.fixture
def front(platform: Platform) -> Iterator[Front]:
    with nginx(platform.front.folder, platform.port, platform.front) as front:  # type: ignore[attr-defined]
        yield front


def sign_in(client: httpx.Client, password: str) -> httpx.Response:
    return client.post("/login", data={"login": "pathologiste.caen", "password": password})


def last_source(database: Database) -> str:
    with database.reading() as session:
        body = session.scalar(
            text(
                "SELECT body FROM audit_personal JOIN audit_event ON audit_event.id = event_id "
                "WHERE act = 'session.opened' ORDER BY position DESC LIMIT 1"
            )
        )
    return str(json.loads(body or "{}").get("source"))


def test_a_slide_goes_through_it_from_the_agent_to_the_screen(
    front: Front, platform: Platform, centres: Centres, tmp_path: Path
) -> None:
    key = tmp_path / "caen.key"
    key.touch(mode=0o600)
    key.write_text(centres.caen.scanner_key)
    push = [str(PROGRAMS / "iain-agent"), "push", str(SCAN), "--server", front.url, "--key-file", str(key)]
    push += ["--ca-file", str(CERTIFICATE), "--accession", "26H01234", "--stain", "HES"]
    sent = subprocess.run(push, capture_output=True, text=True, timeout=120, env=clean_environment(), check=False)
    assert sent.returncode == 0, sent.stderr

    with front.visitor() as anne:
        opened = sign_in(anne, centres.password)
        assert opened.status_code == 303
        assert opened.headers["set-cookie"].startswith("__Host-iain=")
        assert "Secure" in opened.headers["set-cookie"]
        page = anne.get("/cases")
        assert "26H01234" in page.text
        assert page.headers["strict-transport-security"].startswith("max-age=")
        (slide,) = next(case for case in anne.get("/api/cases").json() if case["accession"] == "26H01234")["slides"]
        described = anne.get(f"/api/slides/{slide['id']}").json()
        address = described["tile_url"].format(level=0, col=1, row=1)
        tile = anne.get(address)
        assert tile.content.startswith(b"\xff\xd8\xff")
        assert tile.headers["cache-control"] == "private, no-cache"
        assert anne.get(address, headers={"If-None-Match": tile.headers["etag"]}).status_code == 304
        cookie = f"__Host-iain={anne.cookies['__Host-iain']}"
        assert httpx.get(platform.url + address, headers={"Cookie": cookie}, timeout=60).content == tile.content
        assert anne.get(f"/slides/{slide['id']}").status_code == 200
        assert anne.post("/logout").status_code == 303
        assert anne.get(address).status_code in (401, 404)
    assert not (front.folder / "iain.log").read_text()


def test_nobody_chooses_the_address_that_the_journal_notes(
    front: Front, platform: Platform, centres: Centres, database: Database
) -> None:
    lies = {"X-Forwarded-For": "9.9.9.9", "Forwarded": "for=9.9.9.9", "X-Real-IP": "9.9.9.9"}
    with front.visitor("127.0.0.5", **lies) as liar:
        assert sign_in(liar, centres.password).status_code == 303
    assert last_source(database) == "127.0.0.5"

    # Past nginx, from an address that is no proxy: what it claims is not believed.
    transport = httpx.HTTPTransport(local_address="127.0.0.6")
    with httpx.Client(
        base_url=platform.url, transport=transport, headers={**lies, "Origin": front.url}, timeout=60
    ) as liar:
        assert sign_in(liar, centres.password).status_code == 303
    assert last_source(database) == "127.0.0.6"


def test_a_foreign_page_cannot_change_anything_through_it(front: Front, centres: Centres) -> None:
    for headers in (
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "", "Origin": "https://evil.example", "X-Forwarded-Host": "evil.example"},
        {"Sec-Fetch-Site": "", "Origin": "https://evil.example", "X-Forwarded-Proto": "https"},
    ):
        with front.visitor(**headers) as evil:
            assert sign_in(evil, centres.password).status_code == 403


def test_plain_http_is_sent_to_tls_and_old_tls_is_not_spoken(front: Front) -> None:
    answer = httpx.get(f"http://127.0.0.1:{front.plain_port}/cases?q=1", follow_redirects=False, timeout=60)
    assert answer.status_code == 308
    assert answer.headers["location"] == f"{front.url}/cases?q=1"
    trust = front.trust()
    trust.set_alpn_protocols(["h2", "http/1.1"])
    with (
        socket.create_connection(("127.0.0.1", front.port)) as raw,
        trust.wrap_socket(raw, server_hostname="127.0.0.1") as tls,
    ):
        assert tls.selected_alpn_protocol() == "h2"
        assert tls.version() == "TLSv1.3"
    old = ssl.create_default_context(cafile=CERTIFICATE)
    old.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    with socket.create_connection(("127.0.0.1", front.port)) as raw, pytest.raises((ssl.SSLError, ConnectionError)):
        old.wrap_socket(raw, server_hostname="127.0.0.1")


def test_an_upload_is_handed_on_as_it_arrives_and_has_no_limit_of_nginx(
    front: Front, platform: Platform, centres: Centres
) -> None:
    piece = bytes(1 << 20)
    request = UploadRequest("slow.svs", 4 * len(piece), "0" * 64)
    go_on = threading.Event()

    def slowly():
        yield piece
        yield piece
        assert go_on.wait(60)
        yield piece

    def arrived() -> int:
        return sum(part.stat().st_size for part in (platform.var / "uploads").iterdir())

    with httpx.Client(verify=front.trust(), timeout=60) as http:
        tus = Tus(front.url, centres.caen.scanner_key, http)
        location = tus.create(request)
        answers: list[httpx.Response] = []
        sender = threading.Thread(target=lambda: answers.append(tus.patch(location, 0, slowly())))
        sender.start()
        try:
            wait_until(lambda: arrived() >= len(piece), "bytes to arrive while the request is still being sent")
        finally:
            go_on.set()
            sender.join(60)
        assert answers[0].status_code == 204
        assert answers[0].headers["Upload-Offset"] == str(3 * len(piece))

    with front.visitor() as anyone:
        assert anyone.post("/login", content=bytes(2 << 20)).status_code == 413
