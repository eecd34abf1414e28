"""The order of things in a request, and that many of them get on together."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated

import anyio
import httpx
import pytest
from fastapi import Depends
from fixtures.server import World
from sqlalchemy import event

from sharing import sites
from sharing.db.engine import Session
from sharing.vocabulary import SiteId
from slideserver.deps import SessionDep, get_session

# What the pages and the API tell is the same on both engines; what they ask is tried on both beside `sharing`.
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def order_of_things(framework, state, path: str) -> list[str]:
    """What happens, in order, when `path` is POSTed: the endpoint, the commit, the answer leaving."""
    things: list[str] = []
    event.listen(state.database.engine, "commit", lambda _: things.append("commit"))

    async def recorded(scope, receive, send) -> None:
        async def note(message) -> None:
            if message["type"] == "http.response.start":
                things.append(f"answer {message['status']}")
            await send(message)

        await framework(scope, receive, note)

    async def post() -> None:
        transport = httpx.ASGITransport(recorded, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            await client.post(path)

    anyio.run(post)
    return things


def test_what_is_confirmed_is_stored(framework, state) -> None:
    @framework.post("/add")
    def add(session: SessionDep) -> None:
        sites.add_site(session, SiteId("brest"), "Brest")

    assert order_of_things(framework, state, "/add") == ["commit", "answer 200"]
    with state.database.reading() as session:
        assert [site.id for site in sites.list_sites(session)] == ["brest"]


def test_a_dependency_of_the_usual_kind_would_confirm_first(framework, state) -> None:
    """The control: the order above is our doing, not the framework's."""

    @framework.post("/add")
    def add(session: Annotated[Session, Depends(get_session)]) -> None:
        sites.add_site(session, SiteId("brest"), "Brest")

    assert order_of_things(framework, state, "/add") == ["answer 200", "commit"]


def test_what_fails_is_undone_before_the_answer(framework, state) -> None:
    @framework.post("/fail")
    def fail(session: SessionDep) -> None:
        sites.add_site(session, SiteId("brest"), "Brest")
        sites.add_site(session, SiteId("brest"), "Brest")

    assert order_of_things(framework, state, "/fail") == ["answer 409"]
    with state.database.reading() as session:
        assert sites.list_sites(session) == []


def test_reading_requests_cannot_write(framework, state) -> None:
    @framework.get("/add")
    def add(session: SessionDep) -> None:
        sites.add_site(session, SiteId("brest"), "Brest")

    async def get() -> int:
        transport = httpx.ASGITransport(framework, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return (await client.get("/add")).status_code

    assert anyio.run(get) == 500
    with state.database.reading() as session:
        assert sites.list_sites(session) == []


def test_more_writers_than_threads_all_get_their_turn(world: World) -> None:
    """A hundred requests that write at once, on forty threads: none may hold the thread another needs to finish."""
    browser = world.signed_in("responsable.caen")
    cookies = dict(browser.cookies)
    started = threading.Barrier(100)

    def ask() -> int:
        with httpx.Client(base_url=world.url, cookies=cookies, timeout=60, verify=False) as client:
            started.wait()
            return client.get("/api/audit?limit=1").status_code

    with ThreadPoolExecutor(100) as pool:
        statuses = [future.result() for future in [pool.submit(ask) for _ in range(100)]]
    assert statuses == [200] * 100


@pytest.mark.parametrize("path", ["/api/session", "/api/cases", "/cases", "/login", "/healthz", "/readyz"])
def test_pages_and_api_answer(world: World, path) -> None:
    assert world.signed_in("pathologiste.caen").get(path).status_code in (200, 303)
