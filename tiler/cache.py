"""Derived tiles in memory: bounded by bytes, least recently used first out, each made once at a time."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future


class TileCache:
    """Safe to use from several threads."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.size_bytes = 0
        self._held: OrderedDict[Hashable, bytes] = OrderedDict()
        self._making: dict[Hashable, Future[bytes]] = {}
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> bytes | None:
        """The bytes if they are held; never waits for somebody who is making them."""
        with self._lock:
            data = self._held.get(key)
            if data is not None:
                self._held.move_to_end(key)
            return data

    def get_or_make(self, key: Hashable, make: Callable[[], bytes]) -> bytes:
        """The held bytes, or those of `make`, called by one thread while the others wait for it and share its
        outcome."""
        with self._lock:
            data = self._held.get(key)
            if data is not None:
                self._held.move_to_end(key)
                return data
            future = self._making.get(key)
            mine = future is None
            if future is None:
                future = self._making[key] = Future()
        if not mine:
            return future.result()
        try:
            data = make()
        except BaseException as error:
            with self._lock:
                del self._making[key]
            future.set_exception(error)
            raise
        with self._lock:
            del self._making[key]
            self._keep(key, data)
        future.set_result(data)
        return data

    def _keep(self, key: Hashable, data: bytes) -> None:
        if len(data) > self.max_bytes:
            return
        self._held[key] = data
        self.size_bytes += len(data)
        while self.size_bytes > self.max_bytes:
            _, oldest = self._held.popitem(last=False)
            self.size_bytes -= len(oldest)
