"""Files arriving in pieces: tus 1.0 without the HTTP.

An upload is a row that says what is to come, and a part file (`ingest.parts`) as long as what has come. What happens to
the bytes is in `ingest.arrival`. Everything here may block; the edge calls it from a thread.
"""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import delete, func, select
from sqlalchemy.exc import IntegrityError

from ingest import sets
from ingest.arrival import Arrival, Home, Received
from ingest.errors import (
    DiskFullError,
    FilesMissingError,
    KeyRefusedError,
    TooLargeError,
    TooManyUploadsError,
    UnknownSlideError,
    UnknownUploadError,
    UploadBusyError,
)
from ingest.jobs import JobQueue
from ingest.manifest import Manifest
from ingest.parts import Parts
from ingest.protocol import SlideStatus, UploadRequest
from sharing import audit, policy, scanners, slides
from sharing.clock import SECOND_US
from sharing.db.engine import Database, Session
from sharing.db.tables import UploadRow
from sharing.errors import NotFoundError, Refusal
from sharing.slides import Slide
from sharing.subjects import Agent, Sender, System, sender_id
from sharing.vocabulary import Action, Entity, SlideId, UploadId, new_id
from tiler.storage.base import BlobStore
from tiler.storage.local import LocalBlobStore


@dataclass(frozen=True, slots=True)
class Limits:
    """What scanners may ask of the disk. `keep_s` is how long an unfinished upload outlives its last byte."""

    max_upload_bytes: int = 64 * 1024**3
    max_open_uploads: int = 100
    spare_disk_bytes: int = 256 * 1024**2
    keep_s: int = 7 * 24 * 3600


