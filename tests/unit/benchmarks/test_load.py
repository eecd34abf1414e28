"""The compiled load generator against a server that notes what it is asked, and answers as it is told to."""

import asyncio
import threading
import time
from collections import Counter
from concurrent.futures import Future
from contextlib import contextmanager

import pytest

from benchmarks.tiles.load import Generator, LoadError, Pattern, Target

TILE = b"\xff\xd8 tile \xff\xd9"
COOKIES = ("session=a", "session=b", "session=c")


class Server:
    """Answers every request with `body`; `log` holds (connection, path, cookie) in the order of arrival."""

    def __init__(self):
        self.body, self.status, self.log, self.pause_s = TILE, "200 OK", [], 0.0
        self._connections = 0

    async def _serve(self, reader, writer):
        number = self._connections = self._connections + 1
        try:
            while request := await reader.readline():
                path, cookie = request.decode().split()[1], ""
                while (line := await reader.readline()) not in (b"\r\n", b""):
                    if line.lower().startswith(b"cookie:"):
                        cookie = line[7:].strip().decode()
                self.log.append((number, path, cookie))
                pause_s, self.pause_s = self.pause_s, 0.0
                if pause_s:  # whoever asks first; nobody else is heard meanwhile
                    time.sleep(pause_s)
                writer.write(f"HTTP/1.1 {self.status}\r\nContent-Length: {len(self.body)}\r\n\r\n".encode() + self.body)
        except ConnectionError:
            pass
        finally:
            writer.close()

    async def _run(self, port, stop):
        async with await asyncio.start_server(self._serve, "127.0.0.1", 0) as server:
            port.set_result(server.sockets[0].getsockname()[1])
            await asyncio.to_thread(stop.wait)

    @contextmanager
    def running(self):
        port, stop = Future(), threading.Event()
        thread = threading.Thread(target=lambda: asyncio.run(self._run(port, stop)))
        thread.start()
        try:
            yield port.result(timeout=60)
        finally:
            stop.set()
            thread.join()


@pytest.fixture(scope="module")
def generator(tmp_path_factory):
    return Generator(tmp_path_factory.mktemp("build"), tmp_path_factory.mktemp("scratch"))


@pytest.fixture
def server():
    return Server()


def targets(count):
    return [Target(f"/{number}", len(TILE)) for number in range(count)]


def test_each_connection_reads_a_group_under_one_credential_before_the_next(generator, server):
    with server.running() as port:
        load = generator.run(port, targets(80), COOKIES, Pattern("stream", 2, 5), seconds=10, requests=40)
    assert load.answers == 40
    begun = {int(path[1:]) // 5 for _, path, _ in server.log}
    assert begun == set(range(len(begun)))  # one after the other; whoever is slow may still be in an early one
    for _, path, cookie in server.log:
        assert cookie == COOKIES[int(path[1:]) // 5 % 3]
    for connection in (1, 2):
        asked = [int(path[1:]) for number, path, _ in server.log if number == connection]
        groups = [asked[at : at + 5] for at in range(0, len(asked), 5)]
        # The fortieth answer may come while the slower of the two is still in its last group.
        assert all(len(group) == 5 for group in groups[:-1])
        assert all(group == list(range(group[0], group[0] + len(group))) for group in groups)


def test_a_screen_is_fetched_over_all_connections_and_the_next_begins_when_it_is_whole(generator, server):
    with server.running() as port:
        load = generator.run(port, targets(70), COOKIES, Pattern("screens", 6, 35), seconds=10, requests=70)
    assert load.answers == 70
    screens = [int(path[1:]) // 35 for _, path, _ in server.log]
    assert screens == sorted(screens)
    assert {cookie for _, path, cookie in server.log if int(path[1:]) < 35} == {COOKIES[0]}
    assert len({connection for connection, _, _ in server.log}) == 6


def test_an_open_loop_counts_from_when_a_tile_fell_due(generator, server):
    server.pause_s = 0.5
    with server.running() as port:
        load = generator.run(port, targets(90), COOKIES, Pattern("open", 2, 4, 20_000), seconds=1.5)
    # A closed loop would have asked for one tile a connection during the half second, and seen six slow answers.
    assert load.p99_us > 350_000
    assert 20 < load.answers < 4 * 1.5 / 0.02 + 4
    readers = Counter(cookie for _, _, cookie in server.log)
    assert set(readers) == set(COOKIES)
    assert max(readers.values()) - min(readers.values()) <= 8


@pytest.mark.parametrize("mode", ["stream", "screens", "open"])
@pytest.mark.parametrize(
    ("status", "body", "problem"),
    [
        ("404 Not Found", TILE, "was answered: HTTP/1.1 404"),
        ("200 OK", TILE + b"x", "has length"),
        ("200 OK", b"x" * len(TILE), "is no JPEG"),
    ],
)
def test_a_wrong_answer_ends_the_run(generator, server, mode, status, body, problem):
    server.status, server.body = status, body
    with server.running() as port, pytest.raises(LoadError, match=problem):
        generator.run(port, targets(5), COOKIES, Pattern(mode, 2, 2, 1_000), seconds=5)


def test_a_server_that_has_everything_does_not_pass_the_proof(generator, server):
    with server.running() as port, pytest.raises(LoadError, match="took"):
        generator.prove(port, Target("/1", 0), COOKIES)
