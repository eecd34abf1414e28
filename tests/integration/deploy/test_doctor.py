"""`iain doctor` on a sound platform, and on each way of being unsound: it names the part and what to do."""

import socket
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from fixtures.server import World
from fixtures.smtp import mail_server
from typer.testing import CliRunner

from ingest.agent.cosigner_record import open_cosigner
from sharing import audit, chain, contradictions, witnesses
from sharing.clock import SECOND_US, FrozenClock, SystemClock
from sharing.db.engine import open_database
from sharing.db.migrations import downgrade
from sharing.subjects import System
from sharing.vocabulary import PLATFORM, Act, SiteId
from slideserver.cli import app
from slideserver.operations import doctor, libraries
from slideserver.operations.doctor import Finding, State
from slideserver.settings import Settings


def findings(settings: Settings, clock=None) -> dict[str, Finding]:
    """What is not fine, by part."""
    database = open_database(settings.database, clock)
    try:
        return {finding.part: finding for finding in doctor.examine(settings, database) if finding.state != State.FINE}
    finally:
        database.close()


@pytest.fixture
def examine(world: World) -> Callable[..., dict[str, Finding]]:
    # A container's clock is kept by its host: only that warning may differ between machines.
    def run(clock=None, **settings: object) -> dict[str, Finding]:
        found = findings(world.settings.model_copy(update=settings), clock)
        if found.get("clock") and found["clock"].state is State.WARNING:
            del found["clock"]
        return {
            part: each
            for part, each in found.items()
            # The tests' own role owns its PostgreSQL: test_roles.py has another one.
            if part not in ("files", "mail", "seals") and "GiB" not in each.sentence
        }

    return run


def test_a_sound_platform_has_nothing_to_do(examine) -> None:
    assert examine() == {}


def test_a_witness_that_is_silent_for_a_day_is_named(examine, world, tmp_path) -> None:
    key = open_cosigner(tmp_path / "witness", "temoin.rouen").key
    with world.database.writing() as session:
        known = witnesses.add(session, SiteId("rouen"), str(key))
    found = examine()
    assert (found["witnesses"].state, "temoin.rouen" in found["witnesses"].sentence) == (State.WARNING, True)
    with world.database.writing() as session:
        contradictions.report(session, known, SiteId("caen"), "shorter")
    found = examine()
    assert found["witnesses"].state is State.FAILED
    assert "temoin.rouen the log of caen since" in found["witnesses"].sentence
    with world.database.writing() as session:
        witnesses.withdraw(session, "temoin.rouen")
    assert examine() == {}


def test_events_that_nobody_seals_are_told(world) -> None:
    late = FrozenClock(SystemClock().now_us() - 2 * 60 * SECOND_US)
    database = open_database(world.settings.database, late)
    try:
        with database.writing() as session:
            audit.record(session, site_id=PLATFORM, act=Act.SERVER_STARTED, subject=System())
        assert "waited to be sealed" in findings(world.settings)["seals"].sentence
        chain.seal(database)
    finally:
        database.close()
    sealed = findings(world.settings).get("seals")
    assert sealed is None or "waited to be sealed" not in sealed.sentence


def test_a_database_that_does_not_answer(examine) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        found = examine(database_url=f"postgresql://iain:secret@127.0.0.1:{nobody.getsockname()[1]}/iain")
    assert found["database"].state is State.FAILED
    assert "IAIN_DATABASE_URL" in found["database"].remedy
    assert "secret" not in found["database"].sentence


def test_a_database_of_an_older_version(world: World, examine) -> None:
    downgrade(world.database, "-1")
    assert "iain migrate" in examine()["database"].remedy


def test_files_that_are_gone_or_altered(world: World, examine) -> None:
    next(world.settings.var.glob("blobs/caen/*/*")).unlink()
    index = next(world.settings.var.glob("slides/*/*.index"))
    index.write_bytes(index.read_bytes()[:-1])
    found = examine()
    assert set(found) == {"slides"}
    assert "2 files" in found["slides"].sentence
    assert "backup" in found["slides"].remedy


def test_a_data_directory_that_is_not_there(world: World, examine, tmp_path: Path) -> None:
    found = examine(var=tmp_path / "nowhere", database_url=world.settings.database)
    assert found["store"].state is State.FAILED
    assert str(tmp_path / "nowhere") in found["store"].remedy


@pytest.mark.parametrize("days", [2, -2])
def test_a_clock_two_days_wrong(world: World, examine, days: int) -> None:
    """Fast or slow: SQLite's file has only the journal to tell, PostgreSQL has a clock of its own."""
    now_us = SystemClock().now_us()
    wrong = FrozenClock(now_us + days * 86_400_000_000)
    with world.database.writing() as session:
        audit.record(session, site_id=PLATFORM, act=Act.SERVER_STARTED, subject=System())
    found = examine(clock=wrong)
    if days < 0 or not world.settings.database.startswith("sqlite"):
        assert found["clock"].state is State.FAILED
        assert "NTP" in found["clock"].remedy
    assert "clock" not in examine(clock=FrozenClock(now_us + 1_000_000))


