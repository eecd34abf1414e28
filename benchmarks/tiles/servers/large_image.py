"""large_image behind plain ASGI: the strongest peer, passing stored tiles on wherever the file has them."""

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.tiles.environment import APPLICATIONS
from benchmarks.tiles.load import Target
from benchmarks.tiles.processes import ServerError, answers, free_port, running
from benchmarks.tiles.server import Server
from tiler.address import TileAddress

NAME = "large_image"


@contextmanager
def large_image(directory: Path, programs: Path, slide: Path, replay: Sequence[TileAddress]) -> Iterator[Server]:
    """large_image over `slide`, a process per core. `replay` numbers levels from the finest, as its grid is ours;
    `programs` is the peers' environment."""
    port = free_port()
    coarsest = max(level for level, _, _ in replay)
    environment = {**os.environ, "SLIDE": str(slide)}
    # It numbers its levels from the coarsest, and has a level more or less than we do where only one tile is left.
    top = _levels(programs, environment) - 1
    if top < coarsest:
        raise ServerError(f"large_image has {top + 1} levels and the trace asks for {coarsest + 1}.")
    targets = tuple(Target(f"/{top - level}/{col}/{row}", 0) for level, col, row in replay)
    command: list[str | Path] = [
        programs / "uvicorn",
        *("--app-dir", str(APPLICATIONS), "--host", "127.0.0.1", "--port", str(port)),
        *("--workers", str(os.cpu_count() or 1), "--loop", "uvloop", "--http", "httptools", "--lifespan", "off"),
        *("--no-access-log", "--log-level", "warning", "--timeout-keep-alive", "60", "large_image_app:application"),
    ]
    url = f"http://127.0.0.1:{port}{targets[0].path}"
    log = directory / f"large-image-{port}.log"
    with running(command, log=log, ready=lambda: answers(url), env=environment) as pid:
        yield Server(NAME, (pid,), port, targets)


def _levels(programs: Path, environment: dict[str, str]) -> int:
    asked = "import large_image_app; print(large_image_app.source.levels)"
    command = (programs / "python", "-c", asked)
    told = subprocess.run(command, cwd=APPLICATIONS, env=environment, capture_output=True, text=True, check=True)
    return int(told.stdout)
