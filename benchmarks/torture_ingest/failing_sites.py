"""One way of a slide from its announcement to its derived levels, and of a slide of several files to its commitment, on
a disk that fails at one of the product's own lines; again and again, once for each line.

The disk fails until it was met `FAILURES` times, then there is room again, and the same objects go on: nothing is
restarted. *Half done*: a file is in its final place and not what its name promises, a row names what is not there, or
what was acknowledged is gone. That is looked at after each failure, and once more in the end.
"""

import errno
import hashlib
import logging
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.torture_ingest.copying_store import CopyingStore
from benchmarks.torture_ingest.failing_disk import FailingDisk, watch
from ingest.arrival import REGISTER
from ingest.build import BUILD, Build
from ingest.errors import FilesMissingError, IngestError
from ingest.jobs import SqlJobQueue
from ingest.manifest import SetFile, manifest_of
from ingest.protocol import UploadRequest
from ingest.receive import Limits, Uploads
from ingest.register import Register
from ingest.worker import Worker
from sharing import scanners, sites, slides
from sharing.clock import FrozenClock
from sharing.db.engine import Database, open_database
from sharing.db.migrations import upgrade
from sharing.subjects import Agent, System
from sharing.vocabulary import SiteId, SlideId, SlideState
from slideserver.operations import verification
from tiler.sandbox import IndexedSlide, Sandbox
from tiler.storage.local import LocalBlobStore
from tiler.synthetic import Spec, make_slide

SITE = SiteId("caen")
TEXTURE = Path(__file__).parents[2] / "tests" / "data" / "CMU-1-Small-Region.svs"
CODES = (errno.ENOSPC, errno.EIO)
FAILURES = 2
TRIES = 12
PIECE_BYTES = 200_000
SET = {"lame/Data0000.dat": b"0" * 30_000, "lame/Slidedat.ini": b"[GENERAL]\n", "lame.mrxs": b""}


@dataclass(frozen=True, slots=True)
class Material:
    """What every run begins with: an empty database that knows a scanner, and a slide with what reading it tells."""

    template: Path
    agent: Agent
    slide: bytes
    indexed: IndexedSlide


@dataclass(slots=True)
class Outcome:
    """`half_done` in words, each once; `stuck`: what did not go on when there was room again."""

    met: int = 0
    half_done: set[str] = field(default_factory=set)
    stuck: list[str] = field(default_factory=list)
    reached: frozenset[str] = frozenset()


class _Read:
    """The reader of slides, which has read this one before."""

    def __init__(self, indexed: IndexedSlide) -> None:
        self._indexed = indexed

    def index_slide(self, slide: Path | Mapping[str, Path]) -> IndexedSlide:
        return self._indexed


def material(folder: Path) -> Material:
    template, path = folder / "template.db", folder / "slide.svs"
    database = open_database(f"sqlite:///{template}")
    upgrade(database)
    with database.writing() as session:
        sites.add_site(session, SITE, "Caen")
        scanner_id, _ = scanners.add_scanner(session, SITE, "Scanner")
    database.close()
    make_slide(path, Spec(900, 700, TEXTURE, seed=5))
    return Material(template, Agent(scanner_id, SITE, "Scanner"), path.read_bytes(), Sandbox().index_slide(path))


