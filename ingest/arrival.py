"""One upload while its lock is ours: bytes are appended, proved, and become a slide.

A file whose SHA-256 is the announced one is moved into the blob store; then slide, job and audit event are written in
one transaction. A crash between the two is healed by the next request for the upload: the part file is gone and the
blob is there. One file of several of a slide is put aside instead, until all are committed (`ingest.sets`). Everything
here may block.
"""

import errno
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import delete
from sqlalchemy.exc import DatabaseError, IntegrityError

from ingest import announcements
from ingest.errors import (
    DiskFullError,
    FileDamagedError,
    IngestError,
    PieceDamagedError,
    StoreFailedError,
    TooLargeError,
    UnknownUploadError,
    UploadBusyError,
    WrongOffsetError,
)
from ingest.jobs import JobQueue
from ingest.parts import Part, Parts
from ingest.protocol import Checksum, UploadRequest
from sharing import audit, claims, custody, slides
from sharing.db.engine import Database, Session
from sharing.db.tables import UploadRow
from sharing.errors import ConflictError
from sharing.slides import Slide, StoredFile
from sharing.subjects import Sender
from sharing.vocabulary import Act, Entity, Outcome, SiteId, SlideId, SlideState
from tiler.errors import BlobNotFoundError
from tiler.storage.base import BlobStore

Answer = TypeVar("Answer")

REGISTER = "register"  # the kind of job that a received slide makes necessary
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


@dataclass(frozen=True, slots=True)
class Held:
    """How much of an upload is durable, and the slide once all of it is proved. `expires_us`: when it is forgotten
    unless more comes, µs since the epoch; None once it is complete."""

    offset: int
    length: int
    slide: SlideId | None
    expires_us: int | None = None


@dataclass(frozen=True, slots=True)
class Received:
    """`new` unless the site had the slide before."""

    slide: SlideId
    new: bool


@dataclass(frozen=True, slots=True)
class Home:
    """Where arrived bytes go. `aside`: proved files of slides whose other files are still to come. `keep_us`: how long
    an unfinished upload outlives its last byte."""

    database: Database
    store: BlobStore
    queue: JobQueue
    aside: BlobStore
    parts: Parts
    keep_us: int

    def received(
        self, session: Session, sender: Sender, glass: UploadRow | UploadRequest, sha256: str, files: list[StoredFile]
    ) -> Received:
        """The slide of the sender's site with this SHA-256; made of these files in this transaction when it is new, and
        claimed in it when it is known under another accession number."""
        if known := slides.by_digest(session, sender.site_id, sha256):
            self.claim(session, sender, known, glass)
            return Received(known.id, new=False)
        slide_id = slides.create_slide(
            session,
            sender,
            files=files,
            file_name=glass.file_name,
            sha256=sha256,
            accession=glass.accession,
            stain=glass.stain,
            block=glass.block,
        )
        self.queue.enqueue(session, REGISTER, slide_id, {"slide": slide_id})
        return Received(slide_id, new=True)

    def claim(self, session: Session, sender: Sender, known: Slide, glass: UploadRow | UploadRequest) -> None:
        """Lets a person decide when the glass is said to be of another case; not about what nobody can read."""
        if known.state is not SlideState.REFUSED:
            claims.lodge(
                session,
                sender,
                known,
                accession=glass.accession,
                stain=glass.stain,
                block=glass.block,
                file_name=glass.file_name,
            )

    def lost(self, site_id: SiteId, digests: Iterable[str]) -> frozenset[str]:
        """Those that the store has, or had, and that are damaged: they may come again."""
        with self.database.reading() as session:
            return custody.lost(session, site_id, digests)

    def has(self, place: BlobStore, site_id: SiteId, sha256: str, length: int) -> bool:
        """Whether these bytes are in a place already, as long as they are said to be, and not known to be damaged."""
        try:
            held = place.path(site_id, sha256).stat().st_size
        except (BlobNotFoundError, FileNotFoundError):
            return False
        return held == length and not self.lost(site_id, [sha256])

    def keep_aside(self, site_id: SiteId, sha256: str) -> None:
        """Somebody wants it: the time after which it goes begins anew."""
        with suppress(BlobNotFoundError, FileNotFoundError):
            os.utime(self.aside.path(site_id, sha256))


def settled(write: Callable[[], Answer]) -> Answer:
    """What a transaction answers. Raises StoreFailedError when the database fails; the blobs wait for another try."""
    try:
        try:
            return write()
        except (ConflictError, IntegrityError):  # another scanner of the site completed the same bytes meanwhile
            return write()
    except DatabaseError as error:  # no space, or no connection
        raise StoreFailedError from error


