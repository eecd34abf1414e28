"""What readers feel of uploads: 50 of them panning at their own pace, alone and while three scanners send 2 GB each.

An open loop: tiles fall due whether those before have come or not, and a latency is counted from then, so that a server
that stands still for a second is seen to do so by everybody who waited.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.tiles.bench import Bench
from benchmarks.tiles.figures import Figures, Spread, markdown
from benchmarks.tiles.load import Load, Pattern, Target
from benchmarks.tiles.processes import POLL_S, ServerError, running
from benchmarks.tiles.server import BROWSER_CONNECTIONS
from benchmarks.tiles.servers.iain import Platform, platform, tile_path
from benchmarks.tiles.slides import NATIVE, drawn, tissue
from benchmarks.tiles.trace import native_grids, read_sessions, replay
from tiler.geometry import Size

READERS, PAN_TILES, PAN_EVERY_S = 50, 8, 1.0
PANNING = Pattern("open", BROWSER_CONNECTIONS, PAN_TILES, round(PAN_EVERY_S / READERS * 1e6))
WINDOW_S, WINDOWS = 5.0, 5
UPLOADS, UPLOAD_BYTES = 3, 2_000_000_000
START_S = 60.0
READ, SENT = "26B00001", "26B00002"


def uploads(bench: Bench) -> Figures:
    """`tiles.reader_p99_ms_under_uploads`: p99 while the uploads run, over p99 without."""
    slide = drawn(bench.build, NATIVE)
    files = _files(bench, slide)
    with platform(bench.below("iain"), (READ, SENT)) as ours:
        ours.push(slide, READ)
        ours.finish_work()
        targets = _targets(ours, slide)
        bench.say(f"{READERS} readers pan, {PAN_TILES} tiles every {PAN_EVERY_S:g} s each…")
        _window(bench, ours, targets)
        alone = [_window(bench, ours, targets) for _ in range(WINDOWS)]
        with _sending(bench, ours, files) as agents:
            busy = [load for _ in range(WINDOWS) if (load := _window(bench, ours, targets)) and _all_alive(agents)]
    if not busy:
        raise ServerError("The uploads were over before their effect could be measured.")
    lines: list[tuple[str, ...]] = [("readers", "windows", "p50 ms", "p95 ms", "p99 ms", "tiles/s"), ("---",) * 6]
    lines.extend(_line(name, loads) for name, loads in (("alone", alone), ("under uploads", busy)))
    bench.say(f"\n{markdown(lines)}\n")
    base = Spread.of([load.p99_us for load in alone]).median
    return {"tiles.reader_p99_ms_under_uploads": Spread.of([load.p99_us / base for load in busy])}


def _files(bench: Bench, slide: Path) -> list[Path]:
    """Slides of 2 GB, each with bytes of its own; what follows the image is a hole."""
    files = []
    for number in range(UPLOADS):
        file = bench.scratch / f"upload-{number}.tiff"
        file.write_bytes(slide.read_bytes())
        with file.open("r+b") as end:
            end.truncate(UPLOAD_BYTES)
            end.seek(UPLOAD_BYTES - 8)
            end.write(number.to_bytes(8, "little"))
        files.append(file)
    return files


def _targets(ours: Platform, slide: Path) -> list[Target]:
    (description,) = ours.describe(ours.slide_of(READ))
    size = Size(description["width"], description["height"])
    sessions = read_sessions(size, tissue(slide), count=READERS // 5, seed=5)
    paths = [tile_path(description, address) for address in replay(sessions, native_grids(description))]
    tiles = ours.fetch(paths)
    return [Target(path, len(tiles[path])) for path in paths]


def _window(bench: Bench, ours: Platform, targets: Sequence[Target]) -> Load:
    return bench.generator.run(ours.port, targets, ours.cookies[:READERS], PANNING, seconds=WINDOW_S)


@contextmanager
def _sending(bench: Bench, ours: Platform, files: Sequence[Path]) -> Iterator[list[int]]:
    """The agents' pids, once the first bytes of each upload have arrived. They run on the same cores as the server,
    which in life they do not: they are given what the server leaves."""
    with ExitStack() as stack:
        agents = [
            stack.enter_context(
                running(
                    ["chrt", "--idle", "0", *ours.agent(file, SENT)],
                    log=bench.scratch / f"{file.stem}.log",
                    ready=lambda: True,
                )
            )
            for file in files
        ]
        deadline = time.monotonic() + START_S
        while _arriving(ours) < len(files):
            if time.monotonic() > deadline or not _all_alive(agents):
                raise ServerError("The uploads did not begin.")
            time.sleep(POLL_S)
        yield agents


def _arriving(ours: Platform) -> int:
    """How many uploads have bytes on the server's disk."""
    return sum(1 for file in (ours.var / "uploads").rglob("*") if file.is_file() and file.stat().st_blocks > 0)


def _all_alive(agents: Sequence[int]) -> bool:
    for pid in agents:
        try:
            state = Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return False
        if state == "Z":
            return False
    return True


def _line(name: str, loads: Sequence[Load]) -> tuple[str, ...]:
    def text(values: list[float]) -> str:
        spread = Spread.of(values)
        return f"{spread.median:.2f} ({spread.low:.2f}–{spread.high:.2f})"

    return (
        name,
        str(len(loads)),
        text([load.p50_us / 1e3 for load in loads]),
        text([load.p95_us / 1e3 for load in loads]),
        text([load.p99_us / 1e3 for load in loads]),
        f"{Spread.of([load.answers / load.seconds for load in loads]).median:,.0f}",
    )
