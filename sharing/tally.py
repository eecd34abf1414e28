"""Counting in memory what would cost too much to write down one by one."""

import threading
from collections import Counter

from sharing.vocabulary import SiteId

Refused = tuple[SiteId, int, str]
"""Whose chain, which minute (µs), and why."""


class Tally:
    """Counts that threads add to and one of them takes away."""

    def __init__(self) -> None:
        self._counts: Counter[Refused] = Counter()
        self._lock = threading.Lock()

    def add(self, key: Refused, count: int = 1) -> None:
        with self._lock:
            self._counts[key] += count

    def take(self) -> dict[Refused, int]:
        """All counts, which are zero again afterwards."""
        with self._lock:
            counts, self._counts = self._counts, Counter()
        return dict(counts)

    def __bool__(self) -> bool:
        return bool(self._counts)
