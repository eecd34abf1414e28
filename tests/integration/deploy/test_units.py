"""The systemd units and the scripts they start: well formed, and every command in them does what the unit is for."""

import re
import shlex
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from fixtures.centres import Centres
from fixtures.front import ROOT
from fixtures.jobs import undo_jobs
from fixtures.platform import PROGRAMS, SCAN, Platform, clean_environment, push, running_platform
from fixtures.waiting import wait_until
from sqlalchemy import text

from benchmarks.layouts import trestle
from sharing.db.engine import Database, open_database
from sharing.db.migrations import downgrade
from sharing.vocabulary import SlideState
from slideserver.operations import manifest
from slideserver.settings import Settings

UNITS = sorted((ROOT / "deploy" / "systemd").glob("iain*.service")) + sorted(
    (ROOT / "deploy" / "systemd").glob("*.timer")
)


def commands(unit: str, **replaced: object) -> dict[str, list[str]]:
    """What the unit starts, with this checkout's programs in the place of the installed ones."""
    written = (ROOT / "deploy" / "systemd" / unit).read_text()
    found = dict(re.findall(r"^(ExecStartPre|ExecStart)=(.+)$", written, re.MULTILINE))
    for name, line in found.items():
        for ours, theirs in {"/opt/iain/.venv/bin": PROGRAMS, "/opt/iain": ROOT, **replaced}.items():
            line = line.replace(ours, str(theirs))
        found[name] = line
    return {name: shlex.split(line) for name, line in found.items()}


def settings_of_the_unit() -> dict[str, str]:
    lines = (ROOT / "deploy" / "systemd" / "iain.env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_units_are_well_formed(unit: Path, tmp_path: Path) -> None:
    program = shutil.which("systemd-analyze")
    assert program, "The tests need systemd-analyze: apt-get install systemd"
    for each in UNITS:  # a timer names its service
        written = each.read_text().replace("/opt/iain/.venv/bin", str(PROGRAMS)).replace("/opt/iain", str(ROOT))
        (tmp_path / each.name).write_text(written)
    done = subprocess.run(
        [program, "verify", "--man=no", str(tmp_path / unit.name)], capture_output=True, text=True, timeout=60
    )
    said = [line for line in done.stderr.splitlines() if unit.stem in line]
    assert not said
    assert done.returncode == 0, done.stderr


def test_the_settings_of_the_units_are_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    given = settings_of_the_unit()
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    settings = Settings()
    assert {name.removeprefix("IAIN_").lower() for name in given} <= set(Settings.model_fields)
    assert settings.secure_cookies
    assert settings.trusted_proxies == "127.0.0.1"


def test_the_server_unit_migrates_serves_and_ends_on_sigterm(database_url: str, tmp_path: Path) -> None:
    database = open_database(database_url)
    downgrade(database, "base")
    database.close()
    platform = Platform(tmp_path / "var", database_url)
    unit = commands("iain.service", **{"--port 8000": f"--port {platform.port}"})
    environment = clean_environment(**settings_of_the_unit())
    environment |= {"IAIN_VAR": str(platform.var), "IAIN_DATABASE_URL": database_url}
    subprocess.run(unit["ExecStartPre"], env=environment, check=True, timeout=60)
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(unit["ExecStart"], env=environment, stdout=log, stderr=log)
    platform._process = process
    platform.var.mkdir(exist_ok=True)
    (platform.var / "server.log").touch()
    platform.wait_until_it_answers()
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 0, (tmp_path / "log").read_text()


def test_the_worker_unit_registers_slides_without_a_server(
    database: Database, database_url: str, centres: Centres, tmp_path: Path
) -> None:
    var = tmp_path / "var"
    with running_platform(var, database_url=database_url) as platform:
        key = key_file(tmp_path, centres)
        assert push(SCAN, platform, key, "--accession", "26H01234").returncode == 0
    with database.writing() as session:
        # As it was before the server's own worker had it.
        session.execute(text("UPDATE slide SET state = 'received', index_digest = NULL"))
        undo_jobs(session)
    shutil.rmtree(var / "slides")
    environment = clean_environment(IAIN_VAR=str(var), IAIN_DATABASE_URL=database_url)
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(commands("iain-work.service")["ExecStart"], env=environment, stdout=log, stderr=log)
    try:
        wait_until(lambda: state_of_the_slide(database) == SlideState.READY, "the slide to be registered", 60)
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0, (tmp_path / "log").read_text()


def test_the_backup_unit_takes_one_after_the_other(world, tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    environment = clean_environment(IAIN_VAR=str(world.settings.var), IAIN_DATABASE_URL=world.settings.database)
    command = commands("iain-backup.service", **{"/srv/backup/iain": folder})["ExecStart"]
    for count in (1, 2):
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        taken = sorted(folder.iterdir())
        assert len(taken) == count
        time.sleep(1.1 if count == 1 else 0)  # each is named after its second
    manifest.read(taken[-1])
    assert all(blob.stat().st_nlink == 2 for blob in taken[-1].glob("blobs/*/*/*"))


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_agent_unit_takes_what_lies_in_a_folder(centres: Centres, database_url: str, tmp_path: Path) -> None:
    folder, config = tmp_path / "scans", tmp_path / "agent.toml"
    folder.mkdir()
    shutil.copyfile(SCAN, folder / "26H01234_A1_HES.svs")
    trestle.make(folder / "26H01234_A2_PAS.tif", companions=True)
    paths = {"/srv/scans": folder, "/etc/iain/scanner.key": key_file(tmp_path, centres), "/var/lib": tmp_path}
    with running_platform(tmp_path / "var", database_url=database_url) as platform:
        written = (ROOT / "deploy" / "agent" / "agent.toml").read_text()
        for theirs, ours in {"https://slides.example.org": platform.url, **paths}.items():
            written = written.replace(theirs, str(ours))
        config.write_text(written.replace("# archive", "archive").replace('"keep"\n', '"move"\nrest_s = 1\n'))
        command = commands("iain-agent.service", **{"/etc/iain/agent.toml": config})["ExecStart"]
        log = tmp_path / "log"
        with log.open("w") as output:
            watch = subprocess.Popen(command, env=clean_environment(), stdout=output, stderr=subprocess.STDOUT)
        try:
            sent = {"26H01234_A1_HES.svs", "26H01234_A2_PAS.tif", "26H01234_A2_PAS.Full"}
            wait_until(
                lambda: {path.name for path in (folder / "sent").rglob("*") if path.is_file()} == sent,
                "the slides to be sent and moved",
                60,
            )
        except AssertionError as error:
            error.add_note(log.read_text())
            raise
        finally:
            watch.terminate()
            assert watch.wait(60) == 0
    assert "prête à être lue" in log.read_text()


def key_file(folder: Path, centres: Centres) -> Path:
    path = folder / "caen.key"
    path.touch(mode=0o600)
    path.write_text(centres.caen.scanner_key)
    return path


def state_of_the_slide(database: Database) -> str:
    with database.reading() as session:
        return str(session.scalar(text("SELECT state FROM slide")))
