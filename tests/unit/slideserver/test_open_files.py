"""How many files the server may need at once, told before it runs out of them."""

import re
import resource
from pathlib import Path

import pytest

from ingest.manifest import MAX_FILES
from slideserver.operations import doctor
from slideserver.operations.doctor import Finding, State
from slideserver.settings import Settings

SYSTEMD = Path(__file__).parents[3] / "deploy" / "systemd"


def examined(limit: int, settings: Settings, monkeypatch) -> Finding:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (limit, limit))
    return doctor._descriptors(settings)


def test_slides_of_many_files_may_all_be_open_at_once(monkeypatch) -> None:
    few = Settings(open_slides=10, workers=1)
    short = examined(3 * MAX_FILES, few, monkeypatch)
    assert short.state is State.WARNING
    named = re.search(r"ulimit -n (\d+)", short.remedy)
    assert named
    assert examined(int(named[1]), few, monkeypatch).state is State.FINE


@pytest.mark.parametrize("unit", ["iain.service", "iain-work.service"])
def test_the_units_allow_what_the_settings_need_that_nobody_changed(unit: str, monkeypatch) -> None:
    limit = re.search(r"^LimitNOFILE=(\d+)$", (SYSTEMD / unit).read_text(), re.MULTILINE)
    assert limit
    assert examined(int(limit[1]), Settings(), monkeypatch).state is State.FINE
