"""A right that is taken away is gone within a second, in every server process."""

import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest
from fixtures.ports import free_port
from fixtures.server import World
from fixtures.waiting import wait_until
from sqlalchemy import text

IAIN = Path(sys.executable).with_name("iain")


@pytest.fixture
def second(world: World):
    """Another server process on the same database and data directory."""
    port = free_port()
    command = [str(IAIN), "serve", "--port", str(port), "--var", str(world.settings.var)]
    process = subprocess.Popen([*command, "--database-url", world.settings.database], stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: process.poll() is not None or answers(url), "the second server")
        yield url
    finally:
        process.terminate()
        status = process.wait(60)
    assert status == 0, "SIGTERM is an ordinary end"


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz").status_code == 200
    except httpx.TransportError:
        return False


def tiles_until_refused(url: str, cookies: dict[str, str], path: str, last_ok: list[float], statuses: set[int]) -> None:
    with httpx.Client(base_url=url, cookies=cookies, timeout=60) as client:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            asked_at = time.monotonic()
            status = client.get(path).status_code
            statuses.add(status)
            if status == 200:
                last_ok.append(asked_at)
            elif status != 503:
                return


def test_within_a_second_in_another_process_too(world: World, second: str) -> None:
    """Of a session that ends; for the other ways see test_admissions."""
    slide = world.add_slide(world.centres.caen, "26H01234")
    path = f"/tiles/{slide.id}/{slide.version}/0/0_0"
    browser = world.signed_in("pathologiste.caen")
    cookies = dict(browser.cookies)
    streams = []
    for url in (world.url, second):
        with httpx.Client(base_url=url, cookies=cookies, timeout=60) as client:
            wait_until(lambda client=client: client.get(path).status_code == 200, "the first tile")
        last_ok: list[float] = []
        statuses: set[int] = set()
        thread = threading.Thread(target=tiles_until_refused, args=(url, cookies, path, last_ok, statuses))
        thread.start()
        streams.append((thread, last_ok, statuses))
    wait_until(lambda: all(len(last_ok) > 20 for _, last_ok, _ in streams), "tiles of both")
    browser.post("/logout")
    taken_at = time.monotonic()
    for thread, last_ok, statuses in streams:
        thread.join(90)
        assert last_ok[-1] - taken_at <= 1.0
        assert statuses <= {200, 401, 503}
        assert 401 in statuses


def test_the_fast_path_was_what_we_asked(world: World, second: str) -> None:
    """The control: tiles do come from memory, so that the test above is about memory."""
    slide = world.add_slide(world.centres.caen, "26H01234")
    path = f"/tiles/{slide.id}/{slide.version}/0/0_0"
    browser = world.signed_in("pathologiste.caen", second)
    assert browser.get(path).status_code == 200
    with world.database.writing() as session:
        session.execute(text("DELETE FROM session_token"))  # behind the platform's back: no epoch moves
    assert [browser.get(path).status_code for _ in range(5)] == [200] * 5
    assert browser.get("/api/session").status_code == 401


def test_when_the_epoch_cannot_be_read_no_tile_is_served(world: World) -> None:
    slide = world.add_slide(world.centres.caen, "26H01234")
    path = f"/tiles/{slide.id}/{slide.version}/0/0_0"
    browser = world.signed_in("pathologiste.caen")
    assert browser.get(path).status_code == 200
    with world.database.writing() as session:
        session.execute(text("ALTER TABLE access_epoch RENAME TO access_epoch_away"))
    broken_at = time.monotonic()
    while True:
        asked_at = time.monotonic()
        answer = browser.get(path)
        if answer.status_code != 200:
            break
        assert asked_at - broken_at <= 1.0
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"
    assert answer.json()["detail"]
    assert browser.get("/readyz").status_code == 503
    with world.database.writing() as session:
        session.execute(text("ALTER TABLE access_epoch_away RENAME TO access_epoch"))
    wait_until(lambda: browser.get(path).status_code == 200, "tiles to come again")
