"""Real Chromium against the real program. Whatever a page complains about fails the test that opened it."""

import os
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from fixtures.centres import Centres
from fixtures.desk import DESK, Desk, Desks
from fixtures.platform import Platform, new_world
from playwright.sync_api import Browser, expect, sync_playwright

PATIENCE_MS = 30_000
"""How long a page may take to show something, on a machine that is busy with other tests: only a failure takes it."""


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Closed when the last test of this folder is done: as long as it lives, no other test can run an event loop."""
    with sync_playwright() as playwright:
        options = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=options)
        expect.set_options(timeout=PATIENCE_MS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Platform, Centres]]:
    """A running platform; the agent of Caen has pushed the real scan and a made one to the case 26H01234."""
    with new_world(tmp_path_factory.mktemp("browser")) as world:
        yield world


@pytest.fixture
def platform(world: tuple[Platform, Centres]) -> Platform:
    return world[0]


@pytest.fixture
def centres(world: tuple[Platform, Centres]) -> Centres:
    return world[1]


@pytest.fixture
def desk(browser: Browser, platform: Platform, centres: Centres) -> Iterator[Desks]:
    """Opens browsers that know nothing of each other: `desk()`, `desk(viewport=PHONE)`, `desk(locale="en-GB")`.

    Afterwards none of their pages may have broken its security policy or written an error to the console.
    """
    desks: list[Desk] = []
    with ExitStack() as opened:

        def new(**options: object) -> Desk:
            settings = {"viewport": DESK, "locale": "fr-FR", **options}
            context = browser.new_context(**settings)  # type: ignore[arg-type]
            opened.callback(context.close)
            desks.append(Desk(context, platform, centres))
            return desks[-1]

        yield new
    assert not [complaint for each in desks for complaint in each.complaints]
