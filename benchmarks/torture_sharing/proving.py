"""How long it takes to verify a long log: in the database, as `iain audit verify` does it, and exported, by the single
file."""

import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

from fixtures.witnessing import exported  # type: ignore[import-not-found]

from benchmarks.torture_sharing import million
from sharing import chain, verifier
from sharing.checkpoints import Signer
from sharing.db.engine import Database


@dataclass(frozen=True, slots=True)
class Proof:
    entries: int
    whole: bool
    verified_s: float
    """By a process for each core."""
    exported_s: float
    file_s: float
    """By one process; so is the export."""


def prove(database: Database) -> Proof:
    """Of the log of the site that `million` fills, and of the others beside it, which are short."""
    chain.catch_up(database)
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool, database.reading() as session:
        began = time.monotonic()
        report = chain.verify(session, pool)
        verified_s = time.monotonic() - began
    began = time.monotonic()
    lines = exported(database, Signer.new(), million.SITE)
    exported_s = time.monotonic() - began
    began = time.monotonic()
    (found,) = verifier.verify(lines)
    file_s = time.monotonic() - began
    return Proof(found.entries, report.whole and found.whole, verified_s, exported_s, file_s)
