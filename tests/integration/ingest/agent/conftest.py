"""What the agent does does not depend on the server's database: SQLite alone, and a clock that runs."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from fixtures.centres import Centres, found_centres

from sharing.db.engine import Database, open_database


@pytest.fixture
def database(sqlite_template: Path, tmp_path: Path) -> Iterator[Database]:
    path = tmp_path / "iain.db"
    shutil.copyfile(sqlite_template, path)
    database = open_database(f"sqlite:///{path}")
    yield database
    database.close()


@pytest.fixture
def centres(database: Database) -> Centres:
    with database.writing() as session:
        return found_centres(session)
