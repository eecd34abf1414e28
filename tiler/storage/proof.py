"""Whether a stored file still has the bytes that its name promises.

The disk is asked, not what memory has of it: a slide that somebody looks at lies in the page cache, where it stays
sound while its sectors rot; and looking through terabytes must not push out what readers need. File systems that cannot
be read directly are read as usual.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import mmap
import os
import stat
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Final

PIECE_BYTES: Final = 1 << 20
_DIRECT: Final[int] = getattr(os, "O_DIRECT", 0)
# What the program, or the machine, has too little of; it says nothing of the file.
_OURS: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})

Told = Callable[[int], None]
"""Called with the number of bytes of each piece that was read; what it raises ends the reading."""


class Damage(StrEnum):
    MISSING = "missing"
    CUT = "cut"  # of another length
    ALTERED = "altered"
    UNREADABLE = "unreadable"


def prove(path: Path, sha256: str, length: int | None, told: Told = lambda _: None) -> Damage | None:
    """What is wrong with the file; None when its SHA-256 is the one given. `length` in bytes, None when nobody knows.

    What looks altered is read twice: a cable or a memory module that is failing spoils what is read, not what lies on
    the disk. Raises OSError when there is too little memory, or too many files are open, to look at it.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            return Damage.ALTERED
        if length is not None and status.st_size != length:
            return Damage.CUT
        if _digest(path, told) == sha256 or _digest(path, told) == sha256:
            return None
    except FileNotFoundError:
        return Damage.MISSING
    except OSError as error:
        if error.errno in _OURS:
            raise
        return Damage.UNREADABLE
    return Damage.ALTERED


def _digest(path: Path, told: Told) -> str:
    sha256, offset = hashlib.sha256(), 0
    room = memoryview(mmap.mmap(-1, PIECE_BYTES))  # begins at a page, as reading directly demands
    descriptor = _open(path)
    try:
        while count := _read(descriptor, room, offset):
            sha256.update(room[:count])
            offset += count
            told(count)
    finally:
        os.close(descriptor)
    return sha256.hexdigest()


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC | _DIRECT)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)


def _read(descriptor: int, room: memoryview, offset: int) -> int:
    try:
        return os.preadv(descriptor, (room,), offset)
    except OSError as error:
        flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
        if error.errno != errno.EINVAL or not flags & _DIRECT:
            raise
        fcntl.fcntl(descriptor, fcntl.F_SETFL, flags & ~_DIRECT)
        return os.preadv(descriptor, (room,), offset)
