"""Kill the server at random moments of an upload, start it again, and count what was lost.

Each run announces a new file, sends it in random pieces, and kills the server (SIGKILL) at a random byte, or in the
moments after the last one while the file is proved and becomes a slide. *Lost*: after the restart the server holds
fewer bytes than it had acknowledged, or the upload is gone. *Corrupt*: resumed to its end, the stored file is another.

The same is then done to a known-bad twin (`benchmarks.torture_twin`), which must fail, to show that the torture bites.
"""

import hashlib
import random
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from benchmarks.tiles.processes import accepts
from benchmarks.torture_ingest.plan import Plan, Result
from ingest.protocol import OFFSET_CONTENT_TYPE, SLIDE_HEADER, TUS_VERSION, UploadRequest
from sharing import scanners, sites
from sharing.db.engine import open_database
from sharing.db.migrations import upgrade
from sharing.vocabulary import SiteId

PROGRAMS = Path(sys.executable).parent
FILE_BYTES = (2_000_000, 24_000_000)
PIECE_BYTES = (50_000, 6_000_000)
SLICE_BYTES = (500, 100_000)
AFTER_LAST_BYTE = 0.25  # the share of kills that come once everything is sent
START_WITHIN_S = 60
TWIN_RUNS = 15


@dataclass
class Server:
    """A server process that can be killed and started again on the same data and port."""

    command: list[str]
    port: int
    log: Path
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + START_WITHIN_S
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.02)
        raise RuntimeError(f"The server does not start; its log is {self.log}:\n{self.log.read_text()[-2000:]}")

    def kill(self) -> None:
        """Its children are the kernel's to kill, which takes a moment: until then one of them may answer."""
        if self.process:
            self.process.kill()
            self.process.wait()
            deadline = time.monotonic() + START_WITHIN_S
            while accepts(self.port) and time.monotonic() < deadline:
                time.sleep(0.002)


@dataclass
class Contender:
    """What is tortured: a server, the key it takes, and where it keeps a finished file."""

    server: Server
    key: str
    stored: Callable[[str, str], Path]
    """The file for an upload's location and SHA-256."""


@dataclass
class Tally:
    runs: int = 0
    lost: int = 0
    corrupt: int = 0
    between: int = 0
    """Kills that came when nothing was under way: before the next piece, or after the end."""
    notes: list[str] = field(default_factory=list)


class Torture:
    """One upload after another, each with one kill."""

    def __init__(self, contender: Contender, chance: random.Random) -> None:
        self._contender, self._chance, self.tally = contender, chance, Tally()

    def run(self) -> None:
        chance, tally, server = self._chance, self.tally, self._contender.server
        data = chance.randbytes(chance.randint(*FILE_BYTES))
        sha256 = hashlib.sha256(data).hexdigest()
        late = chance.random() < AFTER_LAST_BYTE
        kill_at = len(data) if late else chance.randrange(len(data))
        killer = threading.Timer(chance.uniform(0, 0.06 if late else 0.004), server.kill)
        request = UploadRequest(f"run {tally.runs}.svs", len(data), sha256)
        with self._client() as http:
            headers = {"Upload-Length": str(request.length), "Upload-Metadata": request.metadata()}
            location = http.post("/api/uploads", headers=headers).raise_for_status().headers["Location"]
            acknowledged = self._send_until_killed(http, location, data, kill_at, killer)
        killer.join()
        server.start()
        with self._client() as http:
            self._judge(http, location, data, sha256, acknowledged)
        tally.runs += 1

    def _send_until_killed(
        self, http: httpx.Client, location: str, data: bytes, kill_at: int, killer: threading.Timer
    ) -> int:
        acknowledged = 0
        try:
            while acknowledged < len(data):
                piece = data[acknowledged : acknowledged + self._chance.randint(*PIECE_BYTES)]
                body = self._slices(piece, kill_at - acknowledged, killer)
                acknowledged = self._patch(http, location, acknowledged, body, len(piece))
        except httpx.TransportError:
            return acknowledged
        self.tally.between += 1
        if not killer.is_alive() and not killer.finished.is_set():
            killer.start()
        return acknowledged

    def _slices(self, piece: bytes, kill_at: int, killer: threading.Timer) -> Iterator[bytes]:
        """The piece in random slices; the killer is let loose with the one that has byte `kill_at`."""
        start = 0
        while start < len(piece):
            part = piece[start : start + self._chance.randint(*SLICE_BYTES)]
            start += len(part)
            if start >= kill_at and not killer.is_alive() and not killer.finished.is_set():
                killer.start()
            yield part

    def _judge(self, http: httpx.Client, location: str, data: bytes, sha256: str, acknowledged: int) -> None:
        tally = self.tally
        head = http.head(location)
        held = int(head.headers.get("Upload-Offset", -1))
        if held < acknowledged:
            tally.lost += 1
            tally.notes.append(f"run {tally.runs}: {acknowledged} bytes acknowledged, {held} held")
        slide = head.headers.get(SLIDE_HEADER)
        try:
            while slide is None:
                answer = http.patch(location, content=data[held:], headers=_patch_headers(held)).raise_for_status()
                held, slide = int(answer.headers["Upload-Offset"]), answer.headers.get(SLIDE_HEADER)
            whole = hashlib.sha256(self._contender.stored(location, sha256).read_bytes()).hexdigest() == sha256
        except (httpx.HTTPError, OSError) as error:
            whole = False
            tally.notes.append(f"run {tally.runs}: {error}")
        if not whole:
            tally.corrupt += 1
            tally.notes.append(f"run {tally.runs}: what is stored is not what was sent")

    def _patch(self, http: httpx.Client, location: str, offset: int, body: Iterator[bytes], length: int) -> int:
        headers = _patch_headers(offset) | {"Content-Length": str(length)}
        answer = http.patch(location, content=body, headers=headers).raise_for_status()
        return int(answer.headers["Upload-Offset"])

    def _client(self) -> httpx.Client:
        headers = {"Authorization": f"Bearer {self._contender.key}", "Tus-Resumable": TUS_VERSION}
        port = self._contender.server.port
        return httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=60, trust_env=False)


