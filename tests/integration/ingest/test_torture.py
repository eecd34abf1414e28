"""The short form of `make torture-ingest`: the real server loses nothing, and a known-bad one is found out."""

from pathlib import Path

from benchmarks.torture import Plan
from benchmarks.torture_ingest import memory
from benchmarks.torture_ingest.dying_server import Moment
from benchmarks.torture_ingest.kills import ours, torture, twin

SEED = 7


def test_a_killed_server_loses_and_damages_nothing(tmp_path: Path) -> None:
    deaths = [Moment.BEFORE_SYNC, Moment.BEFORE_COMMIT, None]
    tally = torture(ours(tmp_path), deaths, SEED)
    assert (tally.runs, tally.lost, tally.corrupt) == (3, 0, 0), tally.notes
    assert tally.named.total() == 2, "it was not killed from within"


def test_the_torture_finds_out_a_server_with_its_offset_in_a_record(tmp_path: Path) -> None:
    assert torture(twin(tmp_path), [None] * 15, SEED, until_corrupt=True).corrupt == 1


def test_a_server_holds_no_more_of_an_upload_than_what_it_is_writing(tmp_path: Path) -> None:
    result = memory.run(Plan(SEED, 0.03, tmp_path))
    assert not result.failed, result.figures
