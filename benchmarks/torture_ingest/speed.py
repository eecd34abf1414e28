"""How fast a slide is taken in, digest included, against copying the same file and computing its digest at a terminal.

In: the agent hashes the file, sends it with a digest for each piece, the server writes, syncs and proves it. Against it
`cp` and `sha256sum`, one after the other, which sync nothing. Both on one machine, in turns, page cache warm.
"""

import statistics
import subprocess
import time
from pathlib import Path

from benchmarks.torture import Plan, Result
from benchmarks.torture_ingest.kills import ours
from benchmarks.torture_ingest.pushing import change, push, serving, slide_of

FILE_BYTES = 1_000_000_000
ROUNDS = 5
WANTED = 0.5


def run(plan: Plan) -> Result:
    slide = slide_of(plan.folder, plan.times(FILE_BYTES))
    contender = ours(plan.folder)
    copied, pushed = [], []
    with serving(contender) as url:
        for _ in range(ROUNDS):
            change(slide)
            copied.append(_copy_s(slide, plan.folder / "copy"))
            times = push(url, contender.key, slide)
            pushed.append(times.proved_s - times.began_s)
    megabytes = slide.stat().st_size / 1e6
    ratio = statistics.median(before / now for before, now in zip(copied, pushed, strict=True))
    lines = (
        f"{megabytes:.0f} MB, {ROUNDS} rounds; MB/s of cp + sha256sum: {_rates(megabytes, copied)}",
        f"MB/s of the agent and the server: {_rates(megabytes, pushed)}",
    )
    return Result({"upload.mb_per_s_vs_cp_sha256": round(ratio, 2)}, failed=ratio < WANTED, notes=lines)


def _copy_s(slide: Path, copy: Path) -> float:
    began = time.monotonic()
    subprocess.run(["cp", slide, copy], check=True)
    subprocess.run(["sha256sum", slide], check=True, stdout=subprocess.DEVNULL)
    took_s = time.monotonic() - began
    copy.unlink()
    return took_s


def _rates(megabytes: float, seconds: list[float]) -> str:
    return ", ".join(f"{megabytes / each:.0f}" for each in seconds)
