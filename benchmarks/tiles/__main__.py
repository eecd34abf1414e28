"""`python -m benchmarks.tiles`: who serves the tiles of a reading session how fast, and at what cost.

Each part starts the servers it needs, prints a table, and gives its figures at the end. Exit status 0 when the figures
count, 3 when the run is void (the machine was busy), 1 when something was wrong.
"""

import argparse
import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path

import httpx

from benchmarks.tiles.bench import Bench
from benchmarks.tiles.cuts import cutting
from benchmarks.tiles.figures import Figures, VoidRunError, figure_line, ratio_table
from benchmarks.tiles.growth import growth
from benchmarks.tiles.load import Generator, LoadError
from benchmarks.tiles.passed import NothingComparedError
from benchmarks.tiles.peers import compare
from benchmarks.tiles.pictures import DifferentPicturesError
from benchmarks.tiles.processes import ServerError
from benchmarks.tiles.uploads import uploads
from tiler.errors import TilerError

BUILD = Path(__file__).parents[2] / ".build" / "bench"
PARTS: dict[str, Callable[[Bench], Figures]] = {
    "peers": compare,
    "cuts": cutting,
    "growth": growth,
    "uploads": uploads,
}
FAULTS = (LoadError, ServerError, DifferentPicturesError, NothingComparedError, TilerError, httpx.HTTPError, OSError)


def main() -> int:
    options = _options()
    # Whoever ends the run ends its servers with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    print(_machine(), flush=True)
    BUILD.mkdir(parents=True, exist_ok=True)
    found: Figures = {}
    status = 0
    with tempfile.TemporaryDirectory(dir=BUILD, prefix="run-") as scratch:
        for name in options.part or PARTS:
            try:
                found |= PARTS[name](_bench(Path(scratch), name, options))
            except VoidRunError as void:
                print(void)
                return 3
            except FAULTS as error:
                # The other parts are worth having; the run as a whole has failed.
                print(f"{name}: {error}", file=sys.stderr)
                status = 1
            except Exception:  # a fault of the benchmark itself: said, and the other parts are carried out
                traceback.print_exc()
                status = 1
    print(f"\n{ratio_table(found)}\n")
    for name, spread in found.items():
        print(figure_line(name, spread.median))
    return status


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tiles", description=__doc__.splitlines()[0])
    parser.add_argument("--part", action="append", choices=PARTS, help="only this part (may be repeated)")
    parser.add_argument("--rounds", type=int, default=5, help="interleaved rounds (default 5)")
    parser.add_argument("--seconds", type=float, default=3, help="load on each fast server a round (default 3)")
    parser.add_argument("--quick", action="store_true", help="two short rounds, to try the benchmark itself")
    return parser.parse_args()


def _bench(scratch: Path, name: str, options: argparse.Namespace) -> Bench:
    below = scratch / name
    below.mkdir()
    rounds, seconds = (2, 1.0) if options.quick else (options.rounds, options.seconds)
    return Bench(BUILD, below, Generator(BUILD, below), rounds, seconds)


def _machine() -> str:
    """What the figures were measured on, and how busy it was."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown CPU")
    busy = os.getloadavg()[0]
    return f"{os.cpu_count()} cores, {model}, Linux {os.uname().release}, load average {busy:.2f} before the run"


if __name__ == "__main__":
    sys.exit(main())
