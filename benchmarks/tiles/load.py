"""The compiled load generator (load.c): built at first use, proved able to fail, then run."""

import hashlib
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

SOURCE = Path(__file__).with_name("load.c")


class LoadError(RuntimeError):
    """An answer was wrong, or the generator could not be built; the message is its own sentence."""


@dataclass(frozen=True, slots=True)
class Target:
    """A path and the body length it must be answered with; 0 where it is not known beforehand."""

    path: str
    length: int


@dataclass(frozen=True, slots=True)
class Pattern:
    """Who asks when (load.c says what each mode does)."""

    mode: Literal["stream", "screens", "open"]
    connections: int
    group: int = 1
    """Targets in a row under one credential."""
    interval_us: int = 0


@dataclass(frozen=True, slots=True)
class Load:
    """What one run of the generator saw: complete, right answers only."""

    answers: int
    seconds: float
    bytes: int
    reconnects: int
    p50_us: float
    p95_us: float
    p99_us: float
    client_cpu_s: float


class Generator:
    """The program, compiled once into `build`; `scratch` takes its lists, credentials among them."""

    def __init__(self, build: Path, scratch: Path) -> None:
        self._scratch = scratch
        digest = hashlib.sha256(SOURCE.read_bytes()).hexdigest()[:16]
        self._program = build / f"load-{digest}"
        if not self._program.exists():
            _compile(self._program)

    def run(
        self,
        port: int,
        targets: Sequence[Target],
        cookies: Sequence[str],
        pattern: Pattern,
        *,
        seconds: float,
        requests: int = 0,
    ) -> Load:
        """The load of this pattern for `seconds`, or until `requests` answers have come when that is not 0."""
        targets_file, cookies_file = self._scratch / "targets.txt", self._scratch / "cookies.txt"
        targets_file.write_text("".join(f"{target.length} {target.path}\n" for target in targets))
        cookies_file.write_text("".join(f"{cookie}\n" for cookie in cookies))
        how = (pattern.mode, pattern.connections, seconds, requests, pattern.group, pattern.interval_us)
        arguments = (port, *how, targets_file, cookies_file if cookies else "-")
        done = subprocess.run(
            [self._program, *map(str, arguments)], capture_output=True, text=True, timeout=seconds + 30, check=False
        )
        if done.returncode:
            raise LoadError(done.stderr.strip())
        told = dict(line.split() for line in done.stdout.splitlines())
        return Load(
            answers=int(told["answers"]),
            seconds=float(told["seconds"]),
            bytes=int(told["bytes"]),
            reconnects=int(told["reconnects"]),
            p50_us=float(told["p50_us"]),
            p95_us=float(told["p95_us"]),
            p99_us=float(told["p99_us"]),
            client_cpu_s=float(told["client_cpu_s"]),
        )

    def prove(self, port: int, target: Target, cookies: Sequence[str]) -> None:
        """Asks for a tile with a wrong length and for one that is not there; raises when either passes as right."""
        for wrong in (Target(target.path, target.length + 1), Target("/nowhere" + target.path, 0)):
            try:
                self.run(port, [wrong], cookies, Pattern("stream", 1), seconds=5, requests=1)
            except LoadError:
                continue
            raise LoadError(f"The load generator took {wrong} for right: its numbers mean nothing.")


def _compile(program: Path) -> None:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise LoadError("No C compiler: install gcc and libc6-dev (apt-get install gcc libc6-dev).")
    unfinished = program.with_suffix(".new")
    command = [compiler, "-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", "-o", str(unfinished), str(SOURCE)]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    if built.returncode:
        raise LoadError(f"{compiler} could not build the load generator:\n{built.stderr.strip()}")
    unfinished.rename(program)
