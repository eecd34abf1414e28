"""`python -m benchmarks.torture_ingest.small_disk FOLDER SLIDE ROUNDS` in a mount namespace of its own: the server as
it is run, on a disk that is full after a given number of pages.

The data directory is a tmpfs that is made smaller for each round, to what it holds and some pages more: the first round
has none left, the last one nearly as many as a slide takes from its announcement to its derived levels. The kernel
refuses the next page to whoever asks for it, SQLite included. Then there is room again and the server, which was never
restarted, has to bring every slide to its readers. Writes what it found as JSON.
"""

import hashlib
import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path

import httpx

from benchmarks.torture_ingest.served import Served, serving
from ingest.protocol import OFFSET_CONTENT_TYPE, PROBLEM_HEADER, SLIDE_HEADER, TUS_VERSION, UploadRequest
from sharing import chain
from slideserver.operations import verification

PAGE_BYTES = 4096
ROOM_BYTES = 1 << 30
WORDS = frozenset({"disk-full", "store-failed"})
PIECE_BYTES = 40_000
TRIES = 40
WITHIN_S = 120.0
WORKER_WITHIN_S = 3.0


@dataclass(slots=True)
class Found:
    rounds: int = 0
    refused: int = 0
    pages: int = 0
    """What the way of one slide takes."""
    half_done: list[str] = field(default_factory=list)
    wordless: list[str] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)


class SmallDisk:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._mount(f"size={ROOM_BYTES}")

    def used_pages(self) -> int:
        status = os.statvfs(self._folder)
        return (status.f_blocks - status.f_bfree) * status.f_frsize // PAGE_BYTES

    def leave(self, pages: int) -> None:
        """From now on this many pages can be had. Of the log of the database nothing stays, so it needs them, too."""
        with closing(sqlite3.connect(self._folder / "var" / "iain.db", timeout=5)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        for _ in range(TRIES):
            try:
                self._mount(f"remount,size={(self.used_pages() + pages) * PAGE_BYTES}")
                return
            except subprocess.CalledProcessError:  # the server wrote something, just before the disk was made smaller
                continue
        raise RuntimeError("The disk does not become smaller.")

    def widen(self) -> None:
        self._mount(f"remount,size={ROOM_BYTES}")

    def _mount(self, options: str) -> None:
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(self._folder)]
        subprocess.run(command, check=True, capture_output=True)


def torture(folder: Path, slide: bytes, rounds: int) -> Found:
    found, place = Found(), folder / "disk"
    place.mkdir()
    disk = SmallDisk(place)
    os.environ |= {"IAIN_PROCESSES": "1", "IAIN_SCRUB_BYTES_PER_S": "0"}
    with serving(place) as served:
        headers = {"Authorization": f"Bearer {served.key}", "Tus-Resumable": TUS_VERSION}
        with httpx.Client(
            base_url=f"http://127.0.0.1:{served.port}", headers=headers, timeout=60, trust_env=False
        ) as http:
            before = disk.used_pages()
            sent = [_push(http, found, slide + b"\0", disk.widen)]
            _ready(http, found, sent)
            found.pages = disk.used_pages() - before
            for number in range(rounds):
                data = slide + b"\0" * (number + 2)  # other bytes, the same picture
                _announce(http, UploadRequest("lame.svs", len(data), hashlib.sha256(data).hexdigest()))
                disk.leave(number * found.pages // rounds)
                refused = found.refused
                sent.append(_push(http, found, data, disk.widen))
                if found.refused == refused:  # then the worker meets the end of the disk, or nobody does
                    _until(lambda: _state(http, sent[-1]) == "ready", WORKER_WITHIN_S)
                disk.widen()
                found.rounds += 1
            _ready(http, found, sent)
        found.half_done += _wrong(served, len(sent), len(set(sent)))
    return found


def _wrong(served: Served, sent: int, slides: int) -> Iterator[str]:
    """What is not as it should be when all is over."""
    if slides != sent:
        yield f"{sent} slides were sent, {slides} are there"
    with closing(sqlite3.connect(served.var / "iain.db")) as connection:
        [[health]] = connection.execute("PRAGMA integrity_check(1)")
    if health != "ok":
        yield f"the database: {health}"
    for flaw in verification.verify(served.database, served.var, settled_s=0).flaws:
        yield f"{flaw.path}: {flaw.damage}"
    with served.database.reading() as session:
        yield from (f"the chain of {one.site_id}" for one in chain.verify(session).sites if not one.whole)


def _push(http: httpx.Client, found: Found, data: bytes, widen: Callable[[], None]) -> str:
    """As an agent does it; after the second refusal there is room. The slide's id, empty when it never became one."""
    request = UploadRequest("lame.svs", len(data), hashlib.sha256(data).hexdigest())
    refusals = acknowledged = 0
    for _ in range(TRIES):
        try:
            location = _announce(http, request)
            held = _asked(http.head(location))
            offset = int(held.headers["Upload-Offset"])
            if offset < acknowledged:
                found.half_done.append(f"{offset} bytes held, {acknowledged} were acknowledged")
            slide: str | None = held.headers.get(SLIDE_HEADER)
            while slide is None:
                piece = data[offset : offset + PIECE_BYTES]
                answer = _asked(
                    http.patch(
                        location,
                        content=piece,
                        headers={"Content-Type": OFFSET_CONTENT_TYPE, "Upload-Offset": str(offset)},
                    )
                )
                offset = acknowledged = int(answer.headers["Upload-Offset"])
                slide = answer.headers.get(SLIDE_HEADER)
            return slide
        except httpx.HTTPStatusError as error:
            answer = error.response
            refusals += 1
            if answer.headers.get(PROBLEM_HEADER) not in WORDS:
                found.wordless.append(f"{answer.request.method}: {answer.status_code} {answer.text[:200]}")
            if refusals == 1:
                found.refused += 1
            else:
                widen()
    found.stuck.append(f"a file was not taken in {TRIES} tries")
    return ""


def _announce(http: httpx.Client, request: UploadRequest) -> str:
    headers = {"Upload-Length": str(request.length), "Upload-Metadata": request.metadata()}
    location: str = _asked(http.post("/api/uploads", headers=headers)).headers["Location"]
    return location


def _asked(answer: httpx.Response) -> httpx.Response:
    return answer.raise_for_status()


def _state(http: httpx.Client, slide: str) -> str:
    answer = http.get(f"/api/uploads/slides/{slide}")
    return str(answer.json().get("state", "")) if answer.status_code == 200 else "received"


def _ready(http: httpx.Client, found: Found, sent: list[str]) -> None:
    for slide in sent:
        if not _until(lambda slide=slide: _state(http, slide) == "ready", WITHIN_S):  # type: ignore[misc]
            found.stuck.append(f"the slide {slide} is {_state(http, slide)}")


def _until(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


if __name__ == "__main__":
    print(json.dumps(asdict(torture(Path(sys.argv[1]), Path(sys.argv[2]).read_bytes(), int(sys.argv[3])))))
