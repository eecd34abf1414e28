"""Push one slide until the server has proved all of it: hash, ask, announce, send pieces, wait for the slide. Of a
slide of several files each is sent so, as far as the server lacks it; then they are committed together.

Whatever goes wrong in between is met in one way: wait, ask the server how many bytes it holds, go on from there.
"""

import hashlib
import os
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Protocol, TypeVar

from ingest.agent.client import Client, Held, RefusedError, TransientError
from ingest.agent.parcels import Parcel
from ingest.agent.pieces import Pieces
from ingest.manifest import SetFile, manifest_of
from ingest.protocol import FILE_NAME_MAX_CHARS, Problem, SlideStatus, UploadRequest, same_accession

Answer = TypeVar("Answer")

PIECE_BYTES = 16 * 1024 * 1024
HASH_BYTES = 1024 * 1024
FRESH_STARTS = 3
POLL_S = (0.25, 2.0)  # first and longest pause between two questions about a slide being prepared
BACKOFF_S = (0.25, 15.0)
# The upload is gone or useless on the server, and announcing the file anew is the remedy.
_START_AGAIN = frozenset({Problem.UNKNOWN_UPLOAD, Problem.FILE_DAMAGED})


class GaveUpError(Exception):
    """Nothing moved for as long as the technician allowed; `last` says why."""

    def __init__(self, last: TransientError) -> None:
        self.last = last
        super().__init__(str(last))


class ChangingFileError(Exception):
    """The file is still being written to."""


