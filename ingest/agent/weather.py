"""Whether it is any use to speak to the server just now, known to all who do: one of them found out for all."""

import secrets
import threading
import time
from collections.abc import Callable

from ingest.agent.client import KeyRefusedError, NotOurServerError, UntrustedError
from ingest.heartbeat import Pause
from ingest.protocol import Problem

FIRST_PAUSE_S, LONGEST_PAUSE_S, LONGEST_SILENCE_S = 1.0, 300.0, 8.0
UNREACHABLE, UNTRUSTED, NOT_OUR_SERVER = "unreachable", "untrusted", "not-our-server"
_ENDED_BY_AN_ANSWER = frozenset({UNREACHABLE, UNTRUSTED, NOT_OUR_SERVER, Problem.KEY_REFUSED, "busy"})
_PAUSES: dict[str, Pause] = {Problem.KEY_REFUSED: Pause.KEY_REFUSED, Problem.DISK_FULL: Pause.DISK_FULL}


def code_of(error: Exception) -> str | None:
    """The code of what ails the server, or the way to it; None when it has something against one slide alone."""
    match error:
        case KeyRefusedError():
            return Problem.KEY_REFUSED
        case NotOurServerError():
            return NOT_OUR_SERVER
        case UntrustedError():
            return UNTRUSTED
    return None


class Weather:
    """Bad since somebody failed, until somebody succeeds. `code` says why, None when it is good."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now, self._lock = now, threading.Lock()
        self._failures, self._until = 0, 0.0
        self.code: str | None = None
        self.detail = ""

    def worsen(self, code: str, detail: str = "") -> None:
        """Somebody failed: nobody needs to try for a pause that doubles with each failure in a row, with jitter so
        that scanners do not come back all at once."""
        with self._lock:
            self.code, self.detail = code, detail
            if self._now() < self._until:  # another thread found out at the same time
                return
            # To ask whether it is back costs nothing; to try what it refuses means to read a slide again.
            longest = LONGEST_SILENCE_S if code == UNREACHABLE else LONGEST_PAUSE_S
            limit = min(longest, FIRST_PAUSE_S * 2 ** min(self._failures, 16))
            self._until = self._now() + limit * (0.5 + secrets.randbelow(1000) / 2000)
            self._failures += 1

    def doubt(self, code: str, detail: str = "") -> None:
        """Somebody has difficulties and goes on trying."""
        self.code, self.detail = code, detail

    def answered(self) -> None:
        """The server answered somebody, which ends no trouble that it has with what is sent."""
        if self.code in _ENDED_BY_AN_ANSWER:
            self.clear()

    def clear(self) -> None:
        """The server took a slide."""
        if self.code is not None:
            with self._lock:
                self.code, self.detail, self._failures, self._until = None, "", 0, 0.0

    def wait_s(self) -> float:
        """For how many seconds nobody needs to try."""
        return max(0.0, self._until - self._now())

    def pause(self) -> Pause | None:
        """The same for a heartbeat."""
        return None if self.code is None else _PAUSES.get(self.code, Pause.UNREACHABLE)
