"""What a power cut leaves of the file of an agent's queue: `agent.queue_powerlosses`.

Every write, truncation, deletion and fsync of SQLite is recorded while the queue works (`recorded_writes.c`). For a
moment chosen at random a disk is then made as it may be after the power went: what was synced is there; of what was
not, each write is there, or is not, or is torn between sectors; files are made and deleted for good only once their
folder is synced. A queue opened on it must hold all transactions that had returned, and at most the one under way.

Without syncing, as a twin, the same must fail.
"""

import os
import random
import shutil
import sqlite3
import struct
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.torture import Plan, Result
from ingest.agent.entries import QueuedFile
from ingest.agent.queue import Queue

LOSSES = 400
TWIN_LOSSES = 100
TRANSACTIONS = 150
SECTOR = 512
MARKER = "returned"
_RECORD = struct.Struct("<cHqI")
_SOURCE = Path(__file__).with_name("recorded_writes.c")


class CompilerMissingError(Exception):
    """There is nothing to compile the recorder with; the message says what to install."""


@dataclass(frozen=True)
class Change:
    """One change of a file: c(reated), w(ritten), t(runcated), s(ynced), u(nlinked)."""

    what: str
    name: str
    offset: int
    data: bytes


@dataclass
class Disk:
    """A folder as it is in memory, and what of it is surely on the disk."""

    sure: dict[str, bytes] = field(default_factory=dict)
    contents: dict[str, bytes] = field(default_factory=dict)
    pending: dict[str, list[Change]] = field(default_factory=dict)
    entries: list[Change] = field(default_factory=list)

    def change(self, change: Change) -> None:
        match change.what:
            case "c" | "u":
                self.entries.append(change)
                if change.what == "c":
                    self.contents[change.name], self.pending[change.name] = b"", []
            case "s" if change.name:
                self.contents[change.name] = _applied(self.contents[change.name], self.pending[change.name])
                self.pending[change.name] = []
            case "s":
                for entry in self.entries:
                    self._enter(self.sure, entry)
                self.entries.clear()
            case _:
                self.pending[change.name].append(change)

    def after_power_loss(self, chance: random.Random) -> dict[str, bytes]:
        """The files that somebody finds who switches the machine on again."""
        there = dict(self.sure)
        for entry in self.entries[: chance.randint(0, len(self.entries))]:
            self._enter(there, entry)
        return {
            name: _applied(self.contents[name], [torn for each in self.pending[name] for torn in _torn(each, chance)])
            for name in there
        }

    def _enter(self, folder: dict[str, bytes], entry: Change) -> None:
        if entry.what == "c":
            folder[entry.name] = b""
        else:
            folder.pop(entry.name, None)


def run(plan: Plan) -> Result:
    recorder = _compiled(plan.folder)
    wrong = _losses(plan, recorder, "ours", plan.times(LOSSES))
    twin = _losses(plan, recorder, "twin", plan.times(TWIN_LOSSES))
    figures: dict[str, float] = {"agent.queue_powerlosses": plan.times(LOSSES), "agent.queue_wrong": len(wrong)}
    void = () if twin else ("a queue that syncs nothing",)
    return Result(figures, failed=bool(wrong), notes=tuple(wrong[:20]), void=void)


def work(folder: Path, seed: int, *, synced: bool) -> None:
    """What is recorded: a queue at work, and after each transaction a mark that it returned."""
    chance = random.Random(seed)
    with Queue(folder) as queue, (folder / MARKER).open("ab", buffering=0) as marker:
        if not synced:
            queue._db.execute("PRAGMA synchronous = OFF")
        marker.write(_state(queue))
        for number in range(TRANSACTIONS):
            _one_transaction(queue, number, chance)
            marker.write(_state(queue))


def _one_transaction(queue: Queue, number: int, chance: random.Random) -> None:
    if chance.random() < 0.4 or (entry := queue.take()) is None:
        path = Path("/scans", f"{number}" + "x" * chance.randint(0, 900))
        queue.add(f"{number}", Path("/scans"), [QueuedFile(path.name, path, number, number)])
    elif chance.random() < 0.5:
        queue.finish(entry)
    elif chance.random() < 0.7:
        queue.drop(entry)
    else:
        queue.refuse(entry, "damaged", "y" * chance.randint(0, 3000))


