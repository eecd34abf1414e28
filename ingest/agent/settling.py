"""What becomes of a slide once the server has it: waited for until it is ready, then its files are put away.

Nothing is moved or deleted that was not proved. The files are read once more, the server is asked whether it has a
slide with just these bytes, and what was read is remembered before the first file goes; so a power cut between two
files of one slide is gone on from.
"""

import errno
import hashlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event
from typing import BinaryIO

from ingest.agent.client import Client, RefusedError, TransientError
from ingest.agent.entries import Entry, QueuedFile, Stamp, State
from ingest.agent.queue import Queue
from ingest.agent.rules import After, Rules, Witness
from ingest.agent.weather import NOT_OUR_SERVER, UNREACHABLE, Weather, code_of
from ingest.manifest import SetFile, manifest_of
from ingest.protocol import Problem

POLL_S = 1.0
A_SECOND = 20
AGAIN_S, FAILED_S = 300.0, 30.0
NOT_PUT_AWAY, NOT_AS_SENT = "not-deleted", "not-as-sent"
PLACES = 1000
_READ_BYTES = 1 << 20


class OtherBytesError(Exception):
    """The files have the size and the time of what was sent, and are not what the server has."""


class EndedError(Exception):
    """The program ends while a file is read; what was begun is begun anew."""


class Settler:
    """Asks for slides that have arrived, and puts away those that are ready. One thread's work."""

    def __init__(
        self,
        rules: Rules,
        queue: Queue,
        client: Client,
        weather: Weather,
        witness: Witness,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rules, self._queue, self._client = rules, queue, client
        self._weather, self._witness, self._now = weather, witness, now
        self._not_before: dict[int, float] = {}

    def run(self, stop: Event) -> None:
        """Until `stop` is set. Raises sqlite3.Error when the queue can be neither read nor written."""
        while not stop.is_set():
            if not self._weather.wait_s():
                self.settle_all(stop)
            stop.wait(min(POLL_S, self._rules.poll_s))

    def settle_all(self, stop: Event) -> None:
        """One round over what has arrived."""
        waiting = self._queue.entries(State.SETTLING) + self._queue.entries(State.ARRIVED)
        due = {entry.id: at for entry in waiting if (at := self._not_before.get(entry.id))}
        self._not_before = due
        for entry in waiting:
            if stop.is_set():
                return
            if self._now() < due.get(entry.id, 0):
                continue
            due[entry.id] = self._now() + len(waiting) / A_SECOND
            try:
                if entry.state is State.SETTLING or self._is_ready(entry):
                    self._put_away(entry, stop)
            except EndedError:
                return
            except TransientError as error:
                self._weather.worsen(UNREACHABLE, error.detail)
                due[entry.id] = self._now() + FAILED_S
                return
            except RefusedError as error:
                self._weather.worsen(code_of(error) or NOT_OUR_SERVER, error.detail)
                due[entry.id] = self._now() + FAILED_S
                return
            except OtherBytesError:
                self._queue.hinder(entry, NOT_AS_SENT)
                due[entry.id] = self._now() + AGAIN_S
            except (OSError, ValueError) as error:  # ValueError: a part of it lies beside the watched folder
                self._queue.hinder(entry, NOT_PUT_AWAY, _told(error, entry))
                due[entry.id] = self._now() + AGAIN_S

    def _is_ready(self, entry: Entry) -> bool:
        """What the server says of a slide that it has; notes when it refused it, or has it no more."""
        status = self._client.slide(entry.slide or "")
        self._weather.answered()
        if status is None:  # a person deleted it there, or the server was restored from an older copy
            self._witness.put_back(self._queue.put_back(entry, Problem.UNKNOWN_SLIDE))
        elif status.state == "refused":
            code, reason = status.refusal_code or "other", status.refusal_reason or ""
            self._witness.refused(self._queue.refuse(entry, code, reason))
        return status is not None and status.state == "ready"

    def _put_away(self, entry: Entry, stop: Event) -> None:
        """Raises TransientError, RefusedError, OtherBytesError, EndedError, OSError, ValueError."""
        again = entry.state is State.SETTLING
        if again and self._is_for_other_rules(entry):
            self._queue.finish(entry)
            return
        if again and not self._is_still_held(entry):
            return
        if not again and self._rules.after is not After.KEEP:
            proved = self._proved(entry, stop)
            if proved is None:
                return
            entry = proved
        if entry.state is State.SETTLING:
            for file in entry.files:
                if os.path.lexists(file.path) and _is_proved(file, stop, again=again):
                    _put_away(file, entry, stop)
            _remove_empty(entry)
        self._witness.ready(self._queue.finish(entry))

    def _is_for_other_rules(self, entry: Entry) -> bool:
        """Whether it was to be moved or deleted by a configuration that is no longer: what is left of it stays."""
        return self._rules.after is not (After.DELETE if entry.place is None else After.MOVE)

    def _is_still_held(self, entry: Entry) -> bool:
        """Whether the server has what it proved before a power cut, or before a file turned out to be held open; a
        slide that it has no more is sent again."""
        proved = {file.name: file.sha256 or "" for file in entry.files}
        status = self._client.known(_slide_digest(entry.files, proved))
        if status is None:
            self._witness.put_back(self._queue.put_back(entry, Problem.UNKNOWN_SLIDE))
        return status is not None and status.state == "ready"

    def _proved(self, entry: Entry, stop: Event) -> Entry | None:
        """The entry with what the server says it has; None when the files are others by now, or gone."""
        digests: dict[str, str] = {}
        for file in entry.files:
            gone = not os.path.lexists(file.path) and os.path.isdir(entry.root)
            digest = None if gone else _digest(file, stop)
            if digest is None:  # what was sent is safe; what is here now, if anything, will be found as what it is
                self._queue.finish(entry)
                return None
            digests[file.name] = digest
        status = self._client.known(_slide_digest(entry.files, digests))
        if status is None or status.state != "ready":  # other bytes, of the same size and time: a disk that forgets?
            raise OtherBytesError
        return self._queue.settle(entry, digests, self._place(entry))

    def _place(self, entry: Entry) -> Path | None:
        """The folder below which no file of the slide has a namesake. None: they are deleted."""
        if self._rules.after is not After.MOVE or self._rules.archive is None:
            return None
        archive = self._rules.archive.absolute()
        inner = [file.path.relative_to(entry.root) for file in entry.files]
        for number in range(1, PLACES):
            place = archive if number == 1 else archive / f"{number}"
            if not any(os.path.lexists(place / each) for each in inner):
                return place
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(archive / inner[0]))


