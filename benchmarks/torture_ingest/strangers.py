"""Whoever may not send tries to, in many ways; not one byte of it may reach the disk, nor a row the database.

Strangers without a key, with a wrong, a withdrawn or an expired one, with the cookie of a person whose browser shows a
page of another origin, or of a session that is over; and the scanner of another site. Each tries to write into an
upload that is really open, and to open one, with bodies that are declared, chunked, cut or that wait to be asked for.
"""

import random
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
from sqlalchemy import func, select

from benchmarks.tiles.processes import accepts
from benchmarks.torture import Plan, Result
from benchmarks.torture_ingest.served import SITE, Served, free_port, serving
from ingest.protocol import TUS_VERSION, UploadRequest
from sharing import scanners, sessions, sites
from sharing.db.tables import UploadRow
from sharing.vocabulary import Role, SiteId

ATTEMPTS = 240
CONTROL_ATTEMPTS = 10
BODY_BYTES = (1, 3_000_000)
SHAPES = ("declared", "chunked", "cut", "expecting")
FOREIGN = "the key of another site"
WAIT_S = 10.0
START_WITHIN_S = 60


@dataclass(frozen=True, slots=True)
class Door:
    """What is tried: a server, an upload that is open in it, and the folder in which no byte may appear."""

    port: int
    location: str
    folder: Path

    def bytes_on_disk(self) -> int:
        """Of everything but the database."""
        files = (path for path in self.folder.rglob("*") if path.is_file() and ".db" not in path.name)
        return sum(path.stat().st_size for path in files)


def run(plan: Plan) -> Result:
    folders = plan.folder / "ours", plan.folder / "twin"
    for folder in folders:
        folder.mkdir()
    chance = random.Random(plan.seed)
    with serving(folders[0]) as served:
        credentials = _credentials(served)
        door = Door(served.port, _open_upload(served.port, served.key), served.var)
        before = _uploads(served)
        written, admitted, notes = torture(door, credentials, plan.times(ATTEMPTS), chance)
        rows = _uploads(served) - before
        # What strangers may not do the owner can: the door is one, and not a wall.
        there = door.bytes_on_disk()
        control = _attempt(door, {"Authorization": f"Bearer {served.key}"}, "PATCH", "declared", b"x" * 1000)
        opens = control == 204 and door.bytes_on_disk() == there + 1000
    with _twin(folders[1]) as late:
        twin_written, *_ = torture(late, {"no key": {}}, CONTROL_ATTEMPTS, chance)
    void = [] if twin_written else ["the twin that looks at the key after the body"]
    return Result(
        figures={
            "upload.unauthenticated_attempts": plan.times(ATTEMPTS),
            "upload.unauthenticated_bytes_on_disk": written,
            "upload.unauthenticated_twin_bytes": twin_written,
        },
        failed=bool(written or admitted or rows),
        notes=(
            *notes,
            f"{admitted} admitted, {rows} uploads announced by strangers",
        ),
        void=(*void, *(() if opens else ("the owner of the upload, who could not write either,",))),
    )


def torture(
    door: Door, credentials: dict[str, dict[str, str]], attempts: int, chance: random.Random
) -> tuple[int, int, list[str]]:
    """How many bytes appeared on the disk at most, how many attempts were not refused, and which those are."""
    before, written, admitted = door.bytes_on_disk(), 0, 0
    notes = []
    for number in range(attempts):
        name = list(credentials)[number % len(credentials)]
        shape, method = chance.choice(SHAPES), chance.choice(("PATCH", "PATCH", "POST"))
        if name == FOREIGN:
            method = "PATCH"  # at home it may announce what it likes
        status = _attempt(door, credentials[name], method, shape, chance.randbytes(chance.randint(*BODY_BYTES)))
        appeared = door.bytes_on_disk() - before
        if appeared or (status is not None and status < 400):
            notes.append(f"{name}, {method}, {shape}: answered {status}, {appeared} bytes on the disk")
        admitted += status is not None and status < 400
        written = max(written, appeared)
    return written, admitted, notes


