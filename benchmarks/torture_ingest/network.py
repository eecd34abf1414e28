"""A network that has bad days: a TCP proxy on the loopback that cuts, resets, stalls, loses answers and delivers twice.

It knows nothing of HTTP. What befalls a connection is drawn when it is opened; once `mishaps` of them have happened the
network is a good one, so that whoever goes on arrives.
"""

import random
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import StrEnum

BUFFER_BYTES = 64 * 1024
STALLS_S = (0.1, 0.6)
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER with no time: closing sends RST


class Mishap(StrEnum):
    CUT = "cut"
    """Both directions end after some bytes."""
    RESET = "reset"
    """As a cut, but told as an error to both."""
    STALL = "stall"
    """Nothing goes on for a while."""
    DEAF = "deaf"
    """All is delivered, and no answer comes back."""
    TWICE = "twice"
    """All that was sent is delivered once more, by another connection."""


class Network:
    """`port` leads to `target` on this machine. `happened` counts the mishaps."""

    def __init__(self, target: int, chance: random.Random, mishaps: int, within_bytes: int) -> None:
        self._target, self._chance, self._within = target, chance, within_bytes
        self._left, self._lock = mishaps, threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.happened: Counter[Mishap] = Counter()

    def serve(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._connect, args=[client], daemon=True).start()

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _draw(self) -> tuple[Mishap | None, int]:
        """What befalls the next connection, and after how many bytes that were sent by it."""
        with self._lock:
            if not self._left or self._chance.random() < 0.2:
                return None, 1 << 62
            self._left -= 1
            mishap = self._chance.choice(list(Mishap))
            self.happened[mishap] += 1
            return mishap, self._chance.randrange(1, self._within)

    def _connect(self, client: socket.socket) -> None:
        mishap, after = self._draw()
        with suppress(OSError):
            server = socket.create_connection(("127.0.0.1", self._target))
            line = _Line(client, server, mishap, after)
            threading.Thread(target=line.back, daemon=True).start()
            line.forth()
            if mishap is Mishap.TWICE:
                _deliver(self._target, bytes(line.sent))


class _Line:
    """One connection with its mishap."""

    def __init__(self, client: socket.socket, server: socket.socket, mishap: Mishap | None, after: int) -> None:
        self._client, self._server, self._mishap, self._after = client, server, mishap, after
        self._passed = 0
        self.sent = bytearray()

    def forth(self) -> None:
        """From the client to the server, to the end of either."""
        with suppress(OSError):
            while data := self._client.recv(BUFFER_BYTES):
                before, self._passed = self._passed, self._passed + len(data)
                if self._mishap is Mishap.TWICE and self._passed <= self._after:
                    self.sent += data
                if before < self._after <= self._passed and not self._befall(data[: self._after - before]):
                    return
                self._server.sendall(data)
        _end(self._server, self._client)

    def back(self) -> None:
        with suppress(OSError):
            while data := self._server.recv(BUFFER_BYTES):
                if self._mishap is Mishap.DEAF and self._passed >= self._after:
                    break
                self._client.sendall(data)
        _end(self._client, self._server)

    def _befall(self, last: bytes) -> bool:
        """Whether the connection goes on."""
        match self._mishap:
            case Mishap.STALL:
                time.sleep(random.uniform(*STALLS_S))
            case Mishap.CUT | Mishap.RESET:
                self._server.sendall(last)
                if self._mishap is Mishap.RESET:
                    for end in (self._client, self._server):
                        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                        end.shutdown(socket.SHUT_RD)  # wakes the other thread, which would keep it open
                        end.close()
                else:
                    _end(self._server, self._client)
                return False
        return True


def _deliver(port: int, data: bytes) -> None:
    """Sends this to the server and listens to no answer."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=2) as again:
        again.sendall(data)
        again.shutdown(socket.SHUT_WR)
        while again.recv(BUFFER_BYTES):
            continue


def _end(*ends: socket.socket) -> None:
    for end in ends:
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
        end.close()


@contextmanager
def bad_network(target: int, chance: random.Random, *, mishaps: int, within_bytes: int) -> Iterator[Network]:
    """A proxy before the port `target`. Each mishap comes within the first `within_bytes` bytes of a connection."""
    network = Network(target, chance, mishaps, within_bytes)
    threading.Thread(target=network.serve, daemon=True).start()
    try:
        yield network
    finally:
        network.close()
