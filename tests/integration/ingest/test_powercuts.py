"""The short form of the torture of an agent whose power is cut: nothing is lost, nothing is sent twice or by halves."""

from pathlib import Path

from benchmarks.torture_ingest.powercuts import Outcome, cut, platform


def tortured(folder: Path, cuts: int, twin: str = "") -> Outcome:
    """An agent that deletes what it has sent, which leaves nothing to start from again."""
    with platform(folder / "work") as there:
        return cut(there, folder / "work", "delete", cuts, 7, twin=twin)


def test_a_power_cut_loses_and_doubles_nothing(tmp_path: Path) -> None:
    outcome = tortured(tmp_path, 5)
    assert (outcome.cuts, outcome.lost, outcome.doubled) == (5, (), ())


def test_the_torture_finds_out_an_agent_that_sends_halves(tmp_path: Path) -> None:
    assert tortured(tmp_path, 2, "half").doubled
