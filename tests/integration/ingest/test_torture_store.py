"""The short form of what `make torture-ingest` does to the store: no spoilt file is missed and no sound one named, and
a disk that fails leaves nothing half done.
"""

import errno
from pathlib import Path

import pytest

from benchmarks.torture import Plan
from benchmarks.torture_ingest import bitflips, failing_sites
from benchmarks.torture_ingest.failing_sites import Material

SEED = 7


def test_no_spoilt_file_is_missed(tmp_path: Path, figure) -> None:
    result = bitflips.run(Plan(SEED, 0.1, tmp_path))
    figures = result.figures
    assert not result.failed, result.notes
    assert result.void == (), "a listing of lengths would have found all that was spoilt"
    assert figures["store.bitflips_injected"] == 100
    assert figures["store.bitflips_missed"] == figures["store.bitflips_false_alarms"] == 0
    figure("store.bitflips_missed", 0)


@pytest.fixture(scope="module")
def material(tmp_path_factory) -> Material:
    return failing_sites.material(tmp_path_factory.mktemp("material"))


def test_a_disk_that_fails_leaves_nothing_half_done(tmp_path: Path, material: Material, figure) -> None:
    """Two of all the places where the product writes; which ones differs from version to version."""
    tally = failing_sites.torture(tmp_path, material, lambda sites: sites[SEED :: len(sites) // 2], (errno.ENOSPC,))
    assert (tally.half_done, tally.stuck) == (0, 0), tally.notes
    assert len(tally.sites) >= 2
    assert tally.known > 50, "the writes of the product are no longer seen"
    figure("store.enospc_half_done", tally.half_done)


def test_a_store_that_writes_under_the_final_name_is_found_out(tmp_path: Path, material: Material) -> None:
    assert "blobs: cut" in failing_sites.twin(tmp_path / "twin", material).half_done
