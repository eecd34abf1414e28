"""`iain` at a terminal."""

import re
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from fixtures.ports import free_port
from typer.testing import CliRunner, Result

from ingest.agent.cosigner_record import RECORD, open_cosigner
from sharing import chain, verifier
from sharing.checkpoints import Signer
from sharing.db.engine import open_database
from sharing.vocabulary import SiteId
from slideserver.cli import app
from slideserver.serving import bind

IAIN = Path(sys.executable).with_name("iain")


@pytest.fixture
def var(tmp_path: Path) -> Path:
    return tmp_path / "var"


@pytest.fixture
def iain(var: Path):
    def run(*arguments: str, answer: str = "") -> Result:
        return CliRunner().invoke(app, [*arguments, "--var", str(var)], input=answer)

    assert run("migrate").exit_code == 0
    return run


def test_a_platform_is_set_up_with_five_commands(iain, var, tmp_path) -> None:
    key_file = tmp_path / "scanner.key"
    for arguments, answer in (
        (("site", "add", "brest", "Brest"), ""),
        (("member", "add", "brest", "anne.brest", "Anne Kerrien", "pathologist"), "a long password\n"),
        (("scanner", "add", "brest", "AT2 salle 3", "--key-file", str(key_file)), ""),
        (("case", "add", "brest", "26H00001", "EXEMPLE Camille", "--sex", "F"), ""),
    ):
        done = iain(*arguments, answer=answer)
        assert done.exit_code == 0, done.output
    assert key_file.stat().st_mode & 0o777 == 0o600
    assert re.fullmatch(r"iain_[a-z2-7]{26}_\S{43}\n", key_file.read_text())
    shown = iain("scanner", "add", "brest", "AT2 salle 4")
    assert re.fullmatch(r"iain_[a-z2-7]{26}_\S{43}\n", shown.stdout)


@pytest.mark.parametrize(
    ("arguments", "answer", "words"),
    [
        (("site", "add", "caen", "Caen"), "", "already"),
        (("site", "add", "Not A Slug", "X"), "", "cannot be a site's id"),
        (("member", "add", "caen", "x", "X", "pathologist"), "short\n", "at least 12"),
        (("member", "add", "nowhere", "x", "X", "pathologist"), "a long password\n", "no site nowhere"),
        (("case", "add", "caen", "1", "X", "--sex", "W"), "", "F, M, O"),
        (("case", "add", "nowhere", "1", "X"), "", ""),
    ],
)
def test_what_cannot_be_is_said_in_a_sentence_and_not_done(iain, arguments, answer, words) -> None:
    assert iain("site", "add", "caen", "Caen").exit_code == 0
    done = iain(*arguments, answer=answer)
    assert done.exit_code == 1
    assert words in done.stderr
    assert done.exception is None or isinstance(done.exception, SystemExit)


def test_an_altered_audit_log_is_named_and_ends_with_1(iain, var) -> None:
    for site in ("caen", "rouen"):
        iain("site", "add", site, site.capitalize())
        iain("case", "add", site, "26H00001", "EXEMPLE Camille")
    database = open_database(f"sqlite:///{var}/iain.db")
    chain.seal(database)
    database.close()
    whole = iain("audit", "verify")
    assert whole.exit_code == 0
    assert whole.output.count("yes") == 2
    alter(var / "iain.db", "rouen")
    broken = iain("audit", "verify")
    assert broken.exit_code == 1
    assert re.search(r"rouen: entry 2 \(event [a-z2-7]{26}\): \w+", broken.output)
    assert iain("audit", "verify", "--site", "caen").exit_code == 0
    assert iain("audit", "verify", "--site", "rouen").exit_code == 1
    assert iain("audit", "verify", "--site", "nantes").exit_code == 1


