"""Time as the platform counts it: integer microseconds since 1970-01-01T00:00Z."""

import time
from dataclasses import dataclass
from typing import Protocol

SECOND_US = 1_000_000
MINUTE_US = 60 * SECOND_US


class Clock(Protocol):
    def now_us(self) -> int: ...


class SystemClock:
    def now_us(self) -> int:
        return time.time_ns() // 1000


@dataclass(slots=True)
class FrozenClock:
    """A clock that stands still until it is told to move. It starts on 2026-01-05 08:00 UTC."""

    at_us: int = 1_767_600_000 * SECOND_US

    def now_us(self) -> int:
        return self.at_us

    def advance(self, *, seconds: float = 0, minutes: float = 0, hours: float = 0) -> None:
        self.at_us += round((seconds + 60 * minutes + 3600 * hours) * SECOND_US)