class Way:
    """One run in a folder of its own."""

    def __init__(self, material: Material, folder: Path, store: type[LocalBlobStore] = LocalBlobStore) -> None:
        self._material, self.outcome, self.clock = material, Outcome(), FrozenClock()
        folder.mkdir(parents=True)
        shutil.copyfile(material.template, folder / "iain.db")
        self._var = folder / "var"
        self._database: Database = open_database(f"sqlite:///{folder / 'iain.db'}", self.clock)
        self._store, self._queue, self._sandbox = store(self._var / "blobs"), SqlJobQueue(self._database), Sandbox()
        self._uploads = Uploads(self._database, self._store, self._queue, self._var, Limits(spare_disk_bytes=0))
        self._disk = FailingDisk(folder)
        self._acknowledged: dict[str, int] = {}

    def run(self, armed: Mapping[str, int]) -> Outcome:
        """The whole way; these sites fail with these errors."""
        with watch(self._var) as self._disk:
            self._disk.arm(armed)
            slide = self._push(UploadRequest("lame.svs", len(self._material.slide), _sha256(self._material.slide)))
            self._work({REGISTER: self._register(), BUILD: self._build()})
            self._commit()
            self._disk.arm({})
        self._judge(slide)
        self.outcome.met, self.outcome.reached = self._disk.failures, frozenset(self._disk.reached)
        self._database.close()
        return self.outcome

    def _register(self) -> Register:
        return Register(self._database, self._queue, self._store, _Read(self._material.indexed), self._var)

    def _build(self) -> Build:
        return Build(self._database, self._queue, self._store, self._sandbox, self._var)

    def _push(self, request: UploadRequest, data: bytes | None = None) -> SlideId | None:
        """As an agent does it: one request after the other, and after a refusal the question how much is held."""
        whole = self._material.slide if data is None else data
        for _ in self._tries(request.file_name):
            with self._refusals():
                upload = self._uploads.create(self._material.agent, request).id
                while True:
                    with self._uploads.open(self._material.agent, upload) as arrival:
                        held = arrival.held()
                        if held.offset < self._acknowledged.get(upload, 0):
                            self.outcome.half_done.add(f"{held.offset} bytes held, more were acknowledged")
                        if held.offset < len(whole):
                            piece = whole[held.offset : held.offset + PIECE_BYTES]
                            arrival.expect(held.offset, len(piece), None)
                            arrival.write(piece)
                            held = arrival.finish()
                            self._acknowledged[upload] = held.offset
                    if held.offset == len(whole):
                        return held.slide
        return None

    def _commit(self) -> None:
        manifest = manifest_of(SetFile(name, len(data), _sha256(data)) for name, data in SET.items())
        glass = UploadRequest("lame.mrxs", manifest.length, manifest.sha256)
        for _ in self._tries("the set"):
            with self._refusals():
                try:
                    self._uploads.commit(self._material.agent, manifest, glass)
                    return
                except FilesMissingError as error:
                    for name in error.names:
                        request = UploadRequest("Data0000.dat", len(SET[name]), _sha256(SET[name]), of_set=True)
                        self._push(request, SET[name])

    def _work(self, handlers: Mapping[str, Register | Build]) -> None:
        worker = Worker(self._database, self._queue, handlers, "worker")
        for _ in self._tries("the jobs"):
            failures = self._disk.failures
            while worker.step():
                if self._disk.failures > failures:
                    break
            else:
                return
            self._look()
            self.clock.advance(seconds=120)

    def _tries(self, what: str) -> Iterator[int]:
        yield from range(TRIES)
        self.outcome.stuck.append(f"{what} did not go on after {TRIES} tries")

    @contextmanager
    def _refusals(self) -> Iterator[None]:
        """What the edge tells in words; then a look at what is there."""
        try:
            yield
        except (IngestError, OSError):
            self._look()

    def _look(self) -> None:
        """Nothing may be half done; after some failures there is room again."""
        if self._disk.failures >= FAILURES:
            self._disk.arm({})
        report = verification.verify(self._database, self._var, threads=1, settled_s=0)
        self.outcome.half_done |= {f"{flaw.path.split('/')[0]}: {flaw.damage}" for flaw in report.flaws}
        self.outcome.half_done |= {
            f"{stray.path}: {stray.standing}"
            for stray in report.strays
            if stray.standing is verification.Standing.FOREIGN
        }

    def _judge(self, slide_id: SlideId | None) -> None:
        self._look()
        with self._database.reading() as session:
            if slide_id is None or slides.get_slide(session, System(), slide_id).state is not SlideState.READY:
                self.outcome.stuck.append("the slide is not ready")
                return
            files = slides.files_of(session, slide_id)
        if len(files) != 2:  # what was received, and its derived levels
            self.outcome.stuck.append("the slide has no derived levels")
        if not (self._var / "slides" / slide_id / "thumbnail.jpg").is_file():
            self.outcome.half_done.add("a ready slide has no small picture")


@dataclass(slots=True)
class Tally:
    known: int = 0
    """Sites that the whole way passes when nothing fails, and those that only failures lead to."""
    sites: set[str] = field(default_factory=set)
    runs: int = 0
    half_done: int = 0
    stuck: int = 0
    notes: list[str] = field(default_factory=list)


def torture(
    folder: Path,
    prepared: Material,
    pick: Callable[[list[str]], list[str]] = list,
    codes: tuple[int, ...] = CODES,
) -> Tally:
    """Fails each site that `pick` chooses of all, then the sites that only a failure leads to, together with it."""
    tally = Tally()
    logging.getLogger("ingest.worker").setLevel(logging.CRITICAL)
    plain = Way(prepared, folder / "plain").run({})
    if plain.half_done or plain.stuck:
        raise RuntimeError(f"Nothing failed, and yet: {plain}")
    everything = set(plain.reached)
    for code in codes:
        waiting: list[tuple[str, ...]] = [(site,) for site in pick(sorted(plain.reached)) if _can(site, code)]
        known = set(plain.reached)
        while waiting:
            armed = waiting.pop(0)
            place = folder / f"run-{tally.runs}"
            outcome = Way(prepared, place).run(dict.fromkeys(armed, code))
            shutil.rmtree(place, ignore_errors=True)
            _count(tally, armed, code, outcome)
            if len(armed) == 1:
                found = sorted(outcome.reached - known)
                known.update(found)
                everything.update(found)
                waiting += [(*armed, site) for site in found if _can(site, code)]
    tally.known = len(everything)
    return tally


def twin(folder: Path, prepared: Material) -> Outcome:
    """The same with a store that writes under the final name: its half-written blob must be found."""
    return Way(prepared, folder, CopyingStore).run({"write in torture_ingest/copying_store.py": errno.ENOSPC})


def _count(tally: Tally, armed: tuple[str, ...], code: int, outcome: Outcome) -> None:
    where = " and ".join(armed)
    tally.runs += 1
    if not outcome.met:
        tally.notes.append(f"never met: {where}")
        return
    tally.sites.update(armed)
    tally.half_done += bool(outcome.half_done)
    tally.stuck += bool(outcome.stuck)
    for words in (*sorted(outcome.half_done), *outcome.stuck):
        tally.notes.append(f"{errno.errorcode[code]} at {where}: {words}")


def _can(site: str, code: int) -> bool:
    """A disk without room fails everything; one that is broken, what goes to it at once."""
    return code == errno.ENOSPC or site.split()[0] in ("write", "pwrite", "fsync", "ftruncate")


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
