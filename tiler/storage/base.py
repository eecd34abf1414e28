"""Bytes at an offset, and parts that become one immutable blob: all that the rest needs to know of storage.

Blobs are named by their SHA-256 *within a site*. The same bytes at two sites are two blobs: whether another
site holds a slide is nobody's business.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol


class ByteSource(Protocol):
    """Read access to one blob; safe to use from several threads."""

    @property
    def length(self) -> int: ...

    def read_at(self, offset: int, length: int) -> bytes:
        """Exactly these bytes; may block. Raises DamagedSlideError when the blob is shorter."""
        ...

    def resident_at(self, offset: int, length: int) -> bytes | None:
        """Exactly these bytes if they are in memory already, else None; never waits for a disk or a network."""
        ...

    def resident_into(self, room: memoryview, offset: int) -> bool:
        """Fills memory of the caller's as `resident_at` would, with no copy between; whether it did."""
        ...

    def close(self) -> None: ...


class BlobWriter(Protocol):
    """One blob in the making; nothing of it can be read before `commit`."""

    def write(self, data: bytes) -> None: ...

    def commit(self, digest: str) -> None:
        """Durable and readable when this returns. Raises BlobMismatchError, keeping nothing, when the SHA-256 of what
        was written is not `digest` (64 lowercase hexadecimal digits)."""
        ...

    def abort(self) -> None:
        """Forget what was written; harmless after `commit`."""
        ...


class BlobStore(Protocol):
    """Write-once blobs."""

    def begin(self, site: str) -> BlobWriter: ...

    def adopt(self, path: Path, site: str, digest: str) -> None:
        """Take over a finished local file whose SHA-256 the caller has proved; durable when this returns, and the path
        is gone. Adopting what is already held just removes the path, unless what is held was damaged since."""
        ...

    def settle(self, site: str, digest: str) -> None:
        """Makes durable what somebody else moved there, maybe this moment. Raises BlobNotFoundError."""
        ...

    def holds(self, site: str, digest: str) -> bool: ...

    def open(self, site: str, digest: str) -> ByteSource:
        """Raises BlobNotFoundError."""
        ...

    def path(self, site: str, digest: str) -> Path:
        """A local file with these bytes, to show to a worker; never to be written. Raises BlobNotFoundError."""
        ...
