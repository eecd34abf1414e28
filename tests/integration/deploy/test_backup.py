"""Backup and restore, on both databases: what comes back is what was there, or nothing comes back."""

import hashlib
import os
import subprocess
import threading
from contextlib import closing
from pathlib import Path

import pytest
from fixtures.server import World
from fixtures.waiting import wait_until
from sqlalchemy import text
from typer.testing import CliRunner, Result

from sharing import cases, chain, objections, redoing, sessions, slides
from sharing.db.engine import Database, open_database
from sharing.db.migrations import downgrade, head
from sharing.errors import InvalidError
from sharing.slides import StoredFile
from sharing.subjects import System
from sharing.vocabulary import Act, Origin, Purpose
from slideserver.cli import app
from slideserver.operations import backup, manifest, restore, snapshots
from slideserver.operations.manifest import BackupError
from slideserver.operations.restore import DamagedBackupError
from slideserver.signing import open_signer
from tiler.storage.local import LocalBlobStore


def files_below(directory: Path) -> dict[str, str]:
    """Path and digest of every file that a backup is about."""
    found = {}
    for part in ("blobs", "slides"):
        for path in (directory / part).rglob("*"):
            if path.is_file():
                found[str(path.relative_to(directory))] = manifest.digest(path)
    return found


def test_everything_comes_back_and_what_was_open_is_closed(
    world: World, restored: Database, empty_url: str, tmp_path: Path
) -> None:
    with world.database.writing() as session:
        token = sessions.create(session, world.centres.caen.pathologist)
    chain.seal(world.database)
    open_signer(world.settings)
    before = snapshots.contents(world.settings.database)
    taken = backup.take(world.database, world.settings.var, tmp_path / "backup")
    assert taken.manifest.flaws == ()
    assert taken.manifest.tables == before
    assert before["slide"].rows == 2

    told = restore.put_back(tmp_path / "backup", tmp_path / "var2", empty_url)
    assert files_below(tmp_path / "var2") == files_below(world.settings.var)
    key, kept = (each / "checkpoint.key" for each in (tmp_path / "var2", world.settings.var))
    assert (key.read_text(), key.stat().st_mode & 0o777) == (kept.read_text(), 0o600)
    assert told.broken_chains == ()
    after = snapshots.contents(empty_url)
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"session_token", "audit_event", "audit_seal", "audit_tree"}
    with restored.reading() as session:
        assert sessions.resolve(session, token) is None
        assert chain.verify(session).whole
        acts = session.execute(text("SELECT act FROM audit_event ORDER BY position")).scalars().all()
    assert acts[-1] == "backup.restored"
    with world.database.reading() as session:
        last = session.execute(text("SELECT act, detail FROM audit_event ORDER BY position DESC")).first()
    assert last is not None
    assert last.act == "backup.taken"
    assert taken.sha256 in last.detail


def test_a_backup_during_writes_is_one_state(world: World, empty_url: str, tmp_path: Path) -> None:
    """Slides arrive all the time. Whatever the backup's database names, its files are in the backup."""
    stop = threading.Event()
    made: list[str] = []
    trouble: list[BaseException] = []

    def write() -> None:
        store = LocalBlobStore(world.settings.var / "blobs")
        try:
            while not stop.is_set():
                number = len(made)
                data = f"slide {number}".encode() * 1000
                digest = hashlib.sha256(data).hexdigest()
                writer = store.begin("caen")
                writer.write(data)
                writer.commit(digest)
                with world.database.writing() as session:
                    file = StoredFile(f"{number}.svs", digest, len(data))
                    slides.create_slide(session, world.centres.caen.agent, files=[file], accession="26H01235")
                    cases.register_case(
                        session, System(), world.centres.caen.id, accession=f"26H9{number:04}", patient_name="EXEMPLE A"
                    )
                made.append(digest)
        except BaseException as error:
            trouble.append(error)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for number in range(3):
            reached = len(made)
            wait_until(lambda reached=reached: len(made) > reached + 5 or trouble, "more slides")
            taken = backup.take(world.database, world.settings.var, tmp_path / f"backup{number}")
            assert taken.manifest.flaws == ()
    finally:
        stop.set()
        writer.join(60)
    assert not trouble
    told = restore.put_back(tmp_path / "backup2", tmp_path / "var2", empty_url)
    there = files_below(tmp_path / "var2")
    assert told.manifest.tables["slide"].rows == told.manifest.tables["case_"].rows - 5 + 2
    assert told.manifest.tables["slide"].rows < len(made) + 2, "the control: slides arrived after the backup, too"
    assert sum(path.startswith("blobs/") for path in there) == told.manifest.tables["slide"].rows


