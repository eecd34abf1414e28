"""The platform under torture: `iain serve` as anybody starts it, with the centres and people of the tests."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.tiles.processes import accepts, free_port, running
from benchmarks.torture_tiles.delivery import Desk
from sharing.db.engine import open_database
from sharing.db.migrations import upgrade
from tiler.storage.local import LocalBlobStore

sys.path.append(str(Path(__file__).parents[2] / "tests"))

from fixtures.centres import PASSWORD, found_centres  # type: ignore[import-not-found]

IAIN = Path(sys.executable).with_name("iain")


@dataclass(frozen=True, slots=True)
class Stage:
    """A desk of the platform, and the process that was started."""

    desk: Desk
    pid: int
    var: Path


@contextmanager
def stage(folder: Path, **settings: str) -> Iterator[Stage]:
    """Caen's desk at a fresh platform below `folder`; `settings` are those of the server, by their names."""
    var = folder / "var"
    var.mkdir(parents=True)
    url = f"sqlite:///{(folder / 'iain.db').absolute()}"
    database = open_database(url)
    upgrade(database)
    with database.writing() as session:
        caen = found_centres(session).caen
    port = free_port()
    env = {name: value for name, value in os.environ.items() if not name.startswith("IAIN_")}
    env |= {f"IAIN_{name.upper()}": value for name, value in {"database_url": url, **settings}.items()}
    command: list[str | Path] = [IAIN, "serve", "--var", var, "--port", str(port)]
    with running(command, log=folder / "iain.log", ready=lambda: accepts(port), env=env) as pid:
        store = LocalBlobStore(var / "blobs")
        yield Stage(
            Desk(f"http://127.0.0.1:{port}", database, store, caen.agent, "26H01234", "pathologiste.caen", PASSWORD),
            pid,
            var,
        )
    database.close()
