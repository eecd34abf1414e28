"""A platform that takes uploads: database, blob store and the real routes on a real port."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from fixtures.centres import Centres
from fixtures.tus import Tus
from fixtures.upload_server import make_uploads, serving

from ingest.receive import Uploads
from sharing.db.engine import Database


@pytest.fixture
def var(tmp_path: Path) -> Path:
    return tmp_path / "var"


@pytest.fixture
def uploads(database: Database, var: Path) -> Uploads:
    return make_uploads(database, var)


@pytest.fixture
def server(uploads: Uploads) -> Iterator[str]:
    with serving(uploads) as url:
        yield url


@pytest.fixture
def http() -> Iterator[httpx.Client]:
    with httpx.Client(timeout=60, verify=False) as client:
        yield client


@pytest.fixture
def caen(server: str, centres: Centres, http: httpx.Client) -> Tus:
    """The scanner of Caen."""
    return Tus(server, centres.caen.scanner_key, http)
