"""The platform itself: `iain serve` as anybody starts it, slides pushed by the agent, and signed-in readers.

Nothing is turned off or bypassed: every tile request carries one of many sessions and passes the access decision, the
audit log, the security headers; sealer, epoch watcher and job worker run beside it.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import func, select

from benchmarks.tiles.processes import POLL_S, ServerError, answers, free_port, running
from sharing import cases, scanners, sites
from sharing.db.engine import Database, open_database
from sharing.db.migrations import upgrade
from sharing.db.tables import JobRow
from sharing.subjects import Agent, System
from sharing.vocabulary import Role, SiteId
from slideserver.auth.passwords import Passwords
from tiler.address import TileAddress

NAME = "IAIN"
SITE, PASSWORD = SiteId("banc"), "mot de passe du banc"
# A prime, so that over some replays every reader asks for every tile.
READERS = 61
PUSH_S = BUILD_S = 300.0

Description = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Platform:
    """The running platform; `cookies` holds one Cookie header per signed-in reader."""

    var: Path
    key_file: Path
    pid: int
    port: int
    cookies: tuple[str, ...]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client(self) -> httpx.Client:
        """The first reader's."""
        return httpx.Client(base_url=self.url, headers={"Cookie": self.cookies[0]}, timeout=60)

    @property
    def database_url(self) -> str:
        return _database_url(self.var)

    def slide_of(self, accession: str) -> str:
        """The id of the one slide of a case."""
        with self.client() as client:
            listed = client.get("/api/cases").raise_for_status().json()
        ((slide,),) = (case["slides"] for case in listed if case["accession"] == accession)
        if slide["state"] != "ready":
            raise ServerError(f"The slide of {accession} is not ready but {slide['state']}.")
        return str(slide["id"])

    def describe(self, *slide_ids: str) -> list[Description]:
        """The descriptions of slides, as the viewer gets them."""
        with self.client() as client:
            return [client.get(f"/api/slides/{slide_id}").raise_for_status().json() for slide_id in slide_ids]

    def fetch(self, paths: Sequence[str]) -> dict[str, bytes]:
        """What is there, over HTTP, as the first reader gets it."""
        with self.client() as client:
            return {path: client.get(path).raise_for_status().content for path in dict.fromkeys(paths)}

    def push(self, slide: Path, accession: str) -> None:
        """Sends a slide by the agent, and waits until it can be read. Raises ServerError."""
        command = [*map(str, self.agent(slide, accession))]
        pushed = subprocess.run(command, capture_output=True, text=True, env=_env(), timeout=PUSH_S, check=False)
        if pushed.returncode:
            raise ServerError(f"The agent could not push the slide:\n{pushed.stdout}{pushed.stderr}")

    def agent(self, slide: Path, accession: str) -> list[str | Path]:
        """The command that pushes a slide."""
        to = ("--server", self.url, "--key-file", self.key_file, "--accession", accession)
        return [Path(sys.executable).parent / "iain-agent", "push", slide, *to]

    def finish_work(self) -> None:
        """Waits until no job is left, so that nothing of it is measured: levels in between are built by then."""
        database = open_database(self.database_url)
        try:
            deadline = time.monotonic() + BUILD_S
            while _jobs_left(database):
                if time.monotonic() > deadline:
                    raise ServerError(f"The platform still has jobs to do after {BUILD_S:.0f} s.")
                time.sleep(POLL_S)
        finally:
            database.close()


def tile_path(description: Description, address: TileAddress) -> str:
    """The path of a tile, as the viewer makes it."""
    return str(description["tile_url"]).format(**address._asdict())


@contextmanager
def platform(
    directory: Path, accessions: Sequence[str], prepare: Callable[[Database, Path, Agent], None] | None = None
) -> Iterator[Platform]:
    """A fresh platform below `directory` with a case for each accession; `prepare` is given its database, its data
    directory and its scanner before the server starts."""
    var, key_file = directory / "var", directory / "scanner.key"
    var.mkdir(parents=True)
    logins = [f"lecteur.{number}" for number in range(READERS)]
    database = open_database(_database_url(var))
    try:
        agent = _populate(database, logins, accessions, key_file)
        if prepare is not None:
            prepare(database, var, agent)
    finally:
        database.close()
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    serve: list[str | Path] = [Path(sys.executable).parent / "iain", "serve", "--var", var, "--port", str(port)]
    ready = f"{url}/login"
    with running(serve, log=directory / "iain.log", ready=lambda: answers(ready), env=_env()) as pid:
        with httpx.Client(base_url=url, headers={"Origin": url, "Sec-Fetch-Site": "same-origin"}) as browser:
            cookies = tuple(_sign_in(browser, login) for login in logins)
        yield Platform(var, key_file, pid, port, cookies)


def _env() -> dict[str, str]:
    """Settings of the caller's own installation must not reach the one that is measured."""
    return {name: value for name, value in os.environ.items() if not name.startswith("IAIN_")}


def _database_url(var: Path) -> str:
    return f"sqlite:///{(var / 'iain.db').absolute()}"


def _populate(database: Database, logins: Sequence[str], accessions: Sequence[str], key_file: Path) -> Agent:
    """A site with its scanner, its cases and its readers."""
    upgrade(database)
    password_hash = Passwords().hash(PASSWORD)
    with database.writing() as session:
        sites.add_site(session, SITE, "Banc d'essai")
        for login in logins:
            sites.add_member(session, SITE, login=login, name=login, role=Role.PATHOLOGIST, password_hash=password_hash)
        scanner_id, key = scanners.add_scanner(session, SITE, "Scanner")
        for accession in accessions:
            cases.register_case(session, System(), SITE, accession=accession, patient_name="BANC Camille")
    key_file.touch(mode=0o600)
    key_file.write_text(key)
    return Agent(scanner_id, SITE, "Scanner")


def _sign_in(browser: httpx.Client, login: str) -> str:
    """The Cookie header of a new session."""
    browser.cookies.clear()
    answer = browser.post("/login", data={"login": login, "password": PASSWORD})
    if not answer.cookies:
        raise ServerError(f"{login} could not sign in: HTTP {answer.status_code}")
    return "; ".join(f"{name}={value}" for name, value in answer.cookies.items())


def _jobs_left(database: Database) -> int:
    with database.reading() as session:
        left = select(func.count()).select_from(JobRow).where(JobRow.state.in_(("queued", "running")))
        return int(session.execute(left).scalar_one())
