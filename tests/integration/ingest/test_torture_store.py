"""The short form of what `make torture-ingest` does to stored files: no spoilt one is missed, no sound one is named."""

from pathlib import Path

from benchmarks.torture_ingest import bitflips
from benchmarks.torture_ingest.plan import Plan

SEED = 7


def test_no_spoilt_file_is_missed(tmp_path: Path, figure) -> None:
    result = bitflips.run(Plan(SEED, 0.1, tmp_path))
    figures = result.figures
    assert not result.failed, result.notes
    assert result.void == (), "a listing of lengths would have found all that was spoilt"
    assert figures["store.bitflips_injected"] == 100
    assert figures["store.bitflips_missed"] == figures["store.bitflips_false_alarms"] == 0
    figure("store.bitflips_missed", 0)
