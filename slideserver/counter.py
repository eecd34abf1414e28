"""Where requests wait for what costs a transaction however many wait for it: all who wait are answered together.

When one question of many cannot be answered, the others are asked again one by one: nobody suffers from a stranger's.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import Generic, TypeVar

from anyio import CapacityLimiter, to_thread
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as NoConnectionError

from sharing.db.engine import is_deadlock
from sharing.errors import BusyError

Question = TypeVar("Question")
Answer = TypeVar("Answer")

CONCERNS_ALL = BusyError, OperationalError, NoConnectionError
"""The database cannot be had. To ask it for each alone would let everybody wait as often as there are others."""


class Counter(Generic[Question, Answer]):
    """Hands what is asked to `answer`, in a thread: at once where nobody is being answered, else with all that is asked
    meanwhile, up to `together` at once, in up to `turns` threads. To be used on one event loop.

    With `apart_s`, so long lies between the beginnings of two answers at least: what comes in one by one, but quickly,
    is answered together too, and costs little more than one."""

    def __init__(
        self,
        answer: Callable[[Sequence[Question]], Mapping[Question, Answer]],
        *,
        turns: int,
        together: int,
        apart_s: float = 0,
    ) -> None:
        self._answer = answer
        self._together = together
        self._apart_s = apart_s
        self._next_at = 0.0
        self._threads = CapacityLimiter(turns)
        self._free = turns
        self._waiting: dict[Question, asyncio.Future[Answer]] = {}
        self._serving: set[asyncio.Task[None]] = set()

    async def ask(self, question: Question) -> Answer:
        """The answer, or what answering raised. Who asks the same before it is taken up shares the answer."""
        future = self._waiting.get(question)
        if future is None:
            future = self._waiting[question] = asyncio.get_running_loop().create_future()
            if self._free:
                self._free -= 1
                serving = asyncio.ensure_future(self._serve())
                self._serving.add(serving)
                serving.add_done_callback(self._serving.discard)
        return await asyncio.shield(future)

    async def _serve(self) -> None:
        now = asyncio.get_running_loop().time
        try:
            while self._waiting:
                if (early_s := self._next_at - now()) > 0:
                    await asyncio.sleep(early_s)
                    continue  # somebody else may have answered them meanwhile
                self._next_at = now() + self._apart_s
                await self._tell(
                    {question: self._waiting.pop(question) for question in [*islice(self._waiting, self._together)]}
                )
        finally:
            # Not when the loop gets round to telling that this task is done: who came in between would wait for nobody.
            self._free += 1

    async def _tell(self, batch: Mapping[Question, asyncio.Future[Answer]]) -> None:
        try:
            answers = await to_thread.run_sync(self._answer, [*batch], limiter=self._threads)
            for question, future in batch.items():
                future.set_result(answers[question])
        except Exception as error:
            if len(batch) > 1 and (is_deadlock(error) or not isinstance(error, CONCERNS_ALL)):
                for question, future in batch.items():
                    await self._tell({question: future})
            else:
                for future in batch.values():
                    future.set_exception(error)
        finally:  # the server stops
            for future in batch.values():
                future.cancel()
