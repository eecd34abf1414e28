"""From stored bytes to a slide that can be looked at, or to the reason why it cannot.

The file is opened in the sandbox alone; what comes out is checked here before it is kept. An accession that no case has
is no error: the slide is ready and unmatched, and a person attaches it. Working twice on one slide changes nothing.
"""

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

from ingest import directory
from ingest.build import BUILD
from ingest.errors import NotNowError
from ingest.jobs import Job, JobQueue
from ingest.soundness import of_the_store, require_sound
from ingest.worker import Effect
from sharing import slides
from sharing.db.engine import Database, Session
from sharing.slides import Slide, StoredFile
from sharing.subjects import System
from sharing.vocabulary import SlideId, SlideState
from tiler import icc
from tiler.errors import BadIndexError, SandboxUnavailableError, TilerError, WorkerDiedError, WorkerTimeoutError
from tiler.index import TileIndex, file_name
from tiler.ladder import must_be_built
from tiler.sandbox import IndexedSlide
from tiler.storage.base import BlobStore
from tiler.verification import check

FATAL_TRIES = 2  # a decoder that died or hung twice on the same bytes will do so again
PICTURE_MAX_BYTES = 4 * 1024 * 1024
_JPEG_START = b"\xff\xd8\xff"


class Reader(Protocol):
    """What opens slide files; `tiler.sandbox.Sandbox` is the one that is used."""

    def index_slide(self, slide: Path | Mapping[str, Path]) -> IndexedSlide:
        """Raises TilerError with the reason in words."""
        ...


class Register:
    """The handler of the jobs that a received slide makes necessary."""

    def __init__(self, database: Database, queue: JobQueue, store: BlobStore, reader: Reader, var: Path) -> None:
        self._database, self._queue, self._store, self._reader = database, queue, store, reader
        self._folder = var / "slides"

    def work(self, job: Job) -> Effect:
        slide_id = SlideId(job.payload["slide"])
        with self._database.writing() as session:
            self._queue.hold(session, job)
            slide = slides.get_slide(session, System(), slide_id)
            if slide.state in (SlideState.READY, SlideState.REFUSED):
                return _nothing
            slides.start_indexing(session, slide_id)
            files = slides.files_of(session, slide_id, received_only=True)
        try:
            with of_the_store():
                indexed = self._reader.index_slide(directory.shown(self._store, slide.site_id, files))
                index = self._checked(indexed, slide, files)
        except SandboxUnavailableError as error:
            raise NotNowError(error.sentence) from error
        except (WorkerDiedError, WorkerTimeoutError) as error:
            if job.attempt < FATAL_TRIES:
                raise
            return self._refused(slide, files, error)
        except TilerError as error:
            return self._refused(slide, files, error)
        return self._opening(slide_id, indexed, index)

    def give_up(self, job: Job, tries: int) -> Effect:
        reason = f"The file could not be read in {tries} tries."
        return _refusal(SlideId(job.payload["slide"]), "unreadable", reason)

    def _refused(self, slide: Slide, files: tuple[StoredFile, ...], error: TilerError) -> Effect:
        require_sound(self._database, self._store, slide.site_id, files)
        return _refusal(slide.id, error.code, error.sentence)

    def _checked(self, indexed: IndexedSlide, slide: Slide, files: tuple[StoredFile, ...]) -> TileIndex:
        """The worker's index, if it points at this slide's bytes and nothing else. Raises BadIndexError."""
        index = TileIndex(indexed.index_bytes)
        with ExitStack() as opened:
            blobs = [self._store.open(slide.site_id, file.sha256) for file in files]
            for blob in blobs:
                opened.callback(blob.close)
            check(index, blobs)
        if indexed.thumbnail is None and not must_be_built(index.levels):
            raise BadIndexError("The slide has no small picture.")
        for picture in (indexed.thumbnail, indexed.label, indexed.macro):
            if picture is not None and not (picture.startswith(_JPEG_START) and len(picture) <= PICTURE_MAX_BYTES):
                raise BadIndexError("A small picture of the slide is not a JPEG of bounded size.")
        if indexed.profile is not None and not icc.is_rebuilt(indexed.profile):
            raise BadIndexError("The slide's colour profile holds more than numbers.")
        return index

    def _opening(self, slide_id: SlideId, indexed: IndexedSlide, index: TileIndex) -> Effect:
        folder = self._folder / slide_id
        contents = {
            file_name(index.digest): indexed.index_bytes,
            "thumbnail.jpg": indexed.thumbnail,
            "label.jpg": indexed.label,
            "macro.jpg": indexed.macro,
            directory.PROFILE: indexed.profile,
        }

        def effect(session: Session) -> None:
            # Under the fence, so that a worker that froze and woke up never touches the files of a slide in use.
            try:
                directory.write(folder, contents)
            except OSError as error:
                raise NotNowError(f"The slide's index cannot be written: {error.strerror}.") from error
            if not all(level.placed for level in index.levels):
                self._queue.enqueue(session, BUILD, slide_id, {"slide": slide_id, "index": index.digest})
            if not must_be_built(index.levels):
                facts = directory.facts_of(index, folder)
                slides.mark_ready(session, slide_id, index_digest=index.digest, image=facts)

        return effect


def _nothing(_: Session) -> None:
    pass


def _refusal(slide_id: SlideId, code: str, reason: str) -> Effect:
    def effect(session: Session) -> None:
        slides.mark_refused(session, slide_id, code=code, reason=reason)

    return effect
