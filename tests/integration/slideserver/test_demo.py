"""`iain demo`: what `make run` starts."""

import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest
from fixtures.ports import free_port
from fixtures.server import SAME_ORIGIN

from sharing import audit_search
from sharing.db.engine import open_database
from sharing.sites import member_by_login
from sharing.vocabulary import Act
from slideserver.demo import PASSWORD, SLIDES

IAIN = Path(sys.executable).with_name("iain")


class Demo:
    """One start of the program; its output is read as it comes."""

    def __init__(self, var: Path, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.output = ""
        self.started_at = time.monotonic()
        self.process = subprocess.Popen(
            # Drawing takes most of the time, and how large a slide is changes nothing of the way it goes.
            [str(IAIN), "demo", "--small", "--var", str(var), "--port", str(port)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self.output += line

    def wait_for(self, words: str, within_s: float = 180) -> None:
        deadline = time.monotonic() + within_s
        while words not in self.output:
            assert self.process.poll() is None, self.output
            assert time.monotonic() < deadline, self.output
            time.sleep(0.02)

    def interrupt(self) -> None:
        """Ctrl-C."""
        self.process.send_signal(signal.SIGINT)
        assert self.process.wait(60) == 0, self.output
        self._reader.join(60)
        assert self.output.endswith("Stopped.\n")
        assert "Traceback" not in self.output


@pytest.fixture
def start(tmp_path: Path):
    port, started = free_port(), []

    def start() -> Demo:
        started.append(Demo(tmp_path / "var", port))
        return started[-1]

    yield start
    for demo in started:
        demo.process.kill()
        demo.process.wait()
        demo.process.stdout.close()


def test_an_interrupted_first_start_is_carried_on_and_a_finished_one_not_repeated(start, tmp_path) -> None:
    first = start()
    first.wait_for("Slide 2 of")
    first.interrupt()

    second = start()
    second.wait_for("Ready.")
    assert "CMU-1-Small-Region.svs" not in second.output, "what was done is not done again"
    assert PASSWORD in second.output
    assert "pathologiste.caen" in second.output
    for site, accession in (("caen", "26H01234"), ("rouen", "26R00417"), ("lille", "26L02050")):
        with httpx.Client(base_url=second.url, headers=SAME_ORIGIN, timeout=60) as browser:
            browser.post("/login", data={"login": f"pathologiste.{site}", "password": PASSWORD})
            cases = browser.get("/api/cases").json()
            [case] = [case for case in cases if case["accession"] == accession]
            for slide in case["slides"]:
                assert slide["state"] == "ready"
                assert browser.get(slide["thumbnail_url"]).status_code == 200
    doors = re.search(r"Waits for pathologiste\.rouen: (\S+)\nFor a guest without account: +(\S+)\n", second.output)
    assert doors, second.output
    check_doors(second.url, *doors.groups())
    second.interrupt()

    third = start()
    third.wait_for(doors[2])
    took_s = time.monotonic() - third.started_at
    third.interrupt()
    assert "Slide " not in third.output
    assert doors[0] in third.output, "the same consultation, and the same link while it lives"
    # 3 s is what is promised on a machine that does nothing else; tests run several at once.
    assert took_s < 30

    assert (tmp_path / "var" / "demo" / "exchange").stat().st_mode & 0o777 == 0o600
    keys = list((tmp_path / "var" / "demo" / "keys").iterdir())
    assert {key.stat().st_mode & 0o777 for key in keys} == {0o600}
    assert not re.findall(r"iain_[a-z2-7]{26}_", first.output + second.output), "keys are not shown"
    database = open_database(f"sqlite:///{tmp_path}/var/iain.db")
    with database.writing() as session:
        received = audit_search.Filters(act=Act.SLIDE_RECEIVED)
        manager = member_by_login(session, "responsable.caen")
        rows = audit_search.query(session, manager.member, received).rows
    database.close()
    assert [row.agent_kind for row in rows] == ["agent"] * len([slide for slide in SLIDES if slide.site == "caen"])


def check_doors(url: str, consultation: str, guest: str) -> None:
    """Rouen can answer, a stranger can come in by the link, and there is something in everybody's list."""
    with httpx.Client(base_url=url, headers=SAME_ORIGIN, timeout=60) as rouen:
        rouen.post("/login", data={"login": "pathologiste.rouen", "password": PASSWORD})
        assert rouen.get(consultation).status_code == 200
        told = rouen.get("/api" + consultation.removeprefix(url)).json()
        assert told["may_answer"]
        assert rouen.get(told["slides"][0]["thumbnail_url"]).status_code == 200
    with httpx.Client(base_url=url, headers=SAME_ORIGIN, timeout=60) as stranger:
        address, _, secret = guest.partition("#")
        assert stranger.get(address).status_code == 200
        came_in = stranger.post(address, data={"secret": secret})
        assert came_in.status_code == 303
        assert stranger.get(came_in.headers["location"]).status_code == 200
    with httpx.Client(base_url=url, headers=SAME_ORIGIN, timeout=60) as caen:
        caen.post("/login", data={"login": "pathologiste.caen", "password": PASSWORD})
        assert len(caen.get("/api/cases").json()) >= 5
        assert caen.get("/api/bell").json()["unread"] >= 2, "an answer to read, and a question from Lille"
