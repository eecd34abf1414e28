"""The platform itself: `iain serve` as anybody starts it, a slide pushed by the agent, and signed-in readers.

Nothing is turned off or bypassed: every tile request carries one of many sessions and passes the access decision, the
audit log, the security headers; sealer, epoch watcher and job worker run beside it.
"""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from benchmarks.tiles.load import Target
from benchmarks.tiles.processes import ServerError, free_port, running
from benchmarks.tiles.server import Server
from sharing import cases, sites
from sharing.db.engine import open_database
from sharing.db.migrations import upgrade
from sharing.subjects import System
from sharing.vocabulary import Role, SiteId
from slideserver.auth.passwords import Passwords
from tiler.address import TileAddress

SITE, ACCESSION, PASSWORD = SiteId("banc"), "26B00001", "mot de passe du banc"
# A prime, so that over some replays every reader asks for every tile.
READERS = 61
PUSH_S = 300


@dataclass(frozen=True, slots=True)
class Platform:
    """The running platform with its one slide; `cookies` holds one Cookie header per signed-in reader."""

    pid: int
    port: int
    cookies: tuple[str, ...]
    description: Mapping[str, Any]

    def path(self, address: TileAddress) -> str:
        """The path of a tile, as the viewer makes it."""
        return str(self.description["tile_url"]).format(**address._asdict())

    def fetch(self, addresses: Sequence[TileAddress]) -> dict[str, bytes]:
        """These tiles by their paths, over HTTP, as the first reader gets them."""
        tiles: dict[str, bytes] = {}
        with httpx.Client(base_url=f"http://127.0.0.1:{self.port}", headers={"Cookie": self.cookies[0]}) as client:
            for path in dict.fromkeys(map(self.path, addresses)):
                tiles[path] = client.get(path).raise_for_status().content
        return tiles

    def server(self, replay: tuple[Target, ...]) -> Server:
        return Server("IAIN", self.pid, self.port, replay, self.cookies)


@contextmanager
def platform(directory: Path, slide: Path) -> Iterator[Platform]:
    """A fresh platform below `directory`, holding `slide`."""
    var, key_file = directory / "var", directory / "scanner.key"
    var.mkdir(parents=True)
    logins = _populate(var, key_file)
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    # Settings of the caller's own installation must not reach the one that is measured.
    env = {name: value for name, value in os.environ.items() if not name.startswith("IAIN_")}
    program = Path(sys.executable).parent
    serve: list[str | Path] = [program / "iain", "serve", "--var", var, "--port", str(port)]
    with running(serve, log=directory / "iain.log", ready=lambda: _answers(url), env=env) as pid:
        push = (
            program / "iain-agent",
            "push",
            slide,
            "--server",
            url,
            "--key-file",
            key_file,
            "--accession",
            ACCESSION,
        )
        pushed = subprocess.run(push, capture_output=True, text=True, env=env, timeout=PUSH_S, check=False)
        if pushed.returncode:
            raise ServerError(f"The agent could not push the slide:\n{pushed.stdout}{pushed.stderr}")
        cookies = tuple(_sign_in(url, login) for login in logins)
        yield Platform(pid, port, cookies, _describe(url, cookies[0]))


def _populate(var: Path, key_file: Path) -> list[str]:
    """A site with its scanner, a case and its readers, written before the server starts; the readers' logins."""
    database = open_database(f"sqlite:///{(var / 'iain.db').absolute()}")
    upgrade(database)
    password_hash = Passwords().hash(PASSWORD)
    logins = [f"lecteur.{number}" for number in range(READERS)]
    with database.writing() as session:
        sites.add_site(session, SITE, "Banc d'essai")
        for login in logins:
            sites.add_member(session, SITE, login=login, name=login, role=Role.PATHOLOGIST, password_hash=password_hash)
        _, key = sites.add_scanner(session, SITE, "Scanner")
        cases.register_case(session, System(), SITE, accession=ACCESSION, patient_name="BANC Camille")
    database.close()
    key_file.touch(mode=0o600)
    key_file.write_text(key)
    return logins


def _sign_in(url: str, login: str) -> str:
    """The Cookie header of a new session."""
    form = {"login": login, "password": PASSWORD}
    answer = httpx.post(f"{url}/login", data=form, headers={"Origin": url, "Sec-Fetch-Site": "same-origin"})
    if not answer.cookies:
        raise ServerError(f"{login} could not sign in: HTTP {answer.status_code}")
    return "; ".join(f"{name}={value}" for name, value in answer.cookies.items())


def _describe(url: str, cookie: str) -> Mapping[str, Any]:
    """The description of the one slide, as the viewer gets it."""
    with httpx.Client(base_url=url, headers={"Cookie": cookie}) as client:
        (case,) = client.get("/api/cases").raise_for_status().json()
        (slide,) = case["slides"]
        if slide["state"] != "ready":
            raise ServerError(f"The slide is not ready but {slide['state']}.")
        description: Mapping[str, Any] = client.get(f"/api/slides/{slide['id']}").raise_for_status().json()
        return description


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/login").status_code == httpx.codes.OK
    except httpx.TransportError:
        return False
