"""Several files as one ZIP (APPNOTE 6.3), made while it is sent: nothing is compressed, and nothing waits on a disk."""

import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import IO, cast

from sharing.clock import SECOND_US

# ZIP knows no earlier day.
_EARLIEST = (1980, 1, 1, 0, 0, 0)


class Archive:
    """Takes files one after the other; what there is to send so far is what `taken` gives."""

    def __init__(self) -> None:
        self._sink = _Sink()
        self._zip = zipfile.ZipFile(cast("IO[bytes]", self._sink), "w", zipfile.ZIP_STORED, allowZip64=True)

    def add(self, name: str, modified_us: int, pieces: Iterator[bytes]) -> Iterator[bytes]:
        """The bytes of the archive for one more file, as its own come."""
        moment = datetime.fromtimestamp(modified_us / SECOND_US, UTC).timetuple()[:6]
        entry = zipfile.ZipInfo(inner_name(name), max(moment, _EARLIEST))
        entry.external_attr = 0o644 << 16
        with self._zip.open(entry, "w", force_zip64=True) as file:
            yield self._sink.taken()
            for piece in pieces:
                file.write(piece)
                yield self._sink.taken()
        yield self._sink.taken()

    def end(self) -> bytes:
        """What closes the archive."""
        self._zip.close()
        return self._sink.taken()


def inner_name(name: str) -> str:
    """A relative path that leads nowhere but down."""
    parts = [part for part in PurePosixPath(name.replace("\\", "/")).parts if part not in ("/", "..", ".")]
    return "/".join(parts) or "file"


class _Sink:
    """Where the archive is written to, and taken from at once. It cannot be sought in, so no header is written late."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._parts.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        return

    def taken(self) -> bytes:
        taken = b"".join(self._parts)
        self._parts.clear()
        return taken
