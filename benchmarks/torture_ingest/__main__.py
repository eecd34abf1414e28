"""`make torture-ingest`: break what can break between a scanner's disk and a slide, and count what is lost.

Each part is a module beside this one; `--part` runs some of them, `--share 0.1` a tenth of their size. Exit code 1 when
something was lost, or when a control that ought to fail came through.
"""

import argparse
import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path

from benchmarks.torture_ingest.plan import Plan, Result

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


def main() -> int:
    parser = argparse.ArgumentParser(prog="make torture-ingest", description="What is lost on the way in?")
    parser.add_argument("--part", action="append", choices=PARTS, help="only these; all without it")
    parser.add_argument("--share", type=float, default=1.0, help="of the whole size, such as 0.1")
    parser.add_argument("--seed", type=int, default=20260105)
    options = parser.parse_args()
    well = [_run(part, options.seed, options.share) for part in options.part or PARTS]
    return 0 if all(well) else 1


def _run(part: str, seed: int, share: float) -> bool:
    print(f"== {part}", flush=True)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix=f"iain-{part}-") as folder:
        result: Result = import_module(f"benchmarks.torture_ingest.{part}").run(Plan(seed, share, Path(folder)))
    for note in result.notes:
        print(note)
    for control in result.void:
        print(f"VOID: {control} came through, though it is known to be bad; these figures prove nothing.")
    print(f"seed {seed}, share {share}, {time.monotonic() - began:.0f} s")
    for name, value in result.figures.items():
        print(f"figure {name} {value:g}" if isinstance(value, float) else f"figure {name} {value}", flush=True)
    return not result.failed and not result.void


if __name__ == "__main__":
    sys.exit(main())
