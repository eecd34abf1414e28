"""`make torture-sharing`: look at what one may not, alter the record unseen, lose something in a backup.

Each part is a module beside this one, most of them on SQLite and on PostgreSQL against two real server processes. Each
has a control that must be noticed, or the run is void.
"""

import sys

from benchmarks.torture import run_parts

PARTS = (
    "storm",
    "revocation",
    "links",
    "mutations",
    "completeness",
    "appends",
    "backup",
    "queries",
    "policy",
    "fuzz",
    "xss",
)

if __name__ == "__main__":
    sys.exit(
        run_parts(
            "benchmarks.torture_sharing",
            PARTS,
            command="make torture-sharing",
            question="Does anybody see what he may not, or no longer; can the record be altered unseen?",
        )
    )
