"""A supervisor with children of its own: real processes, since that is what it is about."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

# Two that answer and one that ends after them; each says what happens to it, a line at a time.
FAMILY = """
import os, signal, sys, time
from slideserver import supervision
from slideserver.supervision import ChildError, Program, supervise

supervision.SETTLED_AFTER_S, supervision.STOP_WITHIN_S = {settled}, {patience}

def say(*words):
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())

def child(name):
    def run():
        def end(*_):
            say(name, "asked to end")
            if name != "{stubborn}":
                sys.exit(0)
        signal.signal(signal.SIGTERM, end)
        say(name, os.getpid())
        while True:
            time.sleep(60)
    return run

try:
    supervise([Program("last", child("last"), stage=1), Program("one", child("one")), Program("two", child("two"))])
except ChildError as error:
    say(error)
say("put away")
"""


class Family:
    def __init__(self, directory: Path, **choices: object) -> None:
        program = FAMILY.format(**{"settled": 0, "patience": 20, "stubborn": "", **choices})
        self._log = directory / "log"
        with self._log.open("w") as log:
            self.process = subprocess.Popen([sys.executable, "-c", program], stdout=log, stderr=subprocess.DEVNULL)
        self.wait_for(lambda: len(self.pids()) == 3)

    def said(self) -> list[str]:
        return self._log.read_text().splitlines()

    def pids(self) -> dict[str, int]:
        lines = [line.split() for line in self.said()]
        return {line[0]: int(line[1]) for line in lines if len(line) == 2 and line[1].isdigit()}

    def wait_for(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 20
        while not condition():
            assert time.monotonic() < deadline, self.said()
            time.sleep(0.01)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_all_end_when_it_is_asked_to_and_the_last_one_last(tmp_path, number):
    family = Family(tmp_path)
    family.process.send_signal(number)
    assert family.process.wait(60) == 0
    told = [line for line in family.said() if "asked" in line or "put" in line]
    assert sorted(told[:2]) == ["one asked to end", "two asked to end"]
    assert told[2:] == ["last asked to end", "put away"]
    assert not any(map(alive, family.pids().values()))


def test_ctrl_c_at_a_terminal_reaches_the_supervisor_alone(tmp_path):
    family = Family(tmp_path)
    for pid in family.pids().values():
        os.kill(pid, signal.SIGINT)
    family.process.send_signal(signal.SIGINT)
    assert family.process.wait(60) == 0
    assert "put away" in family.said()


def test_a_child_that_dies_is_replaced_and_the_others_do_not_notice(tmp_path):
    family = Family(tmp_path)
    before = family.pids()
    os.kill(before["one"], signal.SIGKILL)
    family.wait_for(lambda: family.pids()["one"] != before["one"])
    assert {**family.pids(), "one": 0} == {**before, "one": 0}
    family.process.terminate()
    assert family.process.wait(60) == 0
    assert not any(map(alive, [*before.values(), *family.pids().values()]))


def test_a_child_that_dies_at_once_ends_the_whole(tmp_path):
    family = Family(tmp_path, settled=1000)
    os.kill(family.pids()["two"], signal.SIGKILL)
    assert family.process.wait(60) == 0
    assert "The process “two” ended right after its start." in family.said()
    assert not any(map(alive, family.pids().values()))


def test_a_child_that_does_not_end_is_killed(tmp_path):
    family = Family(tmp_path, patience=0.2, stubborn="one")
    family.process.terminate()
    assert family.process.wait(60) == 0
    assert not any(map(alive, family.pids().values()))


def test_children_do_not_outlive_a_supervisor_that_is_killed(tmp_path):
    family = Family(tmp_path)
    pids = family.pids()
    family.process.kill()
    family.process.wait(60)
    family.wait_for(lambda: not any(map(alive, pids.values())))
