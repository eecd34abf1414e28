"""Cutters lost in the middle of their work, as many readers go on asking."""

from pathlib import Path

import pytest

from benchmarks.torture_tiles import murder
from benchmarks.torture_tiles.marked import make_marked
from tiler.geometry import Size

pytestmark = pytest.mark.hostile


def test_a_cutter_killed_or_frozen_costs_a_retry_and_nobody_else_anything(tmp_path: Path) -> None:
    for number in range(2):
        make_marked(tmp_path / f"{number}", number, "svs", Size(1280, 1024))
    tally = murder.torture([tmp_path / "0", tmp_path / "1"], kills=6, freezes=1, seed=1)
    assert (tally.kills, tally.freezes) == (6, 1)
    assert tally.tiles > 50
    assert (tally.failed, tally.wrong) == (0, 0)
