"""The server tidies up while it runs, not only when it starts."""

import os

from fixtures.waiting import wait_until

from slideserver import state as lifetime
from slideserver.state import State, working


def test_what_was_put_aside_goes_without_a_restart(state: State, database, monkeypatch) -> None:
    monkeypatch.setattr(lifetime, "SWEEP_EVERY_S", 0.05)
    left = state.settings.var / "aside" / "caen" / "ab" / ("ab" * 32)
    left.parent.mkdir(parents=True)
    with working(state):  # which has swept once by now
        left.touch()
        os.utime(left, (1, 1))
        wait_until(lambda: not left.exists(), "the sweep")
