"""Four tus clients that others wrote send slides through a network that has bad days; each must arrive once and whole.

tus-js-client in node, the same in Chromium, uppy in Chromium, and tuspy. In node and Python they show a scanner's key,
in Chromium they have the cookie of a person who is signed in. A client that gives up is told to send the file again, as
its user would; one that needs more than a few times has failed.
"""

import hashlib
import io
import json
import os
import random
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from playwright.sync_api import Browser, Route, sync_playwright
from sqlalchemy import select
from tusclient.client import TusClient
from tusclient.exceptions import TusCommunicationError, TusUploadFailed

from benchmarks.torture import Plan, Result
from benchmarks.torture_ingest.network import Mishap, bad_network
from benchmarks.torture_ingest.served import Served, serving
from sharing.db.tables import SlideRow

VIEWER = Path(__file__).parents[2] / "viewer"
ROLLDOWN = VIEWER / "node_modules" / ".bin" / "rolldown"
CHROMIUM = "/usr/bin/chromium"
RUNS = 96
FILE_BYTES = (50_000, 4_000_000)
PIECES_BYTES = (0, 64 * 1024, 300_000, 1024 * 1024)
"""The sizes of pieces that are drawn from; 0: the whole file in one."""
MISHAPS = 5
TRIES = 4


@dataclass(frozen=True, slots=True)
class Errand:
    """One file to be sent through the port `port`. `piece_bytes`: 0 for the whole at once."""

    data: bytes
    sha256: str
    metadata: dict[str, str]
    port: int
    piece_bytes: int

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}/api/uploads"


class Client(Protocol):
    """Sends what the errand says; None when it says that it has, else its complaint."""

    def __call__(self, errand: Errand) -> str | None: ...


@dataclass
class Tally:
    runs: int = 0
    wrong: Counter[str] = field(default_factory=Counter)
    mishaps: Counter[Mishap] = field(default_factory=Counter)
    again: int = 0
    """How often a client gave up and was told to go on."""
    notes: list[str] = field(default_factory=list)


