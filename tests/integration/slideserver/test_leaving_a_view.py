"""Who leaves a view closes its requests, and the server drops what of them it has not begun."""

import io
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import uvicorn
from fixtures.server import World
from fixtures.waiting import wait_until
from PIL import Image
from starlette.responses import PlainTextResponse

from slideserver import access, serving
from slideserver.sources import Sources
from slideserver.state import State
from slideserver.tiles import TileRoute
from tiler.cache import TileCache
from tiler.mosaic import Mosaic

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


class PatientCutter:
    """A cutter that does not go on until it may, and remembers how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.may_go_on = threading.Event()
        self.began = threading.Event()

    def prepare(self) -> None:
        """It is always ready."""

    def cut(self, slide_key: str, mosaic: Mosaic) -> bytes:
        self.asked += 1
        self.began.set()
        assert self.may_go_on.wait(60)
        out = io.BytesIO()
        Image.new("RGB", (mosaic.out.width, mosaic.out.height)).save(out, "JPEG")
        return out.getvalue()


@contextmanager
def tiles_of(state: State, cutter: PatientCutter) -> Iterator[tuple[TileRoute, int]]:
    """The tile route alone, behind a real server, with one cutter; and its port."""
    directory = state.settings.var / "slides"
    sources = Sources(state.database, state.store, cutter, TileCache(10**7), directory, max_open=4)
    route = TileRoute(
        PlainTextResponse("nothing else"),
        state.access,
        sources,
        state.shown,
        lambda scope, status, sentence=None: PlainTextResponse(sentence or "", status),
        cutters=1,
        base_url="",
    )
    stop = threading.Event()
    state.access.read_epoch()  # as a server does before it listens; without it the first tile may be answered 503
    server = uvicorn.Server(uvicorn.Config(route, lifespan="off", log_config=None))
    with serving.bind("127.0.0.1", 0) as listener:
        threads = [
            threading.Thread(target=state.access.watch, args=(stop,)),
            threading.Thread(target=server.run, kwargs={"sockets": [listener]}),
        ]
        for thread in threads:
            thread.start()
        try:
            wait_until(lambda: server.started, "the server")
            yield route, listener.getsockname()[1]
        finally:
            cutter.may_go_on.set()
            stop.set()
            server.should_exit = True
            for thread in threads:
                thread.join(60)
    sources.close()


def test_a_tile_that_nobody_waits_for_is_not_cut(world: World, state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "STALE_AFTER_S", 60)  # a machine under load may read the access epoch late
    slide = world.add_slide(world.centres.caen, "26H01234")
    cookies = "; ".join(f"{name}={value}" for name, value in world.signed_in("pathologiste.caen").cookies.items())
    cutter = PatientCutter()
    with tiles_of(state, cutter) as (route, port):

        def ask(what: str) -> socket.socket:
            connection = socket.create_connection(("127.0.0.1", port), timeout=60)
            head = f"GET /tiles/{slide.id}/{slide.version}/{what} HTTP/1.1\r\nHost: x\r\nCookie: {cookies}\r\n\r\n"
            connection.sendall(head.encode())
            return connection

        first = ask("1/0_0")
        assert cutter.began.wait(60)
        left = [ask(f"1/{col}_{row}") for col in range(4) for row in range(1, 4)]
        left += [ask(f"slide_files/12/9_{row}.jpeg") for row in range(3)]
        shared, stayed = ask("1/4_1"), ask("1/4_1")
        wait_until(lambda: len(route.cutting) == 17, "all cuts to begin")
        for connection in (*left, shared):
            connection.close()
        wait_until(lambda: len(route.cutting) == 2, "those that nobody waits for to leave")
        assert cutter.asked == 1
        cutter.may_go_on.set()
        for connection in (first, stayed):
            with connection, connection.makefile("rb") as answer:
                assert answer.readline() == b"HTTP/1.1 200 OK\r\n"
        wait_until(lambda: len(route.cutting) == 0, "the cuts to end")
        assert cutter.asked == 2, "the one that was begun, and the one that somebody still waits for"

        again = ask("1/0_1")
        with again, again.makefile("rb") as answer:
            assert answer.readline() == b"HTTP/1.1 200 OK\r\n", "whoever comes back is served"
        assert cutter.asked == 3
