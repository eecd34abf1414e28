"""Let the disk be full, or broken, at every place where something is written, and count what is half done afterwards.

Twice: at each line of the product that writes, and the lines that called it (`failing_sites`); and under the whole
server, SQLite included, on a small disk of the kernel's that is full after one page, two pages, and so on
(`small_disk`). In both there is room again after a while, and nothing is restarted.
"""

import json
import math
import subprocess
import sys
from pathlib import Path

from benchmarks.torture import Plan, Result
from benchmarks.torture_ingest import failing_sites
from benchmarks.torture_ingest.small_disk import Found

ROUNDS = 60
WITHIN_S = 900
ROOT = Path(__file__).parents[2]


def run(plan: Plan) -> Result:
    prepared, step = failing_sites.material(plan.folder), math.ceil(1 / plan.share)
    tally = failing_sites.torture(plan.folder / "sites", prepared, lambda sites: sites[plan.seed % step :: step])
    twin = failing_sites.twin(plan.folder / "twin", prepared)
    small = on_a_small_disk(plan.folder / "small", prepared.slide, plan.times(ROUNDS))
    half_done = tally.half_done + len(small.half_done)
    stuck = tally.stuck + len(small.stuck)
    void = ["the store that writes under the final name"] if not twin.half_done else []
    void += ["a small disk that was never full"] if not small.refused else []
    return Result(
        figures={
            "store.enospc_sites": len(tally.sites),
            "store.enospc_sites_known": tally.known,
            "store.enospc_runs": tally.runs + small.rounds,
            "store.enospc_half_done": half_done,
            "store.enospc_stuck": stuck,
            "store.enospc_pages": small.pages,
            "store.enospc_refused_without_words": len(small.wordless),
        },
        failed=bool(half_done or stuck or small.wordless),
        notes=(*tally.notes, *small.half_done, *small.stuck, *sorted(set(small.wordless))),
        void=tuple(void),
    )


def on_a_small_disk(folder: Path, slide: bytes, rounds: int) -> Found:
    """In a mount namespace of its own, which ends with its processes. Raises RuntimeError when that cannot be had."""
    folder.mkdir()
    file = folder / "slide.svs"
    file.write_bytes(slide)
    program = [sys.executable, "-m", "benchmarks.torture_ingest.small_disk", str(folder), str(file), str(rounds)]
    command = ["unshare", "--user", "--map-root-user", "--mount", "--fork", "--kill-child", *program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=WITHIN_S, cwd=ROOT, check=False)
    if done.returncode:
        raise RuntimeError(f"No small disk could be had:\n{done.stderr[-2000:]}")
    return Found(**json.loads(done.stdout.splitlines()[-1]))
