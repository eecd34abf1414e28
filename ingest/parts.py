"""The files in which uploads grow: each locked by one request at a time, and as long as what has arrived.

The length of a part file is its upload's offset; there is no second record that could disagree with it. The lock is the
kernel's (flock), so it holds between processes, and a killed one leaves none behind.
"""

import errno
import fcntl
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from ingest.errors import UploadBusyError
from tiler.storage.local import sync_path

READ_BYTES = 1024 * 1024


class Digest(Protocol):
    """A hashlib object."""

    def update(self, data: bytes, /) -> None: ...
    def digest(self) -> bytes: ...
    def hexdigest(self) -> str: ...


class Parts:
    """The part files of one folder, and how far the SHA-256 of each has been computed.

    The running digests save reading a file again when it is complete. They are lost with the process and then rebuilt.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._digests: dict[str, tuple[int, Digest]] = {}

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
                return Part(path, descriptor, self._digests)
            os.close(descriptor)

    def length(self, name: str) -> int:
        """How much of `name` is there, 0 when nothing is; asked while another may write."""
        try:
            return (self.folder / name).stat().st_size
        except FileNotFoundError:
            return 0

    def names(self) -> Iterator[tuple[str, int]]:
        """Name and time of last writing (µs since the epoch) of every part file."""
        for path in self.folder.iterdir() if self.folder.is_dir() else ():
            yield path.name, path.stat().st_mtime_ns // 1000


class Part:
    """A part file whose lock is ours; `close` gives it back. What is written is durable after `sync`, not before."""

    def __init__(self, path: Path, descriptor: int, digests: dict[str, tuple[int, Digest]]) -> None:
        self.path = path
        status = os.fstat(descriptor)
        self.length, self.touched_us = status.st_size, status.st_mtime_ns // 1000
        self._descriptor, self._digests = descriptor, digests

    def append(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            written = os.pwrite(self._descriptor, rest, self.length)
            self.length += written
            rest = rest[written:]

    def sync(self) -> None:
        """When this returns, the bytes and the file's name outlive a power cut."""
        os.fsync(self._descriptor)
        sync_path(self.path.parent)

    def truncate(self, length: int) -> None:
        os.ftruncate(self._descriptor, length)
        self.length = length

    def sha256(self) -> str:
        """The digest of all bytes so far. Cheap when it is asked after every piece; call it on accepted bytes only, as
        a digest cannot forget."""
        covered, digest = self._digests.pop(self.path.name, (0, hashlib.sha256()))
        while covered < self.length:
            data = os.pread(self._descriptor, READ_BYTES, covered)
            if not data:
                raise OSError(errno.EIO, f"{self.path.name} ends before its length")
            digest.update(data)
            covered += len(data)
        self._digests[self.path.name] = covered, digest
        return digest.hexdigest()

    def discard(self) -> None:
        self.path.unlink(missing_ok=True)
        sync_path(self.path.parent)
        self._digests.pop(self.path.name, None)

    def close(self) -> None:
        os.close(self._descriptor)


def _still_at(path: Path, descriptor: int) -> bool:
    try:
        named, held = path.stat(), os.fstat(descriptor)
    except FileNotFoundError:
        return False
    return (named.st_dev, named.st_ino) == (held.st_dev, held.st_ino)