class Uploads:
    """The uploads of all scanners. Safe to use from many threads, and by several processes on one data directory."""

    def __init__(self, database: Database, store: BlobStore, queue: JobQueue, var: Path, limits: Limits) -> None:
        self._database, self._limits = database, limits
        self._aside = var / "aside"
        self._home = Home(database, store, queue, LocalBlobStore(self._aside))
        self._parts = Parts(var / "uploads")

    def authenticate(self, key: str) -> Agent:
        """Whose key this is. Raises KeyRefusedError, and counts the stranger."""
        with self._database.reading() as session:
            agent = scanners.authenticate_scanner(session, key)
        if agent is None:
            audit.count_stranger(self._database, "scanner-key")
            raise KeyRefusedError
        return agent

    def known(self, sender: Sender, sha256: str) -> SlideStatus:
        """The slide of the sender's own site with these bytes. Raises UnknownSlideError."""
        with self._database.reading() as session:
            return _status(slides.by_digest(session, sender.site_id, sha256))

    def slide(self, sender: Sender, slide_id: SlideId) -> SlideStatus:
        """How far a slide of the sender's own site is. Raises UnknownSlideError."""
        with self._database.reading() as session:
            try:
                slide = slides.get_slide(session, System(), slide_id)
            except NotFoundError as error:
                raise UnknownSlideError from error
            allowed = policy.may(session, sender, Action.PUSH_SLIDE, slide).allowed
            return _status(slide if allowed else None)

    def create(self, sender: Sender, request: UploadRequest) -> UploadId:
        """The upload for these bytes: the open one of this scanner when there is one, else a new one.

        Raises TooLargeError, TooManyUploadsError, DiskFullError.
        """
        if request.length > self._limits.max_upload_bytes:
            raise TooLargeError(self._limits.max_upload_bytes)
        with self._database.reading() as session:
            if upload_id := _open_upload(session, sender, request):
                return upload_id
        self._find_room(request.length)
        try:
            with self._database.writing() as session:
                return self._announce(session, sender, request)
        except IntegrityError:  # announced twice at once: the other announcement stands
            with self._database.reading() as session:
                if upload_id := _open_upload(session, sender, request):
                    return upload_id
            raise

    def commit(self, sender: Sender, manifest: Manifest, glass: UploadRequest) -> Received:
        """The slide that these files are together. Raises FilesMissingError with those to send; TooLargeError,
        BadManifestError, DiskFullError, StoreFailedError."""
        if manifest.length > self._limits.max_upload_bytes:
            raise TooLargeError(self._limits.max_upload_bytes)
        try:
            return sets.commit(self._home, sender, manifest, glass)
        except FilesMissingError as error:
            names = frozenset(error.names)
            self._find_room(
                self._to_come(sender, {file.sha256: file.length for file in manifest.files if file.name in names})
            )
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

    def sweep(self) -> None:
        """Removes uploads that nobody went on with, and part files that belong to no upload."""
        with self._database.reading() as session:
            rows = session.execute(
                select(UploadRow.id, UploadRow.expires_us).where(UploadRow.completed_us.is_(None))
            ).all()
            now_us = session.now_us
        touched_us = dict(self._parts.names())
        expires_us = {row.id: row.expires_us for row in rows}
        keep_us = self._limits.keep_s * SECOND_US
        for name in touched_us.keys() | expires_us.keys():
            if now_us >= max(expires_us.get(UploadId(name), 0), touched_us.get(name, 0) + keep_us):
                self._drop(name, now_us - keep_us)
        sets.forget(self._database, self._aside, now_us - keep_us)

    def _to_come(self, sender: Sender, lengths: Mapping[str, int]) -> int:
        """How many bytes of these files, by SHA-256, are not on the disk yet: some may have arrived in part."""
        open_sets = UploadRow.sender == sender_id(sender), UploadRow.of_set, UploadRow.completed_us.is_(None)
        with self._database.reading() as session:
            rows = session.execute(select(UploadRow.id, UploadRow.sha256).where(*open_sets)).all()
        arrived = sum(self._parts.length(row.id) for row in rows if row.sha256 in lengths)
        return sum(lengths.values()) - arrived

    def _find_room(self, length: int) -> None:
        """Raises DiskFullError."""
        folder = self._parts.folder
        folder.mkdir(parents=True, exist_ok=True)
        if shutil.disk_usage(folder).free < length + self._limits.spare_disk_bytes:
            raise DiskFullError

    def _announce(self, session: Session, sender: Sender, request: UploadRequest) -> UploadId:
        mine = UploadRow.sender == sender_id(sender), UploadRow.completed_us.is_(None)
        if (session.scalar(select(func.count()).select_from(UploadRow).where(*mine)) or 0) >= (
            self._limits.max_open_uploads
        ):
            raise TooManyUploadsError(self._limits.max_open_uploads)
        row = UploadRow(
            id=UploadId(new_id()),
            site_id=sender.site_id,
            sender=sender_id(sender),
            length=request.length,
            sha256=request.sha256,
            file_name=request.file_name,
            accession=request.accession,
            stain=request.stain,
            block=request.block,
            of_set=request.of_set,
            created_us=session.now_us,
            expires_us=session.now_us + self._limits.keep_s * SECOND_US,
        )
        session.add(row)
        return row.id

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
            session.execute(delete(UploadRow).where(UploadRow.id == name, UploadRow.completed_us.is_(None)))
        part.discard()
        part.close()


def _open_upload(session: Session, sender: Sender, request: UploadRequest) -> UploadId | None:
    same = UploadRow.sha256 == request.sha256, UploadRow.of_set == request.of_set
    return session.scalar(
        select(UploadRow.id).where(UploadRow.sender == sender_id(sender), *same, UploadRow.completed_us.is_(None))
    )


def _status(slide: Slide | None) -> SlideStatus:
    if slide is None:
        raise UnknownSlideError
    return SlideStatus(
        slide.id,
        slide.state,
        matched=slide.case_id is not None,
        accession=slide.case_accession or slide.accession,
        refusal_code=slide.refusal_code,
        refusal_reason=slide.refusal_reason,
    )
