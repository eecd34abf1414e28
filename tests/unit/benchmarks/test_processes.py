import os
import sys
from pathlib import Path

import pytest

from benchmarks.tiles.processes import ServerError, apart, cpu_seconds, running

# A parent that starts a child; both burn the CPU for a while and tell so. The child ends when the parent is gone.
CHILD = """
import sys, time
while time.process_time() < 0.3: pass
open(sys.argv[1], "w").close()
sys.stdin.read()
"""
PARENT = """
import pathlib, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", sys.argv[1], sys.argv[2] + "/child"], stdin=subprocess.PIPE)
while time.process_time() < 0.3: pass
pathlib.Path(sys.argv[2], "parent").write_text(str(child.pid))
child.wait()
"""


def test_cpu_time_is_that_of_the_process_and_of_what_it_started(tmp_path):
    def ready():
        return (tmp_path / "child").exists() and (tmp_path / "parent").exists()

    with running([sys.executable, "-c", PARENT, CHILD, tmp_path], log=tmp_path / "log", ready=ready) as pid:
        child = int((tmp_path / "parent").read_text())
        assert cpu_seconds(child) >= 0.25
        assert cpu_seconds(pid) >= cpu_seconds(child) + 0.25


def test_a_server_is_gone_after_its_block(tmp_path):
    command = [sys.executable, "-c", "import time; time.sleep(60)"]
    with running(command, log=tmp_path / "log", ready=lambda: True) as pid:
        assert Path("/proc", str(pid)).exists()
    assert not Path("/proc", str(pid)).exists()


def test_a_server_that_ends_at_once_is_told_with_its_last_words(tmp_path):
    command = [sys.executable, "-c", "raise SystemExit('port taken')"]
    with pytest.raises(ServerError, match="port taken"), running(command, log=tmp_path / "log", ready=lambda: False):
        pytest.fail("the block must not run")


def test_servers_keep_to_one_core_and_who_asks_to_another(tmp_path):
    cores = sorted(os.sched_getaffinity(0))
    command = [sys.executable, "-c", "import time; time.sleep(60)"]
    with running(command, log=tmp_path / "log", ready=lambda: True) as pid:
        with apart([pid]):
            assert (os.sched_getaffinity(pid), os.sched_getaffinity(0)) == ({cores[-1]}, {cores[0]})
        assert os.sched_getaffinity(pid) == os.sched_getaffinity(0) == set(cores)
