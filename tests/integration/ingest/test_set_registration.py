"""Slides of several files, from what a scanner left in a folder to the slide on the screen."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from fixtures.centres import Centres, found_centres
from fixtures.lab import Lab
from sqlalchemy import text

from benchmarks.layouts import dicom, mrxs, trestle
from ingest.agent.parcels import Parcel, find
from ingest.build import Build
from ingest.worker import Worker
from sharing.db.engine import Database, open_database
from slideserver.operations import backup, doctor
from slideserver.operations.doctor import State
from tiler.index import TileIndex, file_name
from tiler.sandbox import Sandbox
from tiler.storage.local import LocalBlobStore


@pytest.fixture
def database(sqlite_template: Path, tmp_path: Path) -> Iterator[Database]:
    """The rows of a set are tried on both engines elsewhere (`test_sets`)."""
    path = tmp_path / "iain.db"
    shutil.copyfile(sqlite_template, path)
    database = open_database(f"sqlite:///{path}")
    yield database
    database.close()


@pytest.fixture
def centres(database: Database) -> Centres:
    with database.writing() as session:
        return found_centres(session)


@pytest.fixture
def lab(database: Database, centres: Centres, var: Path) -> Lab:
    return Lab(database, centres, var)


@pytest.fixture
def parcel(tmp_path: Path, overlaps: tuple[int, ...]) -> Parcel:
    scans = tmp_path / "scans"
    scans.mkdir()
    trestle.make(scans / "26H01234.tif", companions=True, overlaps=overlaps)
    [found] = find(scans).parcels
    assert len(found.files) == 2
    return found


STORED, DECODED = (0, 0, 0), trestle.OVERLAPS


@pytest.mark.parametrize("overlaps", [STORED, DECODED], ids=["stored", "decoded"])
def test_files_pushed_together_become_one_slide(lab: Lab, parcel: Parcel, overlaps, tmp_path: Path) -> None:
    slide_id = lab.push_set(parcel, "26H01234")
    lab.worker().step()
    slide = lab.slide(slide_id)
    assert (slide.state, slide.refusal_reason) == ("ready", None)
    assert (slide.format, slide.file_name, slide.case_accession) == ("trestle", "26H01234.tif", "26H01234")
    assert slide.has_macro, "which lies in the other file"

    build = Build(lab.database, lab.queue, lab.store, Sandbox(), lab.var)
    built = Worker(lab.database, lab.queue, {"build": build}, "builder").step()
    assert built == (overlaps == DECODED)
    names = [file.name for file in lab.files(slide_id)]
    assert names == ["slide.Full", "slide.tif"] + ["derived.tiles"] * built
    digest = lab.slide(slide_id).index_digest
    index = TileIndex.open(lab.var / "slides" / slide_id / file_name(digest), digest=digest)
    assert index.blob_count == len(names)
    assert names[index.locate(0, 0, 0)[0]] == ("derived.tiles" if built else "slide.tif")

    taken = backup.take(lab.database, lab.var, tmp_path / "backup")
    assert taken.manifest.flaws == ()
    kept = LocalBlobStore(tmp_path / "backup" / "blobs")
    assert all(kept.holds("caen", file.sha256) for file in lab.files(slide_id))


@pytest.mark.parametrize("overlaps", [STORED])
@pytest.mark.parametrize("what", ["blob", "row"])
def test_a_file_of_a_slide_that_is_gone_is_found_out(lab: Lab, parcel: Parcel, what: str) -> None:
    slide_id = lab.push_set(parcel)
    settings = doctor.Settings(var=lab.var)
    assert doctor._slides(settings, lab.database).state is State.FINE
    [gone, _] = lab.files(slide_id)
    if what == "blob":
        lab.store.path("caen", gone.sha256).unlink()
    else:
        with lab.database.writing() as session:
            session.execute(text("DELETE FROM slide_file WHERE name = 'slide.Full'"))
    finding = doctor._slides(settings, lab.database)
    assert finding.state is State.FAILED
    assert (gone.sha256 if what == "blob" else slide_id) in finding.sentence


@pytest.mark.parametrize("make", [mrxs.MAKERS["jpeg"], dicom.MAKERS["jpeg"]], ids=["mirax", "dicom"])
def test_whatever_names_they_had_they_are_one_slide(lab: Lab, make, tmp_path: Path) -> None:
    (tmp_path / "scans").mkdir()
    make(tmp_path / "scans")
    [found] = find(tmp_path / "scans").parcels
    slide_id = lab.push_set(found)
    lab.worker().step()
    slide = lab.slide(slide_id)
    assert (slide.state, slide.refusal_reason) == ("ready", None)


def test_a_set_that_lacks_a_file_is_refused_by_its_name(lab: Lab, tmp_path: Path) -> None:
    mrxs.make(tmp_path)
    [found] = find(tmp_path).parcels
    lacking = [(name, path) for name, path in found.files if not name.endswith("Data0001.dat")]
    slide_id = lab.push_set(Parcel(found.name, tuple(lacking)))
    lab.worker().step()
    slide = lab.slide(slide_id)
    assert slide.state == "refused"
    assert "Data0001.dat is missing" in slide.refusal_reason
