"""A scanner's sign is the worst that is true of it; silence covers all else."""

from dataclasses import replace

import pytest

from ingest.heartbeat import EVERY_S, SILENT_S, Heartbeat, Pause, Trouble
from sharing.clock import SECOND_US
from sharing.heartbeats import Scanner
from slideserver.pages.signs import REFRESH_S, Sign, standing

NOW_US = 1_794_787_200 * SECOND_US
WELL = Heartbeat("1", "Linux", sending=1, free_bytes=10**12, skew_ms=5)


def scanner(said: Heartbeat | str | None, *, ago_s: float = 0) -> Scanner:
    report = said.to_json() if isinstance(said, Heartbeat) else said
    heard_us = None if report is None else NOW_US - round(ago_s * SECOND_US)
    return Scanner("s", "caen", "AT2", None, None, None, 0, 1, 0, heard_us, report, None, None, None)


@pytest.mark.parametrize(
    ("said", "sign", "cautions"),
    [
        (WELL, Sign.FINE, 0),
        (replace(WELL, pause=Pause.QUIET_HOURS), Sign.RESTING, 0),
        (replace(WELL, pause=Pause.QUIET_HOURS, refused=1), Sign.WATCH, 0),
        (replace(WELL, troubles=(Trouble("x", "still-changing"),)), Sign.WATCH, 0),
        (replace(WELL, pause=Pause.UNREACHABLE), Sign.WATCH, 1),
        (replace(WELL, pause=Pause.DISK_FULL), Sign.ALARM, 1),
        (replace(WELL, pause=Pause.KEY_REFUSED, skew_ms=-90_000), Sign.ALARM, 2),
        (replace(WELL, free_bytes=19 * 10**9), Sign.WATCH, 1),
        (replace(WELL, free_bytes=0), Sign.ALARM, 1),
        (replace(WELL, free_bytes=None, skew_ms=None), Sign.FINE, 0),
        (None, Sign.NEVER, 1),
        ("a report of another age", Sign.NEVER, 1),
    ],
)
def test_the_worst_that_is_true_decides(said, sign, cautions):
    found = standing(scanner(said), NOW_US)
    assert (found.sign, len(found.cautions)) == (sign, cautions)
    for caution in found.cautions:
        assert caution.message.endswith("."), "it says what to do"


def test_silence_is_told_so_early_that_every_open_page_tells_it_in_time():
    assert not standing(scanner(WELL, ago_s=SILENT_S - REFRESH_S - 4), NOW_US).silent
    found = standing(scanner(replace(WELL, free_bytes=0), ago_s=SILENT_S - REFRESH_S), NOW_US)
    assert (found.silent, found.sign, len(found.cautions)) == (True, Sign.ALARM, 1)
    assert not standing(scanner(WELL, ago_s=3 * EVERY_S), NOW_US).silent, "two words may be lost on the way"
