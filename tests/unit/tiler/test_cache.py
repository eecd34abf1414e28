"""Bounded, least recently used first out, each thing made once at a time."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tiler.cache import TileCache


def test_what_was_made_is_kept() -> None:
    cache = TileCache(100)
    assert cache.get("a") is None
    assert cache.get_or_make("a", lambda: b"made") == b"made"
    assert cache.get_or_make("a", lambda: b"again") == b"made"
    assert cache.get("a") == b"made"


def test_the_least_recently_used_goes_first() -> None:
    cache = TileCache(10)
    for key in "abc":
        cache.get_or_make(key, lambda: b"xxxx")
        cache.get("a")
    assert cache.get("a") is not None
    assert cache.get("b") is None
    assert cache.size_bytes == 8


def test_what_is_larger_than_the_cache_is_not_kept() -> None:
    cache = TileCache(10)
    assert cache.get_or_make("big", lambda: bytes(11)) == bytes(11)
    assert cache.get("big") is None
    assert cache.size_bytes == 0


def test_many_who_ask_at_once_share_one_making() -> None:
    cache = TileCache(100)
    calls = []
    started, go = threading.Event(), threading.Event()

    def make() -> bytes:
        calls.append(1)
        started.set()
        assert go.wait(60)
        return b"made"

    with ThreadPoolExecutor(8) as threads:
        first = threads.submit(cache.get_or_make, "a", make)
        assert started.wait(60)
        others = [threads.submit(cache.get_or_make, "a", make) for _ in range(7)]
        assert cache.get("a") is None
        go.set()
        assert {one.result(60) for one in [first, *others]} == {b"made"}
    assert len(calls) == 1


def test_a_failure_is_shared_and_forgotten() -> None:
    cache = TileCache(100)

    def fail() -> bytes:
        raise OSError("no")

    with pytest.raises(OSError, match="no"):
        cache.get_or_make("a", fail)
    assert cache.get_or_make("a", lambda: b"made") == b"made"
