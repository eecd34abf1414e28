"""Derived levels built behind a slide that is already shown: the same bytes, published once, whatever happens."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fixtures.centres import Centres
from fixtures.lab import SCAN, Lab
from fixtures.slides import jpeg_image, one_level
from sqlalchemy import select, update

from ingest.build import BUILD, Build
from ingest.worker import Worker
from sharing.clock import FrozenClock
from sharing.db.engine import Database
from sharing.db.tables import JobRow, SlideFileRow, SlideRow
from sharing.slides import Slide
from sharing.vocabulary import SlideId
from slideserver.operations import backup, restore
from slideserver.sources import OpenSlide, Sources
from tiler.cache import TileCache
from tiler.cutters import CutterPool
from tiler.errors import SandboxUnavailableError, WorkerDiedError, WorkerTimeoutError
from tiler.geometry import Size
from tiler.index import TileIndex, file_name
from tiler.sandbox import Sandbox
from tiler.sandbox import Worker as CutterProcess
from tiler.storage.local import LocalBlobStore

# What the engines have to do with it is held by those tests that run on both.
ON_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
# 65 × 65 tiles: one row more than may be cut while somebody waits.
WITHOUT_OVERVIEW = one_level(size=Size(1040, 1040), tile=Size(16, 16))


class Place(Lab):
    def builder(self, sandbox: Sandbox, stopping: Callable[[], bool] = lambda: False) -> Worker:
        build = Build(self.database, self.queue, self.store, sandbox, self.var, stopping)
        return Worker(self.database, self.queue, {BUILD: build}, "builder")

    def job(self) -> JobRow:
        with self.database.reading() as session:
            return session.scalars(select(JobRow).where(JobRow.kind == BUILD)).one()

    def registered(self, data: bytes = SCAN.read_bytes()) -> SlideId:
        slide_id = self.push(data, "26H01234")
        assert self.worker().step()
        return slide_id

    def index(self, slide: Slide) -> TileIndex:
        path = self.var / "slides" / slide.id / file_name(slide.index_digest or "")
        return TileIndex.open(path, digest=slide.index_digest)


@pytest.fixture
def lab(database: Database, centres: Centres, var: Path) -> Place:
    return Place(database, centres, var)


@pytest.fixture
def sources(lab: Place, sandbox: Sandbox) -> Iterator[Sources]:
    cutters = CutterPool(sandbox)
    yield Sources(lab.database, lab.store, cutters, TileCache(10**8), lab.var / "slides", max_open=8)
    cutters.close()


def derived_tiles(slide: OpenSlide) -> dict[tuple[int, int, int], bytes]:
    """Every tile that the scanner left out, however it is come by."""
    return {
        (number, col, row): slide.source.get(number, col, row)
        for number, level in enumerate(slide.source.index.levels)
        if not level.stored
        for row in range(level.grid.height)
        for col in range(level.grid.width)
    }


def test_every_built_tile_is_the_cut_one_and_readers_notice_nothing(lab, sources, sandbox) -> None:
    slide_id = lab.registered()
    before = lab.slide(slide_id)
    first = sources.open(before)
    cut = derived_tiles(first)
    assert lab.builder(sandbox).step()
    after = lab.slide(slide_id)
    assert (after.state, after.version) == (before.state, before.version) == ("ready", before.index_digest[:16])
    assert after.index_digest != before.index_digest
    later = sources.open(after)
    assert later.source.index.generation == 1
    assert all(level.placed for level in later.source.index.levels)
    assert len(cut) == 52
    assert derived_tiles(later) == cut
    assert later.etag == first.etag
    # Who opened the slide, or decided to, before the generation changed goes on with the former one.
    assert derived_tiles(first) == cut
    sources.close()
    assert sources.open(before).source.index.generation == 0
    assert not any((lab.var / "building").iterdir())


@ON_SQLITE
def test_a_backup_has_what_was_built_and_one_of_the_time_before_has_not(lab, sandbox, tmp_path: Path) -> None:
    slide_id = lab.registered()
    before = backup.take(lab.database, lab.var, tmp_path / "before")
    lab.builder(sandbox).step()
    after = backup.take(lab.database, lab.var, tmp_path / "after", previous=tmp_path / "before")
    assert before.manifest.flaws == after.manifest.flaws == ()
    told = restore.put_back(tmp_path / "after", tmp_path / "again", f"sqlite:///{tmp_path / 'restored.db'}")
    assert told.manifest.files == before.manifest.files + 1  # the derived tiles; one index for the other
    slide = lab.slide(slide_id)
    index = TileIndex.open(
        tmp_path / "again" / "slides" / slide_id / file_name(slide.index_digest), digest=slide.index_digest
    )
    assert index.generation == 1
    _, derived = lab.files(slide_id)
    assert LocalBlobStore(tmp_path / "again" / "blobs").open("caen", derived.sha256).length == derived.length


@ON_SQLITE
def test_a_slide_that_was_built_can_be_read_anew(lab, sandbox) -> None:
    """As an upgrade does that reads slides differently; the files are gone, too, and the build runs too early."""
    slide_id = lab.registered()
    lab.builder(sandbox).step()
    version = lab.slide(slide_id).version
    with lab.database.writing() as session:
        session.execute(update(SlideRow).values(state="received", index_digest=None))
        session.execute(update(JobRow).values(state="queued", attempts=0, finished_us=None))
    shutil.rmtree(lab.var / "slides")
    lab.builder(sandbox).step()
    assert lab.job().state == "queued"
    assert lab.worker().step()
    slide = lab.slide(slide_id)
    assert (slide.state, slide.version, lab.index(slide).generation) == ("ready", version, 0)


@ON_SQLITE
def test_the_job_tells_how_far_it_has_come(lab, sandbox) -> None:
    lab.registered()
    assert (lab.job().state, lab.job().units) == ("queued", None)
    lab.builder(sandbox).step()
    assert (lab.job().state, lab.job().done_units, lab.job().units) == ("done", 52, 52)
    assert not lab.builder(sandbox).step()


@ON_SQLITE
def test_derived_tiles_are_kept_as_a_file_of_the_slide(lab, sandbox) -> None:
    slide_id = lab.registered()
    lab.builder(sandbox).step()
    received, derived = lab.files(slide_id)
    assert (received.name, derived.name) == ("lame.svs", "derived.tiles")
    assert lab.store.path("caen", derived.sha256).stat().st_size == derived.length


@ON_SQLITE
def test_a_slide_without_an_overview_is_shown_once_it_has_one(lab, sources, sandbox) -> None:
    slide_id = lab.registered(WITHOUT_OVERVIEW)
    assert (lab.slide(slide_id).state, lab.registrations()) == ("indexing", [])
    lab.builder(sandbox).step()
    slide = lab.slide(slide_id)
    assert (slide.state, slide.case_id) == ("ready", lab.centres.caen.cases["26H01234"])
    assert slide.version != slide.index_digest[:16]
    assert sources.open(slide).source.index.version == slide.version
    assert lab.registrations() == ["success"]
    assert lab.job().units == sum(level.grid.area for level in lab.index(slide).levels[1:])


@ON_SQLITE
def test_a_build_that_is_told_to_stop_goes_on_where_it_was(lab, sandbox, clock: FrozenClock) -> None:
    slide_id = lab.registered()
    asked = []

    def stopping() -> bool:
        asked.append(lab.job().done_units)
        return len(asked) == 40  # the first level has 35 tiles and its end

    lab.builder(sandbox, stopping).step()
    assert (lab.job().state, lab.job().done_units, lab.job().attempts) == ("queued", 35, 0)
    asked.clear()
    clock.advance(minutes=1)
    lab.builder(sandbox, lambda: bool(asked.append(1))).step()
    assert lab.job().state == "done"
    assert lab.index(lab.slide(slide_id)).generation == 1
    # Only the end of the first level, which was found finished; then tiles and end of the others.
    assert len(asked) == 1 + (12 + 1) + (4 + 1) + (1 + 1)


class Killed(BaseException):
    """What no handler catches, as none survives SIGKILL."""


@ON_SQLITE
def test_a_build_that_kills_its_builder_each_time_at_the_same_tile_is_not_tried_for_ever(lab, sandbox, clock) -> None:
    """What an earlier try made durable is no progress of the later ones."""
    lab.registered()
    asked = []

    def die(after: int) -> bool:
        asked.append(1)
        if len(asked) > after:
            raise Killed
        return False

    tries = []
    for after in (40, 3, 3):
        asked.clear()
        with pytest.raises(Killed):
            lab.builder(sandbox, lambda after=after: die(after)).step()
        tries.append(lab.job().attempts)
        clock.advance(minutes=1)
    assert tries == [0, 1, 2]


def test_a_builder_that_froze_changes_nothing(lab, sandbox, clock: FrozenClock) -> None:
    """Its lease runs out in the middle, another worker builds the slide; it wakes up and is told so."""
    slide_id = lab.registered()
    woken = []

    def stopping() -> bool:
        if not woken:
            woken.append(True)
            clock.advance(minutes=1)
            lab.builder(sandbox).step()
            woken.append(lab.slide(slide_id).index_digest)
        return False

    lab.builder(sandbox, stopping).step()
    assert lab.slide(slide_id).index_digest == woken[1]
    assert lab.job().state == "done"
    with lab.database.reading() as session:
        assert len(session.scalars(select(SlideFileRow).where(SlideFileRow.derived)).all()) == 1


class NoSandbox(Sandbox):
    def start(self, task, files=(), **options):
        raise SandboxUnavailableError("Slides cannot be decoded in isolation on this machine.")


@ON_SQLITE
def test_without_a_sandbox_the_build_waits(lab, sandbox, clock: FrozenClock) -> None:
    slide_id = lab.registered()
    for _ in range(7):
        lab.builder(NoSandbox()).step()
        clock.advance(minutes=1)
    assert lab.job().state == "queued"
    lab.builder(sandbox).step()
    assert lab.index(lab.slide(slide_id)).generation == 1


class BadSandbox(Sandbox):
    """In which every decoder ends as `error` says."""

    def __init__(self, error: type[WorkerDiedError | WorkerTimeoutError]) -> None:
        super().__init__()
        self._error = error

    def start(self, *_: object, **__: object) -> CutterProcess:
        raise self._error("The program that cuts tiles brought nothing.")


@ON_SQLITE
@pytest.mark.parametrize("error", [WorkerDiedError, WorkerTimeoutError])
def test_a_build_that_is_given_up_leaves_nothing_lying_about(error, lab, clock: FrozenClock) -> None:
    slide_id = lab.registered()
    lab.builder(BadSandbox(error)).step()
    assert any((lab.var / "building").iterdir())
    for _ in range(20):
        clock.advance(hours=2)
        lab.builder(BadSandbox(error)).step()
    assert lab.job().state == "dead"
    assert not any((lab.var / "building").iterdir())
    assert (lab.slide(slide_id).state, lab.index(lab.slide(slide_id)).generation) == ("ready", 0)


def undecodable(image: bytes) -> bytes:
    """Sound as a stream, so that it is indexed; but coded with Huffman tables that it does not have."""
    scan = image.index(b"\xff\xda")
    damaged = bytearray(image)
    damaged[scan + 6 : scan + 11 : 2] = b"\x33\x33\x33"
    return bytes(damaged)


@ON_SQLITE
def test_a_tile_that_cannot_be_decoded_ends_the_build_and_not_the_slide(lab, sandbox, svs_slide, svs_index) -> None:
    data = svs_slide.read_bytes()
    _, offset, length, _ = svs_index.locate(0, 3, 2)
    tile = undecodable(data[offset : offset + length])
    slide_id = lab.registered(data[:offset] + tile + data[offset + length :])
    lab.builder(sandbox).step()
    assert lab.job().state == "done"
    assert (lab.slide(slide_id).state, lab.index(lab.slide(slide_id)).generation) == ("ready", 0)
    assert not any((lab.var / "building").iterdir())


@ON_SQLITE
def test_a_slide_whose_overview_cannot_be_made_is_refused_with_the_reason(lab, sandbox) -> None:
    tile = Size(16, 16)
    slide_id = lab.registered(one_level(undecodable(jpeg_image(tile)), size=Size(1040, 1040), tile=tile))
    assert lab.slide(slide_id).state == "indexing"
    lab.builder(sandbox).step()
    assert (lab.slide(slide_id).state, lab.slide(slide_id).refusal_code) == ("refused", "damaged")
    assert lab.job().state == "done"