def run(plan: Plan) -> Result:
    with serving(plan.folder) as served, _clients(plan.folder, served) as clients:
        tally = _send_all(served, clients, random.Random(plan.seed), plan.times(RUNS // len(clients)))
    well = len(clients) - len(tally.wrong)
    happened = ", ".join(f"{count} × {mishap}" for mishap, count in sorted(tally.mishaps.items()))
    return Result(
        figures={"upload.foreign_clients_ok": well, "upload.foreign_runs": tally.runs},
        failed=bool(tally.wrong),
        notes=(*tally.notes, f"mishaps: {happened}; told to go on {tally.again} times"),
        void=() if tally.mishaps else ("the network, which ought to be bad,",),
    )


def _send_all(served: Served, clients: dict[str, Client], chance: random.Random, times: int) -> Tally:
    tally = Tally()
    for number in range(times):
        for name, client in clients.items():
            data = chance.randbytes(chance.randint(*FILE_BYTES))
            complaint = _send(served, client, chance, tally, data, f"26T{number:05}")
            tally.runs += 1
            if complaint:
                tally.wrong[name] += 1
                tally.notes.append(f"{name}, run {number}, {len(data)} bytes: {complaint}")
        print(f"  {tally.runs} runs, wrong {dict(tally.wrong)}", flush=True)
    return tally


def _send(
    served: Served, client: Client, chance: random.Random, tally: Tally, data: bytes, accession: str
) -> str | None:
    """What is wrong in the end; None when the file arrived once and whole, with what was said of it."""
    sha256 = hashlib.sha256(data).hexdigest()
    metadata = {"filename": "lame.svs", "accession": accession}
    if chance.random() < 0.5:  # clients that can say it beforehand, and others
        metadata["sha256"] = sha256
    piece_bytes = chance.choice(PIECES_BYTES)
    with bad_network(served.port, chance, mishaps=MISHAPS, within_bytes=len(data) + 2000) as network:
        errand = Errand(data, sha256, metadata, network.port, piece_bytes)
        complaint = client(errand)
        for _ in range(TRIES):
            if complaint is None:
                break
            tally.again += 1
            complaint = client(errand)
        tally.mishaps += network.happened
    if complaint is not None:
        return complaint
    with served.database.reading() as session:
        slides = session.scalars(select(SlideRow).where(SlideRow.sha256 == sha256)).all()
    if [(slide.length, slide.accession) for slide in slides] != [(len(data), accession)]:
        return f"it says that it is done, and there are {len(slides)} slides"
    if served.stored(sha256).read_bytes() != data:
        return "what is stored is not what was sent"
    return None


@contextmanager
def _clients(folder: Path, served: Served) -> Iterator[dict[str, Client]]:
    key = {"Authorization": f"Bearer {served.key}"}
    with ExitStack() as opened:
        node = opened.enter_context(_node(folder, key))
        playwright = opened.enter_context(sync_playwright())
        options = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        opened.callback(browser.close)
        script = _bundle("browser", folder / "browser.js", "iife").read_text()
        yield {
            "tus-js-client in node": node,
            "tus-js-client in Chromium": _in_chromium(browser, script, served.token, "tus-js"),
            "uppy in Chromium": _in_chromium(browser, script, served.token, "uppy"),
            "tuspy": _tuspy(key),
        }


def _bundle(name: str, target: Path, form: str) -> Path:
    platform = "node" if form == "esm" else "browser"
    command = [str(ROLLDOWN), f"foreign/{name}.ts", "--platform", platform, "--format", form, "--file", str(target)]
    subprocess.run(command, cwd=VIEWER, check=True, stdout=subprocess.DEVNULL)
    return target


@contextmanager
def _node(folder: Path, headers: dict[str, str]) -> Iterator[Client]:
    program = _bundle("node", folder / "node.mjs", "esm")
    file = folder / "to-send"
    command = ["node", str(program)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as process:
        commands, answers = process.stdin, process.stdout
        assert commands is not None
        assert answers is not None

        def send(errand: Errand) -> str | None:
            file.write_bytes(errand.data)
            print(json.dumps({**_job(errand), "headers": headers, "file": str(file)}), file=commands, flush=True)
            error: str | None = json.loads(answers.readline())["error"]
            return error

        yield send
        commands.close()


def _in_chromium(browser: Browser, script: str, token: str, client: str) -> Client:
    def send(errand: Errand) -> str | None:
        origin = f"http://127.0.0.1:{errand.port}"
        with browser.new_context() as context:
            context.add_cookies([{"name": "iain_session", "value": token, "url": origin}])
            context.route("**/page", _served("<!doctype html><title>Client</title>", "text/html"))
            context.route("**/data", _served(errand.data, "application/octet-stream"))
            page = context.new_page()
            page.goto(f"{origin}/page")
            page.add_script_tag(content=script)
            job = {**_job(errand), "headers": {}, "data": "/data"}
            error: str | None = page.evaluate(f"job => clients['{client}'](job)", job)["error"]
            return error

    return send


def _served(body: str | bytes, kind: str) -> Callable[[Route], None]:
    return lambda route: route.fulfill(body=body, content_type=kind)


def _tuspy(headers: dict[str, str]) -> Client:
    def send(errand: Errand) -> str | None:
        piece = {"chunk_size": errand.piece_bytes} if errand.piece_bytes else {}
        try:
            TusClient(errand.endpoint, headers).uploader(
                file_stream=io.BytesIO(errand.data),
                metadata=errand.metadata,
                upload_checksum=True,
                retries=40,
                retry_delay=0.05,
                **piece,
            ).upload()
        except (TusCommunicationError, TusUploadFailed) as error:
            return str(error)
        return None

    return send


def _job(errand: Errand) -> dict[str, object]:
    return {"endpoint": errand.endpoint, "metadata": errand.metadata, "chunk": errand.piece_bytes}
