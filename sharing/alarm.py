"""A trouble that lasts, told in the log of the server when it changes and every hour, not at every try."""

from sharing.clock import MINUTE_US

AGAIN_US = 60 * MINUTE_US


class Alarm:
    """What is wrong with one thing now, and when that was last told. For one thread."""

    def __init__(self) -> None:
        self._state, self._told_us = "", 0

    def due(self, state: str, now_us: int) -> bool:
        """Whether `state` is to be told now; it is empty when nothing is wrong, which is told once."""
        if state == self._state and (not state or now_us - self._told_us < AGAIN_US):
            return False
        self._state, self._told_us = state, now_us
        return True
