"""An agent watches a folder in which scanners write, and nobody is there: the server is killed ten times meanwhile.

The slides are one of each kind that the readers' tables name; or those of IAIN_SLIDES_DIR, which may hold hostile ones.
*Lost*: the platform's own reader opens it, and in the end it is not ready on the server with the bytes of every one of
its files. *Doubled*: a file is part of two slides of the server, though not of two in the folder.
"""

import hashlib
import os
import random
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select

from benchmarks.collection import Found, slides_below
from benchmarks.layouts.made import kinds
from benchmarks.torture import Plan, Result
from benchmarks.torture_ingest.kills import PROGRAMS, Contender, ours
from ingest.agent.entries import State
from ingest.agent.queue import Queue
from sharing.db.engine import open_database
from sharing.db.tables import SlideFileRow, SlideRow
from tiler.errors import TilerError
from tiler.sandbox import Sandbox

KILLS = 10
KILL_EVERY_S = (1.0, 4.0)
CHUNK_BYTES = 256 * 1024
WRITE_S = 60.0
"""How long the scanners write."""
REST_S = 5
"""A series of DICOM is at rest when its scanner has written nothing of it for so long."""
DONE_WITHIN_S = 900
LANGUAGE = "en"


@dataclass(frozen=True, slots=True)
class Known:
    """A slide of the server; `files` are the digests of those that were sent."""

    name: str
    state: str
    reason: str | None
    files: frozenset[str]


def run(plan: Plan) -> Result:
    given = os.environ.get("IAIN_SLIDES_DIR")
    source = Path(given) if given else _made(plan)
    slides, chance = list(slides_below(source)), random.Random(plan.seed)
    watched = plan.folder / "scans"
    watched.mkdir()
    contender = ours(plan.folder)
    contender.server.start()
    with _stopped(contender), _agent(plan.folder, contender, watched) as queue:
        writing = threading.Thread(target=_scan, args=(source, watched, chance))
        writing.start()
        kills = 0
        while kills < KILLS or writing.is_alive():
            time.sleep(chance.uniform(*KILL_EVERY_S))
            if kills < KILLS:
                contender.server.kill()
                time.sleep(chance.uniform(0, 2))  # it stays away for a while
                contender.server.start()
                kills += 1
        writing.join()
        _wait_until_settled(queue, plan.folder)
        told = {trouble.name: trouble.code for trouble in queue.troubles()}
        known = _known(plan.folder)
    return _judged(slides, known, told, kills)


def _judged(slides: list[Found], known: list[Known], told: dict[str, str], kills: int) -> Result:
    sandbox = Sandbox()
    held = {file for slide in known if slide.state == "ready" for file in slide.files}
    counts, notes = Counter[str](), []
    for slide in slides:
        files = {_sha256(path) for path in slide.files.values() if path.stat().st_size}
        try:
            sandbox.index_slide(next(iter(slide.files.values())) if len(slide.files) == 1 else slide.files)
        except (TilerError, OSError) as error:
            mine = [each for each in known if files & each.files]
            what = "refused" if mine else "told" if slide.name.rpartition("/")[2] in told else "no slide"
            notes.append(f"{slide.name}: {what} ({mine[0].reason if mine else error})")
        else:
            what = "ready" if files <= held else "lost"
            if what == "lost":
                notes.append(f"LOST {slide.name}")
        counts[what] += 1
    twice = _twice(each.files for each in known)
    doubled = twice - _twice({_sha256(path) for path in slide.files.values()} for slide in slides)
    return Result(
        figures={
            "agent.unattended_slides": len(slides),
            "agent.unattended_server_kills": kills,
            "agent.unattended_ready": counts["ready"],
            "agent.unattended_refused": counts["refused"] + counts["told"],
            "agent.unattended_no_slides": counts["no slide"],
            "agent.unattended_lost": counts["lost"],
            "agent.unattended_doubled": len(doubled),
        },
        failed=bool(counts["lost"] or doubled or not counts["ready"]),
        notes=(
            *notes,
            *(f"DOUBLED {each.name} ({each.state})" for each in known if each.files & doubled),
            *(f"the agent says of {name}: {code}" for name, code in told.items()),
        ),
    )


