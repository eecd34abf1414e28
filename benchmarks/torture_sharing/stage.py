"""What the parts play on: two server processes over one database and one data directory.

PostgreSQL, the centres and their people are those of the tests.
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
from fixtures.centres import Centres, found_centres  # type: ignore[import-not-found]
from fixtures.postgres import PostgresServer, postgres_server  # type: ignore[import-not-found]
from fixtures.server import SAME_ORIGIN, SCAN, World  # type: ignore[import-not-found]

from benchmarks.tiles.processes import accepts, free_port, running
from sharing import links
from sharing.clock import SECOND_US
from sharing.db.engine import Database, open_database
from sharing.db.migrations import upgrade
from sharing.vocabulary import Purpose, new_id
from slideserver.auth.cookies import GuestCookie
from slideserver.settings import Settings
from tiler.sandbox import Sandbox

ENGINES = ("sqlite", "postgresql")
IAIN = Path(sys.executable).with_name("iain")
GUEST_COOKIE = GuestCookie(secure=False).name
TILES = ((0, 1, 1), (0, 2, 3), (0, 4, 5))
LINK_LASTS_US = 3600 * SECOND_US


@dataclass
class Stage:
    """A slide of Caen, its maker's browser, and two servers that both show it."""

    engine: str
    database: Database
    settings: Settings
    centres: Centres
    world: Any
    slide: Any
    urls: tuple[str, str]
    postgres: PostgresServer | None

    def link(self, *, uses: int = 1) -> links.NewLink:
        with self.database.writing() as session:
            return links.create(
                session,
                self.centres.caen.pathologist,
                self.slide.case_id,
                [self.slide.id],
                purpose=Purpose.CARE,
                reason="torture",
                expires_us=session.now_us + LINK_LASTS_US,
                max_uses=uses,
                slide_id=self.slide.id,
            )

    def tile(self, number: int = 0) -> str:
        level, col, row = TILES[number % len(TILES)]
        return f"/tiles/{self.slide.id}/{self.slide.version}/{level}/{col}_{row}"

    def browser(self, server: int) -> httpx.Client:
        return httpx.Client(base_url=self.urls[server % 2], headers=SAME_ORIGIN, timeout=60, trust_env=False)

    def redeem(self, browser: httpx.Client, link_id: str, secret: str) -> str | None:
        """The guest's token, or None when the link does not admit him."""
        answer = browser.post(f"/l/{link_id}", data={"secret": secret})
        if answer.status_code >= 500:
            raise RuntimeError(f"POST /l/… was answered {answer.status_code}: {answer.text[:300]}")
        return answer.cookies.get(GUEST_COOKIE)

    def empty_database(self, folder: Path) -> str:
        """The address of an empty database of the same kind."""
        return self.postgres.create(f"restored_{new_id()}") if self.postgres else f"sqlite:///{folder / 'restored.db'}"


@contextmanager
def founded(engine: str, folder: Path, *, durable: bool = False) -> Iterator[Stage]:
    """A stage on which no server runs. `durable`: PostgreSQL, too, waits for its disk."""
    with ExitStack() as stack:
        postgres = stack.enter_context(postgres_server(durable=durable)) if engine == "postgresql" else None
        url = postgres.create("iain") if postgres else f"sqlite:///{folder / 'iain.db'}"
        settings = Settings(var=folder / "var", database_url=url)
        settings.var.mkdir()
        database = open_database(url)
        stack.callback(database.close)
        upgrade(database)
        with database.writing() as session:
            centres = found_centres(session)
        world = World("", settings, database, centres, Sandbox().index_slide(SCAN))
        slide = world.add_slide(centres.caen, "26H01234")
        yield Stage(engine, database, settings, centres, world, slide, ("", ""), postgres)


@contextmanager
def empty_database(engine: str, folder: Path) -> Iterator[Database]:
    """An up-to-date database with nothing in it, of which no server knows."""
    with ExitStack() as stack:
        postgres = stack.enter_context(postgres_server()) if engine == "postgresql" else None
        database = open_database(postgres.create("empty") if postgres else f"sqlite:///{folder / 'empty.db'}")
        stack.callback(database.close)
        upgrade(database)
        yield database


@contextmanager
def stage(engine: str, folder: Path, program: Sequence[str] = ()) -> Iterator[Stage]:
    """`program`: what Python is to run in place of `iain`."""
    with ExitStack() as stack:
        on = stack.enter_context(founded(engine, folder))
        ports = free_port(), free_port()
        for port in ports:
            command = serving(on, port, program)
            ready = lambda port=port: accepts(port)  # noqa: E731
            stack.enter_context(running(command, log=folder / f"{port}.log", ready=ready))
        yield replace(on, urls=(f"http://127.0.0.1:{ports[0]}", f"http://127.0.0.1:{ports[1]}"))


def serving(on: Stage, port: int, program: Sequence[str] = ()) -> list[str]:
    """The command that serves the stage at a port."""
    iain = [sys.executable, *program] if program else [str(IAIN)]
    given = ["--var", str(on.settings.var), "--port", str(port), "--database-url", on.settings.database]
    return [*iain, "serve", *given]
