"""Every kind of damage to a stored file is found, named with the slide and the case that it belongs to, and stays
written down until it is mended. Each test runs on SQLite and on PostgreSQL.
"""

import hashlib
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from fixtures.server import World
from sqlalchemy import select
from typer.testing import CliRunner

from ingest.scrub import Scrub
from sharing import custody
from sharing.db.tables import AuditEventRow
from sharing.subjects import System
from slideserver.cli import app
from slideserver.operations import doctor, verification
from slideserver.operations.verification import Report, Standing
from tiler.storage.local import LocalBlobStore
from tiler.storage.proof import Damage

Check = Callable[[], Report]


@pytest.fixture
def check(world: World) -> Check:
    return lambda: verification.verify(world.database, world.settings.var, settled_s=0)


def blob_of(world: World, site: str) -> Path:
    [path] = (world.settings.var / "blobs" / site).glob("??/*")
    path.chmod(0o640)
    return path


def index_of(world: World) -> list[Path]:
    return sorted((world.settings.var / "slides").glob("*/*.index"))


def flip(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        byte = file.read(1)[0]
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte ^ 8]))


def acts(world: World) -> list[tuple[str, str]]:
    event = AuditEventRow
    with world.database.reading() as session:
        rows = session.execute(select(event.act, event.detail).where(event.act.like("blob.%")).order_by(event.position))
        return [(row.act, row.detail) for row in rows]


def test_all_is_sound(check: Check, world: World) -> None:
    report = check()
    assert report.sound
    assert (report.files, report.flaws, report.strays) == (4, (), ())
    assert report.bytes == sum(blob_of(world, site).stat().st_size for site in ("caen", "rouen")) + sum(
        path.stat().st_size for path in index_of(world)
    )
    assert acts(world) == []


def test_each_damage_is_named_with_slide_file_and_case(check: Check, world: World) -> None:
    caen, rouen = blob_of(world, "caen"), blob_of(world, "rouen")
    flip(caen)
    rouen.unlink()
    first, second = index_of(world)
    first.write_bytes(first.read_bytes()[:-1])
    flip(second)
    report = check()
    found = {flaw.path: flaw for flaw in report.flaws}
    var = world.settings.var
    assert {path: flaw.damage for path, flaw in found.items()} == {
        str(caen.relative_to(var)): Damage.ALTERED,
        str(rouen.relative_to(var)): Damage.MISSING,
        str(first.relative_to(var)): Damage.ALTERED,
        str(second.relative_to(var)): Damage.ALTERED,
    }
    [bearer] = found[str(caen.relative_to(var))].bearers
    assert (bearer.slide_name, bearer.file, bearer.accession) == (
        "CMU-1-Small-Region.svs",
        "CMU-1-Small-Region.svs",
        "26H01234",
    )
    [bearer] = found[str(second.relative_to(var))].bearers
    assert bearer.file == "index"
    told = list(verification.lines(report))
    assert sum("Push the slide again" in line for line in told) == 2
    assert sum("→ Copy it from a backup" in line for line in told) == 2, "no scanner has an index"
    assert bearer.slide_id == second.parent.name


def test_swapped_files_are_both_found(check: Check, world: World) -> None:
    blob, index = blob_of(world, "caen"), index_of(world)[0]
    spare = world.settings.var / "spare"
    for source, target in ((blob, spare), (index, blob), (spare, index)):
        source.rename(target)
    assert {flaw.damage for flaw in check().flaws} == {Damage.CUT, Damage.ALTERED}


def test_what_nobody_named_is_listed_and_left_alone(check: Check, world: World) -> None:
    var = world.settings.var
    store = LocalBlobStore(var / "blobs")
    unnamed = var / "spare"
    unnamed.write_bytes(b"committed, and the server died")
    digest = hashlib.sha256(unnamed.read_bytes()).hexdigest()
    store.adopt(unnamed, "caen", digest)
    (var / "blobs" / "caen" / ".part-x").write_bytes(b"died while writing")
    slide = index_of(world)[0].parent
    for path in (slide / ".thumbnail.jpg", var / "slides" / "nobody" / "label.jpg", var / "building" / "x-1" / "tiles"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"left")
    going_on = var / "building" / f"{slide.name}-{index_of(world)[0].name[:16]}" / "level-3"
    going_on.parent.mkdir()
    going_on.write_bytes(b"goes on after a restart")
    report = check()
    assert report.sound
    assert sorted((stray.standing, stray.path.split("/")[0]) for stray in report.strays) == [
        (Standing.LEFTOVER, "blobs"),
        (Standing.LEFTOVER, "building"),
        (Standing.LEFTOVER, "slides"),
        (Standing.LEFTOVER, "slides"),
        (Standing.UNNAMED, "blobs"),
    ]
    (var / "blobs" / "caen" / "README").write_bytes(b"who wrote this?")
    unsound = check()
    assert not unsound.sound
    assert [stray.path for stray in unsound.strays if stray.standing is Standing.FOREIGN] == ["blobs/caen/README"]
    store.path("caen", digest).chmod(0o640)
    flip(store.path("caen", digest))
    [flaw] = check().flaws
    assert (flaw.damage, flaw.bearers) == (Damage.ALTERED, ())


