"""Blobs as files of a local directory: ``<root>/<site>/<first two digits>/<sha256>``, read-only once they exist."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import tempfile
from pathlib import Path
from typing import Final

from tiler.errors import BlobMismatchError, BlobNotFoundError, DamagedSlideError
from tiler.storage.proof import prove

_SITE: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
# Linux: return at once what the page cache holds, else fail with EAGAIN. Elsewhere nothing counts as resident.
_NOWAIT: Final[int] = getattr(os, "RWF_NOWAIT", 0)


class LocalByteSource:
    """A file opened for reading."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self.length: int = os.fstat(self._fd).st_size

    def read_at(self, offset: int, length: int) -> bytes:
        if offset < 0 or length < 0 or offset + length > self.length:
            raise DamagedSlideError("The slide is cut short: something lies behind the end of the file.")
        data = os.pread(self._fd, length, offset)
        while len(data) < length:  # a signal or a network file system may cut a read short
            more = os.pread(self._fd, length - len(data), offset + len(data))
            if not more:
                raise DamagedSlideError("The slide's file has become shorter since it was opened.")
            data += more
        return data

    def resident_at(self, offset: int, length: int) -> bytes | None:
        buffer = bytearray(length)
        return bytes(buffer) if self.resident_into(memoryview(buffer), offset) else None

    def resident_into(self, room: memoryview, offset: int) -> bool:
        if not _NOWAIT:
            return False
        try:
            return os.preadv(self._fd, (room,), offset, _NOWAIT) == len(room)
        except OSError:  # EAGAIN: not in memory; EOPNOTSUPP: the file system cannot tell
            return False

    def close(self) -> None:
        """Close the file; further calls do nothing."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


class LocalBlobWriter:
    """A temporary file beside the blobs; becomes one by a rename."""

    def __init__(self, store: LocalBlobStore, site: str, directory: Path) -> None:
        self._store = store
        self._site = site
        fd, name = tempfile.mkstemp(prefix=".part-", dir=directory)
        self._path = Path(name)
        self._file = os.fdopen(fd, "wb")
        self._sha256 = hashlib.sha256()

    def write(self, data: bytes) -> None:
        self._sha256.update(data)
        self._file.write(data)

    def commit(self, digest: str) -> None:
        if self._sha256.hexdigest() != digest:
            self.abort()
            raise BlobMismatchError("What was written is not what was promised: the SHA-256 differs. Send it again.")
        try:
            self._file.close()
            self._store.adopt(self._path, self._site, digest)
        except OSError:
            self.abort()
            raise

    def abort(self) -> None:
        with contextlib.suppress(OSError):  # a full disk does not take the last bytes: nobody wants them any more
            self._file.close()
        self._path.unlink(missing_ok=True)


class LocalBlobStore:
    """A `BlobStore` in a directory, which should lie on the same file system as what it adopts."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def begin(self, site: str) -> LocalBlobWriter:
        directory = self._site_directory(site)
        _make_durable_directory(directory)
        return LocalBlobWriter(self, site, directory)

    def adopt(self, path: Path, site: str, digest: str) -> None:
        target = self._place(site, digest)
        # Two that send the same bytes at once, or a crash: rare enough to look whether what is held is sound.
        if target.exists() and prove(target, digest, path.stat().st_size) is None:
            self.settle(site, digest)
            path.unlink()
            return
        _make_durable_directory(target.parent)
        sync_path(path)
        path.rename(target)
        self.settle(site, digest)

    def settle(self, site: str, digest: str) -> None:
        place = self.path(site, digest)
        # Only after the rename: a crash before it must leave a file that its owner can still mend.
        place.chmod(0o440)
        sync_path(place.parent)
        sync_path(place.parent.parent)  # whoever made the directory may not have come to that

    def holds(self, site: str, digest: str) -> bool:
        return self._place(site, digest).is_file()

    def open(self, site: str, digest: str) -> LocalByteSource:
        return LocalByteSource(self.path(site, digest))

    def path(self, site: str, digest: str) -> Path:
        place = self._place(site, digest)
        if not place.is_file():
            raise BlobNotFoundError(f"The store does not hold the file {digest[:12]}… of site {site}.")
        return place

    def _place(self, site: str, digest: str) -> Path:
        if not _DIGEST.fullmatch(digest):
            raise BlobNotFoundError("A blob is named by the 64 lowercase hexadecimal digits of its SHA-256.")
        return self._site_directory(site) / digest[:2] / digest

    def _site_directory(self, site: str) -> Path:
        if not _SITE.fullmatch(site):
            raise BlobNotFoundError("A site is named by lowercase letters, digits and hyphens.")
        return self._root / site


def _make_durable_directory(directory: Path) -> None:
    """Create a directory and those above it so that they survive a power cut."""
    if directory.is_dir():
        return
    _make_durable_directory(directory.parent)
    with contextlib.suppress(FileExistsError):
        directory.mkdir(mode=0o750)
    sync_path(directory.parent)


def sync_path(path: Path) -> None:
    """Makes durable what a file holds, or which names a directory has."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
