"""Counting in memory what would cost too much to write down one by one."""

import threading
from collections import Counter
from typing import Generic, TypeVar

from sharing.vocabulary import LinkId, SiteId

Refused = tuple[SiteId, int, str]
"""Whose chain, which minute (µs), and why."""
VainTry = tuple[LinkId, str]
"""Which link was tried in vain, and why."""

Key = TypeVar("Key")


class Tally(Generic[Key]):
    """Counts that threads add to and one of them takes away."""

    def __init__(self) -> None:
        self._counts: Counter[Key] = Counter()
        self._lock = threading.Lock()

    def add(self, key: Key, count: int = 1) -> None:
        with self._lock:
            self._counts[key] += count

    def take(self) -> dict[Key, int]:
        """All counts, which are zero again afterwards."""
        with self._lock:
            counts, self._counts = self._counts, Counter()
        return dict(counts)

    def __bool__(self) -> bool:
        return bool(self._counts)