def test_what_came_a_moment_ago_may_still_be_named(world: World) -> None:
    unnamed = world.settings.var / "blobs" / "caen" / "README"
    unnamed.write_bytes(b"?")
    assert verification.verify(world.database, world.settings.var).strays == ()


def test_a_damaged_file_put_aside_is_found_before_it_is_committed(check: Check, world: World) -> None:
    aside = LocalBlobStore(world.settings.var / "aside")
    writer = aside.begin("caen")
    writer.write(b"one of many")
    digest = hashlib.sha256(b"one of many").hexdigest()
    writer.commit(digest)
    assert check().sound
    path = aside.path("caen", digest)
    path.chmod(0o640)
    flip(path)
    assert [flaw.path.split("/")[0] for flaw in check().flaws] == ["aside"]


def test_becoming_damaged_and_sound_again_is_told_once_each(check: Check, world: World) -> None:
    blob = blob_of(world, "caen")
    flip(blob)
    check()
    check()
    with world.database.reading() as session:
        [damaged] = custody.damaged(session, world.centres.caen.technician)
        assert [bearer.accession for bearer in damaged.bearers] == ["26H01234"]
        assert custody.damaged(session, world.centres.rouen.technician) == []
        assert len(custody.damaged(session, System())) == 1
    findings = {finding.part: finding for finding in doctor.examine(world.settings, world.database)}
    assert findings["custody"].state is doctor.State.FAILED
    assert "26H01234" in findings["custody"].sentence
    flip(blob)
    assert check().sound
    assert [act for act, _ in acts(world)] == ["blob.damaged", "blob.sound"]
    with world.database.reading() as session:
        assert custody.damaged(session, System()) == []


def scrub(world: World, **more: float) -> Scrub:
    var = world.settings.var
    return Scrub(world.database, LocalBlobStore(var / "blobs"), var / "slides", 1 << 40, **more)


def test_the_background_finds_what_the_command_finds(world: World) -> None:
    flip(blob_of(world, "caen"))
    index_of(world)[0].unlink()
    stop = threading.Event()
    assert scrub(world).round(stop) == 4
    assert [act for act, _ in acts(world)] == ["blob.damaged"] * 2
    assert sorted(detail.split('"damage":"')[1].split('"')[0] for _, detail in acts(world)) == ["altered", "missing"]
    assert scrub(world).round(stop) == 0, "what was looked at is not looked at again so soon"
    assert scrub(world, damaged_again_after_s=0).round(stop) == 2, "a disk that was away may be back"
    assert scrub(world, again_after_s=0).round(stop) == 4
    assert len(acts(world)) == 2


def test_the_background_goes_on_where_it_was_stopped(world: World) -> None:
    stop = threading.Event()
    stop.set()
    slow = scrub(world)
    assert slow.round(stop) == 0
    with world.database.reading() as session:
        assert custody.standing(session).checked == 0
    stop.clear()
    assert slow.round(stop) == 4
    with world.database.reading() as session:
        assert custody.standing(session).checked == custody.standing(session).files == 4


def test_the_thread_looks_by_itself_and_ends_when_told(world: World) -> None:
    stop = threading.Event()
    thread = threading.Thread(target=scrub(world, first_after_s=0).run, args=(stop,))
    thread.start()
    polls = threading.Event()
    for _ in range(3000):
        with world.database.reading() as session:
            if custody.standing(session).checked == 4:
                break
        polls.wait(0.01)
    else:
        raise AssertionError("the thread looked at nothing")
    stop.set()
    thread.join(60)
    assert not thread.is_alive()


def test_the_program_names_the_case_and_ends_with_1(world: World) -> None:
    options = ["--var", str(world.settings.var), "--database-url", world.settings.database]
    sound = CliRunner().invoke(app, ["verify", *options])
    assert sound.exit_code == 0
    assert "4 files" in sound.output
    assert "every digest equal" in sound.output
    blob_of(world, "caen").unlink()
    damaged = CliRunner().invoke(app, ["verify", *options])
    assert damaged.exit_code == 1
    for word in ("missing", "case 26H01234", "CMU-1-Small-Region.svs", "→ Push the slide again"):
        assert word in damaged.output
