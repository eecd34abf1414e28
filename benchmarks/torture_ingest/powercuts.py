"""Cut the power of a scanner's workstation, and count what the platform has afterwards: `agent.powercuts`.

*Lost*: a slide that the scanner wrote is not on the platform, or its files are neither where they were nor where they
were to go. *Doubled*: the platform has a slide that nobody scanned, such as half of one. Two twins show that both can
happen: one forgets what it begins to send, the other takes a file that rests for a whole one.
"""

import hashlib
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath

import uvicorn
from sqlalchemy import select
from starlette.applications import Starlette

from benchmarks.torture import Plan, Result
from benchmarks.torture_ingest.dying_agent import Work
from ingest.queues import job_queue
from ingest.receive import Limits, Uploads
from sharing import scanners, sites, slides
from sharing.db.engine import Database, open_database
from sharing.db.migrations import upgrade
from sharing.db.tables import SlideRow
from sharing.slides import ImageFacts
from sharing.vocabulary import SiteId, SlideState
from slideserver.api.uploads import routes
from tiler.storage.local import LocalBlobStore

CUTS = 60
TWIN_CUTS, TWIN_TRIES = 8, 5
WITHIN_S = 600
AFTER = ("keep", "move", "delete")
_FACTS = ImageFacts("tiff", 1, 1)


@dataclass(frozen=True)
class Platform:
    """Where slides are sent; one that says of all of them, soon after, that they are ready."""

    url: str
    key: str
    database: Database
    blobs: Path


@dataclass(frozen=True)
class Outcome:
    """What became of one workstation's slides."""

    cuts: int
    slides: int
    damaged_queues: int
    lost: tuple[str, ...]
    doubled: tuple[str, ...]


def run(plan: Plan) -> Result:
    each = max(1, plan.times(CUTS) // len(AFTER))
    outcomes = []
    for number, after in enumerate(AFTER):
        with platform(plan.folder / after) as there:
            outcomes.append(cut(there, plan.folder / after, after, each, plan.seed + number))
    void = []
    for twin, what in (("forgetful", "an agent that forgets"), ("half", "an agent that takes rest for an end")):
        if not any(_fails(plan.folder / f"{twin}-{number}", twin, plan.seed + number) for number in range(TWIN_TRIES)):
            void.append(what)
    lost = [name for outcome in outcomes for name in outcome.lost]
    doubled = [name for outcome in outcomes for name in outcome.doubled]
    figures: dict[str, float] = {
        "agent.powercuts": sum(outcome.cuts for outcome in outcomes),
        "agent.slides_lost": len(lost),
        "agent.slides_doubled": len(doubled),
        "agent.powercut_slides": sum(outcome.slides for outcome in outcomes),
        "agent.queues_damaged": sum(outcome.damaged_queues for outcome in outcomes),
    }
    notes = (*(f"lost: {name}" for name in lost), *(f"doubled: {name}" for name in doubled))
    return Result(figures, failed=bool(notes), notes=notes, void=tuple(void))


def _fails(folder: Path, twin: str, seed: int) -> bool:
    """Whether a twin loses, or doubles, as it ought to."""
    with platform(folder) as there:
        worse = cut(there, folder, "keep", TWIN_CUTS, seed, twin=twin)
    return bool(worse.lost if twin == "forgetful" else worse.doubled)


def cut(there: Platform, folder: Path, after: str, cuts: int, seed: int, *, twin: str = "") -> Outcome:
    """A workstation in this folder whose power is cut so many times, and what the platform has in the end."""
    work = Work(there.url, there.key, str(folder), after, cuts, seed, twin)
    plan = folder / "work.json"
    plan.write_text(json.dumps(asdict(work)))
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.torture_ingest.dying_agent", str(plan)],
        stdout=subprocess.PIPE, timeout=WITHIN_S, check=True,
    )  # fmt: skip
    report = json.loads(done.stdout)
    wanted = {digest: ", ".join(files) for digest, files in report["slides"].items()}
    with there.database.reading() as session:
        found = session.scalars(select(SlideRow.sha256)).all()
    lost = [name for digest, name in wanted.items() if digest not in found]
    doubled = [f"{digest} of nobody" for digest in found if digest not in wanted]
    doubled += [f"{wanted[digest]} twice" for digest in set(found) & set(wanted) if found.count(digest) > 1]
    if not report["ended"]:
        lost.append("the end: the agent did not come to rest")
    lost += [
        f"{place} ({after})" for files in report["slides"].values() for place in _astray(there, folder, after, files)
    ]
    return Outcome(report["deaths"], len(wanted), report["damaged"], tuple(lost), tuple(doubled))


def _astray(there: Platform, folder: Path, after: str, files: dict[str, str]) -> Iterator[str]:
    """The files of a slide that are not where they ought to be, on the workstation or on the platform."""
    for place, sha256 in files.items():
        here, archived = folder / "scans" / place, list((folder / "archive").rglob(PurePosixPath(place).name))
        match after:
            case "keep":
                well = _has(here, sha256)
            case "move":
                well = not here.exists() and any(_has(each, sha256) for each in archived)
            case _:
                well = not here.exists()
        if not well or not _has(there.blobs / sha256[:2] / sha256, sha256):
            yield place


def _has(path: Path, sha256: str) -> bool:
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == sha256


@contextmanager
def platform(folder: Path) -> Iterator[Platform]:
    """The product's own routes for uploads, in a thread of this process, with one site and one scanner."""
    folder.mkdir(parents=True)
    database = open_database(f"sqlite:///{(folder / 'iain.db').absolute()}")
    upgrade(database)
    with database.writing() as session:
        sites.add_site(session, SiteId("caen"), "Caen")
        _, key = scanners.add_scanner(session, SiteId("caen"), "Scanner")
    blobs = folder / "blobs"
    uploads = Uploads(database, LocalBlobStore(blobs), job_queue(database), folder, Limits(spare_disk_bytes=0))
    config = uvicorn.Config(
        Starlette(routes=list(routes(uploads))), log_level="warning", lifespan="off", ws="none",
        timeout_graceful_shutdown=1,
    )  # fmt: skip
    server, over = uvicorn.Server(config), threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threads = [
            threading.Thread(target=server.run, kwargs={"sockets": [listener]}),
            threading.Thread(target=_make_ready, args=(database, over)),
        ]
        for thread in threads:
            thread.start()
        try:
            yield Platform(f"http://127.0.0.1:{listener.getsockname()[1]}", key, database, blobs / "caen")
        finally:
            server.should_exit = True
            over.set()
            for thread in threads:
                thread.join()
            database.close()


def _make_ready(database: Database, over: threading.Event) -> None:
    while not over.wait(0.05):
        say_ready(database)


def say_ready(database: Database, refused: Collection[str] = ()) -> None:
    """Says of every slide that has arrived that it can be read, which needs no slide that can; of those with one of
    these names that they are refused."""
    with database.writing() as session:
        waiting = session.execute(
            select(SlideRow.id, SlideRow.file_name).where(SlideRow.state == SlideState.RECEIVED)
        ).all()
        for slide_id, name in waiting:
            if name in refused:
                slides.mark_refused(session, slide_id, code="damaged", reason="It is cut short.")
            else:
                slides.mark_ready(session, slide_id, index_digest="0" * 64, image=_FACTS)