def ours(folder: Path) -> Contender:
    """The product as it is run: `iain serve` on a new data directory with one site and one scanner."""
    var = folder / "var"
    var.mkdir()
    database = open_database(f"sqlite:///{(var / 'iain.db').absolute()}")
    upgrade(database)
    with database.writing() as session:
        sites.add_site(session, SiteId("caen"), "Caen")
        _, key = scanners.add_scanner(session, SiteId("caen"), "Scanner")
    database.close()
    port = _free_port()
    command = [str(PROGRAMS / "iain"), "serve", "--var", str(var), "--port", str(port)]
    server = Server(command, port, folder / "server.log")
    return Contender(server, key, lambda _, sha256: var / "blobs" / "caen" / sha256[:2] / sha256)


def twin(folder: Path) -> Contender:
    """The known-bad twin, which keeps the offset in a file of its own."""
    port = _free_port()
    command = [sys.executable, "-m", "benchmarks.torture_twin", str(folder), str(port)]
    server = Server(command, port, folder / "twin.log")
    return Contender(server, "none", lambda location, _: folder / location.rpartition("/")[2])


def torture(contender: Contender, runs: int, seed: int, *, until_corrupt: bool = False) -> Tally:
    """Kills a contender `runs` times, or until it fails; its server is stopped at the end."""
    chance = random.Random(seed)
    work = Torture(contender, chance)
    contender.server.start()
    try:
        for _ in range(runs):
            work.run()
            print(f"  {work.tally.runs}/{runs} kills, lost {work.tally.lost}, corrupt {work.tally.corrupt}", flush=True)
            if until_corrupt and work.tally.corrupt:
                break
    finally:
        contender.server.kill()
    return work.tally


def run(plan: Plan) -> Result:
    folders = plan.folder / "ours", plan.folder / "twin"
    for folder in folders:
        folder.mkdir()
    tally = torture(ours(folders[0]), plan.times(100), plan.seed)
    control = torture(twin(folders[1]), TWIN_RUNS, plan.seed, until_corrupt=True)
    hit = f"{tally.runs - tally.between} kills hit a piece under way, {tally.between} came between or after pieces"
    return Result(
        figures={
            "upload.kill9_runs": tally.runs,
            "upload.kill9_lost": tally.lost,
            "upload.kill9_corrupt": tally.corrupt,
            "upload.kill9_twin_corrupt": control.corrupt,
        },
        failed=bool(tally.lost or tally.corrupt),
        notes=(*tally.notes, hit, f"95 % bound {3 / max(1, tally.runs):.2f} per kill"),
        void=() if control.corrupt else ("the twin that keeps the offset in a file of its own",),
    )


def _patch_headers(offset: int) -> dict[str, str]:
    return {"Content-Type": OFFSET_CONTENT_TYPE, "Upload-Offset": str(offset)}


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
