"""Alter the audit log in seven ways, and count what nobody notices; and how long it takes to verify a million entries.

The attacker owns the server, the database and the server's key; he does not own the witness. Controls: without a
witness, every log that was computed anew passes as whole; and nothing is found in a log that nobody touched.
"""

import os
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from fixtures.witnessing import exported  # type: ignore[import-not-found]

from benchmarks.torture import Plan, Result
from benchmarks.torture_sharing import million
from benchmarks.torture_sharing.tampering import KINDS, Attacker, Tally
from sharing import chain, verifier
from sharing.checkpoints import Signer
from sharing.db.engine import open_database
from sharing.db.migrations import upgrade

MUTATIONS, ENTRIES = 2800, 60
MILLION = 1_000_000


def run(plan: Plan) -> Result:
    tally, quiet = _tamper(plan)
    speed = _verify_many(plan.folder, plan.times(MILLION))
    void = []
    if tally.missed_without_witness != tally.beyond_the_chain:
        void.append("a chain without a witness")
    if not quiet or not speed.whole:
        void.append("a log that nobody touched")
    return Result(
        {
            "audit.mutations": tally.mutations,
            "audit.undetected": len(tally.undetected),
            "audit.rewrites_without_witness": tally.beyond_the_chain,
            "audit.rewrites_missed_without_witness": tally.missed_without_witness,
            "audit.verify_1m_s": speed.database_s,
            "audit.verify_file_1m_s": speed.file_s,
        },
        failed=bool(tally.undetected),
        notes=(
            *tally.undetected[:20],
            f"{speed.entries} entries on SQLite, {os.cpu_count()} cores: verified in {speed.database_s:.1f} s as "
            f"`iain audit verify` does it, a process for each core; exported in {speed.export_s:.1f} s and verified in "
            f"{speed.file_s:.1f} s by the single file, one process each",
        ),
        void=tuple(void),
    )


def _tamper(plan: Plan) -> tuple[Tally, bool]:
    with closing(open_database(f"sqlite:///{plan.folder / 'log.db'}")) as database:
        upgrade(database)
        attacker = Attacker.prepare(database, plan.folder / "witness", entries=ENTRIES, seed=plan.seed)
    total = Tally()
    for kind in KINDS:
        total += attacker.run(kind, plan.times(MUTATIONS // len(KINDS)))
    return total, attacker.is_quiet_about_the_truth()


@dataclass(frozen=True, slots=True)
class Speed:
    entries: int
    database_s: float
    export_s: float
    file_s: float
    whole: bool


def _verify_many(folder: Path, count: int) -> Speed:
    with closing(open_database(f"sqlite:///{folder / 'million.db'}")) as database:
        upgrade(database)
        million.fill(database, events=count, shares=0)
        chain.catch_up(database)
        with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool, database.reading() as session:
            began = time.monotonic()
            report = chain.verify(session, pool)
        database_s = time.monotonic() - began
        began = time.monotonic()
        lines = exported(database, Signer.new(), million.SITE)
        export_s = time.monotonic() - began
    began = time.monotonic()
    (found,) = verifier.verify(lines)
    file_s = time.monotonic() - began
    return Speed(found.entries, database_s, export_s, file_s, report.whole and found.whole)