class Report(Protocol):
    """Who hears how far a push is. Sizes in bytes."""

    def hashing(self, done: int, total: int) -> None: ...
    def sending(self, done: int, total: int) -> None: ...
    def preparing(self) -> None: ...
    def retrying(self, problem: TransientError, pause_s: float) -> None: ...


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to go on without any progress, and how long to wait for a received slide to be ready."""

    unreachable_s: float = 600
    preparing_s: float = 120


@dataclass(frozen=True, slots=True)
class Glass:
    """What the technician knows of the slide: DICOM Accession Number (0008,0050), stain, block."""

    accession: str | None = None
    stain: str | None = None
    block: str | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """How a push ended. `status` may be unsettled when the server needs longer than the technician waits."""

    status: SlideStatus
    already_known: bool
    sent_bytes: int


@dataclass(frozen=True, slots=True)
class _Snapshot:
    size: int
    mtime_ns: int

    @classmethod
    def of(cls, file: FileIO) -> "_Snapshot":
        status = os.fstat(file.fileno())
        return cls(status.st_size, status.st_mtime_ns)


@dataclass(frozen=True, slots=True)
class _File:
    path: Path
    snapshot: _Snapshot
    sha256: str


@dataclass(frozen=True, slots=True)
class _Share:
    """Where one file stands in all that is read or sent, in bytes."""

    done: int
    total: int


class Pusher:
    """Pushes slides to one server."""

    def __init__(
        self,
        client: Client,
        report: Report,
        patience: Patience,
        *,
        piece_bytes: int = PIECE_BYTES,
        pause: Callable[[float], None] = time.sleep,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client, self._report, self._patience = client, report, patience
        self._piece_bytes, self._pause, self._now = piece_bytes, pause, now
        self._progressed_at = now()
        self._failures = 0

    def push(self, path: Path, glass: Glass) -> Delivery:
        """The slide that these bytes have become.

        Raises RefusedError, GaveUpError, ChangingFileError, or OSError when the file cannot be read.
        """
        return self._again(lambda: self._push_once(path, glass))

    def push_set(self, parcel: Parcel, glass: Glass) -> Delivery:
        """The slide that all files of the parcel together have become. Raises as `push`, and ManifestError."""
        return self._again(lambda: self._push_set_once(parcel, glass))

    def _again(self, push: Callable[[], Delivery]) -> Delivery:
        self._progress()
        for _ in range(FRESH_STARTS):
            try:
                return push()
            except ChangingFileError:
                continue
            except RefusedError as error:
                if error.code not in _START_AGAIN:
                    raise
        raise ChangingFileError

    def _push_once(self, path: Path, glass: Glass) -> Delivery:
        with path.open("rb", buffering=0) as file:
            before = _Snapshot.of(file)
            sha256 = self._hash(file, before.size, _Share(0, before.size))
            request = _request(path.name, before.size, sha256, glass)
            known = self._insist(lambda: self._client.known(sha256))
            # The site has it under another number: announcing it without a byte lets a person there decide.
            if known and (not glass.accession or same_accession(known.accession, glass.accession)):
                return Delivery(self._settled(known.slide, known), already_known=True, sent_bytes=0)
            upload_id = self._insist(lambda: self._client.create(request))
            held = self._insist(lambda: self._client.held(upload_id))
            first_offset = held.offset
            with Pieces(file, self._piece_bytes) as pieces:
                while held.slide is None:
                    held = self._send(upload_id, pieces, before, held, _Share(0, before.size))
        status = self._settled(held.slide, None)
        return Delivery(status, already_known=known is not None, sent_bytes=before.size - first_offset)

    def _push_set_once(self, parcel: Parcel, glass: Glass) -> Delivery:
        read = self._read(parcel)
        manifest = manifest_of(SetFile(name, each.snapshot.size, each.sha256) for name, each in read.items())
        request = _request(parcel.name, manifest.length, manifest.sha256, glass)
        sent = 0
        for _ in range(FRESH_STARTS):
            answer = self._insist(lambda: self._client.commit(manifest, request))
            if answer.slide:
                known = answer.known and not sent
                return Delivery(self._settled(answer.slide, None), already_known=known, sent_bytes=sent)
            missing = {read[name].sha256: read[name] for name in answer.missing if name in read}
            total, done = sum(each.snapshot.size for each in missing.values()), 0
            for each in missing.values():
                sent += self._send_file(each, _Share(done, total))
                done += each.snapshot.size
        raise RefusedError(Problem.FILES_MISSING, ", ".join(answer.missing))

    def _read(self, parcel: Parcel) -> dict[str, _File]:
        """Every file hashed, in the order in which it is sent."""
        total, done = sum(path.stat().st_size for _, path in parcel.files), 0
        read = {}
        for name, path in parcel.files:
            with path.open("rb", buffering=0) as file:
                snapshot = _Snapshot.of(file)
                read[name] = _File(path, snapshot, self._hash(file, snapshot.size, _Share(done, total)))
            done += snapshot.size
        return read

    def _send_file(self, each: _File, share: _Share) -> int:
        """One file of several; how many bytes of it were sent."""
        request = UploadRequest(_plain(each.path.name), each.snapshot.size, each.sha256, of_set=True)
        with each.path.open("rb", buffering=0) as file:
            upload_id = self._insist(lambda: self._client.create(request))
            held = self._insist(lambda: self._client.held(upload_id))
            first_offset = held.offset
            with Pieces(file, self._piece_bytes) as pieces:
                while held.offset < each.snapshot.size:
                    held = self._send(upload_id, pieces, each.snapshot, held, share)
        return each.snapshot.size - first_offset

    def _hash(self, file: FileIO, size: int, share: _Share) -> str:
        digest, done, room = hashlib.sha256(), 0, memoryview(bytearray(HASH_BYTES))
        while length := file.readinto(room):
            digest.update(room[:length])
            done += length
            self._report.hashing(share.done + done, share.total)
        self._progress()
        if done != size:
            raise ChangingFileError
        return digest.hexdigest()

    def _send(self, upload_id: str, pieces: Pieces, before: _Snapshot, held: Held, share: _Share) -> Held:
        """One piece, read from where the server stands; an empty one when only the proof is missing."""
        sent = held.offset
        self._report.sending(share.done + sent, share.total)

        def progress(slice_bytes: int) -> None:
            nonlocal sent
            sent += slice_bytes
            self._report.sending(share.done + sent, share.total)

        piece = pieces.at(held.offset)
        if _Snapshot.of(pieces.file) != before:
            raise ChangingFileError
        try:
            after = self._client.send(upload_id, held.offset, piece.data, piece.sha256, progress)
        except TransientError as error:
            self._wait(error)
            after = self._insist(lambda: self._client.held(upload_id))
        if after.offset > held.offset or after.slide:
            self._progress()
        return after

    def _settled(self, slide_id: str, status: SlideStatus | None) -> SlideStatus:
        """The slide's state once the server has made up its mind, or when the technician's time is over."""
        self._progress()
        deadline, pause = self._now() + self._patience.preparing_s, POLL_S[0]
        while True:
            current = status or self._insist(lambda: self._client.slide(slide_id)) or SlideStatus(slide_id, "received")
            status = None
            if current.settled or self._now() >= deadline:
                return current
            self._report.preparing()
            self._pause(pause)
            pause = min(pause * 1.5, POLL_S[1])

    def _insist(self, ask: Callable[[], Answer]) -> Answer:
        while True:
            try:
                return ask()
            except TransientError as error:
                self._wait(error)

    def _progress(self) -> None:
        self._progressed_at, self._failures = self._now(), 0

    def _wait(self, error: TransientError) -> None:
        """A pause that doubles with each failure in a row, with jitter so that scanners do not come back at once."""
        first, longest = BACKOFF_S
        limit = min(longest, first * 2 ** min(self._failures, 16))
        pause_s = limit * (0.5 + secrets.randbelow(1000) / 2000)
        self._failures += 1
        if self._now() + pause_s - self._progressed_at > self._patience.unreachable_s:
            raise GaveUpError(error)
        self._report.retrying(error, pause_s)
        self._pause(pause_s)


def _request(name: str, length: int, sha256: str, glass: Glass) -> UploadRequest:
    return UploadRequest(_plain(name), length, sha256, glass.accession, glass.stain, glass.block)


def _plain(name: str) -> str:
    """A file name that can be told to the server: the end of it, without what cannot be printed or is no UTF-8."""
    return "".join(character if character.isprintable() else "_" for character in name)[-FILE_NAME_MAX_CHARS:]
