"""What time it is at the site: as the server sees it once that is known, for a workstation's clock may be wrong."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo


class SiteClock:
    """`skew_ms`: by how much this workstation's clock is ahead of the server's; None while that is unknown."""

    def __init__(self, zone: ZoneInfo, wall_us: Callable[[], int] = lambda: time.time_ns() // 1000) -> None:
        self.zone, self.wall_us = zone, wall_us
        self.skew_ms: int | None = None

    def now(self) -> datetime:
        """In the site's zone."""
        us = self.wall_us() - (self.skew_ms or 0) * 1000
        return (datetime.fromtimestamp(0, UTC) + timedelta(microseconds=us)).astimezone(self.zone)

    def midnight_us(self) -> int:
        """When the site's day began, in µs since the epoch by the workstation's clock."""
        now = self.now()
        began = now.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
        return self.wall_us() - round((now.astimezone(UTC) - began.astimezone(UTC)).total_seconds() * 1e6)
