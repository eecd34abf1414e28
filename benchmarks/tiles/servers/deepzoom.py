"""OpenSlide's Deep Zoom under gunicorn: what a tile costs where every tile is decoded and encoded again."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.tiles.environment import APPLICATIONS
from benchmarks.tiles.load import Target
from benchmarks.tiles.processes import answers, free_port, running
from benchmarks.tiles.server import Server
from tiler.address import TileAddress

NAME = "openslide Deep Zoom"
WORKERS, THREADS = 2, 4


@contextmanager
def deep_zoom(directory: Path, programs: Path, slide: Path, replay: Sequence[TileAddress]) -> Iterator[Server]:
    """Deep Zoom over `slide`; `programs` is the peers' environment."""
    port = free_port()
    targets = tuple(Target(f"/{level}/{col}_{row}.jpeg", 0) for level, col, row in replay)
    command: list[str | Path] = [
        programs / "gunicorn",
        # Threads, because gunicorn's plain workers close the connection after every answer.
        *("--workers", str(WORKERS), "--threads", str(THREADS), "--worker-class", "gthread", "--keep-alive", "60"),
        *("--bind", f"127.0.0.1:{port}", "--log-level", "warning", "--no-control-socket"),
        *("--pythonpath", str(APPLICATIONS), f"deepzoom_app:create_app({str(slide)!r})"),
    ]
    url = f"http://127.0.0.1:{port}{targets[0].path}"
    with running(command, log=directory / f"deepzoom-{port}.log", ready=lambda: answers(url)) as pid:
        yield Server(NAME, (pid,), port, targets, slow=True)
