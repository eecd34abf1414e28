"""Work is shared by those who wait for it, done in turn, and dropped when nobody waits for it any more."""

import asyncio
import threading
from collections.abc import Coroutine

import pytest

from slideserver.errands import Errands


class Cutter:
    """Work that waits until it may end, and notes what it was asked for."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.may_end = threading.Event()
        self.at_once = self.most_at_once = 0
        self._lock = threading.Lock()

    def cut(self, name: str) -> bytes:
        with self._lock:
            self.begun.append(name)
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        assert self.may_end.wait(60)
        with self._lock:
            self.at_once -= 1
        return name.encode()


@pytest.fixture
def cutter():
    cutter = Cutter()
    yield cutter
    cutter.may_end.set()


async def until(condition) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.001)


def ask(errands: Errands, cutter: Cutter, name: str) -> asyncio.Task[bytes]:
    work: Coroutine[None, None, bytes] = errands.run(name, lambda: cutter.cut(name))
    return asyncio.ensure_future(work)


def test_one_does_it_for_all_who_ask(cutter: Cutter) -> None:
    async def story() -> None:
        errands = Errands(2)
        asked = [ask(errands, cutter, "a") for _ in range(5)]
        await until(lambda: cutter.begun)
        cutter.may_end.set()
        assert await asyncio.gather(*asked) == [b"a"] * 5
        assert cutter.begun == ["a"]
        assert len(errands) == 0

    asyncio.run(story())


def test_no_more_at_once_than_were_said_and_in_turn(cutter: Cutter) -> None:
    async def story() -> None:
        errands = Errands(2)
        asked = [ask(errands, cutter, name) for name in "abcdef"]
        await until(lambda: len(cutter.begun) == 2)
        cutter.may_end.set()
        await asyncio.gather(*asked)
        assert sorted(cutter.begun) == list("abcdef")
        assert set(cutter.begun[:2]) == {"a", "b"}
        assert cutter.most_at_once == 2

    asyncio.run(story())


def test_what_nobody_waits_for_is_never_begun(cutter: Cutter) -> None:
    async def story() -> None:
        errands = Errands(1)
        first, left, kept = (ask(errands, cutter, name) for name in "abc")
        await until(lambda: cutter.begun)
        left.cancel()
        await until(left.done)
        cutter.may_end.set()
        assert await asyncio.gather(first, kept) == [b"a", b"c"]
        assert cutter.begun == ["a", "c"]
        assert len(errands) == 0

    asyncio.run(story())


def test_one_of_two_who_leaves_takes_nothing_from_the_other(cutter: Cutter) -> None:
    async def story() -> None:
        errands = Errands(1)
        first = ask(errands, cutter, "a")
        await until(lambda: cutter.begun)
        leaving, staying = ask(errands, cutter, "b"), ask(errands, cutter, "b")
        await until(lambda: len(errands) == 2)
        leaving.cancel()
        cutter.may_end.set()
        assert await asyncio.gather(first, staying) == [b"a", b"b"]

    asyncio.run(story())


def test_what_is_begun_is_finished_and_holds_its_turn(cutter: Cutter) -> None:
    async def story() -> None:
        errands = Errands(1)
        left = ask(errands, cutter, "a")
        await until(lambda: cutter.begun)
        left.cancel()
        await until(left.done)
        again, other = ask(errands, cutter, "a"), ask(errands, cutter, "b")
        await until(lambda: len(errands) == 2)
        assert cutter.begun == ["a"], "whoever comes back shares what is being done"
        cutter.may_end.set()
        assert await asyncio.gather(again, other) == [b"a", b"b"]
        assert (cutter.begun, cutter.most_at_once) == (["a", "b"], 1)

    asyncio.run(story())


def test_a_failure_is_everybodys_and_is_tried_again_by_the_next() -> None:
    tries: list[int] = []

    def fail() -> bytes:
        tries.append(1)
        raise ValueError("no")

    async def story() -> None:
        errands = Errands(1)
        both = await asyncio.gather(errands.run("a", fail), errands.run("a", fail), return_exceptions=True)
        assert [type(one) for one in both] == [ValueError, ValueError]
        assert len(tries) == 1
        with pytest.raises(ValueError, match="no"):
            await errands.run("a", fail)
        assert len(tries) == 2
        assert len(errands) == 0

    asyncio.run(story())
