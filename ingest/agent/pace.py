"""When slides may be sent, and how fast: quiet hours by the site's clock, and a limit that all uploads share."""

import re
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from threading import Event

from ingest.agent.clock import SiteClock

DAY_MIN = 24 * 60
RATE_OVER_S = 60
LIMITED_SLICES_A_S = 4
SLICE_BYTES = (4 * 1024, 1024 * 1024)  # the smallest and the largest that is handed to the network at once

_DAYS = (("mon", "lun"), ("tue", "mar"), ("wed", "mer"), ("thu", "jeu"), ("fri", "ven"), ("sat", "sam"), ("sun", "dim"))
_NUMBER = {name: number for number, names in enumerate(_DAYS) for name in names}
_HOURS = re.compile(r"(?:(?P<days>[a-z,-]+) +)?(?P<from>\d\d:\d\d) ?[-–] ?(?P<to>\d\d:\d\d)")


@dataclass(frozen=True, slots=True)
class Quiet:
    """Hours on some days (0 is Monday) from a minute of the day to another, over midnight when the second is not
    later; such hours belong to the day on which they begin."""

    days: frozenset[int]
    begin: int
    end: int

    def covers(self, wall: datetime) -> bool:
        """Whether a clock on the wall that shows this stands within the hours."""
        minute, today = wall.hour * 60 + wall.minute, wall.weekday()
        if self.begin < self.end:
            return today in self.days and self.begin <= minute < self.end
        return (today in self.days and minute >= self.begin) or ((today - 1) % 7 in self.days and minute < self.end)


def parse_quiet(text: str) -> Quiet:
    """Hours such as `22:00-06:00`, `mon-fri 08:00-18:00` or `sam,dim 00:00-24:00`. Raises ValueError."""
    match = _HOURS.fullmatch(text.strip().casefold())
    if match is None:
        raise ValueError(text)
    begin, end = _minute(match["from"]), _minute(match["to"])
    if begin == DAY_MIN:
        raise ValueError(text)
    return Quiet(frozenset(_days(match["days"])), begin, end)


def is_ever_open(quiet: Iterable[Quiet]) -> bool:
    """Whether there is a minute of the week that none of these cover."""
    hours, monday = tuple(quiet), datetime(2024, 1, 1)
    week = (monday + timedelta(minutes=minute) for minute in range(7 * DAY_MIN))
    return any(not any(each.covers(wall) for each in hours) for wall in week)


class SitePace:
    """A `Pace` that counts what is sent, too. Its methods may be called from several threads."""

    def __init__(
        self,
        clock: SiteClock,
        quiet: Iterable[Quiet] = (),
        bytes_per_s: float | None = None,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """`bytes_per_s`: of all uploads together; None is no limit."""
        self._clock, self._quiet, self._limit, self._now_s = clock, tuple(quiet), bytes_per_s, now_s
        self._lock, self._free_at = threading.Lock(), now_s()
        self._recent: deque[tuple[int, int]] = deque()
        self.sent_bytes = 0

    @property
    def slice_bytes(self) -> int:
        """How much to hand to the network at once, so that a limit is kept smoothly."""
        smallest, largest = SLICE_BYTES
        return largest if self._limit is None else int(min(max(self._limit / LIMITED_SLICES_A_S, smallest), largest))

    def closed_s(self) -> float:
        """Until the first minute at which a clock on the site's wall shows no quiet hour, however that clock is put
        forward or back in between."""
        now = self._clock.now()
        if not self._is_quiet(now):
            return 0
        minute = now.astimezone(UTC).replace(second=0, microsecond=0)
        for _ in range(8 * DAY_MIN):
            minute += timedelta(minutes=1)
            if not self._is_quiet(minute.astimezone(self._clock.zone)):
                break
        return (minute - now).total_seconds()

    def spend(self, sent_bytes: int, stop: Event) -> None:
        """Counts these bytes; with a limit, waits for as long as they may take, behind those of other threads."""
        with self._lock:
            now = self._now_s()
            self._count(int(now), sent_bytes)
            if self._limit is None:
                return
            self._free_at = max(now, self._free_at) + sent_bytes / self._limit
            wait_s = self._free_at - now
        stop.wait(wait_s)

    def bytes_per_s(self) -> int:
        """Over the last minute."""
        with self._lock:
            self._count(int(self._now_s()), 0)
            return sum(count for _, count in self._recent) // RATE_OVER_S

    def _count(self, second: int, sent_bytes: int) -> None:
        self.sent_bytes += sent_bytes
        while self._recent and self._recent[0][0] <= second - RATE_OVER_S:
            self._recent.popleft()
        if not sent_bytes:
            return
        before = self._recent.pop()[1] if self._recent and self._recent[-1][0] == second else 0
        self._recent.append((second, before + sent_bytes))

    def _is_quiet(self, wall: datetime) -> bool:
        return any(each.covers(wall) for each in self._quiet)


def _minute(text: str) -> int:
    hour, minute = map(int, text.split(":"))
    if hour > 24 or minute > 59 or hour * 60 + minute > DAY_MIN:
        raise ValueError(text)
    return hour * 60 + minute


def _days(text: str | None) -> Iterable[int]:
    if text is None:
        yield from range(7)
        return
    for part in text.split(","):
        first, _, last = part.partition("-")
        if first not in _NUMBER or (last or first) not in _NUMBER:
            raise ValueError(text)
        begin = _NUMBER[first]
        yield from ((begin + step) % 7 for step in range((_NUMBER[last or first] - begin) % 7 + 1))
