"""From the blob to the slide on the screen, through the real sandbox."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
from fixtures.centres import Centres
from fixtures.lab import SCAN, Lab
from fixtures.profiles import matrix_profile
from fixtures.slides import one_level

from ingest.arrival import REGISTER
from ingest.errors import UnknownSlideError
from ingest.worker import MAX_ATTEMPTS
from sharing import custody
from sharing.clock import FrozenClock
from sharing.db.engine import Database
from tiler.errors import SandboxUnavailableError, TilerError, WorkerDiedError
from tiler.icc import rebuilt
from tiler.index import TileIndex, file_name
from tiler.sandbox import IndexedSlide, Sandbox


class Broken:
    """A reader that cannot read."""

    def __init__(self, error: TilerError) -> None:
        self.error = error

    def index_slide(self, path: Path) -> IndexedSlide:
        raise self.error


@pytest.fixture
def lab(database: Database, centres: Centres, var: Path) -> Lab:
    return Lab(database, centres, var)


def test_a_scan_becomes_ready_and_finds_its_case(lab: Lab) -> None:
    slide_id = lab.push(SCAN.read_bytes(), "26h01234")
    assert lab.slide(slide_id).state == "received"
    assert lab.worker().step()
    slide = lab.slide(slide_id)
    assert (slide.state, slide.case_id) == ("ready", lab.centres.caen.cases["26H01234"])
    assert (slide.width, slide.height, slide.objective_power) == (2220, 2967, 20.0)
    assert (slide.has_label, slide.has_macro) == (True, True)
    folder = lab.var / "slides" / slide_id
    index = file_name(slide.index_digest)
    assert {path.name for path in folder.iterdir()} == {index, "label.jpg", "macro.jpg", "thumbnail.jpg"}
    assert TileIndex.open(folder / index, digest=slide.index_digest).levels[0].size.width == 2220
    assert lab.registrations() == ["success"]
    assert not lab.worker().step()


def test_an_unknown_accession_is_a_slide_for_a_person_and_no_error(lab: Lab) -> None:
    slide_id = lab.push(SCAN.read_bytes(), "26H99999")
    lab.worker().step()
    slide = lab.slide(slide_id)
    assert (slide.state, slide.case_id, slide.accession) == ("ready", None, "26H99999")


def test_a_scan_of_another_sites_accession_stays_unmatched(lab: Lab) -> None:
    slide_id = lab.push(SCAN.read_bytes(), "26R00077")
    lab.worker().step()
    assert lab.slide(slide_id).case_id is None


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"This is a letter, not a slide.\n" * 100, "not-a-slide"),
        (SCAN.read_bytes()[:700_000], "damaged"),
        (SCAN.read_bytes()[:10], "damaged"),
    ],
    ids=["letter", "cut", "stump"],
)
def test_what_is_no_slide_is_refused_with_a_reason(lab: Lab, data: bytes, code: str) -> None:
    slide_id = lab.push(data)
    lab.worker().step()
    slide = lab.slide(slide_id)
    assert (slide.state, slide.refusal_code) == ("refused", code)
    assert len(slide.refusal_reason) > 15
    assert not (lab.var / "slides" / slide_id).exists()
    assert lab.registrations() == ["failed"]


def test_a_file_that_kills_its_reader_is_tried_twice_and_refused(lab: Lab, clock: FrozenClock) -> None:
    slide_id = lab.push(SCAN.read_bytes())
    worker = lab.worker(Broken(WorkerDiedError("The slide made the program that decodes it crash.")))
    assert worker.step()
    assert lab.slide(slide_id).state == "indexing"
    clock.advance(minutes=1)
    assert worker.step()
    slide = lab.slide(slide_id)
    assert (slide.state, slide.refusal_code) == ("refused", "decoder-died")


def test_the_colour_profile_is_kept_beside_the_index(lab: Lab) -> None:
    profile = matrix_profile(2, b"CANARY")
    slide_id = lab.push(one_level(change={34675: (7, profile)}))
    assert lab.worker().step()
    assert (lab.var / "slides" / slide_id / "profile.icc").read_bytes() == rebuilt(profile)


class Liar:
    """A reader that says one thing otherwise than it is."""

    def __init__(self, **lie: bytes | None) -> None:
        self._lie = lie

    def index_slide(self, path: Path) -> IndexedSlide:
        return replace(Sandbox().index_slide(path), **self._lie)


@pytest.mark.parametrize(
    "lie",
    [{"profile": matrix_profile(2, b"CANARY")}, {"thumbnail": None}, {"thumbnail": b"<svg>"}],
    ids=["a profile that holds words", "no thumbnail", "no JPEG"],
)
def test_what_a_reader_says_beside_the_index_is_not_believed_either(lab: Lab, lie: dict[str, bytes | None]) -> None:
    slide_id = lab.push(SCAN.read_bytes())
    assert lab.worker(Liar(**lie)).step()
    assert (lab.slide(slide_id).state, lab.slide(slide_id).refusal_code) == ("refused", "bad-index")
    assert not (lab.var / "slides" / slide_id).exists()


def test_a_slide_whose_bytes_cannot_be_found_now_is_tried_again(lab: Lab, clock: FrozenClock) -> None:
    slide_id = lab.push(SCAN.read_bytes())
    [blob] = (path for path in (lab.var / "blobs").rglob("*") if path.is_file())
    away = blob.rename(lab.var / "away")
    worker = lab.worker()
    assert worker.step()
    assert lab.slide(slide_id).state == "indexing"
    away.rename(blob)
    clock.advance(hours=1)
    assert worker.step()
    assert lab.slide(slide_id).state == "ready"


def test_without_a_sandbox_slides_wait_and_none_is_refused(lab: Lab, clock: FrozenClock) -> None:
    slide_id = lab.push(SCAN.read_bytes())
    worker = lab.worker(Broken(SandboxUnavailableError("Slides cannot be decoded in isolation on this machine.")))
    for _ in range(10):
        assert worker.step()
        clock.advance(minutes=1)
    assert lab.slide(slide_id).state == "indexing"
    assert lab.worker().step()
    assert lab.slide(slide_id).state == "ready"


def test_a_disk_that_cannot_take_the_index_is_waited_for(lab: Lab, clock: FrozenClock) -> None:
    slide_id = lab.push(SCAN.read_bytes(), "26H01234")
    (lab.var / "slides").write_bytes(b"in the way")
    assert lab.worker().step()
    assert lab.slide(slide_id).state == "indexing"
    assert lab.registrations() == []
    (lab.var / "slides").unlink()
    clock.advance(minutes=1)
    assert lab.worker().step()
    assert lab.slide(slide_id).state == "ready"


def test_a_store_that_is_away_is_waited_for(lab: Lab, clock: FrozenClock) -> None:
    slide_id = lab.push(SCAN.read_bytes(), "26H01234")
    (lab.var / "blobs").rename(lab.var / "away")
    for _ in range(MAX_ATTEMPTS + 1):
        assert lab.worker().step()
        assert lab.slide(slide_id).state == "indexing"
        clock.advance(minutes=1)
    (lab.var / "away").rename(lab.var / "blobs")
    assert lab.worker().step()
    assert lab.slide(slide_id).state == "ready"


def test_a_file_that_rots_before_it_is_read_is_waited_for_until_it_comes_again(lab: Lab, clock: FrozenClock) -> None:
    scan = SCAN.read_bytes()
    slide_id, agent = lab.push(scan, "26H01234"), lab.centres.caen.agent
    [file] = lab.files(slide_id)
    stored = lab.store.path("caen", file.sha256)
    stored.chmod(0o640)
    stored.write_bytes(bytes(len(scan)))
    for _ in range(MAX_ATTEMPTS + 1):
        assert lab.worker().step()
        assert lab.slide(slide_id).state == "indexing"
        clock.advance(minutes=1)
    with pytest.raises(UnknownSlideError):
        lab.uploads.known(agent, file.sha256)
    assert lab.push(scan, "26H01234") == slide_id
    assert lab.worker().step()
    assert lab.slide(slide_id).state == "ready"
    with lab.database.reading() as session:
        assert custody.damaged(session, lab.centres.caen.technician) == []


def test_a_crash_before_the_commit_is_made_good_by_the_next_worker(lab: Lab, clock: FrozenClock) -> None:
    slide_id = lab.push(SCAN.read_bytes())
    folder = lab.var / "slides" / slide_id
    folder.mkdir(parents=True)
    (folder / f".{'0' * 64}.index").write_bytes(b"half an ind")
    (folder / ".label.jpg").write_bytes(b"half a lab")
    assert lab.queue.claim("killed", [REGISTER], 15)
    clock.advance(seconds=15)
    assert lab.worker().step()
    slide = lab.slide(slide_id)
    assert slide.state == "ready"
    TileIndex.open(folder / file_name(slide.index_digest), digest=slide.index_digest)


def test_random_bytes_after_a_slide_header_never_stop_the_worker(lab: Lab) -> None:
    worker = lab.worker()
    scan = SCAN.read_bytes()
    pushed = [lab.push(scan[:start] + os.urandom(2000) + scan[start + 2000 :]) for start in (0, 8, 20_000, 1_900_000)]
    while worker.step():
        pass
    assert {lab.slide(slide_id).state for slide_id in pushed} <= {"ready", "refused", "indexing"}
    assert lab.slide(pushed[0]).state == "refused"