@pytest.mark.parametrize(
    ("changes", "state", "word"),
    [
        ({"trusted_proxies": "*"}, State.FAILED, "IAIN_TRUSTED_PROXIES"),
        ({"base_url": "https://lames.example"}, State.FAILED, "IAIN_SECURE_COOKIES"),
        ({"secure_cookies": True}, State.FAILED, "IAIN_BASE_URL"),
        ({"host": "0.0.0.0"}, State.WARNING, "nginx"),
        ({"base_url": "https://lames.example", "secure_cookies": True}, State.WARNING, "IAIN_TRUSTED_PROXIES"),
    ],
)
def test_an_address_that_is_not_safe(examine, changes, state: State, word: str) -> None:
    found = examine(**changes)
    assert found["address"].state is state
    assert word in found["address"].remedy


def test_mail_that_cannot_be_sent(world: World) -> None:
    def look(**changes: object) -> Finding | None:
        return findings(world.settings.model_copy(update=changes)).get("mail")

    unset = look()
    assert unset is not None
    assert "IAIN_SMTP_HOST" in unset.remedy
    with mail_server() as server:
        place = {"smtp_host": "127.0.0.1", "smtp_port": server.port, "smtp_starttls": False}
        assert look(**place) is None
        unencrypted = look(**{**place, "smtp_starttls": True})
        assert unencrypted is not None
        assert unencrypted.state is State.FAILED
        assert not server.mails
    gone = look(**place)
    assert gone is not None
    assert gone.state is State.FAILED
    assert "openssl s_client" in gone.remedy


def test_a_machine_without_a_sandbox(examine, monkeypatch) -> None:
    monkeypatch.setattr("tiler.isolation.bubblewraps", lambda: iter([Path("/bin/false")]))
    found = examine()
    assert set(found) == {"sandbox"}
    assert "bubblewrap" in found["sandbox"].remedy


def test_weak_isolation_is_worth_a_look(examine) -> None:
    found = examine(sandbox="weak")
    assert set(found) == {"sandbox"}
    assert found["sandbox"].state is State.WARNING


def test_a_library_with_known_holes(examine, monkeypatch) -> None:
    monkeypatch.setattr(libraries, "FLOORS", {"openslide-bin": "999"})
    found = examine()["libraries"]
    assert found.state is State.FAILED
    assert "openslide-bin is 4." in found.sentence
    assert "make setup" in found.remedy


def test_codecs_that_are_not_there(examine, monkeypatch) -> None:
    """The program that opens slides is another one, which knows no codec."""
    python = Path(sys.executable).resolve()
    program = f"import os; os.execv({str(python)!r}, ['python', '-c', 'raise SystemExit(1)'])"
    monkeypatch.setattr("tiler.sandbox.Sandbox.probe", lambda self: None)
    monkeypatch.setattr("tiler.isolation.isolated", lambda *_, **__: [str(python), "-c", program])
    assert "locked packages" in examine()["codecs"].remedy


def test_the_command_says_it_and_its_exit_code_too(world: World, tmp_path: Path) -> None:
    settings = world.settings
    options = ["--var", str(settings.var), "--database-url", settings.database]
    fine = CliRunner().invoke(app, ["doctor", *options])
    assert fine.exit_code == 0, fine.output
    parts = ("database", "store", "slides", "custody", "clock", "libraries", "sandbox", "codecs", "pages", "address")
    for part in parts:
        assert f"{part}: " in fine.output
    downgrade(world.database, "-1")
    failed = CliRunner().invoke(app, ["doctor", *options])
    assert failed.exit_code == 1
    assert "→ Run: iain migrate" in failed.output


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_damaged_file_is_told_apart_from_an_old_one(examine, world: World) -> None:
    """Of SQLite; PostgreSQL looks after its own pages."""
    world.database.close()
    path = Path(world.settings.database.removeprefix("sqlite:///"))
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    data = bytearray(path.read_bytes())
    data[8192:16384] = bytes(8192)
    path.write_bytes(data)
    assert "restore a backup" in examine()["database"].remedy


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_more_processes_than_the_database_takes_connections_for(examine) -> None:
    found = examine(processes=64)["connections"]
    assert found.state is State.WARNING
    assert "66 processes may want 2142 connections" in found.sentence
    assert "max_connections = 2200" in found.remedy
    assert examine(processes=1) == {}
