"""What all tests share: a clock that stands still, both databases, and three centres with people in them."""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from fixtures.centres import Centres, found_centres
from fixtures.postgres import PostgresServer, postgres_server

from sharing.clock import FrozenClock
from sharing.db.engine import Database, open_database
from sharing.db.migrations import upgrade
from sharing.vocabulary import new_id

TEMPLATE = "iain_template"
pytest_plugins = ["fixtures.slides", "fixtures.figures", "pytester"]


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated, empty SQLite file."""
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    database = open_database(f"sqlite:///{path}")
    upgrade(database)
    database.close()
    return path


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A server with a migrated, empty database called TEMPLATE."""
    with postgres_server() as server:
        database = open_database(server.create(TEMPLATE))
        upgrade(database)
        database.close()
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a migrated, empty database of the test's own: for what runs in another process."""
    if request.param == "sqlite":
        path = tmp_path / "iain.db"
        shutil.copyfile(request.getfixturevalue("sqlite_template"), path)
        yield f"sqlite:///{path}"
    else:
        server: PostgresServer = request.getfixturevalue("postgres")
        name = f"iain_{new_id()}"
        yield server.create(name, template=TEMPLATE)
        server.drop(name)


@pytest.fixture
def database(database_url: str, clock: FrozenClock) -> Iterator[Database]:
    """A migrated, empty database; each test runs once on SQLite and once on PostgreSQL."""
    database = open_database(database_url, clock)
    yield database
    database.close()


@pytest.fixture
def centres(database: Database) -> Centres:
    """Caen, Rouen and Lille in `database`."""
    with database.writing() as session:
        return found_centres(session)
