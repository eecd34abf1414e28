"""`iain scanner` and `iain site`: what a manager does with scanners, their keys, and a centre's share of the disk."""

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from sharing import scanners
from sharing.db.engine import open_database
from slideserver.cli import app


@pytest.fixture
def iain(tmp_path: Path):
    """A platform with the centre of Brest and its scanner AT2."""

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(app, [*arguments, "--var", str(tmp_path)], env={"COLUMNS": "160"})

    assert run("migrate").exit_code == 0
    assert run("site", "add", "brest", "Brest").exit_code == 0
    return run


@pytest.fixture
def holds(tmp_path: Path):
    def holds(key: str) -> bool:
        database = open_database(f"sqlite:///{tmp_path}/iain.db")
        try:
            with database.reading() as session:
                return scanners.authenticate_scanner(session, key.strip()) is not None
        finally:
            database.close()

    return holds


def test_a_key_is_exchanged_without_a_gap_and_a_scanner_withdrawn(iain, holds, tmp_path) -> None:
    first = iain("scanner", "add", "brest", "AT2").stdout
    exchanged = iain("scanner", "rotate", "brest", "AT2")
    assert exchanged.exit_code == 0
    assert holds(first)
    assert holds(exchanged.stdout)
    assert "hold until" in exchanged.stderr
    listed = iain("scanner", "list", "brest").stdout
    assert "AT2" in listed
    assert "never" in listed
    kept = tmp_path / "new.key"
    assert "hold no more" in iain("scanner", "rotate", "brest", "AT2", "--overlap", "0", "--key-file", str(kept)).stderr
    assert kept.stat().st_mode & 0o777 == 0o600
    assert [holds(key) for key in (first, exchanged.stdout, kept.read_text())] == [False, False, True]
    assert iain("scanner", "withdraw", "brest", "AT2").exit_code == 0
    assert not holds(kept.read_text())
    assert "has no scanner" in iain("scanner", "list", "brest").stdout


def test_a_quota_is_set_and_told(iain) -> None:
    for size, told in (("500GB", "500.0 GB"), ("1.5 tb", "1.5 TB"), ("none", "no quota")):
        assert told in iain("site", "quota", "brest", size).stdout
        assert told in iain("site", "quota", "brest").stdout


def test_what_cannot_be_is_said_in_a_sentence(iain) -> None:
    for arguments, words in (
        (("scanner", "rotate", "brest", "Nobody"), "no active scanner named Nobody"),
        (("scanner", "withdraw", "nowhere", "AT2"), "no active scanner named AT2"),
        (("site", "quota", "brest", "much"), "is no size"),
        (("site", "quota", "brest", "-5GB"), ""),
        (("site", "quota", "nowhere", "5GB"), "no site nowhere"),
        (("site", "quota", "nowhere"), "no site nowhere"),
    ):
        done = iain(*arguments)
        assert done.exit_code != 0
        assert words in done.stderr
        assert done.exception is None or isinstance(done.exception, SystemExit)
