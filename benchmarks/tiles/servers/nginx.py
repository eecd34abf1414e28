"""nginx serving the very same tiles as files: the yardstick, what sending these bytes costs at least.

Each file stands under the path of its tile, so that both servers get the same request lines and send the same bodies.
No access check, no log, sendfile, one worker per core.
"""

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from benchmarks.tiles.processes import ServerError, accepts, free_port, running

NAME = "nginx static"
CONFIGURATION = """
{user}
daemon off;
worker_processes auto;
pid {directory}/nginx.pid;
error_log {directory}/error.log warn;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  sendfile on;
  tcp_nopush on;
  keepalive_timeout 60s;
  keepalive_requests 100000000;
  default_type image/jpeg;
  client_body_temp_path {directory}/temporary;
  proxy_temp_path {directory}/temporary;
  fastcgi_temp_path {directory}/temporary;
  uwsgi_temp_path {directory}/temporary;
  scgi_temp_path {directory}/temporary;
  server {{ listen 127.0.0.1:{port}; {content} }}
}}
"""


@contextmanager
def static_files(directory: Path, tiles: Mapping[str, bytes]) -> Iterator[tuple[int, int]]:
    """Pid and port of an nginx over `tiles` (path → body), written below `directory`."""
    for path, body in tiles.items():
        file = directory / "files" / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(body)
    port = free_port()
    configuration = configured(directory, port, f"root {directory}/files;")
    command: list[str | Path] = [program(), "-e", directory / "error.log", "-c", configuration]
    with running(command, log=directory / "nginx.log", ready=lambda: accepts(port)) as pid:
        yield pid, port


def configured(directory: Path, port: int, content: str) -> Path:
    """The configuration file of an nginx of our own with this content of its one server."""
    # Workers of a root nginx would drop to a user that may not read here.
    user = "user root;" if os.geteuid() == 0 else ""
    file = directory / "nginx.conf"
    file.write_text(CONFIGURATION.format(user=user, directory=directory, port=port, content=content))
    return file


def program() -> str:
    # Debian keeps nginx where only root's search path leads.
    found = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if found is None:
        raise ServerError("nginx is not installed: apt-get install nginx-light.")
    return found
