"""`make torture-ingest`: break what can break between a scanner's disk and a slide, and count what is lost.

Each part is a module beside this one. Exit code 1 when something was lost, or when a control that ought to fail came
through.
"""

import sys

from benchmarks.torture import run_parts

PARTS = (
    "kills",
    "bitflips",
    "fulldisk",
    "jobs",
    "foreign",
    "histories",
    "strangers",
    "unattended",
    "powercuts",
    "powerloss",
    "speed",
    "memory",
    "viewable",
)

if __name__ == "__main__":
    sys.exit(
        run_parts(
            "benchmarks.torture_ingest", PARTS, command="make torture-ingest", question="What is lost on the way in?"
        )
    )
