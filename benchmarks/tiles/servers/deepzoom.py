"""OpenSlide's Deep Zoom under gunicorn: what a tile costs where every tile is decoded and encoded again."""

import hashlib
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx

from benchmarks.tiles.load import Target
from benchmarks.tiles.processes import ServerError, free_port, running
from benchmarks.tiles.server import Server
from tiler.address import TileAddress

LOCK = Path(__file__).parents[2] / "requirements.lock"
WORKERS, THREADS = 2, 4


@contextmanager
def deep_zoom(directory: Path, environment: Path, slide: Path, replay: Sequence[TileAddress]) -> Iterator[Server]:
    """Deep Zoom over `slide`, from a virtual environment kept in `environment`."""
    _install(environment)
    port = free_port()
    targets = tuple(Target(f"/{level}/{col}_{row}.jpeg", 0) for level, col, row in replay)
    command: list[str | Path] = [
        environment / "bin" / "gunicorn",
        # Threads, because gunicorn's plain workers close the connection after every answer.
        *("--workers", str(WORKERS), "--threads", str(THREADS), "--worker-class", "gthread", "--keep-alive", "60"),
        *("--bind", f"127.0.0.1:{port}", "--log-level", "warning", "--no-control-socket"),
        *("--pythonpath", str(Path(__file__).parent), f"deepzoom_app:create_app({str(slide)!r})"),
    ]
    url = f"http://127.0.0.1:{port}{targets[0].path}"
    with running(command, log=directory / "gunicorn.log", ready=lambda: _answers(url)) as pid:
        yield Server("openslide Deep Zoom", pid, port, targets, slow=True)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=30).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


def _install(environment: Path) -> None:
    """Makes the peer's environment from the lock file, once per lock file."""
    stamp = environment / f"lock-{hashlib.sha256(LOCK.read_bytes()).hexdigest()[:16]}"
    if stamp.exists():
        return
    subprocess.run([sys.executable, "-m", "venv", "--clear", environment], check=True)
    python = environment / "bin" / "python"
    pip = (python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes", "-r", LOCK)
    installed = subprocess.run(pip, capture_output=True, text=True, check=False)
    if installed.returncode:
        raise ServerError(f"The Deep Zoom peer could not be installed:\n{installed.stderr.strip()}")
    stamp.touch()
