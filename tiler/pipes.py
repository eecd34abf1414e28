"""Messages between this process and a worker: a kind, a length, so many bytes. Both lengths and time are bounded,
because the worker may have been taken over by what it reads."""

from __future__ import annotations

import os
import select
import struct
import time
from enum import IntEnum
from typing import Final

from tiler.errors import WorkerDiedError, WorkerTimeoutError


class Kind(IntEnum):
    """What a message carries."""

    READY = 0
    INDEX = 1
    THUMBNAIL = 2
    LABEL = 3
    MACRO = 4
    DONE = 5
    REFUSED = 6
    CUT = 7
    TILE = 8
    PROFILE = 9
    DECODE = 10
    NEEDS_CODECS = 11


# The most a worker may say at once.
MAX_BYTES: Final[dict[Kind, int]] = {
    Kind.READY: 0,
    Kind.INDEX: 64 * 1024 * 1024,
    Kind.THUMBNAIL: 2 * 1024 * 1024,
    Kind.LABEL: 8 * 1024 * 1024,
    Kind.MACRO: 8 * 1024 * 1024,
    Kind.PROFILE: 4 * 1024 * 1024,
    Kind.DONE: 0,
    Kind.REFUSED: 4 * 1024,
    Kind.CUT: 72 * 1024 * 1024,
    Kind.TILE: 18 * 1024 * 1024,
    Kind.DECODE: 32,
    Kind.NEEDS_CODECS: 0,
}

# What Kind.DECODE asks for: the number of a native level, then x, y, width and height of what is wanted of it.
DECODE: Final = struct.Struct("<5I")

_HEAD: Final = struct.Struct("<BI")
_CHUNK: Final = 1024 * 1024


class Pipe:
    """Two descriptors, one to read and one to write, with a common deadline per exchange."""

    def __init__(self, reading: int, writing: int) -> None:
        self._reading = reading
        self._writing = writing
        for fd in (reading, writing):
            os.set_blocking(fd, False)

    def send(self, kind: Kind, payload: bytes, *, deadline: float) -> None:
        """`deadline` is on the clock of `time.monotonic`. Raises WorkerDiedError, WorkerTimeoutError."""
        left = memoryview(_HEAD.pack(kind, len(payload)) + payload)
        while left:
            self._wait(self._writing, select.POLLOUT, deadline)
            try:
                left = left[os.write(self._writing, left[:_CHUNK]) :]
            except BlockingIOError:
                continue
            except BrokenPipeError as error:
                raise WorkerDiedError("The program that decodes slides stopped while it was given work.") from error

    def receive(self, *, deadline: float) -> tuple[Kind, bytes]:
        """The next message. Raises WorkerDiedError when there is none or when it is out of bounds,
        WorkerTimeoutError."""
        number, length = _HEAD.unpack(self._exactly(_HEAD.size, deadline))
        if number not in MAX_BYTES or length > MAX_BYTES[Kind(number)]:
            raise WorkerDiedError("The program that decodes slides gave an answer that is out of bounds.")
        return Kind(number), self._exactly(length, deadline)

    def _exactly(self, length: int, deadline: float) -> bytes:
        data = bytearray()
        while len(data) < length:
            self._wait(self._reading, select.POLLIN, deadline)
            try:
                part = os.read(self._reading, min(length - len(data), _CHUNK))
            except BlockingIOError:
                continue
            if not part:
                raise WorkerDiedError("The program that decodes slides stopped before it had finished.")
            data += part
        return bytes(data)

    def _wait(self, fd: int, event: int, deadline: float) -> None:
        poll = select.poll()
        poll.register(fd, event)
        left = deadline - time.monotonic()
        if left <= 0 or not poll.poll(left * 1000):
            raise WorkerTimeoutError("The slide took too long to decode.")


def send_blocking(fd: int, kind: Kind, payload: bytes = b"") -> None:
    """One message, for the worker's own side: it has nothing else to do than wait."""
    left = memoryview(_HEAD.pack(kind, len(payload)) + payload)
    while left:
        left = left[os.write(fd, left) :]


def receive_blocking(fd: int) -> tuple[Kind, bytes] | None:
    """The next message, for the worker's own side; None when there will be no more."""
    head = _read_blocking(fd, _HEAD.size)
    if len(head) < _HEAD.size:
        return None
    number, length = _HEAD.unpack(head)
    payload = _read_blocking(fd, length)
    return (Kind(number), payload) if len(payload) == length else None


def _read_blocking(fd: int, length: int) -> bytes:
    data = bytearray()
    while len(data) < length:
        part = os.read(fd, min(length - len(data), _CHUNK))
        if not part:
            break
        data += part
    return bytes(data)
