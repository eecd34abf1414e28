"""Files arriving in pieces: tus 1.0 without the HTTP.

An upload is a row that says what is to come, and a part file (`ingest.parts`) as long as what has come. What happens to
the bytes is in `ingest.arrival`. Everything here may block; the edge calls it from a thread.
"""

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError

from ingest import announcements, sets
from ingest.arrival import Arrival, Home, Received
from ingest.errors import (
    FilesMissingError,
    KeyRefusedError,
    TooLargeError,
    UnknownSlideError,
    UnknownUploadError,
    UploadBusyError,
)
from ingest.jobs import JobQueue
from ingest.manifest import Manifest
from ingest.parts import Parts
from ingest.protocol import SlideStatus, UploadRequest
from ingest.room import Room
from ingest.unfinished import Unfinished, unfinished
from sharing import audit, claims, custody, policy, scanners, slides
from sharing.clock import SECOND_US
from sharing.db.engine import Database, Session
from sharing.db.tables import UploadRow
from sharing.errors import NotFoundError, Refusal
from sharing.slides import Slide
from sharing.subjects import Agent, Sender, System, sender_id
from sharing.vocabulary import Act, Action, Entity, SlideId, UploadId
from tiler.storage.base import BlobStore
from tiler.storage.local import LocalBlobStore


@dataclass(frozen=True, slots=True)
class Limits:
    """What senders may ask of the disk. `keep_s` is how long an unfinished upload outlives its last byte."""

    max_upload_bytes: int = 64 * 1024**3
    max_open_uploads: int = 100
    spare_disk_bytes: int = 256 * 1024**2
    keep_s: int = 7 * 24 * 3600


@dataclass(frozen=True, slots=True)
class Announced:
    """An upload, and when it is forgotten unless more of it comes (µs since the epoch)."""

    id: UploadId
    expires_us: int


