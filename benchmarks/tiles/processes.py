"""Server processes: started, awaited, measured and stopped, each by its own pid."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx

STOP_S = 15.0
POLL_S = 0.05
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class ServerError(RuntimeError):
    """A server that did not start or answer as it must; the message holds the end of its log."""


@contextmanager
def running(
    command: Sequence[str | Path],
    *,
    log: Path,
    ready: Callable[[], bool],
    start_s: float = 60.0,
    env: Mapping[str, str] | None = None,
    stop: signal.Signals = signal.SIGTERM,
    stdin: int = subprocess.DEVNULL,
) -> Iterator[int]:
    """The pid of a server that answers; it and what it started are gone when the block ends."""
    with log.open("wb") as output:
        process = subprocess.Popen([str(part) for part in command], stdin=stdin, stdout=output, stderr=output, env=env)
    try:
        deadline = time.monotonic() + start_s
        while not ready():
            if process.poll() is not None:
                raise ServerError(f"{command[0]} ended with status {process.returncode}:\n{tail(log)}")
            if time.monotonic() > deadline:
                raise ServerError(f"{command[0]} gave no answer within {start_s:.0f} s:\n{tail(log)}")
            time.sleep(POLL_S)
        yield process.pid
    finally:
        _stop(process, stop)


def free_port() -> int:
    """A loopback port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def accepts(port: int) -> bool:
    """Whether somebody listens on this loopback port."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def answers(url: str) -> bool:
    """Whether a server gives what is asked for, with or without having been asked before."""
    try:
        return httpx.get(url, timeout=30).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


def tail(log: Path, lines: int = 15) -> str:
    """The end of a log."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])


def cpu_seconds(*pids: int) -> float:
    """User and system time of these processes and of all they started, ended or alive."""
    return sum(sum(_family(pid).values()) for pid in pids) / _TICKS_PER_S


def running_seconds(pid: int) -> float:
    """Time on a processor of a process and of all living ones below it, to the nanosecond (proc(5), schedstat); what
    has ended in between is not in it."""
    return sum(_nanoseconds(member) for member in _family(pid)) / 1e9


def memory_mb(pid: int) -> float:
    """Memory of a process and of all below it in 10⁶ bytes, a page that several share counted once (PSS)."""
    return sum(_shared_out_kib(member) for member in _family(pid)) * 1024 / 1e6


@contextmanager
def apart(pids: Sequence[int]) -> Iterator[None]:
    """Meanwhile these processes and all below them run on one core, and this one with what it starts on another, so
    that no scheduler's luck decides how far a question has to travel. On a machine of one core nothing changes."""
    cores = sorted(os.sched_getaffinity(0))
    tasks = [int(task) for pid in pids for member in _family(pid) for task in os.listdir(f"/proc/{member}/task")]
    try:
        for task in tasks:
            _keep_to(task, cores[-1:])
        _keep_to(0, cores[:1])
        yield
    finally:
        for task in (0, *tasks):
            _keep_to(task, cores)


def _keep_to(task: int, cores: Sequence[int]) -> None:
    with suppress(ProcessLookupError):  # a thread that has ended since
        os.sched_setaffinity(task, cores)


def _stop(process: subprocess.Popen[bytes], how: signal.Signals) -> None:
    if process.poll() is not None:
        return
    process.send_signal(how)
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        for pid in _family(process.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait(STOP_S)


def _family(root: int) -> dict[int, int]:
    """CPU ticks of a process and of all living ones below it, by pid; each with those of its reaped children."""
    statuses = {int(name): status for name in os.listdir("/proc") if name.isdigit() and (status := _status(name))}
    members = {root}
    while grown := {pid for pid, (parent, _) in statuses.items() if parent in members} - members:
        members |= grown
    return {pid: ticks for pid, (_, ticks) in statuses.items() if pid in members}


def _status(pid: str) -> tuple[int, int] | None:
    """Parent and CPU ticks (utime, stime, cutime, cstime of proc(5)) of a process; None when it has just ended."""
    try:
        fields = Path("/proc", pid, "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return int(fields[1]), sum(int(ticks) for ticks in fields[11:15])


def _nanoseconds(pid: int) -> int:
    total = 0
    for thread in Path("/proc", str(pid), "task").glob("*/schedstat"):
        with suppress(OSError):
            total += int(thread.read_text().split()[0])
    return total


def _shared_out_kib(pid: int) -> int:
    try:
        lines = Path("/proc", str(pid), "smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)
