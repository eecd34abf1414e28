"""How much memory the workers of the bombs held: theirs alone, whatever the process that starts them holds."""

import os
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.torture_tiles.bombs import watched

MEGABYTE = 2**20


def looked(memory: list[float], looks: int) -> bool:
    deadline = time.monotonic() + 10
    while len(memory) < looks and time.monotonic() < deadline:
        os.sched_yield()
    return len(memory) >= looks


def test_what_a_worker_holds_is_seen():
    holding = f"held = b'x' * (150 * {MEGABYTE}); print(flush=True); input()"
    with (
        watched() as memory,
        subprocess.Popen([sys.executable, "-c", holding], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as worker,
    ):
        assert worker.stdout is not None
        worker.stdout.readline()
        assert looked(memory, len(memory) + 5)
        worker.communicate(b"\n")
    assert 150 < max(memory) < 250


def test_a_child_that_is_still_its_parent_is_not_the_worker():
    held = b"x" * (300 * MEGABYTE)
    reading, writing = os.pipe()
    with watched() as memory:
        child = os.fork()
        if not child:
            os.close(writing)
            os.read(reading, 1)
            os._exit(0)
        copy = int(Path(f"/proc/{child}/statm").read_text().split()[1]) * 4096 / MEGABYTE
        with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as worker:
            assert looked(memory, 10)
            worker.communicate(b"\n")
        os.write(writing, b"\n")
        os.waitpid(child, 0)
    os.close(reading)
    os.close(writing)
    assert len(held) == 300 * MEGABYTE
    assert copy > 250, "the child was none to be mistaken"
    assert max(memory) < 200
