"""Alter the audit log in seven ways, and count what nobody notices.

The attacker owns the server, the database and the server's key; he does not own the witness. Controls: without a
witness, every log that was computed anew passes as whole; and nothing is found in a log that nobody touched.
"""

from contextlib import closing

from benchmarks.torture import Plan, Result
from benchmarks.torture_sharing.tampering import KINDS, Attacker, Tally
from sharing.db.engine import open_database
from sharing.db.migrations import upgrade

MUTATIONS, ENTRIES = 2800, 60


def run(plan: Plan) -> Result:
    tally, quiet = _tamper(plan)
    void = []
    if tally.missed_without_witness != tally.beyond_the_chain:
        void.append("a chain without a witness")
    if not quiet:
        void.append("a log that nobody touched")
    return Result(
        {
            "audit.mutations": tally.mutations,
            "audit.undetected": len(tally.undetected),
            "audit.rewrites_without_witness": tally.beyond_the_chain,
            "audit.rewrites_missed_without_witness": tally.missed_without_witness,
        },
        failed=bool(tally.undetected),
        notes=tuple(tally.undetected[:20]),
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
