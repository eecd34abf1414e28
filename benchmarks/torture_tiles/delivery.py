"""A running platform as a scanner and a reader know it: slides go in by the functions that an upload ends with, what
became of them is read from the database, and tiles come out over HTTP."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx

from benchmarks.torture_tiles.oracle import Oracle
from ingest.arrival import REGISTER
from ingest.manifest import SetFile, manifest_of
from ingest.queues import job_queue
from sharing import slides
from sharing.db.engine import Database
from sharing.slides import Slide, StoredFile
from sharing.subjects import Agent, System
from sharing.vocabulary import SlideId, SlideState
from tiler.address import TileAddress
from tiler.geometry import Size
from tiler.storage.base import BlobStore

SETTLED: Final = (SlideState.READY, SlideState.REFUSED)
# Longer than this, and a request hangs.
ANSWER_WITHIN_S: Final = 10.0
_SAME_ORIGIN: Final = {"Sec-Fetch-Site": "same-origin"}
_POLL_S: Final = 0.02
_AGAIN_S: Final = 0.2


@dataclass(frozen=True, slots=True)
class Desk:
    """One site of a running platform; `accession` is a case of it."""

    url: str
    database: Database
    store: BlobStore
    agent: Agent
    accession: str
    login: str
    password: str

    def deliver(self, name: str, data: bytes) -> SlideId:
        """The slide of a file whose last byte has just arrived; the platform's worker does the rest. Raises
        ConflictError when the site has these bytes."""
        return self._registered(name, [self._stored(name, data)])

    def deliver_set(self, name: str, files: Mapping[str, bytes]) -> SlideId:
        """As `deliver`, of several files under the names they have beside each other."""
        stored = [self._stored(*each) for each in sorted(files.items())]
        told = manifest_of(SetFile(each.name, each.length, each.sha256) for each in stored)
        return self._registered(name, stored, told.sha256)

    def _stored(self, name: str, data: bytes) -> StoredFile:
        digest = hashlib.sha256(data).hexdigest()
        blob = self.store.begin(self.agent.site_id)
        blob.write(data)
        blob.commit(digest)
        return StoredFile(name, digest, len(data))

    def _registered(self, name: str, files: Sequence[StoredFile], digest: str | None = None) -> SlideId:
        with self.database.writing() as session:
            slide_id = slides.create_slide(
                session, self.agent, files=files, file_name=name, sha256=digest, accession=self.accession
            )
            job_queue(self.database).enqueue(session, REGISTER, slide_id, {"slide": slide_id})
        return slide_id

    def slide(self, slide_id: SlideId) -> Slide:
        with self.database.reading() as session:
            return slides.get_slide(session, System(), slide_id)

    def settled(self, slide_id: SlideId, *, within_s: float) -> Slide | None:
        """The slide once it is ready or refused; None when it is neither in time."""
        deadline = time.monotonic() + within_s
        while (slide := self.slide(slide_id)).state not in SETTLED:
            if time.monotonic() > deadline:
                return None
            time.sleep(_POLL_S)
        return slide

    @contextmanager
    def reader(self) -> Iterator[httpx.Client]:
        """A browser of a pathologist who has signed in."""
        with httpx.Client(base_url=self.url, headers=_SAME_ORIGIN, timeout=ANSWER_WITHIN_S, trust_env=False) as browser:
            answer = browser.post("/login", data={"login": self.login, "password": self.password})
            if answer.status_code != httpx.codes.SEE_OTHER:
                raise RuntimeError(f"{self.login} could not sign in: HTTP {answer.status_code}")
            yield browser


def fetched(reader: httpx.Client, path: str) -> httpx.Response:
    """The answer to a request that is made again, as a viewer does, while the server says that it cannot now: on a
    machine with too much to do it may not know for a moment who still has access."""
    give_up = time.monotonic() + ANSWER_WITHIN_S
    while (answer := reader.get(path)).status_code == httpx.codes.SERVICE_UNAVAILABLE and time.monotonic() < give_up:
        time.sleep(_AGAIN_S)
    return answer


class Shown:
    """A ready slide as a reader's viewer is told of it."""

    def __init__(self, reader: httpx.Client, slide_id: SlideId) -> None:
        told = reader.get(f"/api/slides/{slide_id}").raise_for_status().json()
        self.id = slide_id
        self.levels = tuple(
            (Size(level["width"], level["height"]), Size(level["tile_width"], level["tile_height"]))
            for level in told["levels"]
        )
        self._tile_url: str = told["tile_url"]

    def path(self, address: TileAddress) -> str:
        return self._tile_url.format(**address._asdict())

    def deep_zoom_path(self, address: TileAddress) -> str:
        """Where Deep Zoom has the same tile in its true size; its levels count up to the full resolution."""
        full = self.levels[0][0]
        finest = (max(full.width, full.height) - 1).bit_length()
        folder = self._tile_url.partition("{level}")[0]
        return f"{folder}slide_files/{finest - address.level}/{address.col}_{address.row}.jpeg"

    def oracle(self, path: Path) -> Oracle:
        """OpenSlide's view of the same file."""
        return Oracle(path, self.levels)
