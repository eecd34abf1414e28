"""`python -m benchmarks.tiles`: who serves the tiles of a reading session how fast, and at what cost.

Starts the three servers, has them serve the same screens in turns, and prints a table and the figures. Exit status 0
when the figures count, 3 when the run is void (the machine was busy), 1 when something was wrong.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import httpx

from benchmarks.tiles import pictures
from benchmarks.tiles.figures import Measurement, VoidRunError, figure_line, figures, ratio_table, table
from benchmarks.tiles.load import Generator, LoadError, Target
from benchmarks.tiles.processes import ServerError
from benchmarks.tiles.server import Server, measure
from benchmarks.tiles.servers.deepzoom import deep_zoom
from benchmarks.tiles.servers.iain import platform
from benchmarks.tiles.servers.nginx import static_files
from benchmarks.tiles.slide import the_slide, tissue
from benchmarks.tiles.trace import deepzoom_grids, native_grids, read_sessions, replay
from tiler.geometry import Size

BUILD = Path(__file__).parents[2] / ".build" / "bench"
SESSIONS, SEED = 4, 1
DEEP_ZOOM_TILE = Size(256, 256)
COMPARED = 24


def main() -> int:
    options = _options()
    print(_machine())
    BUILD.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=BUILD, prefix="run-") as scratch, ExitStack() as running:
        try:
            generator = Generator(BUILD, Path(scratch))
            servers = _start(Path(scratch), generator, running)
            rounds = [_round(servers, turn, generator, options) for turn in range(options.rounds)]
        except (LoadError, ServerError, pictures.DifferentPicturesError) as error:
            print(error, file=sys.stderr)
            return 1
    ours, nginx, deepzoom = (server.name for server in servers)
    print(f"\n{table(rounds)}\n")
    try:
        ratios = figures(rounds, ours=ours, nginx=nginx, deepzoom=deepzoom)
    except VoidRunError as void:
        print(void)
        return 3
    print(f"{ratio_table(ratios)}\n")
    for name, spread in ratios.items():
        print(figure_line(name, spread.median))
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tiles", description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="interleaved rounds (default 5)")
    parser.add_argument("--seconds", type=float, default=4, help="load on each fast server a round (default 4)")
    parser.add_argument("--connections", type=int, default=16, help="keep-alive connections (default 16)")
    return parser.parse_args()


def _start(scratch: Path, generator: Generator, running: ExitStack) -> tuple[Server, Server, Server]:
    """The platform, nginx and Deep Zoom, all holding the same slide and shown to show the same."""
    _say("Drawing the slide, if it is not there yet…")
    slide = the_slide(BUILD)
    _say("Starting the platform, pushing the slide, signing readers in…")
    ours = running.enter_context(platform(_below(scratch, "iain"), slide))
    size = Size(ours.description["width"], ours.description["height"])
    sessions = read_sessions(size, tissue(slide), count=SESSIONS, seed=SEED)
    native = replay(sessions, native_grids(ours.description))
    deep_zoom_tiles = replay(sessions, deepzoom_grids(size, DEEP_ZOOM_TILE))
    _say(f"{SESSIONS} reading sessions: {len(native):,} tiles, {len(set(native)):,} different. Starting the peers…")
    tiles = ours.fetch(native)
    targets = tuple(Target(path, len(tiles[path])) for path in map(ours.path, native))
    nginx = running.enter_context(static_files(_below(scratch, "nginx"), tiles, targets))
    deepzoom = running.enter_context(deep_zoom(scratch, BUILD / "deepzoom-venv", slide, deep_zoom_tiles))
    servers = (ours.server(targets), nginx, deepzoom)
    _require_alike(tiles, targets, deepzoom)
    for server in servers:
        generator.prove(server.port, Target(server.replay[0].path, len(tiles[targets[0].path])), server.cookies)
    return servers


def _require_alike(tiles: Mapping[str, bytes], targets: Sequence[Target], deepzoom: Server) -> None:
    """Compares pictures from among the half with the most in them; both servers have the same cells on this slide."""
    full = sorted(range(len(targets)), key=lambda place: targets[place].length)[len(targets) // 2 :]
    with httpx.Client(base_url=f"http://127.0.0.1:{deepzoom.port}") as client:
        pictures.require_alike(
            [
                (tiles[targets[place].path], client.get(deepzoom.replay[place].path).raise_for_status().content)
                for place in full[:: max(len(full) // COMPARED, 1)]
            ]
        )


def _round(
    servers: Sequence[Server], turn: int, generator: Generator, options: argparse.Namespace
) -> Mapping[str, Measurement]:
    """Each server once; who comes first changes from round to round."""
    first = turn % len(servers)
    measured = {}
    for server in (*servers[first:], *servers[:first]):
        measured[server.name] = measure(server, generator, connections=options.connections, seconds=options.seconds)
    _say(f"Round {turn + 1}: " + ", ".join(f"{name} {one.tiles_per_s:,.0f} tiles/s" for name, one in measured.items()))
    return {server.name: measured[server.name] for server in servers}


def _below(scratch: Path, name: str) -> Path:
    directory = scratch / name
    directory.mkdir()
    return directory


def _machine() -> str:
    """What the figures were measured on, and how busy it was."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown CPU")
    busy = os.getloadavg()[0]
    return f"{os.cpu_count()} cores, {model}, Linux {os.uname().release}, load average {busy:.2f} before the run"


def _say(sentence: str) -> None:
    print(sentence, flush=True)


if __name__ == "__main__":
    sys.exit(main())
