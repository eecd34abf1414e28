"""The short form of the torture of jobs: workers die and freeze, and a known-bad one is found out."""

from pathlib import Path

import pytest

from benchmarks.torture_ingest.jobs import torture

SEED = 7  # a worker dies in its transaction, another freezes before it
LEASE_S = 0.4


def test_killed_and_frozen_workers_lose_no_job_and_do_none_twice(database_url: str, tmp_path: Path) -> None:
    tally = torture(database_url, tmp_path / "work", 1, SEED, lease_s=LEASE_S)
    assert (tally.killed, tally.frozen, tally.lost, tally.twice) == (1, 1, 0, 0), tally.notes


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_torture_finds_out_a_worker_without_fencing(database_url: str, tmp_path: Path) -> None:
    assert torture(database_url, tmp_path / "work", 5, SEED, fenced=False, lease_s=LEASE_S).twice > 0
