"""Push one file until the server has proved all of it: hash, ask, announce, send pieces, wait for the slide.

Whatever goes wrong in between is met in one way: wait, ask the server how many bytes it holds, go on from there.
"""

import hashlib
import os
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from ingest.agent.client import Client, Held, RefusedError, TransientError
from ingest.protocol import FILE_NAME_MAX_CHARS, Problem, SlideStatus, UploadRequest

Answer = TypeVar("Answer")

PIECE_BYTES = 8 * 1024 * 1024
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
    def of(cls, descriptor: int) -> "_Snapshot":
        status = os.fstat(descriptor)
        return cls(status.st_size, status.st_mtime_ns)


class Pusher:
    """Pushes files to one server."""

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
        self._progress()
        for _ in range(FRESH_STARTS):
            try:
                return self._push_once(path, glass)
            except ChangingFileError:
                continue
            except RefusedError as error:
                if error.code not in _START_AGAIN:
                    raise
        raise ChangingFileError

    def _push_once(self, path: Path, glass: Glass) -> Delivery:
        with path.open("rb", buffering=0) as file:
            before = _Snapshot.of(file.fileno())
            sha256 = self._hash(file.fileno(), before.size)
            request = UploadRequest(_plain(path.name), before.size, sha256, glass.accession, glass.stain, glass.block)
            if known := self._insist(lambda: self._client.known(sha256)):
                return Delivery(self._settled(known.slide, known), already_known=True, sent_bytes=0)
            upload_id = self._insist(lambda: self._client.create(request))
            held = self._insist(lambda: self._client.held(upload_id))
            first_offset = held.offset
            while held.slide is None:
                held = self._send(upload_id, file.fileno(), before, held)
        return Delivery(self._settled(held.slide, None), already_known=False, sent_bytes=before.size - first_offset)

    def _hash(self, descriptor: int, size: int) -> str:
        digest, done = hashlib.sha256(), 0
        while data := os.read(descriptor, HASH_BYTES):
            digest.update(data)
            done += len(data)
            self._report.hashing(done, size)
        self._progress()
        if done != size:
            raise ChangingFileError
        return digest.hexdigest()

    def _send(self, upload_id: str, descriptor: int, before: _Snapshot, held: Held) -> Held:
        """One piece, read from where the server stands; an empty one when only the proof is missing."""
        sent = held.offset
        self._report.sending(sent, before.size)

        def progress(slice_bytes: int) -> None:
            nonlocal sent
            sent += slice_bytes
            self._report.sending(sent, before.size)

        os.lseek(descriptor, held.offset, os.SEEK_SET)
        piece = os.read(descriptor, self._piece_bytes)
        if _Snapshot.of(descriptor) != before:
            raise ChangingFileError
        try:
            after = self._client.send(upload_id, held.offset, piece, hashlib.sha256(piece).digest(), progress)
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


def _plain(name: str) -> str:
    """A file name that can be told to the server: the end of it, without what cannot be printed or is no UTF-8."""
    return "".join(character if character.isprintable() else "_" for character in name)[-FILE_NAME_MAX_CHARS:]