def test_a_log_is_exported_and_held_against_a_witness(iain, var, tmp_path) -> None:
    for site in ("caen", "rouen"):
        iain("site", "add", site, site.capitalize())
        iain("case", "add", site, "26H00001", "EXEMPLE Camille")
    file = tmp_path / "log.jsonl"
    assert iain("audit", "export", str(file)).exit_code == 1, "nothing is sealed yet"
    cosigner = open_cosigner(tmp_path / "witness", "temoin.rouen")
    assert "no witness" in iain("witness", "list").output
    added = iain("witness", "add", "rouen", str(cosigner.key))
    assert added.exit_code == 0, added.output
    assert iain("witness", "add", "rouen", str(cosigner.key)).exit_code == 1
    assert iain("witness", "add", "caen", "no key").exit_code == 1
    with closing(open_database(f"sqlite:///{var}/iain.db")) as database:
        chain.seal(database)
    keys = iain("audit", "key").stdout.splitlines()
    assert [verifier.parse_key(key).name.split("/")[1] for key in keys] == ["caen", "rouen"]
    assert (var / "checkpoint.key").stat().st_mode & 0o777 == 0o600
    done = iain("audit", "export", str(file))
    assert done.exit_code == 0, done.output
    assert file.stat().st_mode & 0o777 == 0o600
    assert iain("audit", "export", str(file)).exit_code == 1, "it takes no other file's place"
    other = str(Signer.new().key(SiteId("caen")))
    assert [verifier.main([str(file), "--key", key, "--language", "en"]) for key in (keys[0], other)] == [0, 1]
    assert verifier.main([str(file), "--language", "en"]) == 0
    record = str(tmp_path / "witness" / RECORD)
    held = iain("audit", "verify", "--witness", record)
    assert held.exit_code == 0, held.output
    assert "No witness whose key is known has seen the entries 1 to" in held.output.replace("\n", " ")
    assert iain("audit", "verify", "--witness", str(file)).exit_code == 1
    program = tmp_path / "verifier.py"
    assert CliRunner().invoke(app, ["audit", "verifier", str(program)]).exit_code == 0
    assert program.read_bytes() == Path(verifier.__file__).read_bytes()
    assert CliRunner().invoke(app, ["audit", "verifier", str(program)]).exit_code == 1
    assert "temoin.rouen" in iain("witness", "list").output
    assert iain("witness", "withdraw", "temoin.rouen").exit_code == 0
    assert iain("witness", "withdraw", "temoin.rouen").exit_code == 1
    (var / "checkpoint.key").write_text("no key\n")
    damaged = iain("audit", "key")
    assert damaged.exit_code == 1
    assert "Put it back" in damaged.stderr


def alter(path: Path, site: str) -> None:
    """What somebody who owns the database file can do: drop the triggers, change one word."""
    with sqlite3.connect(path) as connection:
        triggers = connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for (name,) in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        changed = connection.execute(
            "UPDATE audit_event SET outcome = 'failed' WHERE site_id = ? AND act = 'case.registered'", (site,)
        )
        assert changed.rowcount == 1
    connection.close()


def test_a_taken_port_is_said_in_a_sentence(iain, var) -> None:
    with bind("127.0.0.1", 0) as taken:
        port = str(taken.getsockname()[1])
        for command in ("serve", "demo"):
            done = iain(command, "--port", port)
            assert done.exit_code == 1
            assert f"Port {port} is taken" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_server_ends_cleanly_when_it_is_asked_to(var, number) -> None:
    port = free_port()
    command = [str(IAIN), "serve", "--var", str(var), "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        wait_until_ready(f"http://127.0.0.1:{port}", process)
        process.send_signal(number)
        out, log = process.communicate(timeout=60)
    assert process.returncode == 0
    assert f"http://127.0.0.1:{port}" in out
    assert "sandbox: strict" in log
    assert log.rstrip().endswith("Stopped")
    assert "Traceback" not in log
    assert "ERROR" not in log
    assert not list(var.glob("iain.db-wal")) or (var / "iain.db-wal").stat().st_size == 0, "the database was closed"


def wait_until_ready(url: str, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + 60
    while True:
        assert process.poll() is None
        assert time.monotonic() < deadline
        try:
            if httpx.get(f"{url}/readyz").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.05)


def test_the_schema_goes_back_and_forth_and_nowhere_else(iain, var: Path) -> None:
    assert iain("site", "add", "brest", "Brest").exit_code == 0
    back = iain("migrate", "--back-to", "0001")
    assert back.exit_code == 0, back.output
    assert "schema 0001" in back.output
    nowhere = iain("migrate", "--back-to", "0815")
    assert nowhere.exit_code == 1
    assert "no way back to 0815" in nowhere.output
    assert iain("migrate").exit_code == 0
    with sqlite3.connect(var / "iain.db") as connection:
        assert connection.execute("SELECT name FROM site").fetchall() == [("Brest",)]
    connection.close()
    assert iain("audit", "verify").exit_code == 0
