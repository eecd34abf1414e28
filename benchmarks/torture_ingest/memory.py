"""How much memory the server takes more while three slides of 2 GB arrive at once.

Counted are the processes of the server and what they start (PSS, so that shared pages count once), at their highest
while the uploads run, against what they had after small files were taken in.
"""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.tiles.processes import memory_mb
from benchmarks.torture import Plan, Result
from benchmarks.torture_ingest.kills import ours
from benchmarks.torture_ingest.pushing import push, serving

AT_ONCE, FILE_BYTES, WARM_BYTES = 3, 2_000_000_000, 20_000_000
EVERY_S = 0.1
ALLOWED_MB = 60


def run(plan: Plan) -> Result:
    contender = ours(plan.folder)
    files = [_file(plan.folder / f"{number}.svs", plan.times(FILE_BYTES)) for number in range(AT_ONCE)]
    warm = [_file(plan.folder / f"warm-{number}.svs", WARM_BYTES) for number in range(AT_ONCE)]
    with serving(contender) as url, ThreadPoolExecutor(AT_ONCE) as agents:
        server = contender.server.process
        assert server is not None
        list(agents.map(lambda file: push(url, contender.key, file), warm))
        before = highest = memory_mb(server.pid)
        sending = [agents.submit(push, url, contender.key, file) for file in files]
        samples = 0
        for each in sending:
            while not each.done():
                highest = max(highest, memory_mb(server.pid))
                samples += 1
                time.sleep(EVERY_S)
            each.result()
    growth = highest - before
    note = f"{AT_ONCE} × {plan.times(FILE_BYTES) / 1e6:.0f} MB, {before:.0f} MB before, {samples} looks"
    return Result({"upload.server_rss_growth_mb": round(growth, 1)}, failed=growth > ALLOWED_MB, notes=(note,))


def _file(path: Path, length: int) -> Path:
    """A file with bytes of its own that no reader takes for a slide: what is looked at is how it arrives."""
    with path.open("wb") as file:
        file.write(os.urandom(4096))
        file.truncate(length)
    return path
