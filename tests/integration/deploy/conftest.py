from collections.abc import Iterator
from pathlib import Path

import pytest
from fixtures.profiles import matrix_profile
from fixtures.server import SCAN, World

from sharing.clock import SystemClock
from sharing.db.engine import Database, open_database
from sharing.vocabulary import new_id
from slideserver.settings import Settings
from tiler.icc import rebuilt
from tiler.sandbox import IndexedSlide, Sandbox


@pytest.fixture
def clock() -> SystemClock:
    """Programs of their own live in today's time, so what is written before they start must too."""
    return SystemClock()


@pytest.fixture(scope="session")
def indexed() -> IndexedSlide:
    return Sandbox().index_slide(SCAN)


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    settings = Settings(var=tmp_path / "var", database_url=database_url)
    settings.var.mkdir()
    return settings


@pytest.fixture
def world(settings: Settings, database: Database, centres, indexed: IndexedSlide) -> World:
    """A data directory and a database with one ready slide at each of two centres; no server runs."""
    world = World("", settings, database, centres, indexed)
    coloured = world.add_slide(centres.caen, "26H01234")
    (settings.var / "slides" / coloured.id / "profile.icc").write_bytes(rebuilt(matrix_profile(2, b"")))
    world.add_slide(centres.rouen, "26R00077")
    return world


@pytest.fixture
def empty_url(request: pytest.FixtureRequest, database_url: str, tmp_path: Path) -> Iterator[str]:
    """The address of an empty database of the same kind."""
    if database_url.startswith("sqlite"):
        yield f"sqlite:///{tmp_path}/restored.db"
    else:
        server = request.getfixturevalue("postgres")
        name = f"iain_{new_id()}"
        yield server.create(name)
        server.drop(name)


@pytest.fixture
def restored(empty_url: str) -> Iterator[Database]:
    """What was restored at `empty_url`; to be used after the restore."""
    database = open_database(empty_url)
    yield database
    database.close()
