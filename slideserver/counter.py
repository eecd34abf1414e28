"""A counter at which many may ask at once: all who wait are answered together."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import Generic, TypeVar

from anyio import CapacityLimiter, to_thread

Question = TypeVar("Question")
Answer = TypeVar("Answer")


class Counter(Generic[Question, Answer]):
    """Hands what is asked to `answer`, in a thread: at once where nobody is being answered, else with all that is asked
    meanwhile, up to `together` at once, in up to `turns` threads. To be used on one event loop."""

    def __init__(
        self, answer: Callable[[Sequence[Question]], Mapping[Question, Answer]], *, turns: int, together: int
    ) -> None:
        self._answer = answer
        self._together = together
        self._threads = CapacityLimiter(turns)
        self._turns = turns
        self._waiting: dict[Question, asyncio.Future[Answer]] = {}
        self._serving: set[asyncio.Task[None]] = set()

    async def ask(self, question: Question) -> Answer:
        """The answer, or what answering raised. Who asks the same before it is taken up shares the answer."""
        future = self._waiting.get(question)
        if future is None:
            future = self._waiting[question] = asyncio.get_running_loop().create_future()
            if len(self._serving) < self._turns:
                serving = asyncio.ensure_future(self._serve())
                self._serving.add(serving)
                serving.add_done_callback(self._serving.discard)
        return await asyncio.shield(future)

    async def _serve(self) -> None:
        while self._waiting:
            batch = {question: self._waiting.pop(question) for question in [*islice(self._waiting, self._together)]}
            try:
                answers = await to_thread.run_sync(self._answer, [*batch], limiter=self._threads)
                for question, future in batch.items():
                    future.set_result(answers[question])
            except Exception as error:
                for future in batch.values():
                    future.set_exception(error)
            finally:  # the server stops
                for future in batch.values():
                    future.cancel()