def _attempt(door: Door, credential: dict[str, str], method: str, shape: str, body: bytes) -> int | None:
    """The status that was answered; None for none."""
    headers = {"Host": f"127.0.0.1:{door.port}", "Tus-Resumable": TUS_VERSION, **credential}
    if method == "PATCH":
        headers |= {"Content-Type": "application/offset+octet-stream", "Upload-Offset": "0"}
    else:
        headers |= {"Upload-Length": str(len(body)), "Upload-Metadata": UploadRequest("x", 1, None).metadata()}
    chunked = shape == "chunked"
    headers |= {"Transfer-Encoding": "chunked"} if chunked else {"Content-Length": str(len(body))}
    if shape == "expecting":
        headers["Expect"] = "100-continue"
    path = door.location if method == "PATCH" else "/api/uploads"
    head = "".join(
        [f"{method} {path} HTTP/1.1\r\n", *(f"{name}: {value}\r\n" for name, value in headers.items()), "\r\n"]
    )
    sent = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if chunked else body
    with socket.create_connection(("127.0.0.1", door.port), timeout=WAIT_S) as connection:
        connection.sendall(head.encode())
        if shape != "expecting":
            with suppress(OSError):  # whoever is refused at the head of a request may be hung up on
                connection.sendall(sent[: len(sent) // 2] if shape == "cut" else sent)
        if shape == "cut":
            connection.shutdown(socket.SHUT_WR)
        return _status(connection, sent if shape == "expecting" else b"")


def _status(connection: socket.socket, body: bytes) -> int | None:
    """`body` is sent if the server asks for it (RFC 9110 10.1.1)."""
    try:
        answer = connection.recv(4096)
        if answer.startswith(b"HTTP/1.1 100"):
            connection.sendall(body)
            answer = connection.recv(4096)
    except OSError:
        return None
    return int(answer.split(b" ")[1]) if answer.startswith(b"HTTP/1.1 ") else None


def _credentials(served: Served) -> dict[str, dict[str, str]]:
    scanner_id = served.key.split("_")[1]
    with served.database.writing() as session:
        sites.add_site(session, SiteId("rouen"), "Rouen")
        _, foreign = scanners.add_scanner(session, SiteId("rouen"), "Scanner")
        gone_id, gone = scanners.add_scanner(session, SITE, "Withdrawn")
        scanners.disable_scanner(session, gone_id)
        renewed_id, expired = scanners.add_scanner(session, SITE, "Renewed")
        scanners.rotate(session, renewed_id)
        sites.add_member(session, SITE, login="left", name="Left", role=Role.TECHNICIAN, password_hash="none")
        account = sites.member_by_login(session, "left")
        assert account is not None
        ended = sessions.create(session, account.member)
        sessions.revoke(session, ended)
    cookie = {"Cookie": f"iain_session={served.token}"}
    return {
        "no key": {},
        "an empty key": {"Authorization": "Bearer "},
        "a made-up key": {"Authorization": f"Bearer iain_{'a' * 26}_{'b' * 43}"},
        "a wrong secret": {"Authorization": f"Bearer iain_{scanner_id}_{'b' * 43}"},
        "a withdrawn key": {"Authorization": f"Bearer {gone}"},
        "a key that was exchanged": {"Authorization": f"Bearer {expired}"},
        "another scheme": {"Authorization": f"Basic {served.key}"},
        FOREIGN: {"Authorization": f"Bearer {foreign}"},
        "a page of another site": {**cookie, "Sec-Fetch-Site": "cross-site", "Origin": "http://evil.example"},
        "a page of another origin": {**cookie, "Origin": "http://evil.example"},
        "a cookie without an origin": cookie,
        "a cookie beside a wrong key": {**cookie, "Authorization": "Bearer x", "Sec-Fetch-Site": "same-origin"},
        "a session that is over": {"Cookie": f"iain_session={ended}", "Sec-Fetch-Site": "same-origin"},
        "a made-up session": {"Cookie": "iain_session=x", "Sec-Fetch-Site": "same-origin"},
    }


def _open_upload(port: int, key: str) -> str:
    headers = {"Authorization": f"Bearer {key}", "Tus-Resumable": TUS_VERSION, "Upload-Length": str(BODY_BYTES[1])}
    answer = httpx.post(f"http://127.0.0.1:{port}/api/uploads", headers=headers, timeout=30)
    location: str = answer.raise_for_status().headers["Location"]
    return location


def _uploads(served: Served) -> int:
    with served.database.reading() as session:
        return session.scalar(select(func.count()).select_from(UploadRow)) or 0


@contextmanager
def _twin(folder: Path) -> Iterator[Door]:
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.torture_twin_late", str(folder), str(port), "key"]
    server = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    try:
        _until(lambda: accepts(port))
        yield Door(port, _open_upload(port, "key"), folder)
    finally:
        server.kill()
        server.wait()


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + START_WITHIN_S
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError("The server does not start.")
        time.sleep(0.02)
