"""`iain serve` with several processes: one server to everybody."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from fixtures.platform import clean_environment
from fixtures.ports import free_port
from fixtures.server import Patient, World
from fixtures.waiting import wait_until
from sqlalchemy import text

from slideserver.auth.throttle import PAIR

IAIN = Path(sys.executable).with_name("iain")
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@dataclass
class Server:
    url: str
    process: subprocess.Popen

    def children(self) -> list[int]:
        """The two that answer, the one that decides, the one that does what is done once: as they started."""
        told = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(pid) for pid in told.split()]

    def sockets(self, pid: int) -> int:
        """How many connections a process has, beside the listening socket and what it has without any."""
        return sum(os.readlink(entry).startswith("socket:") for entry in Path(f"/proc/{pid}/fd").iterdir())


@pytest.fixture
def server(world: World) -> Iterator[Server]:
    """Beside the one the world has in a thread, on the same data."""
    port = free_port()
    command = [str(IAIN), "serve", "--port", str(port), "--var", str(world.settings.var)]
    command += ["--database-url", world.settings.database]
    log = world.settings.var / "server.log"
    with log.open("w") as output:
        process = subprocess.Popen(command, stderr=output, stdout=output, env=clean_environment(IAIN_PROCESSES="2"))
    server = Server(f"http://127.0.0.1:{port}", process)
    try:
        wait_until(lambda: process.poll() is not None or answers(server.url), "the server")
        yield server
    finally:
        killed = process.poll() is not None
        process.terminate()
        status = process.wait(60)
    assert killed or status == 0, log.read_text()
    assert "Traceback" not in log.read_text()


def test_both_processes_answer_as_one(world: World, server: Server) -> None:
    slide = world.add_slide(world.centres.caen, "26H01234")
    path = f"/tiles/{slide.id}/{slide.version}/0/0_0"
    cookies = dict(world.signed_in("pathologiste.caen").cookies)
    with several(world.url, 1, cookies=cookies) as [browser]:
        expected = browser.get(path)
    idle, busy = [server.sockets(pid) for pid in server.children()], [False]
    for _ in range(20):  # who takes a connection is the kernel's to say: sixteen may all go to one
        with several(server.url, 16, cookies=cookies) as browsers:
            for browser in browsers:
                for _ in range(3):
                    answer = browser.get(path)
                    assert answer.content == expected.content
                    assert {**answer.headers, "date": ""} == {**expected.headers, "date": ""}
            now = [server.sockets(pid) for pid in server.children()]
        busy = [more > before for more, before in zip(now, idle, strict=True)]
        if busy[:2] == [True, True]:
            break
    assert busy == [True, True, False, False]


def test_whoever_guesses_gets_no_more_tries_than_at_one_process(world: World, server: Server) -> None:
    guess = {"login": "pathologiste.caen", "password": "not this one"}
    with several(server.url, PAIR + 6, headers={"Sec-Fetch-Site": "same-origin"}) as browsers:
        statuses = [browser.post("/login", data=guess).status_code for browser in browsers]
    assert statuses == [401] * PAIR + [429] * 6


def test_strangers_are_counted_whichever_process_refused_them(world: World, server: Server) -> None:
    slide = world.add_slide(world.centres.caen, "26H01234")
    path = f"/tiles/{slide.id}/{slide.version}/0/0_0"
    with several(server.url, 16, cookies={"iain_session": "nobody"}) as browsers:
        assert {browser.get(path).status_code for browser in browsers} == {401}

    def counted() -> int:
        """Those of this minute, and those of the minute before, should it have ended meanwhile."""
        with world.database.reading() as session:
            events = session.scalars(text("SELECT detail FROM audit_event WHERE act = 'strangers.refused'"))
            told = sum(int(json.loads(detail)["count"]) for detail in events)
            return told + (session.scalar(text("SELECT sum(count) FROM stranger_refusal")) or 0)

    wait_until(lambda: counted() == 16, "the sixteen to be counted")


def test_nothing_is_left_of_a_server_that_is_killed(server: Server) -> None:
    children = server.children()
    assert len(children) == 4
    server.process.send_signal(signal.SIGKILL)
    server.process.wait(60)
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in children), "the children to end")
    with pytest.raises(httpx.ConnectError):
        httpx.get(server.url)


@contextmanager
def several(url: str, count: int, **more: object) -> Iterator[list[httpx.Client]]:
    """So many browsers, each with a connection of its own that stays open."""
    with ExitStack() as stack:
        yield [
            stack.enter_context(httpx.Client(base_url=url, timeout=60, transport=Patient(verify=False), **more))
            for _ in range(count)
        ]


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz").status_code == 200
    except httpx.TransportError:
        return False
