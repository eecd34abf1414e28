"""Kill the server at random moments of an upload, start it again, and count what was lost.

Each run announces a new file, sends it in random pieces, and kills the server (SIGKILL): at a random byte, in the
moments after the last one while the file is proved and becomes a slide, or, in every other run, at a named moment from
within (`dying_server`), such as between a write and its sync. *Lost*: after the restart the server holds fewer bytes
than it had acknowledged, or the upload is gone. *Corrupt*: resumed to its end, the stored file is another, or the slide
is not there exactly once.

The same is then done to a known-bad twin (`benchmarks.torture_twin`), which must fail, to show that the torture bites.
"""

import hashlib
import random
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import cycle, pairwise
from pathlib import Path
from typing import Protocol

import httpx
from sqlalchemy import func, select

from benchmarks.tiles.processes import accepts
from benchmarks.torture import Plan, Result
from benchmarks.torture_ingest.dying_server import Moment
from ingest.protocol import OFFSET_CONTENT_TYPE, SLIDE_HEADER, TUS_VERSION, UploadRequest
from sharing import scanners, sites
from sharing.db.engine import open_database
from sharing.db.migrations import upgrade
from sharing.db.tables import SlideRow
from sharing.vocabulary import SiteId

PROGRAMS = Path(sys.executable).parent
FILE_BYTES = (2_000_000, 24_000_000)
PIECE_BYTES = (50_000, 6_000_000)
SLICE_BYTES = (500, 100_000)
AFTER_LAST_BYTE = 0.25  # the share of kills that come once everything is sent
START_WITHIN_S = 60
RUNS, TWIN_RUNS = 120, 15
# At which of a moment's occurrences the server dies: there is one rename and one commit to a file, of all else several.
ONCE = frozenset({Moment.BEFORE_RENAME, Moment.AFTER_RENAME, Moment.BEFORE_COMMIT, Moment.AFTER_COMMIT})
SYNCS = frozenset({Moment.BEFORE_SYNC, Moment.AFTER_SYNC})
OCCURRENCES, SYNC_OCCURRENCES = 16, 3


@dataclass
class Server:
    """A server process that can be killed and started again on the same data and port."""

    command: list[str]
    port: int
    log: Path
    dying_command: list[str] = field(default_factory=list)
    """Starts the same server such that it dies as `orders` says; empty when it cannot."""
    orders: Path = Path("/dev/null/orders")
    process: subprocess.Popen[bytes] | None = None

    def start(self, *, dying: bool = False) -> None:
        command = self.dying_command if dying else self.command
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
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
    slides: Callable[[str], int] = lambda _: 1
    """How many slides there are of a SHA-256."""


@dataclass
class Tally:
    runs: int = 0
    lost: int = 0
    corrupt: int = 0
    between: int = 0
    """Kills that came when nothing was under way: before the next piece, or after the end."""
    named: Counter[Moment] = field(default_factory=Counter)
    """Deaths at moments with a name."""
    notes: list[str] = field(default_factory=list)


class Death(Protocol):
    """How a server dies in a run."""

    def sent(self, length: int) -> None:
        """So many bytes of the file have been handed to the network."""
        ...

    def come(self) -> None:
        """Comes back when the server is dead, whatever was under way."""
        ...


class AtByte:
    """A SIGKILL from outside, shortly after a byte of the file was sent, or while all of it becomes a slide."""

    def __init__(self, server: Server, chance: random.Random, length: int) -> None:
        late = chance.random() < AFTER_LAST_BYTE
        self._kill_at = length if late else chance.randrange(length)
        self._killer = threading.Timer(chance.uniform(0, 0.06 if late else 0.004), server.kill)

    def sent(self, length: int) -> None:
        if length >= self._kill_at and self._killer.ident is None:
            self._killer.start()

    def come(self) -> None:
        if self._killer.ident is None:
            self._killer.start()
        self._killer.join()


class AtMoment:
    """A SIGKILL from within; from outside when the moment does not come."""

    def __init__(self, server: Server, chance: random.Random, moment: Moment) -> None:
        self._server = server
        occurrences = 1 if moment in ONCE else SYNC_OCCURRENCES if moment in SYNCS else OCCURRENCES
        server.orders.write_text(f"{moment} {chance.randint(1, occurrences)}")

    def sent(self, length: int) -> None:
        pass

    def come(self) -> None:
        self._server.kill()
        self._server.orders.unlink()


