"""An agent says how it is: heard by its scanner's key alone, kept by the minute, believed in nothing but its shape."""

import httpx
from fixtures.server import World
from sqlalchemy import text

from ingest.heartbeat import HEARTBEAT_PATH, REPORT_MAX_BYTES, Heartbeat, Trouble, parse_heartbeat
from sharing import heartbeats

SAID = Heartbeat("0.1.0", "Windows-11", queued=3, sent_bytes=5, troubles=(Trouble("26H1.svs", "still-changing"),))


def beat(url: str, key: str | None, body: bytes | str = SAID.to_json(), **more: str) -> httpx.Response:
    headers = {"Authorization": f"Bearer {key}", **more} if key else more
    return httpx.put(url + HEARTBEAT_PATH, content=body, headers=headers, verify=False, timeout=60)


def scanner_of(world: World, centre: str = "caen"):
    site = getattr(world.centres, centre)
    with world.database.reading() as session:
        return heartbeats.list_scanners(session, site.technician, site.id)[0]


def test_a_scanners_word_is_kept_for_its_own_site(world: World) -> None:
    answer = beat(world.url, world.centres.caen.scanner_key)
    assert answer.status_code == 200, answer.text
    scanner = scanner_of(world)
    assert scanner.heard_us == answer.json()["now_us"]
    assert parse_heartbeat(scanner.report) == SAID
    assert scanner_of(world, "rouen").heard_us is None


def test_what_is_no_heartbeat_or_no_scanners_leaves_nothing(world: World) -> None:
    key = world.centres.caen.scanner_key
    browser = world.signed_in("technicien.caen")
    for answer, status, code in (
        (beat(world.url, None), 401, "key-refused"),
        (beat(world.url, key[:-1]), 401, "key-refused"),
        (beat(world.url, None, Cookie="; ".join(f"{c.name}={c.value}" for c in browser.cookies.jar)), 403, None),
        (browser.put(HEARTBEAT_PATH, content=SAID.to_json()), 401, "key-refused"),
        (beat(world.url, key, b"{"), 400, "bad-request"),
        (beat(world.url, key, b"\xff\xfe\x00"), 400, "bad-request"),
        (beat(world.url, key, b" " * (REPORT_MAX_BYTES + 1)), 413, "too-large"),
    ):
        assert answer.status_code == status, answer.text
        assert code is None or answer.json()["code"] == code
    assert scanner_of(world).heard_us is None


def test_a_database_that_cannot_be_written_is_said_as_such(world: World) -> None:
    with world.database.writing() as session:
        session.execute(text("ALTER TABLE heartbeat RENAME TO heartbeat_aside"))
    answer = beat(world.url, world.centres.caen.scanner_key)
    assert (answer.status_code, answer.json()["code"]) == (503, "store-failed")
