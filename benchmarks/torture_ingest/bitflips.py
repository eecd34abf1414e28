"""Spoil stored files in every way a disk can, and count what `iain verify` and the background's looking do not find.

A data directory holds slides of one file and of several, derived levels and indexes. In each round many of its files
are spoilt, each in one way: a bit flipped, a sector of zeros, a piece cut off or added, two swapped, a file gone.
*Missed*: a spoilt file is not named. *False alarm*: another one is. Then all is put back, and must count as sound.

The control looks at names and lengths only, as a listing would: it must miss what kept its length.
"""

import hashlib
import logging
import random
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import func, select

from benchmarks.torture import Plan, Result
from ingest.scrub import Scrub
from sharing import custody, scanners, sites, slides
from sharing.db.engine import Database, open_database
from sharing.db.migrations import upgrade
from sharing.db.tables import AuditEventRow
from sharing.slides import ImageFacts, StoredFile
from sharing.subjects import Agent, System
from sharing.vocabulary import Act, SiteId
from slideserver.operations import verification
from tiler.index import file_name
from tiler.storage.local import LocalBlobStore

SITE = SiteId("caen")
SLIDES, SET_FILES = 12, 9
LENGTHS = (1, 60_000)
LONG_BYTES = 2_500_000  # more than is read at once
SECTOR_BYTES = 512
INJECTED = 1000
A_ROUND = 25


class World:
    """A data directory and its database; knows by itself what each file has to be."""

    def __init__(self, folder: Path, chance: random.Random) -> None:
        self.var, self._chance = folder / "var", chance
        self.var.mkdir()
        self.database = open_database(f"sqlite:///{(self.var / 'iain.db').absolute()}")
        upgrade(self.database)
        with self.database.writing() as session:
            sites.add_site(session, SITE, "Caen")
            scanner_id, _ = scanners.add_scanner(session, SITE, "Scanner")
        self.store = LocalBlobStore(self.var / "blobs")
        self._agent = Agent(scanner_id, SITE, "Scanner")
        for number in range(SLIDES):
            self._add_slide(number, 1 if number % 4 else SET_FILES)
        folders = (self.var / "blobs", self.var / "slides")
        self.truth = {path: path.read_bytes() for top in folders for path in top.rglob("*") if path.is_file()}

    def _add_slide(self, number: int, count: int) -> None:
        lengths = [LONG_BYTES if number == 0 and not file else self._chance.randint(*LENGTHS) for file in range(count)]
        files = [self._store(f"file-{file}.dat", length) for file, length in enumerate(lengths)]
        index = self._chance.randbytes(self._chance.randint(*LENGTHS))
        digest = hashlib.sha256(index).hexdigest()
        with self.database.writing() as session:
            slide_id = slides.create_slide(session, self._agent, files=files, file_name=f"{number}.svs")
            image = ImageFacts("aperio", 1000, 1000)
            slides.mark_ready(session, slide_id, index_digest=digest, image=image)
            derived = self._store("derived.tiles", self._chance.randint(*LENGTHS))
            slides.publish(session, slide_id, index_digest=digest, derived=derived)
        directory = self.var / "slides" / slide_id
        directory.mkdir(parents=True)
        (directory / file_name(digest)).write_bytes(index)
        (directory / "thumbnail.jpg").touch()

    def _store(self, name: str, length: int) -> StoredFile:
        data = self._chance.randbytes(length)
        digest = hashlib.sha256(data).hexdigest()
        writer = self.store.begin(SITE)
        writer.write(data)
        writer.commit(digest)
        return StoredFile(name, digest, length)

    def files(self) -> list[Path]:
        return sorted(path for path, data in self.truth.items() if data)

    def mend(self) -> None:
        for path, data in self.truth.items():
            if not path.exists() or path.read_bytes() != data:
                path.unlink(missing_ok=True)
                path.write_bytes(data)

    def spoilt(self) -> set[Path]:
        """What a comparison with the truth says, byte by byte."""
        return {path for path, data in self.truth.items() if not path.exists() or path.read_bytes() != data}


@dataclass
class Tally:
    injected: int = 0
    missed: int = 0
    false_alarms: int = 0
    missed_by_lengths: int = 0
    notes: list[str] = field(default_factory=list)


def flip(path: Path, chance: random.Random) -> None:
    data = bytearray(path.read_bytes())
    data[chance.choice((0, len(data) - 1, chance.randrange(len(data))))] ^= 1 << chance.randrange(8)
    path.write_bytes(data)


