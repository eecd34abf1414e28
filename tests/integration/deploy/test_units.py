"""The systemd units and the scripts they start: well formed, and every command in them does what the unit is for."""

import os
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
from fixtures.platform import PROGRAMS, SCAN, Platform, clean_environment, push, running_platform
from fixtures.upload_server import wait_until
from sqlalchemy import text

from benchmarks.layouts import trestle
from sharing import slides
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
    assert process.wait(timeout=30) == 0, (tmp_path / "log").read_text()


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
        session.execute(text("UPDATE job SET state = 'queued', attempts = 0, finished_us = NULL, worker = NULL"))
    shutil.rmtree(var / "slides")
    environment = clean_environment(IAIN_VAR=str(var), IAIN_DATABASE_URL=database_url)
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(commands("iain-work.service")["ExecStart"], env=environment, stdout=log, stderr=log)
    try:
        wait_until(lambda: state_of_the_slide(database) == SlideState.READY, "the slide to be registered", 60)
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0, (tmp_path / "log").read_text()


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


def test_the_agent_unit_pushes_what_rests_in_a_folder(
    database: Database, database_url: str, centres: Centres, tmp_path: Path
) -> None:
    folder = tmp_path / "scans"
    folder.mkdir()
    shutil.copyfile(SCAN, folder / "26H01234_A1_HES.svs")
    (folder / "no slide.svs").write_bytes(b"II*\0" + bytes(1000))
    shutil.copyfile(SCAN, folder / "26H01235_B1.svs")
    trestle.make(folder / "26H01234_A2_PAS.tif", companions=True)
    (folder / "26H01236_C1.mrxs").write_bytes(b"")
    (folder / "26H01236_C1").mkdir()
    (folder / "26H01236_C1" / "Slidedat.ini").write_text("[GENERAL]")
    (folder / "letters").mkdir()
    (folder / "letters" / "letter.txt").write_text("Bonjour")
    an_hour_ago = time.time() - 3600
    moving = {"26H01235_B1.svs", "Slidedat.ini"}
    for path in folder.rglob("*"):
        if path.name not in moving:
            os.utime(path, (an_hour_ago, an_hour_ago))
    with running_platform(tmp_path / "var", database_url=database_url) as platform:
        environment = clean_environment(IAIN_SERVER=platform.url, IAIN_KEY_FILE=str(key_file(tmp_path, centres)))
        command = commands("iain-agent.service", **{"/srv/scans": folder})["ExecStart"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    sent = {"26H01234_A1_HES.svs", "26H01234_A2_PAS.tif", "26H01234_A2_PAS.Full"}
    assert {path.name for path in (folder / "sent").iterdir()} == sent
    assert {path.name for path in (folder / "refused").iterdir()} == {"no slide.svs", "letters"}
    assert (folder / "26H01235_B1.svs").exists(), "it was written to a moment ago"
    assert (folder / "26H01236_C1.mrxs").exists(), "a file of its folder was written to a moment ago"
    assert (folder / "26H01236_C1").is_dir()
    with database.reading() as session:
        pushed = slides.intake(session, centres.caen.technician)
    told = {(slide.case_accession, slide.block, slide.stain) for slide in pushed}
    assert {("26H01234", "A1", "HES"), ("26H01234", "A2", "PAS")} <= told

    # The platform is away: everything stays where it is.
    for path in (folder / "26H01235_B1.svs", folder / "26H01236_C1" / "Slidedat.ini"):
        os.utime(path, (an_hour_ago, an_hour_ago))
    agent = commands("iain-agent.service", **{"/srv/scans": folder})["ExecStart"]
    away = {**environment, "IAIN_PATIENCE": "1"}
    done = subprocess.run(agent, env=away, capture_output=True, text=True, timeout=120)
    assert done.returncode == 3
    assert (folder / "26H01235_B1.svs").exists()


@pytest.fixture
def push_folder(tmp_path: Path):
    """Pushes a folder of slides that have rested, with a program that sends everything; what it was asked to send."""
    folder, asked, agent = tmp_path / "scans", tmp_path / "asked", tmp_path / "agent"
    agent.write_text(f'#!/bin/sh\nbasename "$2" >>{shlex.quote(str(asked))}\n')
    agent.chmod(0o755)

    def run(*names: str) -> list[str]:
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(b"x")
        for path in folder.rglob("*"):
            os.utime(path, (1, 1))
        asked.unlink(missing_ok=True)
        subprocess.run(["/bin/sh", ROOT / "deploy" / "push-folder.sh", agent, folder], check=True, timeout=60)
        return asked.read_text().splitlines()

    return run


def below(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_the_ending_of_a_slides_name_may_be_in_capitals(push_folder, tmp_path: Path) -> None:
    files = ["A.MRXS", "A/Slidedat.ini", "B.TIF", "B.FULL"]
    assert push_folder(*files) == ["A.MRXS", "B.TIF"]
    assert below(tmp_path / "scans") == sorted(f"sent/{name}" for name in files)


def test_a_slide_whose_name_was_used_before_does_not_hold_up_the_others(push_folder, tmp_path: Path) -> None:
    files = ["A.mrxs", "A/Slidedat.ini", "series/1.dcm", "z.svs"]
    for _ in range(3):
        assert push_folder(*files) == ["A.mrxs", "series", "z.svs"]
    places = ["sent", "sent/again-2", "sent/again-3"]
    assert below(tmp_path / "scans") == sorted(f"{place}/{name}" for place in places for name in files)


def key_file(folder: Path, centres: Centres) -> Path:
    path = folder / "caen.key"
    path.touch(mode=0o600)
    path.write_text(centres.caen.scanner_key)
    return path


def state_of_the_slide(database: Database) -> str:
    with database.reading() as session:
        return str(session.scalar(text("SELECT state FROM slide")))
