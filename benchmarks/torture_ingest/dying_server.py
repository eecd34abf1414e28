"""`python -m benchmarks.torture_ingest.dying_server ORDERS serve …`: the very server, which dies at a named moment.

ORDERS is a file: `after-write 7` has the server kill itself (SIGKILL) as soon as it has written to a part file for the
seventh time since that order; without the file nothing happens. What is counted are the calls themselves, which are
wrapped before the server is loaded: it knows nothing of it.
"""

import hashlib
import os
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Any

LONG_BYTES = 2048  # what is hashed of an upload comes in longer parts than anything else


class Moment(StrEnum):
    """When the server dies."""

    HALF_WRITTEN = "half-written"
    AFTER_WRITE = "after-write"
    DURING_HASH = "during-hash"
    BEFORE_SYNC = "before-sync"
    AFTER_SYNC = "after-sync"
    BEFORE_RENAME = "before-rename"
    AFTER_RENAME = "after-rename"
    BEFORE_COMMIT = "before-commit"
    AFTER_COMMIT = "after-commit"


class Executioner:
    """Counts the moments since an order came, and carries it out."""

    def __init__(self, orders: Path) -> None:
        self._orders, self._order, self._server = orders, "", os.getpid()
        self._counted: Counter[str] = Counter()
        self._lock = threading.Lock()

    def has_come(self, moment: Moment) -> bool:
        """Whether this is the moment to die in."""
        try:
            order = self._orders.read_text()
        except FileNotFoundError:
            return False
        with self._lock:
            if order != self._order:
                self._order, self._counted = order, Counter()
            self._counted[moment] += 1
            name, _, number = order.partition(" ")
            return name == moment and self._counted[moment] == int(number)

    def at(self, moment: Moment) -> None:
        if self.has_come(moment):
            self.kill()

    def kill(self) -> None:
        """The process that started the others first: it must not start another one in place of this."""
        os.kill(self._server, signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)


def wrap_files(executioner: Executioner) -> None:
    """Writes and syncs of part files, renames into the blob store."""
    pwrite, fsync, rename = os.pwrite, os.fsync, os.rename

    def dying_pwrite(descriptor: int, data: Any, offset: int) -> int:
        if not _is_part(descriptor):
            return pwrite(descriptor, data, offset)
        if executioner.has_come(Moment.HALF_WRITTEN):
            pwrite(descriptor, memoryview(data)[: len(data) // 2], offset)
            executioner.kill()
        written = pwrite(descriptor, data, offset)
        executioner.at(Moment.AFTER_WRITE)
        return written

    def dying_fsync(descriptor: int) -> None:
        counts = _is_part(descriptor)
        if counts:
            executioner.at(Moment.BEFORE_SYNC)
        fsync(descriptor)
        if counts:
            executioner.at(Moment.AFTER_SYNC)

    def dying_rename(source: Any, target: Any, **where: Any) -> None:
        counts = "/blobs/" in os.fspath(target)
        if counts:
            executioner.at(Moment.BEFORE_RENAME)
        rename(source, target, **where)
        if counts:
            executioner.at(Moment.AFTER_RENAME)

    replaced: dict[str, Callable[..., Any]] = {"pwrite": dying_pwrite, "fsync": dying_fsync, "rename": dying_rename}
    for name, function in replaced.items():
        setattr(os, name, function)


def wrap_hashes(executioner: Executioner) -> None:
    """Digests of what is long: half of it is hashed, and then no more."""
    sha256 = hashlib.sha256

    class DyingDigest:
        def __init__(self, data: bytes = b"", digest: Any = None, **how: Any) -> None:
            self._digest = digest or sha256(data, **how)

        def update(self, data: Any) -> None:
            if len(data) >= LONG_BYTES and executioner.has_come(Moment.DURING_HASH):
                self._digest.update(memoryview(data)[: len(data) // 2])
                executioner.kill()
            self._digest.update(data)

        def copy(self) -> "DyingDigest":
            return DyingDigest(digest=self._digest.copy())

        def __getattr__(self, name: str) -> Any:
            return getattr(self._digest, name)

    setattr(hashlib, "sha256", DyingDigest)  # noqa: B010 - not what the type checker knows


def wrap_commits(executioner: Executioner) -> None:
    """The transaction that writes a slide."""
    from sqlalchemy import event
    from sqlalchemy.engine import Engine
    from sqlalchemy.engine.default import DefaultDialect

    writing = threading.local()
    commit = DefaultDialect.do_commit

    def notice(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("INSERT INTO slide "):
            writing.slide = True

    def dying_commit(self: DefaultDialect, connection: Any) -> None:
        slide, writing.slide = getattr(writing, "slide", False), False
        if slide:
            executioner.at(Moment.BEFORE_COMMIT)
        commit(self, connection)  # type: ignore[no-untyped-call]
        if slide:
            executioner.at(Moment.AFTER_COMMIT)

    event.listen(Engine, "before_cursor_execute", notice)
    setattr(DefaultDialect, "do_commit", dying_commit)  # noqa: B010 - not what the type checker allows


def _is_part(descriptor: int) -> bool:
    path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
    return path.parent.name == "uploads"


def main() -> None:
    executioner = Executioner(Path(sys.argv.pop(1)))
    wrap_files(executioner)
    wrap_hashes(executioner)
    wrap_commits(executioner)
    from slideserver import cli

    cli.main()


if __name__ == "__main__":
    main()