def blank(path: Path, chance: random.Random) -> None:
    """A sector that was never written, or was forgotten."""
    data = bytearray(path.read_bytes())
    start = chance.randrange(len(data)) // SECTOR_BYTES * SECTOR_BYTES
    end = min(start + SECTOR_BYTES, len(data))
    same = not any(data[start:end])
    data[start:end] = bytes(end - start)
    data[start] ^= same
    path.write_bytes(data)


def cut(path: Path, chance: random.Random) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: chance.choice((0, len(data) - 1, chance.randrange(len(data))))])


def lengthen(path: Path, chance: random.Random) -> None:
    with path.open("ab") as file:
        file.write(chance.randbytes(chance.randint(1, 600)))


def remove(path: Path, _: random.Random) -> None:
    path.unlink()


ALONE: tuple[Callable[[Path, random.Random], None], ...] = (flip, flip, flip, flip, blank, cut, lengthen, remove)


def spoil(world: World, count: int, chance: random.Random) -> None:
    """Spoils that many files, each once."""
    files = chance.sample(world.files(), count)
    for path in files:
        path.chmod(0o640)
    while files:
        if len(files) > 1 and chance.random() < 1 / 9:
            one, other = files.pop(), files.pop()
            first, second = one.read_bytes(), other.read_bytes()
            one.write_bytes(second)
            other.write_bytes(first)
        else:
            chance.choice(ALONE)(files.pop(), chance)


def by_command(world: World) -> set[Path]:
    report = verification.verify(world.database, world.var, settled_s=0)
    return {world.var / flaw.path for flaw in report.flaws}


def in_background(world: World) -> set[Path]:
    """What the thread of the server writes down, in as many rounds as it takes."""
    scrub = Scrub(world.database, world.store, world.var / "slides", 1 << 50, again_after_s=0)
    with world.database.reading() as session:
        files = len(custody.kept(session))
    looked = 0
    while looked < files:
        looked += scrub.round(threading.Event())
    with world.database.reading() as session:
        named = {found.sha256 for found in custody.damaged(session, System())}
    return {path for path in world.truth if path.name.removesuffix(".index") in named}


def by_lengths(world: World) -> set[Path]:
    """The control."""
    return {path for path, data in world.truth.items() if not path.exists() or path.stat().st_size != len(data)}


def torture(world: World, injections: int, chance: random.Random) -> Tally:
    tally = Tally()
    for number, count in enumerate(_rounds(injections)):
        spoil(world, count, chance)
        spoilt = world.spoilt()
        named = (in_background if number % 2 else by_command)(world)
        tally.injected += len(spoilt)
        tally.missed += len(spoilt - named)
        tally.false_alarms += len(named - spoilt)
        tally.missed_by_lengths += len(spoilt - by_lengths(world))
        tally.notes += [f"round {number}: missed {path}" for path in sorted(spoilt - named)]
        world.mend()
        tally.false_alarms += len(by_command(world))
    return tally


def told(database: Database) -> tuple[int, int]:
    """How often the audit log says that a file was damaged, and that one is sound again."""
    with database.reading() as session:
        acts = select(func.count()).select_from(AuditEventRow)
        damaged = session.scalar(acts.where(AuditEventRow.act == Act.BLOB_DAMAGED))
        sound = session.scalar(acts.where(AuditEventRow.act == Act.BLOB_SOUND))
    return damaged or 0, sound or 0


def run(plan: Plan) -> Result:
    logging.getLogger("ingest.scrub").setLevel(logging.CRITICAL)  # a thousand lines that say what is counted here
    chance = random.Random(plan.seed)
    world = World(plan.folder, chance)
    tally = torture(world, plan.times(INJECTED), chance)
    events = told(world.database)
    world.database.close()
    if events != (tally.injected, tally.injected):
        tally.notes.append(f"{tally.injected} files were spoilt and mended, the audit log tells of {events}")
    return Result(
        figures={
            "store.bitflips_injected": tally.injected,
            "store.bitflips_missed": tally.missed,
            "store.bitflips_false_alarms": tally.false_alarms,
            "store.bitflips_missed_by_lengths": tally.missed_by_lengths,
        },
        failed=bool(tally.missed or tally.false_alarms) or events != (tally.injected, tally.injected),
        notes=tuple(tally.notes),
        void=() if tally.missed_by_lengths else ("looking at lengths alone",),
    )


def _rounds(injections: int) -> Iterator[int]:
    while injections > 0:
        yield min(A_ROUND, injections)
        injections -= A_ROUND
