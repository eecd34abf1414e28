from collections.abc import Iterator
from pathlib import Path

import pytest
from fixtures.centres import Centres
from fixtures.server import SCAN, World, running_server

from sharing.db.engine import Database, open_database
from slideserver.settings import Settings
from tiler.sandbox import IndexedSlide, Sandbox


@pytest.fixture(scope="session")
def indexed() -> IndexedSlide:
    """What a sandboxed worker says of the real scan, asked once."""
    return Sandbox().index_slide(SCAN)


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    return Settings(var=tmp_path / "var", database_url=database_url, port=8000)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """In the time of the world, since the server counts in it too."""
    database = open_database(database_url)
    yield database
    database.close()


@pytest.fixture
def world(settings: Settings, database: Database, centres: Centres, indexed: IndexedSlide) -> Iterator[World]:
    """A running server; each test runs once on SQLite and once on PostgreSQL."""
    with running_server(settings) as url:
        world = World(url, settings, database, centres, indexed)
        yield world
        for client in world.clients:
            client.close()