def _made(plan: Plan) -> Path:
    """Slides of every kind, or of some, each in a folder of its own."""
    every = kinds()
    for kind in random.Random(plan.seed).sample(every, plan.times(len(every))):
        kind.make(plan.folder / "made")
    return plan.folder / "made"


def _scan(source: Path, watched: Path, chance: random.Random) -> None:
    """Writes everything below the source to the same place below the watched folder, piece by piece, as slowly as
    scanners do: folder by folder, several files of one in turns."""
    files = [path for path in sorted(source.rglob("*")) if path.is_file()]
    pause = WRITE_S / max(1, sum(-(-path.stat().st_size // CHUNK_BYTES) for path in files))
    for start in range(0, len(files), 4):
        open_files = []
        for path in files[start : start + 4]:
            target = watched / path.relative_to(source)
            target.parent.mkdir(parents=True, exist_ok=True)
            open_files.append((path.open("rb"), target.open("wb")))
        while open_files:
            pair = chance.choice(open_files)
            data = pair[0].read(CHUNK_BYTES)
            pair[1].write(data)
            pair[1].flush()
            time.sleep(pause)
            if not data:
                open_files.remove(pair)
                for file in pair:
                    file.close()


@contextmanager
def _stopped(contender: Contender) -> Iterator[None]:
    try:
        yield
    finally:
        contender.server.kill()


@contextmanager
def _agent(folder: Path, contender: Contender, watched: Path) -> Iterator[Queue]:
    """A real agent as a service, with nobody in front of it; what it says goes into a log."""
    key, state = folder / "scanner.key", folder / "agent"
    key.write_text(contender.key)
    key.chmod(0o600)
    config = folder / "agent.toml"
    config.write_text(
        f'server = "http://127.0.0.1:{contender.server.port}"\nkey_file = "{key}"\nfolders = ["{watched}"]\n'
        f'state_folder = "{state}"\nrest_s = {REST_S}\ntell_after_s = 10\nlanguage = "{LANGUAGE}"\n'
    )
    with (folder / "agent.log").open("wb") as log:
        command = [str(PROGRAMS / "iain-agent"), "watch", "--config", str(config)]
        agent = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        try:
            with Queue(state) as queue:
                yield queue
        finally:
            agent.terminate()
            agent.wait(30)


def _wait_until_settled(queue: Queue, folder: Path) -> None:
    """Until nothing waits in the agent's queue, and has not for as long as it looks at folders again."""
    deadline, calm_since = time.monotonic() + DONE_WITHIN_S, time.monotonic()
    while time.monotonic() < calm_since + 15 + REST_S:
        if queue.summary().waiting:
            calm_since = time.monotonic()
        if time.monotonic() > deadline:
            waiting = [(entry.name, entry.code) for entry in queue.entries(State.QUEUED)]
            raise RuntimeError(f"After {DONE_WITHIN_S} s still in the queue: {waiting}; {folder / 'agent.log'}")
        time.sleep(0.5)


def _known(folder: Path) -> list[Known]:
    """The slides of the server, once it has made up its mind about each."""
    database = open_database(f"sqlite:///{(folder / 'var' / 'iain.db').absolute()}")
    deadline = time.monotonic() + DONE_WITHIN_S
    try:
        while True:
            with database.reading() as session:
                files = session.scalars(select(SlideFileRow).where(~SlideFileRow.derived)).all()
                slides = session.scalars(select(SlideRow)).all()
            if all(slide.state in ("ready", "refused") for slide in slides):
                break
            if time.monotonic() > deadline:
                raise RuntimeError(f"After {DONE_WITHIN_S} s slides are still being read.")
            time.sleep(0.5)
    finally:
        database.close()
    return [
        Known(
            slide.file_name,
            slide.state,
            slide.refusal_reason,
            frozenset(file.sha256 for file in files if file.slide_id == slide.id),
        )
        for slide in slides
    ]


def _twice(sets: Iterable[Iterable[str]]) -> set[str]:
    counts = Counter(file for files in sets for file in files)
    return {file for file, count in counts.items() if count > 1}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
