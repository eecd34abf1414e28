"""Work that requests wait for in threads, and that is dropped when none of them waits any more.

Who leaves a view behind closes its requests. What of them has not begun by then must not keep the next view waiting.
"""

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from dataclasses import dataclass

from anyio import CapacityLimiter, to_thread
from starlette.types import Receive


class GoneError(Exception):
    """Nobody waits for the answer any more."""


@dataclass(slots=True)
class _Errand:
    task: asyncio.Task[bytes]
    waiting: int = 0
    begun: bool = False


class Errands:
    """At most `most` at once, in the order in which they were asked for. To be used on one event loop."""

    def __init__(self, most: int) -> None:
        self._turns = CapacityLimiter(most)
        self._threads = CapacityLimiter(most)  # one for each turn: nobody waits for these
        self._going: dict[Hashable, _Errand] = {}

    def __len__(self) -> int:
        """How many are being done or wait for their turn."""
        return len(self._going)

    async def run(self, key: Hashable, call: Callable[[], bytes]) -> bytes:
        """What `call` gives, or raises. Those who come with the same key meanwhile share it, and need no call of their
        own. Cancelled before its turn, it is only called if somebody else waits too."""
        errand = self._going.get(key)
        if errand is None:
            errand = self._going[key] = _Errand(asyncio.ensure_future(self._do(key, call)))
        errand.waiting += 1
        try:
            return await asyncio.shield(errand.task)
        finally:
            errand.waiting -= 1
            if not errand.waiting and not errand.begun and not errand.task.done():
                errand.task.cancel()
                del self._going[key]

    async def _do(self, key: Hashable, call: Callable[[], bytes]) -> bytes:
        async with self._turns:
            errand = self._going[key]
            errand.begun = True
            try:
                return await to_thread.run_sync(call, limiter=self._threads)
            finally:
                del self._going[key]


async def unless_gone(receive: Receive, work: Coroutine[None, None, bytes]) -> bytes:
    """The outcome of `work`, which is cancelled when the connection closes first. Raises GoneError then."""
    working, leaving = asyncio.ensure_future(work), asyncio.ensure_future(_left(receive))
    try:
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        leaving.result()
        raise GoneError
    finally:
        working.cancel()
        leaving.cancel()


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