class Uploads:
    """The uploads of all who bring slides. Safe to use from many threads, and by several processes on one data
    directory."""

    def __init__(self, database: Database, store: BlobStore, queue: JobQueue, var: Path, limits: Limits) -> None:
        self._database, self.limits = database, limits
        self._aside = var / "aside"
        self._parts = Parts(var / "uploads")
        keep_us = limits.keep_s * SECOND_US
        self._home = Home(database, store, queue, LocalBlobStore(self._aside), self._parts, keep_us)
        self._room = Room(self._parts, limits.spare_disk_bytes)

    def authenticate(self, key: str) -> Agent:
        """Whose key this is. Raises KeyRefusedError, and counts the stranger."""
        with self._database.reading() as session:
            agent = scanners.authenticate_scanner(session, key)
        if agent is None:
            audit.count_stranger(self._database, "scanner-key")
            raise KeyRefusedError
        return agent

    def known(self, sender: Sender, sha256: str) -> SlideStatus:
        """The slide of the sender's own site with these bytes. Raises UnknownSlideError; also when they are damaged by
        now, so that who has them sends them again."""
        with self._database.reading() as session:
            slide = slides.by_digest(session, sender.site_id, sha256)
            files = slides.files_of(session, slide.id, received_only=True) if slide else ()
            lost = custody.lost(session, sender.site_id, [file.sha256 for file in files])
            return _status(session, None if lost else slide)

    def slide(self, sender: Sender, slide_id: SlideId) -> SlideStatus:
        """How far a slide of the sender's own site is. Raises UnknownSlideError."""
        with self._database.reading() as session:
            try:
                slide = slides.get_slide(session, System(), slide_id)
            except NotFoundError as error:
                raise UnknownSlideError from error
            decision = policy.may(session, sender, Action.PUSH_SLIDE, slide)
            if decision.allowed:
                return _status(session, slide)
        about = (Entity("slide", slide_id),)
        refusal = Refusal(sender, Action.PUSH_SLIDE, slide.site_id, decision.reason, about)
        audit.record_refusal(self._database, refusal)
        raise UnknownSlideError

    def create(self, sender: Sender, request: UploadRequest) -> Announced:
        """The upload for these bytes: the open one of this sender when there is one, else a new one.

        Raises TooLargeError, TooManyUploadsError, QuotaExceededError, DiskFullError, ContradictionError, and
        UploadBusyError while the open one moves under another accession number.
        """
        if request.length > self.limits.max_upload_bytes:
            raise TooLargeError(self.limits.max_upload_bytes)
        with self._database.reading() as session:
            row = announcements.standing(session, sender, request)
        if row is None:
            row = self._add(sender, request)
        if announcements.corrections(row, request):
            with self._database.writing() as session:
                announcements.correct(session, self._parts, row, request)
        keep_us = self.limits.keep_s * SECOND_US
        return Announced(row.id, max(row.expires_us, self._parts.touched_us(row.id) + keep_us))

    def commit(self, sender: Sender, manifest: Manifest, glass: UploadRequest) -> Received:
        """The slide that these files are together. Raises FilesMissingError with those to send; TooLargeError,
        BadManifestError, DiskFullError, StoreFailedError."""
        if manifest.length > self.limits.max_upload_bytes:
            raise TooLargeError(self.limits.max_upload_bytes)
        try:
            return sets.commit(self._home, sender, manifest, glass)
        except FilesMissingError as error:
            names = frozenset(error.names)
            missing: dict[str | None, int] = {file.sha256: file.length for file in manifest.files if file.name in names}
            with self._database.reading() as session:
                self._room.require(session, sender, missing)
            raise

    def open(self, sender: Sender, upload_id: UploadId) -> Arrival:
        """Its upload, for this request alone until it is closed. Raises UnknownUploadError, UploadBusyError."""
        upload = self._own(sender, upload_id)
        if upload.completed_us is not None:
            return Arrival(self._home, sender, upload, None)
        part = self._parts.lock(upload_id)
        try:
            # Once more, now that the lock is ours: the request before us may have completed or ended it.
            upload = self._own(sender, upload_id)
        except UnknownUploadError:
            part.discard()
            part.close()
            raise
        if upload.completed_us is None:
            return Arrival(self._home, sender, upload, part)
        part.discard()
        part.close()
        return Arrival(self._home, sender, upload, None)

    def unfinished(self, sender: Sender) -> list[Unfinished]:
        """What it has begun to send, and how much of each has arrived."""
        with self._database.reading() as session:
            return unfinished(session, self._parts, sender)

    def sweep(self) -> None:
        """Removes uploads that nobody went on with, and part files that belong to no upload."""
        with self._database.reading() as session:
            rows = session.execute(
                select(UploadRow.id, UploadRow.expires_us).where(UploadRow.completed_us.is_(None))
            ).all()
            now_us = session.now_us
        touched_us = dict(self._parts.names())
        expires_us = {row.id: row.expires_us for row in rows}
        keep_us = self.limits.keep_s * SECOND_US
        for name in touched_us.keys() | expires_us.keys():
            if now_us >= max(expires_us.get(UploadId(name), 0), touched_us.get(name, 0) + keep_us):
                self._drop(name, now_us - keep_us)
        sets.forget(self._database, self._aside, now_us - keep_us)

    def _add(self, sender: Sender, request: UploadRequest) -> UploadRow:
        try:
            with self._database.writing() as session:
                if not self._has(sender, request):
                    self._room.require(session, sender, {request.sha256: request.length})
                most, keep_s = self.limits.max_open_uploads, self.limits.keep_s
                return announcements.add(session, sender, request, most=most, keep_s=keep_s)
        except IntegrityError:  # announced twice at once: the other announcement stands
            with self._database.reading() as session:
                if row := announcements.standing(session, sender, request):
                    return row
            raise

    def _has(self, sender: Sender, request: UploadRequest) -> bool:
        """Whether the site has these bytes, so that none of them will be sent."""
        store, sha256 = self._home.store, request.sha256
        return sha256 is not None and self._home.has(store, sender.site_id, sha256, request.length)

    def _own(self, sender: Sender, upload_id: UploadId) -> UploadRow:
        with self._database.reading() as session:
            row = session.get(UploadRow, upload_id)
        if row is None:
            raise UnknownUploadError
        if row.sender != sender_id(sender):
            entities = (Entity("upload", upload_id),)
            refusal = Refusal(sender, Action.PUSH_SLIDE, row.site_id, "the upload of another sender", entities)
            audit.record_refusal(self._database, refusal)
            raise UnknownUploadError
        return row

    def _drop(self, name: str, before_us: int) -> None:
        try:
            part = self._parts.lock(name)
        except UploadBusyError:
            return
        if part.length and part.touched_us > before_us:  # its sender came back, just before the lock was ours
            part.close()
            return
        with self._database.writing() as session:
            gone = delete(UploadRow).where(UploadRow.id == name, UploadRow.completed_us.is_(None))
            for site_id in session.scalars(gone.returning(UploadRow.site_id)).all():
                audit.record(
                    session,
                    site_id=site_id,
                    act=Act.UPLOAD_FORGOTTEN,
                    subject=System(),
                    entities=[Entity("upload", name)],
                    detail={"arrived": str(part.length)},
                )
        part.discard()
        part.close()


def _status(session: Session, slide: Slide | None) -> SlideStatus:
    if slide is None:
        raise UnknownSlideError
    return SlideStatus(
        slide.id,
        slide.state,
        matched=slide.case_id is not None,
        accession=slide.case_accession or slide.accession,
        refusal_code=slide.refusal_code,
        refusal_reason=slide.refusal_reason,
        claimed=claims.undecided(session, slide),
    )