class Arrival:
    """An upload and its part file, None once it is complete. `close` is always due."""

    def __init__(self, home: Home, sender: Sender, upload: UploadRow, part: Part | None) -> None:
        self._home, self._sender, self._upload, self._part = home, sender, upload, part
        self._kept = part.length if part else upload.length
        self._checksum: Checksum | None = None
        self._piece = hashlib.sha256()

    def __enter__(self) -> "Arrival":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def held(self) -> Held:
        """What is durable. Finishes what a crash left unfinished, and raises FileDamagedError when that was damaged."""
        upload = self._upload
        if self._part is None:
            return Held(upload.length, upload.length, upload.slide_id)
        places = (self._home.aside, self._home.store) if upload.of_set else (self._home.store,)
        digest = upload.sha256 or ""
        for place in places if self._part.length == 0 and digest else ():
            if self._home.has(place, upload.site_id, digest, upload.length):
                # The site has these bytes: adopted before a crash, or sent by somebody else meanwhile.
                with self._disk():
                    place.settle(upload.site_id, digest)
                return self._end_well()
        return self._accept()

    def expect(self, offset: int, length: int | None, checksum: Checksum | None) -> None:
        """Announces a piece, before its first byte: where it begins, how long it is and its digest (None: not said).

        Raises WrongOffsetError, TooLargeError.
        """
        held = self.held()
        if offset != held.offset:
            raise WrongOffsetError(offset, held.offset)
        if length is not None and offset + length > held.length:
            raise TooLargeError(held.length)
        self._checksum = checksum
        if checksum is not None:
            self._piece = hashlib.new(checksum.algorithm, usedforsecurity=False)

    def write(self, data: bytes) -> None:
        """Appends to the piece. Raises TooLargeError, DiskFullError, StoreFailedError; each drops the whole piece."""
        if self._part is None or self._part.length + len(data) > self._upload.length:
            self._drop()
            raise TooLargeError(self._upload.length)
        with self._disk():
            self._part.append(data)
        if self._checksum is not None:
            self._piece.update(data)

    def finish(self) -> Held:
        """The piece is whole. Raises PieceDamagedError, FileDamagedError, DiskFullError, StoreFailedError."""
        if self._checksum is not None and self._piece.digest() != self._checksum.digest:
            self._drop()
            raise PieceDamagedError
        return self._accept() if self._part else self.held()

    def end(self) -> None:
        """Forgets the upload and its bytes; a slide that it became stays."""
        if self._part is None:
            return
        upload = self._upload
        personal = {"file_name": upload.file_name, "accession": upload.accession or ""}
        self._remove(self._part, Act.UPLOAD_FORGOTTEN, {"arrived": str(self._part.length)}, personal=personal)

    def _remove(
        self,
        part: Part,
        act: Act,
        detail: Mapping[str, str],
        *,
        outcome: Outcome = Outcome.SUCCESS,
        personal: Mapping[str, str] | None = None,
    ) -> None:
        part.discard()
        with self._home.database.writing() as session:
            session.execute(delete(UploadRow).where(UploadRow.id == self._upload.id))
            audit.record(
                session,
                site_id=self._sender.site_id,
                act=act,
                subject=self._sender,
                outcome=outcome,
                entities=[Entity("upload", self._upload.id)],
                detail=detail,
                personal=personal,
            )
        self._release()

    def close(self) -> None:
        """Gives the upload back. A piece that was cut short is kept as far as it came."""
        if self._part is None:
            return
        try:
            if self._part.length > self._kept:
                with self._disk():
                    self._part.sync()
        finally:
            self._release()

    def _accept(self) -> Held:
        part, upload = self._part, self._upload
        assert part is not None  # noqa: S101 - both callers have looked
        with self._disk():
            part.sync()
            self._kept = part.length
            sha256 = part.sha256()
        if part.length < upload.length:
            expires_us = max(upload.expires_us, self._home.parts.touched_us(upload.id) + self._home.keep_us)
            return Held(part.length, upload.length, None, expires_us)
        if upload.sha256 is None:
            self._name(sha256)
        elif sha256 != upload.sha256:
            digests = {"announced_sha256": upload.sha256, "received_sha256": sha256}
            self._remove(part, Act.SLIDE_RECEIVED, digests, outcome=Outcome.FAILED)
            raise FileDamagedError
        with self._disk():
            (self._home.aside if upload.of_set else self._home.store).adopt(part.path, upload.site_id, sha256)
        return self._end_well()

    def _end_well(self) -> Held:
        if self._upload.of_set:
            self._home.keep_aside(self._upload.site_id, self._upload.sha256 or "")
        slide_id = settled(self._complete)
        if self._part:
            self._part.discard()
        self._release()
        self._upload.slide_id = slide_id
        return self.held()

    def _complete(self) -> SlideId | None:
        """Slide, job, audit event and the end of the upload, in one transaction; once, however often it is called."""
        with self._home.database.writing() as session:
            row = session.get(UploadRow, self._upload.id, with_for_update=True)
            if row is None or row.sha256 is None:
                raise UnknownUploadError
            slide_id = None
            if not row.of_set:
                file = StoredFile(row.file_name, row.sha256, row.length)
                slide_id = self._home.received(session, self._sender, row, row.sha256, [file]).slide
                custody.mended(session, self._sender, [row.sha256])
            row.slide_id, row.completed_us = slide_id, session.now_us
            return slide_id

    def _name(self, sha256: str) -> None:
        """Writes down what nobody had announced, before the bytes move to a place that is named by it. Raises
        UploadBusyError while another upload of the same bytes moves."""
        try:
            with self._home.database.writing() as session:
                announcements.name(session, self._home.parts, self._upload, sha256)
        except IntegrityError:  # announced this very moment
            raise UploadBusyError from None
        self._upload.sha256 = sha256

    def _release(self) -> None:
        part, self._part = self._part, None
        if part:
            part.close()

    def _drop(self) -> None:
        """Back to what was acknowledged before this piece."""
        if self._part is not None:
            self._part.truncate(self._kept)

    @contextmanager
    def _disk(self) -> Iterator[None]:
        """Drops the piece when the disk refuses it, and says so in words."""
        try:
            yield
        except OSError as error:
            self._drop()
            raise disk_error(error) from error


def disk_error(error: OSError) -> IngestError:
    """What the disk's refusal means for who sends."""
    return DiskFullError() if error.errno in _FULL else StoreFailedError()
