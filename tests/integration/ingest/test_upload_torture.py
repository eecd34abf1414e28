"""The short form of what `make torture-ingest` does to receiving; each control must be found out."""

import re
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

from benchmarks.torture import Plan
from benchmarks.torture_ingest import strangers
from benchmarks.torture_ingest.histories import deaf_to_checksums, play
from benchmarks.torture_ingest.history import start_in

ROOT = Path(__file__).parents[3]


def test_histories_go_as_the_model_says(tmp_path: Path, figure) -> None:
    start = start_in(tmp_path, time.time_ns() // 1000)
    told, counts = play(start, 15, 7)
    figure("upload.histories_short", counts["histories"])
    assert told is None, told
    assert counts["requests"] > 60
    assert play(replace(start, wrap=deaf_to_checksums), 200, 7)[0], "the control: a server that hears no checksum"


def test_strangers_write_nothing(tmp_path: Path) -> None:
    result = strangers.run(Plan(7, 0.12, tmp_path))
    assert not result.failed, result.notes
    assert not result.void
    assert result.figures["upload.unauthenticated_attempts"] >= 28, "each kind of stranger twice"
    assert result.figures["upload.unauthenticated_bytes_on_disk"] == 0
    assert result.figures["upload.unauthenticated_twin_bytes"] > 0


def test_four_clients_of_others_send_through_a_bad_network(figure) -> None:
    """In a process of its own: Chromium is driven by an event loop that no other test could live beside."""
    command = [sys.executable, "-m", "benchmarks.torture_ingest", "--part", "foreign", "--share", "0.04"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    figures = dict(re.findall(r"^figure (\S+) (\S+)$", done.stdout, re.MULTILINE))
    assert (figures["upload.foreign_clients_ok"], figures["upload.foreign_runs"]) == ("4", "4")
    figure("upload.foreign_runs_short", 4)
