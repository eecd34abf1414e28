"""Those who wait at a counter are answered together."""

import asyncio
import threading
from collections.abc import Sequence

import pytest

from slideserver.counter import Counter


class Clerk:
    """Answers with the double; holds the first batch until it is told to go on."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.busy = threading.Event()
        self.go_on = threading.Event()

    def answer(self, questions: Sequence[int]) -> dict[int, int]:
        self.batches.append([*questions])
        self.busy.set()
        assert self.go_on.wait(10)
        if 13 in questions:
            raise ValueError("thirteen")
        return {question: 2 * question for question in questions}


def asked(clerk: Clerk, first: int, others: Sequence[int], *, together: int, turns: int = 1) -> list[object]:
    """What `first`, and those who came while the clerk was busy with it, are told."""

    async def scene() -> list[object]:
        counter: Counter[int, int] = Counter(clerk.answer, turns=turns, together=together)
        early = asyncio.ensure_future(counter.ask(first))
        await asyncio.to_thread(clerk.busy.wait, 10)
        late = [asyncio.ensure_future(counter.ask(other)) for other in others]
        await asyncio.sleep(0)
        clerk.go_on.set()
        return await asyncio.gather(early, *late, return_exceptions=True)

    return asyncio.run(scene())


def test_who_comes_while_others_are_answered_is_answered_with_all_who_wait() -> None:
    clerk = Clerk()
    assert asked(clerk, 1, [2, 3, 4, 3], together=10) == [2, 4, 6, 8, 6]
    assert clerk.batches == [[1], [2, 3, 4]]


def test_no_more_at_once_than_may_be() -> None:
    clerk = Clerk()
    assert asked(clerk, 1, [2, 3, 4], together=2) == [2, 4, 6, 8]
    assert clerk.batches == [[1], [2, 3], [4]]


def test_where_another_is_free_nobody_waits() -> None:
    clerk = Clerk()
    assert asked(clerk, 1, [2], together=10, turns=2) == [2, 4]
    assert sorted(clerk.batches) == [[1], [2]]


def test_what_answering_raises_reaches_all_of_the_batch_and_nobody_else() -> None:
    clerk = Clerk()
    first, second, third, last = asked(clerk, 1, [13, 2, 3], together=2)
    assert (first, last) == (2, 6)
    assert isinstance(second, ValueError)
    assert isinstance(third, ValueError)


@pytest.mark.parametrize("gone", [1, 2])
def test_who_leaves_takes_nobody_along(gone: int) -> None:
    clerk = Clerk()

    async def scene() -> list[object]:
        counter: Counter[int, int] = Counter(clerk.answer, turns=1, together=10)
        tasks = [asyncio.ensure_future(counter.ask(1))]
        await asyncio.to_thread(clerk.busy.wait, 10)
        tasks += [asyncio.ensure_future(counter.ask(question)) for question in (2, 2, 3)]
        await asyncio.sleep(0)
        tasks[gone].cancel()
        await asyncio.sleep(0)
        clerk.go_on.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    told = asyncio.run(scene())
    assert isinstance(told.pop(gone), asyncio.CancelledError)
    assert told == [2, 4, 6]