def _told(error: Exception, entry: Entry) -> str:
    if isinstance(error, OSError):
        return f"{error.filename or entry.name}: {error.strerror or error}"
    return str(error)


def _is_proved(file: QueuedFile, stop: Event, *, again: bool) -> bool:
    """Whether a file is still what was proved: it was read just now or, after a power cut, is read `again`."""
    return _digest(file, stop) == file.sha256 if again else Stamp.of(file.path) == file.stamp


def _put_away(file: QueuedFile, entry: Entry, stop: Event) -> None:
    if entry.place is None:
        file.path.unlink()
    else:
        _move(file, _free(entry.place, file.path.relative_to(entry.root)), stop)


def _free(place: Path, inner: Path) -> Path:
    """Where a file goes below this place: its namesake may have come there first while it could not be moved."""
    for number in range(1, PLACES):
        target = (place if number == 1 else place / f"{number}") / inner
        if not os.path.lexists(target):
            return target
    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(place / inner))


def _read(source: BinaryIO, stop: Event) -> Iterator[bytes]:
    """All of a file, some at a time. Raises EndedError."""
    while data := source.read(_READ_BYTES):
        if stop.is_set():
            raise EndedError
        yield data


def _digest(file: QueuedFile, stop: Event) -> str | None:
    """SHA-256 of a file that is what was found, before and after it is read; None when it is another."""
    if Stamp.of(file.path) != file.stamp:
        return None
    digest = hashlib.sha256()
    with file.path.open("rb") as source:
        for data in _read(source, stop):
            digest.update(data)
    return digest.hexdigest() if Stamp.of(file.path) == file.stamp else None


def _slide_digest(files: tuple[QueuedFile, ...], digests: dict[str, str]) -> str:
    """What the server knows the slide by."""
    if len(files) == 1:
        return digests[files[0].name]
    return manifest_of(SetFile(each.name, each.length, digests[each.name]) for each in files).sha256


def _move(file: QueuedFile, target: Path, stop: Event) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.replace(file.path, target)
    except OSError as error:
        if error.errno != errno.EXDEV and getattr(error, "winerror", None) != 17:  # to another drive
            raise
        _copy(file, target, stop)
        file.path.unlink()


def _copy(file: QueuedFile, target: Path, stop: Event) -> None:
    """A durable copy, read back, under its name only when it is whole."""
    unfinished = target.with_name(f"{target.name}.part")
    with file.path.open("rb") as source, unfinished.open("wb") as copy:
        for data in _read(source, stop):
            copy.write(data)
        copy.flush()
        os.fsync(copy.fileno())
    os.utime(unfinished, ns=(file.mtime_ns, file.mtime_ns))
    digest = hashlib.sha256()
    with unfinished.open("rb") as copy:
        for data in _read(copy, stop):
            digest.update(data)
    if digest.hexdigest() != file.sha256:
        unfinished.unlink()
        raise OSError(errno.EIO, os.strerror(errno.EIO), str(target))
    os.replace(unfinished, target)
    if os.name == "posix":
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _remove_empty(entry: Entry) -> None:
    """The folders that only a slide of several files was in."""
    if len(entry.files) == 1:
        return
    for folder in {file.path.parent for file in entry.files} - {entry.root}:
        try:
            folder.rmdir()
        except OSError:  # something else is in it
            continue
