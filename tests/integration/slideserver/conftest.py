from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from fixtures.centres import Centres
from fixtures.matrix.cells import Matrix
from fixtures.matrix.scene import Scene, scene
from fixtures.server import SCAN, World, running_server

from sharing.clock import FrozenClock, SystemClock
from sharing.db.engine import Database
from slideserver.app import create_framework
from slideserver.errors import Answers
from slideserver.pages import words
from slideserver.settings import Settings
from slideserver.state import State, open_state
from tiler.sandbox import IndexedSlide, Sandbox


@pytest.fixture(scope="session")
def sandbox() -> Sandbox:
    """Tried out once for all servers."""
    return Sandbox()


@pytest.fixture(scope="session")
def indexed(sandbox: Sandbox) -> IndexedSlide:
    """What a sandboxed worker says of the real scan, asked once."""
    return sandbox.index_slide(SCAN)


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    return Settings(var=tmp_path / "var", database_url=database_url, port=8000)


@pytest.fixture
def clock() -> SystemClock:
    """The time of the world, since the server counts in it too."""
    return SystemClock()


@pytest.fixture
def world(
    settings: Settings, database: Database, centres: Centres, indexed: IndexedSlide, sandbox: Sandbox
) -> Iterator[World]:
    """A running server; each test runs once on SQLite and once on PostgreSQL."""
    with running_server(settings, sandbox=sandbox) as url:
        world = World(url, settings, database, centres, indexed)
        yield world
        for client in world.clients:
            client.close()


@pytest.fixture
def state(settings: Settings, sandbox: Sandbox) -> Iterator[State]:
    """The parts of a server whose threads do not run."""
    state = open_state(settings, words.install, sandbox=sandbox)
    yield state
    state.close()


@pytest.fixture
def framework(state: State) -> FastAPI:
    """The FastAPI part of a server, to look at or to add to."""
    return create_framework(state, Answers(state))


@pytest.fixture
def stage(
    database_url: str, centres: Centres, tmp_path: Path, indexed: IndexedSlide, sandbox: Sandbox, clock: SystemClock
) -> Iterator[Scene]:
    """Everybody there is, and something of Caen that is shared in every way; an application without a server."""
    with scene(database_url, centres, tmp_path / "var", indexed, sandbox, FrozenClock(clock.now_us())) as stage:
        yield stage


@pytest.fixture
def matrix(stage: Scene) -> Matrix:
    return Matrix(stage)