@pytest.mark.parametrize("what", ["blob", "index", "database", "sums", "manifest", "seal", "missing"])
def test_a_damaged_backup_is_refused_and_leaves_nothing(
    world: World, restored: Database, empty_url: str, tmp_path: Path, what: str
) -> None:
    directory = tmp_path / "backup"
    backup.take(world.database, world.settings.var, directory)
    victim = {
        "blob": next(directory.glob("blobs/caen/*/*")),
        "index": next(directory.glob("slides/*/*.index")),
        "database": next(directory.glob("database.*")),
        "sums": directory / "SHA256SUMS",
        "manifest": directory / "manifest.json",
        "seal": directory / "manifest.json.sha256",
        "missing": next(directory.glob("slides/*/thumbnail.jpg")),
    }[what]
    victim.chmod(0o600)
    if what == "missing":
        victim.unlink()
    else:
        data = bytearray(victim.read_bytes())
        data[len(data) // 2] ^= 1
        victim.write_bytes(data)
    with pytest.raises(BackupError) as refused:
        restore.put_back(directory, tmp_path / "var2", empty_url)
    assert "Choose another backup" in str(refused.value)
    if isinstance(refused.value, DamagedBackupError):
        assert len(refused.value.mismatches) == 1
    assert not any((tmp_path / "var2").glob("*"))
    if empty_url.startswith("sqlite"):
        assert not (tmp_path / "restored.db").exists()
    else:
        assert snapshots.contents(empty_url) == {}


def test_nothing_is_overwritten(world: World, database_url: str, empty_url: str, tmp_path: Path) -> None:
    directory = tmp_path / "backup"
    backup.take(world.database, world.settings.var, directory)
    with pytest.raises(BackupError, match="is not empty"):
        backup.take(world.database, world.settings.var, directory)
    with pytest.raises(BackupError, match="lies in the data directory"):
        backup.take(world.database, world.settings.var, world.settings.var / "backup")
    with pytest.raises(BackupError, match="is not empty"):
        restore.put_back(directory, world.settings.var, empty_url)
    with pytest.raises(BackupError, match=r"already"):
        restore.put_back(directory, tmp_path / "var2", database_url)
    with pytest.raises(BackupError, match="no finished backup"):
        restore.put_back(tmp_path, tmp_path / "var2", empty_url)
    other = "postgresql://nobody@127.0.0.1/none" if database_url.startswith("sqlite") else f"sqlite:///{tmp_path}/x.db"
    with pytest.raises(BackupError, match="--database-url"):
        restore.put_back(directory, tmp_path / "var2", other)


def test_what_was_lost_before_the_backup_is_named(world: World, tmp_path: Path) -> None:
    blob = next(world.settings.var.glob("blobs/caen/*/*"))
    blob.chmod(0o600)
    blob.write_bytes(b"another slide")
    next(world.settings.var.glob("slides/*/*.index")).unlink()
    flaws = backup.take(world.database, world.settings.var, tmp_path / "backup").manifest.flaws
    assert len(flaws) == 2
    assert any(blob.name in flaw and "is not what was received" in flaw for flaw in flaws)
    assert any(".index is missing" in flaw for flaw in flaws)


def test_the_next_backup_shares_what_the_one_before_has(world: World, tmp_path: Path) -> None:
    backup.take(world.database, world.settings.var, tmp_path / "monday")
    world.add_slide(world.centres.lille, "26L00410")
    taken = backup.take(world.database, world.settings.var, tmp_path / "tuesday", previous=tmp_path / "monday")
    assert taken.linked == 4
    for path in (tmp_path / "tuesday").glob("blobs/*/*/*"):
        assert path.stat().st_nlink == (1 if "lille" in path.parts else 2)


def test_a_backup_is_for_its_owner_and_proved_by_a_standard_tool(world: World, tmp_path: Path) -> None:
    directory = tmp_path / "backup"
    backup.take(world.database, world.settings.var, directory)
    assert directory.stat().st_mode & 0o077 == 0
    done = subprocess.run(
        ["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"], cwd=directory, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert not [path for path in directory.rglob(".*") if path.is_file()]


def test_an_older_backup_is_brought_up_to_date(
    world: World, restored: Database, empty_url: str, tmp_path: Path
) -> None:
    downgrade(world.database, "-1")
    backup.take(world.database, world.settings.var, tmp_path / "backup")
    restore.put_back(tmp_path / "backup", tmp_path / "var2", empty_url)
    with restored.engine.connect() as connection:
        assert snapshots.schema_of(connection) == head()


def test_the_commands_say_what_was_done_and_what_to_do(world: World, empty_url: str, tmp_path: Path) -> None:
    def iain(*arguments: object) -> Result:
        return CliRunner().invoke(app, [str(argument) for argument in arguments])

    here = ("--var", world.settings.var, "--database-url", world.settings.database)
    there = ("--var", tmp_path / "var2", "--database-url", empty_url)
    taken = iain("backup", tmp_path / "one", *here)
    assert taken.exit_code == 0, taken.output
    assert manifest.digest(tmp_path / "one" / "manifest.json") in taken.output
    officer = world.centres.caen.protection_officer
    case_id = world.centres.caen.cases["26H01234"]
    with world.database.writing() as session:
        objections.register(session, officer, case_id, {Purpose.TEACHING}, Origin.LETTER)
        later = cases.register_case(session, System(), officer.site_id, accession="26H09999", patient_name="FICTIF")
        objections.register(session, officer, later, {Purpose.RESEARCH}, Origin.LETTER)
    chain.seal(world.database)
    assert iain("audit", "export", tmp_path / "whole", "--no-persons", *here).exit_code == 0
    assert iain("audit", "export", tmp_path / "small", "--to-redo", *here).exit_code == 0
    assert "Everything" in iain("audit", "missing", tmp_path / "whole", *here).output

    restored = iain("restore", tmp_path / "one", *there)
    assert restored.exit_code == 0, restored.output
    lost = iain("audit", "missing", tmp_path / "small", *there)
    assert (lost.exit_code, "2 entries of" in lost.output) == (1, True), lost.output
    with closing(open_database(empty_url)) as database:

        def missing(name: str) -> redoing.Missing:
            with database.reading() as session, (tmp_path / name).open() as lines:
                return redoing.missing(session, lines)

        (small, later_small), (whole, later_whole) = missing("small").acts, missing("whole").acts
        assert missing("whole").entries > missing("small").entries == 2
        # The case came after the backup: the whole export, made to prove and not to redo, has no more than its id.
        assert (later_small.about, later_whole.about) == ("case 26H09999", f"case {later}")
        assert (small.act, small.purpose, small.about) == (Act.OBJECTION_REGISTERED, "teaching", "case 26H01234")
        assert (small.who, small.done, whole.who) == (officer.name, False, "")
        with database.writing() as session:
            objections.register(session, officer, case_id, {Purpose.TEACHING}, Origin.LETTER)
        assert missing("small").acts[0].done
        with pytest.raises(InvalidError):
            missing("one/manifest.json")
    for words in ("every digest equal", "Everybody signs in again", "close them before you start", "iain doctor"):
        assert words in restored.output
    again = iain("restore", tmp_path / "one", *there)
    assert again.exit_code == 1
    assert "is not empty" in again.output

    next(world.settings.var.glob("blobs/caen/*/*")).unlink()
    flawed = iain("backup", tmp_path / "two", *here)
    assert flawed.exit_code == 1
    assert "NOT BACKED UP: blobs/caen/" in flawed.output


@pytest.mark.parametrize("password", ["a secret", None])
def test_the_password_of_the_database_is_not_on_a_command_line(monkeypatch, tmp_path: Path, password) -> None:
    """A program in the place of pg_dump writes down how it was called."""
    fake = tmp_path / "pg_dump"
    fake.write_text('#!/bin/sh\nprintf "%s\\n" "$@" > "$0.arguments"; printf "%s" "$PGPASSWORD" > "$0.password"\n')
    fake.chmod(0o755)
    monkeypatch.setattr(snapshots, "_program", lambda name: str(fake))
    monkeypatch.delenv("PGPASSWORD", raising=False)
    url = snapshots.make_url("postgresql://iain@127.0.0.1:5432/iain").set(password=password)
    snapshots._run(url, "pg_dump", "--format=custom")
    assert "secret" not in Path(f"{fake}.arguments").read_text()
    assert Path(f"{fake}.password").read_text() == (password or "")
    assert os.environ.get("PGPASSWORD") is None
