"""The short cut on real sockets, beside uvicorn's own protocol: what a short cut into the socket could get wrong.

Small buffers on both sides make most answers larger than what a socket takes at once.
"""

import asyncio
import os
import socket
import struct
from collections.abc import Iterator
from itertools import pairwise
from types import SimpleNamespace

import pytest
import uvloop
from fixtures.wire import Wire, dated, two_ways
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from uvicorn.server import ServerState

from slideserver import fastpath

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

TIMEOUT_S = 30
# Less than a tile. A client with much less would wait for timers of TCP (RFC 9293 §3.8.6.1) most of the time.
SEND_BUFFER, RECEIVE_BUFFER = 1, 8192


class Harbour:
    """A listening socket for each of both ways, and those who come to them."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.faults: list[dict[str, object]] = []
        wire.loop.set_exception_handler(lambda _, context: self.faults.append(context))
        self._servers = []
        self.states: dict[bool, ServerState] = {}
        self._ports: dict[bool, int] = {}
        for short in (True, False):
            self._listen(short)

    def _listen(self, short: bool) -> None:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)  # inherited by what it accepts
        listener.bind(("127.0.0.1", 0))
        state = self.states[short] = ServerState()
        kind = self.wire.short if short else self.wire.ordinary
        server = self.wire.loop.create_server(lambda: self.wire.protocol(kind, state), sock=listener)
        self._servers.append(self.wire.loop.run_until_complete(server))
        self._ports[short] = listener.getsockname()[1]

    async def dial(self, short: bool) -> socket.socket:
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        client.setblocking(False)
        await self.wire.loop.sock_connect(client, ("127.0.0.1", self._ports[short]))
        return client

    async def talk(self, short: bool, pieces: list[bytes], gulp: int = 4096, *, patient: bool = False) -> bytes:
        """All that is answered to what is sent in these pieces, read up to `gulp` bytes at a time until the server
        closes. A patient one sends the next piece when something came in answer to the last."""
        client = await self.dial(short)
        heard = bytearray()
        came = asyncio.Event()

        async def send() -> None:
            for piece in pieces:
                came.clear()
                await self.wire.loop.sock_sendall(client, piece)
                await (came.wait() if patient else asyncio.sleep(0))

        with client:
            sending = asyncio.ensure_future(send())
            while more := await self.wire.loop.sock_recv(client, gulp):
                heard += more
                came.set()
            sending.cancel()
        return bytes(heard)

    async def silence(self, short: bool) -> None:
        """Until no connection is left, and nothing that is still being done."""
        while self.states[short].connections or self.states[short].tasks:
            await asyncio.sleep(0.001)

    def run(self, work):
        return self.wire.loop.run_until_complete(asyncio.wait_for(work, TIMEOUT_S))

    def close(self) -> None:
        for server in self._servers:
            server.close()
            self.run(server.wait_closed())
        assert self.faults == []


@pytest.fixture
def harbour(settings, database, centres, indexed) -> Iterator[Harbour]:
    with two_ways(uvloop.new_event_loop(), settings, database, centres, indexed) as wire:
        harbour = Harbour(wire)
        yield harbour
        harbour.close()


@pytest.fixture
def short_writes(monkeypatch) -> list[int]:
    """How many bytes each write straight into a socket took that did not take all."""
    seen = []

    def writev(fd, parts):
        taken = 0
        try:
            taken = os.writev(fd, parts)
        finally:
            if taken < sum(map(len, parts)):
                seen.append(taken)
        return taken

    monkeypatch.setattr(fastpath, "os", SimpleNamespace(writev=writev))
    return seen


def test_a_slow_reader_gets_every_byte(harbour, short_writes):
    wire = harbour.wire
    requests = [wire.get(address, more="Accept: image/*\r\n") for address in ("0/0_0", "0/3_2", "0/0_0", "0/3_2")]
    requests.append(wire.get(more="Connection: close\r\n"))
    heard = harbour.run(harbour.talk(True, requests, 257, patient=True))
    assert len(wire.calls) < len(requests)
    assert heard == harbour.run(harbour.talk(False, requests, patient=True))
    assert min(short_writes) > 0, "every answer fitted into the socket, so nothing was shown"


LONG = "X-Long: " + "x" * 3000 + "\r\n"
HEADERS = st.sampled_from(["", "", "", "Range: bytes=0-9\r\n", "If-None-Match: {etag}\r\n", "Accept: */*\r\n", LONG])
ADDRESSES = st.sampled_from(["0/0_0", "0/3_2", "0/3_2", "0/999_0", "thumbnail"])
METHODS = st.sampled_from(["GET", "GET", "GET", "HEAD"])


@st.composite
def streams(draw, wire: Wire) -> tuple[list[bytes], bool]:
    """Some requests, the last of which ends the connection, one after the other or cut into pieces anywhere."""
    asked = draw(st.lists(st.tuples(METHODS, ADDRESSES, HEADERS), max_size=6))
    requests = [
        wire.get(address, more=more.format(etag=wire.etag)).replace(b"GET", method.encode(), 1)
        for method, address, more in asked
    ]
    requests.append(wire.get(more="Connection: close\r\n"))
    if draw(st.booleans()):
        return requests, True
    stream = b"".join(requests)
    cuts = sorted({0, len(stream), *draw(st.lists(st.integers(0, len(stream)), max_size=8))})
    return [stream[start:end] for start, end in pairwise(cuts)], False


def test_both_ways_send_the_same_bytes_however_they_are_asked_and_read(harbour, short_writes):
    taken = 0

    @settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
    @given(streams(harbour.wire), st.integers(64, 20_000))
    def compare(stream, gulp):
        nonlocal taken
        heard, reached = [], []
        for short in (True, False):
            harbour.wire.calls.clear()
            pieces, patient = stream
            heard.append(dated(harbour.run(harbour.talk(short, pieces, gulp, patient=patient))))
            reached.append(len(harbour.wire.calls))
        assert heard[0] == heard[1]
        taken += reached[1] - reached[0]

    compare()
    assert taken > 10, "the short cut was hardly taken, so the comparison says nothing"
    assert short_writes


def test_readers_who_go_away_in_the_middle_leave_nothing_behind(harbour):
    wire = harbour.wire
    before = len(os.listdir("/proc/self/fd"))

    async def leave(read: int, reset: bool):
        client = await harbour.dial(True)
        with client:
            await wire.loop.sock_sendall(client, wire.get("0/3_2") * 3)
            if read:
                await wire.loop.sock_recv(client, read)
            if reset:  # what has not been read is thrown away, and the server is told so
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    async def crowd():
        await asyncio.gather(*(leave(read, reset) for read in (0, 1, 700, 5000) for reset in (True, False)))
        await harbour.silence(True)

    for _ in range(5):
        harbour.run(crowd())
    assert len(os.listdir("/proc/self/fd")) == before
    whole_answer = harbour.run(harbour.talk(True, [wire.get(more="Connection: close\r\n")]))
    assert whole_answer.startswith(b"HTTP/1.1 200 OK\r\n")


def test_one_who_does_not_read_stops_nobody_else_and_is_asked_to_wait(harbour):
    """He asks for a hundred tiles and reads none: what waits for him stays bounded, and others are served."""
    wire = harbour.wire

    async def neighbours():
        idle = await harbour.dial(True)
        with idle:
            for _ in range(100):
                await wire.loop.sock_sendall(idle, wire.get("0/3_2"))
                await asyncio.sleep(0)
            answers = [await harbour.talk(True, [wire.get(), wire.get(more="Connection: close\r\n")])]
            [protocol] = harbour.states[True].connections
            assert protocol.transport.get_write_buffer_size() < 1 << 18
        return answers

    [answer] = harbour.run(neighbours())
    assert answer.count(b"HTTP/1.1 200 OK\r\n") == 2
    harbour.run(harbour.silence(True))
