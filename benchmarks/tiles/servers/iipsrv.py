"""iipsrv as Debian ships it, behind nginx, speaking Deep Zoom: a C++ server that decodes and encodes every tile.

Debian's package starts a web server of its own when it is installed; so unless it is installed already, its files are
fetched and unpacked below the build directory, and nothing of the machine is changed.
"""

import os
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.tiles.load import Target
from benchmarks.tiles.processes import ServerError, answers, free_port, running
from benchmarks.tiles.server import Server
from benchmarks.tiles.servers.nginx import configured, program
from tiler.address import TileAddress

NAME = "iipsrv"
INSTALLED = Path("/usr/lib/iipimage-server/iipsrv.fcgi")
# What a machine that has nginx and the browser of the tests lacks besides.
PACKAGES = ("iipimage-server", "libfcgi0ldbl", "libhashkit2", "libmemcached11")
PROCESSES = os.cpu_count() or 1


@contextmanager
def iipsrv(directory: Path, build: Path, slide: Path, replay: Sequence[TileAddress]) -> Iterator[Server]:
    """iipsrv over `slide`, a process per core behind one socket; its files are kept in `build`."""
    executable = _executable(build / "iipsrv")
    libraries = build / "iipsrv" / "usr" / "lib" / f"{os.uname().machine}-linux-gnu"
    environment = {
        "LD_LIBRARY_PATH": str(libraries),
        "FILESYSTEM_PREFIX": f"{slide.parent}/",
        "JPEG_QUALITY": "75",
        "VERBOSITY": "0",
    }
    port, path = free_port(), directory / "iipsrv.socket"
    targets = tuple(
        Target(f"/fcgi?DeepZoom={slide.name}_files/{level}/{col}_{row}.jpg", 0) for level, col, row in replay
    )
    location = f"location /fcgi {{ fastcgi_pass unix:{path}; fastcgi_param QUERY_STRING $query_string; }}"
    configuration = configured(directory, port, location)
    url = f"http://127.0.0.1:{port}{targets[0].path}"
    with ExitStack() as stack:
        # FastCGI: the socket to accept from is standard input, and any number of processes may share it.
        listener = stack.enter_context(socket.socket(socket.AF_UNIX))
        listener.bind(str(path))
        listener.listen(256)
        workers = [
            stack.enter_context(
                running(
                    [executable],
                    log=directory / f"iipsrv-{number}.log",
                    ready=lambda: True,
                    env=environment,
                    stdin=listener.fileno(),
                )
            )
            for number in range(PROCESSES)
        ]
        command: list[str | Path] = [program(), "-e", directory / "error.log", "-c", configuration]
        front = stack.enter_context(running(command, log=directory / "nginx.log", ready=lambda: answers(url)))
        yield Server(NAME, (front, *workers), port, targets, slow=True)


def _executable(unpacked: Path) -> Path:
    if INSTALLED.exists():
        return INSTALLED
    executable = unpacked / INSTALLED.relative_to("/")
    if not executable.exists():
        unpacked.mkdir(parents=True, exist_ok=True)
        try:
            subprocess.run(("apt-get", "download", "-q", *PACKAGES), cwd=unpacked, check=True, capture_output=True)
            for package in sorted(unpacked.glob("*.deb")):
                subprocess.run(("dpkg", "-x", package, unpacked), check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise ServerError(
                "iipsrv cannot be fetched: run `apt-get update` first, or install iipimage-server yourself."
            ) from error
    return executable