def _state(queue: Queue) -> bytes:
    return b"%s\n" % " ".join(f"{entry.id}{entry.state}{len(entry.detail or '')}" for entry in queue.entries()).encode()


def _losses(plan: Plan, recorder: Path, who: str, losses: int) -> list[str]:
    """How often, and how, what was found after a power loss was not what it ought to be."""
    folder, record = plan.folder / who, plan.folder / f"{who}.record"
    folder.mkdir()
    environment = os.environ | {"LD_PRELOAD": str(recorder), "RECORD_BELOW": str(folder), "RECORD_TO": str(record)}
    command = [sys.executable, "-m", "benchmarks.torture_ingest.powerloss", str(folder), str(plan.seed), who]
    subprocess.run(command, env=environment, check=True)
    changes = list(_changes(record.read_bytes(), folder))
    chance, wrong = random.Random(plan.seed), []
    moments = sorted(chance.randrange(len(changes)) for _ in range(losses))
    states = [line for change in changes if change.name == MARKER for line in [change.data] if line]
    disk, at, returned = Disk(), 0, 0
    for moment in moments:
        for change in changes[at:moment]:
            if change.name != MARKER:
                disk.change(change)
            else:
                returned += bool(change.data)
        at = moment
        if why := _judged(disk.after_power_loss(chance), plan.folder / "found", states, returned):
            wrong.append(f"{who}, after {moment} changes: {why}")
    return wrong


def _judged(files: dict[str, bytes], folder: Path, states: list[bytes], returned: int) -> str:
    """What is wrong with the queue on such a disk, when something is. `states`: of the queue, as they came; so many of
    them were returned."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, data in files.items():
        (folder / name).write_bytes(data)
    try:
        with Queue(folder) as queue:
            if queue.set_aside and returned:
                return "the queue is damaged"
            found = _state(queue)
    except sqlite3.DatabaseError as error:
        return f"the queue is damaged, and was not found to be: {error}"
    return "" if not returned or found in _possible(states, returned) else f"it is not as after transaction {returned}"


def _possible(states: list[bytes], returned: int) -> set[bytes]:
    """As it was left last, or one transaction later: a slide taken may have been one more."""
    before = states[returned - 1]
    taken = {before.replace(b"queued", b"sending", count) for count in (0, 1)}
    return taken | set(states[returned : returned + 1])


def _changes(record: bytes, folder: Path) -> Iterator[Change]:
    at = 0
    while at < len(record):
        what, named, offset, length = _RECORD.unpack_from(record, at)
        at += _RECORD.size
        path, data = record[at : at + named].decode(), record[at + named : at + named + length]
        at += named + length
        name = os.path.relpath(path, folder)
        yield Change(what.decode(), "" if name == "." else name, offset, data)


def _applied(content: bytes, changes: list[Change]) -> bytes:
    found = bytearray(content)
    for change in changes:
        if change.what == "t":
            found = found[: change.offset].ljust(change.offset, b"\0")
        else:
            found = found.ljust(change.offset, b"\0")
            found[change.offset : change.offset + len(change.data)] = change.data
    return bytes(found)


def _torn(change: Change, chance: random.Random) -> Iterator[Change]:
    """What of a change that was not synced has come to the disk: all, nothing, or some sectors."""
    fate = chance.random()
    if fate < 0.4:
        yield change
    elif fate < 0.6 and change.what == "w":
        for start in range(0, len(change.data), SECTOR):
            if chance.random() < 0.5:
                yield Change("w", change.name, change.offset + start, change.data[start : start + SECTOR])


def _compiled(folder: Path) -> Path:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise CompilerMissingError("No C compiler: install gcc and libc6-dev (apt-get install gcc libc6-dev).")
    library = folder / "recorded_writes.so"
    subprocess.run([compiler, "-O1", "-shared", "-fPIC", "-o", str(library), str(_SOURCE), "-ldl"], check=True)
    return library


if __name__ == "__main__":
    work(Path(sys.argv[1]), int(sys.argv[2]), synced=sys.argv[3] == "ours")
