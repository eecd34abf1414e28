"""The product as it is run, for parts that do not kill it: `iain serve` on new data, a scanner and a technician."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.tiles.processes import accepts
from sharing import scanners, sessions, sites
from sharing.db.engine import Database, open_database
from sharing.db.migrations import upgrade
from sharing.vocabulary import Role, SiteId

SITE = SiteId("caen")
START_WITHIN_S = 60


@dataclass(frozen=True, slots=True)
class Served:
    """A server on `port`, a scanner's `key`, and the `token` of a signed-in technician's session."""

    port: int
    var: Path
    database: Database
    key: str
    token: str

    def stored(self, sha256: str) -> Path:
        return self.var / "blobs" / SITE / sha256[:2] / sha256


@contextmanager
def serving(folder: Path) -> Iterator[Served]:
    """Raises RuntimeError when the server does not start."""
    var = folder / "var"
    var.mkdir()
    database = open_database(f"sqlite:///{(var / 'iain.db').absolute()}")
    upgrade(database)
    key, token = _people(database)
    port = free_port()
    command = [str(Path(sys.executable).parent / "iain"), "serve", "--var", str(var), "--port", str(port)]
    with (folder / "server.log").open("ab") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    try:
        _wait(server, port, folder / "server.log")
        yield Served(port, var, database, key, token)
    finally:
        server.kill()
        server.wait()
        database.close()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def _people(database: Database) -> tuple[str, str]:
    with database.writing() as session:
        sites.add_site(session, SITE, "Caen")
        _, key = scanners.add_scanner(session, SITE, "Scanner")
        sites.add_member(session, SITE, login="tech", name="Tech", role=Role.TECHNICIAN, password_hash="none")
        account = sites.member_by_login(session, "tech")
        assert account is not None
        return key, sessions.create(session, account.member)


def _wait(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_WITHIN_S
    while not accepts(port):
        if server.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"The server does not start; its log is {log}:\n{log.read_text()[-2000:]}")
        time.sleep(0.02)
