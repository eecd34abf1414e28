"""A `BlobStore` in memory, for tests and for trying things out: same contract, nothing survives the process."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

from tiler.errors import BlobMismatchError, BlobNotFoundError, DamagedSlideError


class MemoryByteSource:
    """Bytes as a `ByteSource`; all of them are resident."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.length: int = len(data)

    def read_at(self, offset: int, length: int) -> bytes:
        if offset < 0 or length < 0 or offset + length > self.length:
            raise DamagedSlideError("The slide is cut short: something lies behind the end of the file.")
        return self._data[offset : offset + length]

    def resident_at(self, offset: int, length: int) -> bytes | None:
        data = self._data[offset : offset + length]
        return data if len(data) == length else None

    def resident_into(self, room: memoryview, offset: int) -> bool:
        data = self.resident_at(offset, len(room))
        if data is not None:
            room[:] = data
        return data is not None

    def close(self) -> None:
        """Nothing to release."""


class MemoryBlobWriter:
    def __init__(self, blobs: dict[tuple[str, str], bytes], site: str) -> None:
        self._blobs = blobs
        self._site = site
        self._data = bytearray()

    def write(self, data: bytes) -> None:
        self._data += data

    def commit(self, digest: str) -> None:
        if hashlib.sha256(self._data).hexdigest() != digest:
            raise BlobMismatchError("What was written is not what was promised: the SHA-256 differs. Send it again.")
        self._blobs.setdefault((self._site, digest), bytes(self._data))

    def abort(self) -> None:
        self._data.clear()


class MemoryBlobStore:
    """Blobs in a dictionary."""

    def __init__(self) -> None:
        self._blobs: dict[tuple[str, str], bytes] = {}
        self._directory: tempfile.TemporaryDirectory[str] | None = None

    def begin(self, site: str) -> MemoryBlobWriter:
        return MemoryBlobWriter(self._blobs, site)

    def adopt(self, path: Path, site: str, digest: str) -> None:
        self._blobs.setdefault((site, digest), path.read_bytes())
        path.unlink()

    def settle(self, site: str, digest: str) -> None:
        self._data(site, digest)

    def holds(self, site: str, digest: str) -> bool:
        return (site, digest) in self._blobs

    def open(self, site: str, digest: str) -> MemoryByteSource:
        return MemoryByteSource(self._data(site, digest))

    def path(self, site: str, digest: str) -> Path:
        data = self._data(site, digest)
        if self._directory is None:
            self._directory = tempfile.TemporaryDirectory(prefix="blobs-")
        place = Path(self._directory.name, f"{site}-{digest}")
        if not place.exists():
            place.write_bytes(data)
            place.chmod(0o440)
        return place

    def close(self) -> None:
        """Remove the files that `path` has made."""
        if self._directory is not None:
            self._directory.cleanup()

    def _data(self, site: str, digest: str) -> bytes:
        try:
            return self._blobs[site, digest]
        except KeyError:
            raise BlobNotFoundError(f"The store does not hold the file {digest[:12]}… of site {site}.") from None
