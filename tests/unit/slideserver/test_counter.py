"""Those who wait at a counter are answered together."""

import asyncio
import threading
from collections.abc import Sequence

import pytest

from sharing.errors import BusyError
from slideserver.counter import Counter


class Clerk:
    """Answers with the double; holds the first batch until it is told to go on."""

    def __init__(self, problem: Exception | None = None) -> None:
        self.problem = problem or ValueError("thirteen")
        self.batches: list[list[int]] = []
        self.busy = threading.Event()
        self.go_on = threading.Event()

    def answer(self, questions: Sequence[int]) -> dict[int, int]:
        self.batches.append([*questions])
        self.busy.set()
        assert self.go_on.wait(60)
        if 13 in questions:
            raise self.problem
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


@pytest.mark.parametrize(("apart_s", "batches"), [(0.3, [[1], [2, 3]]), (0, [[1], [2], [3]])])
def test_who_comes_soon_after_another_waits_for_company(apart_s: float, batches: list[list[int]]) -> None:
    clerk = Clerk()
    clerk.go_on.set()

    async def scene() -> list[int]:
        counter: Counter[int, int] = Counter(clerk.answer, turns=1, together=10, apart_s=apart_s)
        first = await counter.ask(1)
        clerk.busy.clear()
        second = asyncio.ensure_future(counter.ask(2))
        await asyncio.to_thread(clerk.busy.wait, 0.1)
        return [first, *await asyncio.gather(second, counter.ask(3))]

    assert asyncio.run(scene()) == [2, 4, 6]
    assert clerk.batches == batches


def test_what_answering_one_raises_reaches_nobody_else() -> None:
    clerk = Clerk()
    first, second, third, last = asked(clerk, 1, [13, 2, 3], together=2)
    assert (first, third, last) == (2, 4, 6)
    assert isinstance(second, ValueError)
    assert clerk.batches == [[1], [13, 2], [13], [2], [3]]


def test_a_busy_database_is_waited_for_once_not_by_each_alone() -> None:
    clerk = Clerk(BusyError("busy"))
    first, second, third = asked(clerk, 1, [13, 2], together=2)
    assert first == 2
    assert isinstance(second, BusyError)
    assert isinstance(third, BusyError)
    assert clerk.batches == [[1], [13, 2]]


def test_who_comes_at_the_moment_the_last_was_served_is_served() -> None:
    """The task that served has ended then, and the loop has not yet told anybody."""

    async def scene() -> int:
        counter: Counter[int, int] = Counter(lambda questions: {each: each for each in questions}, turns=1, together=10)
        early = asyncio.ensure_future(counter.ask(1))
        await asyncio.sleep(0)
        (serving,) = counter._serving
        while not serving.done():
            await asyncio.sleep(0)
        assert not early.done()
        async with asyncio.timeout(10):
            return await counter.ask(2)

    assert asyncio.run(scene()) == 2


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
