"""The body of a request on its way to the disk: the next megabyte is received while the last is written and hashed."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import TypeVar

import anyio
from starlette.types import Receive

Answer = TypeVar("Answer")

WRITE_BYTES = 1024 * 1024


async def take(receive: Receive, write: Callable[[bytes], None], movers: Executor, *, stall_s: float) -> bool:
    """Gives the body to `write`, in the threads of `movers` and never in two at once; raises what `write` raises.

    False when the body was cut, or nothing came for `stall_s` seconds; what had come before was written.
    """
    batch, whole = await _batch(receive, stall_s)
    while whole is None:
        # The parts as they came: to join them would be one copy more.
        moving = asyncio.wrap_future(movers.submit(_write_all, write, batch))
        try:
            batch, whole = await _batch(receive, stall_s)
        finally:
            await _done(moving)
        moving.result()
    await in_turn(movers, _write_all, write, batch)
    return whole


async def in_turn(movers: Executor, work: Callable[..., Answer], *args: object) -> Answer:
    """What `work` answers in one of these threads, waited for even when whoever asked is gone."""
    moving = asyncio.wrap_future(movers.submit(work, *args))
    await _done(moving)
    return moving.result()


async def _done(moving: asyncio.Future[Answer]) -> None:
    with anyio.CancelScope(shield=True):  # nobody else may touch the file before the thread is done with it
        await asyncio.wait((moving,))


async def _batch(receive: Receive, stall_s: float) -> tuple[list[bytes], bool | None]:
    """What comes next, a megabyte or less, and how the body ended with it: whole, cut, or not yet (None)."""
    batch: list[bytes] = []
    length = 0
    while length < WRITE_BYTES:
        message = None
        with anyio.move_on_after(stall_s):
            message = await receive()
        if message is None or message["type"] == "http.disconnect":
            return batch, False
        if part := message.get("body", b""):
            batch.append(part)
            length += len(part)
        if not message.get("more_body", False):
            return batch, True
    return batch, None


def _write_all(write: Callable[[bytes], None], batch: Sequence[bytes]) -> None:
    for part in batch:
        write(part)