class Torture:
    """One upload after another, each with one kill."""

    def __init__(self, contender: Contender, chance: random.Random) -> None:
        self._contender, self._chance, self.tally = contender, chance, Tally()

    def run(self, moment: Moment | None, following: Moment | None) -> None:
        """One kill, at a random byte or at this moment; `following` is that of the next run."""
        chance, tally, server = self._chance, self.tally, self._contender.server
        data = chance.randbytes(chance.randint(*FILE_BYTES))
        sha256 = hashlib.sha256(data).hexdigest()
        request = UploadRequest(f"run {tally.runs}.svs", len(data), sha256)
        death: Death = AtMoment(server, chance, moment) if moment else AtByte(server, chance, len(data))
        with self._client() as http:
            headers = {"Upload-Length": str(request.length), "Upload-Metadata": request.metadata()}
            location = http.post("/api/uploads", headers=headers).raise_for_status().headers["Location"]
            acknowledged, cut = self._send_until_killed(http, location, data, death)
        death.come()
        tally.runs += 1
        tally.between += not cut
        if moment:
            tally.named[moment] += cut
        server.start(dying=following is not None)
        with self._client() as http:
            self._judge(http, location, data, sha256, acknowledged)

    def _send_until_killed(self, http: httpx.Client, location: str, data: bytes, death: Death) -> tuple[int, bool]:
        """How many bytes were acknowledged, and whether a piece was under way when the server died."""
        acknowledged = 0
        try:
            while acknowledged < len(data):
                end = min(len(data), acknowledged + self._chance.randint(*PIECE_BYTES))
                body = self._slices(data, acknowledged, end, death)
                acknowledged = self._patch(http, location, acknowledged, body, end - acknowledged)
        except httpx.TransportError:
            return acknowledged, True
        return acknowledged, False

    def _slices(self, data: bytes, start: int, end: int, death: Death) -> Iterator[bytes]:
        """A piece in random slices."""
        while start < end:
            part = data[start : min(end, start + self._chance.randint(*SLICE_BYTES))]
            start += len(part)
            death.sent(start)
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
            whole = whole and self._contender.slides(sha256) == 1
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
    url = f"sqlite:///{(var / 'iain.db').absolute()}"
    database = open_database(url)
    upgrade(database)
    with database.writing() as session:
        sites.add_site(session, SiteId("caen"), "Caen")
        _, key = scanners.add_scanner(session, SiteId("caen"), "Scanner")
    database.close()
    port = _free_port()
    serve = ["serve", "--var", str(var), "--port", str(port)]
    orders = folder / "orders"
    dying = [sys.executable, "-m", "benchmarks.torture_ingest.dying_server", str(orders), *serve]
    server = Server([str(PROGRAMS / "iain"), *serve], port, folder / "server.log", dying, orders)

    def slides(sha256: str) -> int:
        database = open_database(url)
        try:
            with database.reading() as session:
                return session.scalar(select(func.count()).where(SlideRow.sha256 == sha256)) or 0
        finally:
            database.close()

    return Contender(server, key, lambda _, sha256: var / "blobs" / "caen" / sha256[:2] / sha256, slides)


def twin(folder: Path) -> Contender:
    """The known-bad twin, which keeps the offset in a file of its own."""
    port = _free_port()
    command = [sys.executable, "-m", "benchmarks.torture_twin", str(folder), str(port)]
    server = Server(command, port, folder / "twin.log")
    return Contender(server, "none", lambda location, _: folder / location.rpartition("/")[2])


def torture(contender: Contender, deaths: Sequence[Moment | None], seed: int, *, until_corrupt: bool = False) -> Tally:
    """Kills a contender once for each of these, at a random byte for None, or until it fails; its server is stopped at
    the end."""
    work = Torture(contender, random.Random(seed))
    contender.server.start(dying=deaths[0] is not None)
    try:
        for moment, following in pairwise((*deaths, None)):
            work.run(moment, following)
            tally = work.tally
            print(f"  {tally.runs}/{len(deaths)} kills, lost {tally.lost}, corrupt {tally.corrupt}", flush=True)
            if until_corrupt and work.tally.corrupt:
                break
    finally:
        contender.server.kill()
    return work.tally


def run(plan: Plan) -> Result:
    folders = plan.folder / "ours", plan.folder / "twin"
    for folder in folders:
        folder.mkdir()
    named = [moment for _, moment in zip(range(plan.times(RUNS) // 2), cycle(Moment), strict=False)]
    random_ones: list[Moment | None] = [None] * (plan.times(RUNS) - len(named))
    tally = torture(ours(folders[0]), [*named, *random_ones], plan.seed)
    control = torture(twin(folders[1]), [None] * TWIN_RUNS, plan.seed, until_corrupt=True)
    hit = f"{tally.runs - tally.between} kills hit a piece under way, {tally.between} came between or after pieces"
    died = ", ".join(f"{count} {moment}" for moment, count in tally.named.items())
    missed = [f"no death {moment}" for moment, count in tally.named.items() if not count]
    return Result(
        figures={
            "upload.kill9_runs": tally.runs,
            "upload.kill9_lost": tally.lost,
            "upload.kill9_corrupt": tally.corrupt,
            "upload.kill9_named_moments": tally.named.total(),
            "upload.kill9_twin_corrupt": control.corrupt,
        },
        failed=bool(tally.lost or tally.corrupt or missed),
        notes=(
            *tally.notes,
            *missed,
            hit,
            f"of these from within: {died}",
            f"95 % bound {3 / max(1, tally.runs):.2f} per kill",
        ),
        void=() if control.corrupt else ("the twin that keeps the offset in a file of its own",),
    )


def _patch_headers(offset: int) -> dict[str, str]:
    return {"Content-Type": OFFSET_CONTENT_TYPE, "Upload-Offset": str(offset)}


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
