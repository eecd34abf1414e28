"""The derived levels of a slide, made in the background while it is already being looked at.

What is built is what would be cut, byte for byte (`tiler.pyramid`). The blob and the next generation of the index are
written first; then one transaction, under the fence of the job, shows them to the readers. A slide that would keep its
first reader waiting too long (`tiler.ladder.must_be_built`) becomes ready only then.
"""

import logging
import shutil
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from ingest import directory
from ingest.errors import NotNowError
from ingest.jobs import Job, JobQueue
from ingest.soundness import of_the_store, require_sound
from ingest.worker import Effect, Worker
from sharing import slides
from sharing.db.engine import Database, Session
from sharing.slides import Slide, StoredFile
from sharing.subjects import System
from sharing.vocabulary import SlideId, SlideState
from tiler.cutters import CutterPool
from tiler.errors import DamagedSlideError, SandboxUnavailableError
from tiler.index import TileIndex, file_name
from tiler.pyramid import Built, Pyramid
from tiler.sandbox import Sandbox
from tiler.storage.base import BlobStore

BUILD = "build"  # the kind of job
TELL_EVERY_S = 2.0

log = logging.getLogger(__name__)


class Build:
    """The handler of the jobs that registration leaves behind. A build ends between two tiles when `stopping` says
    so, and goes on at the last finished level another time."""

    def __init__(
        self,
        database: Database,
        queue: JobQueue,
        store: BlobStore,
        sandbox: Sandbox,
        var: Path,
        stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        self._database, self._queue, self._store, self._sandbox = database, queue, store, sandbox
        self._slides, self._building = var / "slides", var / "building"
        self._stopping = stopping

    def work(self, job: Job) -> Effect:
        slide_id, digest = SlideId(job.payload["slide"]), job.payload["index"]
        with self._database.reading() as session:
            slide = slides.get_slide(session, System(), slide_id)
            files = slides.files_of(session, slide_id, received_only=True)
        if slide.state is SlideState.REFUSED or slide.index_digest not in (digest, None):
            return _nothing
        folder, place = self._slides / slide_id, self._place(job)
        index = TileIndex.open(folder / file_name(digest), digest=digest)
        try:
            with of_the_store(), ExitStack() as opened:
                place.mkdir(parents=True, exist_ok=True)
                blobs = [self._store.open(slide.site_id, file.sha256) for file in files]
                for blob in blobs:
                    opened.callback(blob.close)
                cutters = CutterPool(self._sandbox, task="build")
                opened.callback(cutters.close)
                shown = directory.shown(self._store, slide.site_id, files)
                pyramid = Pyramid(index, blobs, cutters, slide_id, place, files=shown, writer=str(job.fence))
                built = pyramid.build(self._teller(job, pyramid.tiles))
                later = self._keep(slide, folder, built)
        except SandboxUnavailableError as error:
            raise NotNowError(error.sentence) from error
        except DamagedSlideError as error:
            require_sound(self._database, self._store, slide.site_id, files)
            return self._without(slide, place, error)

        def effect(session: Session) -> None:
            file = StoredFile(directory.DERIVED, built.sha256, built.length)
            slides.publish(session, slide_id, index_digest=later.digest, derived=file)
            if slide.index_digest is None:
                facts = directory.facts_of(later, folder)
                slides.mark_ready(session, slide_id, index_digest=later.digest, version=later.version, image=facts)
            shutil.rmtree(place, ignore_errors=True)

        return effect

    def give_up(self, job: Job, tries: int) -> Effect:
        slide_id = SlideId(job.payload["slide"])

        def effect(session: Session) -> None:
            if slides.get_slide(session, System(), slide_id).state is SlideState.INDEXING:
                reason = f"The slide's overview could not be made in {tries} tries."
                slides.mark_refused(session, slide_id, code="unreadable", reason=reason)
            shutil.rmtree(self._place(job), ignore_errors=True)

        return effect

    def _place(self, job: Job) -> Path:
        """Where the levels of this build are kept until all are there."""
        return self._building / f"{job.payload['slide']}-{job.payload['index'][:16]}"

    def _teller(self, job: Job, tiles: int) -> Callable[[int, bool], None]:
        told = time.monotonic()

        def tell(done: int, durable: bool) -> None:
            nonlocal told
            if self._stopping():
                raise NotNowError("The server is stopping; the build goes on where it was.")
            if durable or time.monotonic() - told > TELL_EVERY_S:
                self._queue.report(job, done, tiles, durable=durable)
                told = time.monotonic()

        return tell

    def _keep(self, slide: Slide, folder: Path, built: Built) -> TileIndex:
        """Everything durable that the next generation needs; named by its digest, so no reader of this one is
        disturbed."""
        self._store.adopt(built.path, slide.site_id, built.sha256)
        later = TileIndex(built.index_bytes)
        thumbnail = {"thumbnail.jpg": built.thumbnail} if slide.index_digest is None else {}
        directory.write(folder, {file_name(later.digest): built.index_bytes, **thumbnail})
        return later

    def _without(self, slide: Slide, place: Path, error: DamagedSlideError) -> Effect:
        """A tile of the slide cannot be decoded. Who looks at the place will be told; the rest is shown, if it can be
        without a build."""

        def effect(session: Session) -> None:
            shutil.rmtree(place, ignore_errors=True)
            if slide.index_digest is None:
                slides.mark_refused(session, slide.id, code=error.code, reason=error.sentence)
            else:
                log.warning("Slide %s stays without built levels: %s", slide.id, error.sentence)

        return effect


class Builder:
    """The one thread that builds, one slide at a time, with what computing time nobody else wants."""

    def __init__(
        self, database: Database, queue: JobQueue, store: BlobStore, sandbox: Sandbox, var: Path, name: str = "builder"
    ) -> None:
        self._database, self._queue, self._store, self._sandbox = database, queue, store, sandbox
        self._var, self._name = var, name

    def run(self, stop: threading.Event) -> None:
        """Works until `stop` is set."""
        build = Build(self._database, self._queue, self._store, self._sandbox, self._var, stop.is_set)
        Worker(self._database, self._queue, {BUILD: build}, self._name).run(stop)


def _nothing(_: Session) -> None:
    pass
