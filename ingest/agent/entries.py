"""What the agent's queue says of a slide."""

import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

_FAR_NS = 2**62
"""A clock may have been anywhere; a database keeps 64 bits."""


class State(StrEnum):
    """Where a slide stands.

    INCOMPLETE: something of it has been missing for long; `code` and `detail` say what. QUEUED: to be sent, again when
    it has a `code`. SENDING: on its way. ARRIVED: the server has proved its digest and prepares it. SETTLING: it is
    ready, and its files are being moved or deleted. SENT: all is done. REFUSED: a person has to do something; `code`
    and `detail` say what the server, or this program, had against it.
    """

    INCOMPLETE = "incomplete"
    QUEUED = "queued"
    SENDING = "sending"
    ARRIVED = "arrived"
    SETTLING = "settling"
    SENT = "sent"
    REFUSED = "refused"


class Stamp(NamedTuple):
    """What tells a file from what it was before: its place, size in bytes and modification in ns."""

    path: Path
    length: int
    mtime_ns: int

    @classmethod
    def of(cls, path: Path) -> "Stamp":
        """Asks the file itself, because a folder's listing may be old news on Windows and on shares. Raises OSError."""
        status = path.stat()
        return cls(path, status.st_size, max(-_FAR_NS, min(status.st_mtime_ns, _FAR_NS)))


@dataclass(frozen=True, slots=True)
class QueuedFile:
    """One file as it was found: the name it is sent under, size in bytes, modification in ns. `sha256` is known once
    the file was read again to be moved or deleted."""

    name: str
    path: Path
    length: int
    mtime_ns: int
    sha256: str | None = None

    @property
    def stamp(self) -> Stamp:
        return Stamp(self.path, self.length, self.mtime_ns)


@dataclass(frozen=True, slots=True)
class Entry:
    """One slide. Times in µs since the epoch, by this workstation's clock; `root`: the watched folder it lies in;
    `slide`: the server's id; `place`: the folder that its files are moved to."""

    id: int
    name: str
    state: State
    files: tuple[QueuedFile, ...]
    root: Path
    length: int
    found_us: int
    changed_us: int
    attempts: int
    code: str | None = None
    detail: str | None = None
    slide: str | None = None
    place: Path | None = None


@dataclass(frozen=True, slots=True)
class Summary:
    """The queue at a glance. `waiting`: slides (and their bytes) that the server has not proved yet, the oldest found
    at `oldest_us`; `last_sent`: name and time of the slide that came to its end last; `sent_since`: how many did since
    the time that was asked for."""

    counts: Mapping[State, int]
    waiting: int
    waiting_bytes: int
    oldest_us: int | None
    last_sent: str | None
    last_sent_us: int | None
    sent_since: int


def mark_of(files: Iterable[QueuedFile]) -> str:
    """What tells these files, as they are now, from all others: their places, sizes and times."""
    digest = hashlib.sha256()
    for file in sorted(files, key=lambda each: each.name):
        for part in (file.name.encode("utf-8", "surrogatepass"), os.fsencode(file.path)):
            digest.update(b"%d:%s" % (len(part), part))
        digest.update(b"%d;%d;" % (file.length, file.mtime_ns))
    return digest.hexdigest()
