"""One server as several processes: started together, watched, ended together.

The process that was started does nothing else. It has no thread, so it may fork at any time, and no database, so no
child begins with half of something. A child that dies is replaced; should this process itself be killed, the kernel
ends its children, and the next start finds the port free.
"""

import ctypes
import gc
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Never

# A child that ends sooner than this would end again.
SETTLED_AFTER_S = 10.0
# For the requests or jobs under way; then a child is killed.
STOP_WITHIN_S = 20.0
AWAITED = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGCHLD})
PR_SET_PDEATHSIG = 1  # prctl(2)

log = logging.getLogger(__name__)


class ChildError(Exception):
    """A child ended by itself right after its start: its log says why."""


@dataclass(frozen=True, slots=True)
class Program:
    """What one child does until it gets a SIGTERM. Those of a later `stage` are ended after those of an earlier one."""

    name: str
    run: Callable[[], None]
    stage: int = 0


def supervise(programs: Sequence[Program]) -> None:
    """Keeps each program running in a process of its own until SIGINT or SIGTERM. Raises ChildError."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, AWAITED)
    gc.freeze()  # what is loaded by now is shared with the children, as long as no collector writes into it
    children: dict[int, tuple[Program, float]] = {}
    try:
        for program in programs:
            children[_start(program)] = program, time.monotonic()
        while signal.sigwait(AWAITED) == signal.SIGCHLD:
            for pid in [pid for pid in children if _ended(pid)]:
                program, since = children.pop(pid)
                if time.monotonic() - since < SETTLED_AFTER_S:
                    raise ChildError(f"The process “{program.name}” ended right after its start.")
                log.error("The process “%s” ended by itself; another takes its place", program.name)
                children[_start(program)] = program, time.monotonic()
    finally:
        for stage in sorted({program.stage for program in programs}):
            _end([pid for pid, (program, _) in children.items() if program.stage == stage])
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start(program: Program) -> int:
    """The pid of a new process that runs `program`."""
    supervisor = os.getpid()
    return os.fork() or _be(program, supervisor)


def _be(program: Program, supervisor: int) -> Never:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    # Ctrl-C at a terminal reaches every process of the server; the supervisor alone acts upon it.
    signal.pthread_sigmask(signal.SIG_SETMASK, {signal.SIGINT})
    status = 1
    try:
        if os.getppid() == supervisor:  # else it died before the kernel was asked
            program.run()
            status = 0
    except BaseException:
        log.exception("The process “%s” cannot go on", program.name)
    finally:
        # Not the way of an exception: above us is the program that forked, and what it has to put away.
        logging.shutdown()
        sys.stdout.flush()
        os._exit(status)


def _ended(pid: int) -> bool:
    return os.waitpid(pid, os.WNOHANG) != (0, 0)


def _end(pids: list[int]) -> None:
    for pid in pids:
        os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_WITHIN_S
    while pids := [pid for pid in pids if not _ended(pid)]:
        if signal.sigtimedwait({signal.SIGCHLD}, max(deadline - time.monotonic(), 0)) is None:
            for pid in pids:
                log.warning("Process %s did not end within %s s and is killed", pid, STOP_WITHIN_S)
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
            return
