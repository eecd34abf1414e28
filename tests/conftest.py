"""What all tests share: a clock that stands still, both databases, and three centres with people in them."""

import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from fixtures.centres import Centres
from fixtures.passing import PassingClock
from fixtures.postgres import PostgresServer, postgres_server
from fixtures.templates import Templates

from sharing.clock import Clock
from sharing.db.engine import Database, open_database
from sharing.db.migrations import upgrade
from sharing.vocabulary import new_id

TEMPLATE = "iain_template"
# A shell starts what it puts into the background with Ctrl-C ignored, and so would be all that the tests start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
pytest_plugins = ["fixtures.slides", "fixtures.figures", "pytester"]


@pytest.fixture
def clock() -> PassingClock:
    return PassingClock()


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


@pytest.fixture(scope="session")
def templates() -> Templates:
    return Templates()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, templates: Templates, clock: Clock, tmp_path: Path) -> Iterator[str]:
    """The address of a migrated database of the test's own, empty but for the centres if the test wants them: for what
    runs in another process."""
    founded = "centres" in request.fixturenames
    if request.param == "sqlite":
        empty: Path = request.getfixturevalue("sqlite_template")

        def copy(name: str) -> str:
            shutil.copyfile(empty, empty.with_name(name))
            return f"sqlite:///{empty.with_name(name)}"

        template = templates.founded("sqlite", clock, copy) if founded else None
        path = tmp_path / "iain.db"
        shutil.copyfile(empty.with_name(template.name) if template else empty, path)
        url = f"sqlite:///{path}"
    else:
        server: PostgresServer = request.getfixturevalue("postgres")

        def create(name: str) -> str:
            return server.create(name, template=TEMPLATE)

        template = templates.founded("postgresql", clock, create) if founded else None
        name = f"iain_{new_id()}"
        url = server.create(name, template=template.name if template else TEMPLATE)
    if template:
        templates.centres[url] = template.centres
    yield url
    templates.centres.pop(url, None)
    if request.param == "postgresql":
        server.drop(name)


@pytest.fixture
def database(database_url: str, clock: Clock) -> Iterator[Database]:
    """A migrated database, empty but for the centres; each test runs once on SQLite and once on PostgreSQL."""
    database = open_database(database_url, clock)
    if isinstance(clock, PassingClock):
        clock.passes_for(database)
    yield database
    database.close()


@pytest.fixture
def centres(database_url: str, templates: Templates) -> Centres:
    """Caen, Rouen and Lille in `database`."""
    return templates.centres[database_url]
