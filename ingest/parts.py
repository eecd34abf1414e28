"""The files in which uploads grow: each locked by one request at a time, and as long as what has arrived.

The length of a part file is its upload's offset; there is no second record that could disagree with it. The lock is the
kernel's (flock), so it holds between processes, and a killed one leaves none behind.
"""

import errno
import fcntl
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from ingest.errors import UploadBusyError
from tiler.storage.local import sync_path

READ_BYTES = 1024 * 1024
# So much is handed to the disk at once while more arrives, and `sync` has little left to wait for.
BEGIN_BYTES = 1024 * 1024


class Digest(Protocol):
    """A hashlib object."""

    def update(self, data: bytes, /) -> None: ...
    def copy(self) -> "Digest": ...
    def hexdigest(self) -> str: ...


@dataclass(slots=True)
class _Known:
    """What this process remembers of a part file: how much of it the digest covers, and how much is durable."""

    file: tuple[int, int]
    covered: int = 0
    digest: Digest = field(default_factory=hashlib.sha256)
    durable: int = -1
    """Its length when it was last synced, -1 when something has changed since that its length does not tell."""
    named: bool = False
    """Whether its name outlives a power cut."""


class Parts:
    """The part files of one folder, and how far the SHA-256 of each has been computed.

    The running digests save reading a file again when it is complete. They are lost with the process and then rebuilt.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._known: dict[str, _Known] = {}

    def lock(self, name: str) -> "Part":
        """The part file `name`, made when it is missing. Raises UploadBusyError while another request holds it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / name
        while True:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                raise UploadBusyError from None
            # Between open and lock the file may have become a blob, or have been dropped: then it is not ours to write.
            if _still_at(path, descriptor):
                return Part(path, descriptor, self._known)
            os.close(descriptor)

    def length(self, name: str) -> int:
        """How much of `name` is there, 0 when nothing is; asked while another may write."""
        try:
            return (self.folder / name).stat().st_size
        except FileNotFoundError:
            return 0

    def touched_us(self, name: str) -> int:
        """When bytes of `name` came last, in µs since the epoch; 0 when none have."""
        try:
            return (self.folder / name).stat().st_mtime_ns // 1000
        except FileNotFoundError:
            return 0

    def names(self) -> Iterator[tuple[str, int]]:
        """Name and time of last writing (µs since the epoch) of every part file."""
        for path in self.folder.iterdir() if self.folder.is_dir() else ():
            yield path.name, path.stat().st_mtime_ns // 1000


class Part:
    """A part file whose lock is ours; `close` gives it back. What is written is durable after `sync`, not before."""

    def __init__(self, path: Path, descriptor: int, remembered: dict[str, _Known]) -> None:
        self.path = path
        status = os.fstat(descriptor)
        self.length, self.touched_us = status.st_size, status.st_mtime_ns // 1000
        self._descriptor, self._remembered = descriptor, remembered
        file = status.st_dev, status.st_ino
        known = remembered.get(path.name)
        if known is None or known.file != file or known.covered > self.length:
            known = remembered[path.name] = _Known(file)
        self._known = known
        self._mark = known.covered, known.digest.copy()
        self._begun = self.length

    def append(self, data: bytes) -> None:
        """The digest goes along with the bytes, if it covers all that came before them."""
        known, rest = self._known, memoryview(data)
        follows = known.covered == self.length
        while rest:
            written = os.pwrite(self._descriptor, rest, self.length)
            self.length += written
            rest = rest[written:]
        if follows:
            known.digest.update(data)
            known.covered = self.length
        if self.length - self._begun >= BEGIN_BYTES:
            # What it does to pages that are still to be written: it begins to write them (Linux, mm/fadvise.c).
            os.posix_fadvise(self._descriptor, self._begun, self.length - self._begun, os.POSIX_FADV_DONTNEED)
            self._begun = self.length

    def sync(self) -> None:
        """When this returns, the bytes and the file's name outlive a power cut."""
        known = self._known
        if known.durable != self.length:
            os.fsync(self._descriptor)
            known.durable = self.length
        if not known.named:
            sync_path(self.path.parent)
            known.named = True
        self._mark = known.covered, known.digest.copy()

    def truncate(self, length: int) -> None:
        known = self._known
        known.durable = -1
        if known.covered > length:  # a digest cannot forget: back to the last one of accepted bytes, or to none
            covered, digest = self._mark
            known.covered, known.digest = (covered, digest.copy()) if covered <= length else (0, hashlib.sha256())
        os.ftruncate(self._descriptor, length)
        self.length = length
        self._begun = min(self._begun, length)

    def sha256(self) -> str:
        """The digest of all bytes so far. What was not appended by this process is read from the file, once."""
        known = self._known
        while known.covered < self.length:
            data = os.pread(self._descriptor, min(READ_BYTES, self.length - known.covered), known.covered)
            if not data:
                raise OSError(errno.EIO, f"{self.path.name} ends before its length")
            known.digest.update(data)
            known.covered += len(data)
        return known.digest.hexdigest()

    def discard(self) -> None:
        self.path.unlink(missing_ok=True)
        sync_path(self.path.parent)
        self._remembered.pop(self.path.name, None)

    def close(self) -> None:
        os.close(self._descriptor)


def _still_at(path: Path, descriptor: int) -> bool:
    try:
        named, held = path.stat(), os.fstat(descriptor)
    except FileNotFoundError:
        return False
    return (named.st_dev, named.st_ino) == (held.st_dev, held.st_ino)
