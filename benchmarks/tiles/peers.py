"""The comparison: the same screens of the same slides from every server, in turns."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import httpx

from benchmarks.tiles import pictures
from benchmarks.tiles.bench import Bench
from benchmarks.tiles.environment import peers_environment
from benchmarks.tiles.figures import Figures, Measurement, Names, Round, Spread, figures, table
from benchmarks.tiles.load import Target
from benchmarks.tiles.passed import equal_share
from benchmarks.tiles.server import STREAM, Server, measure
from benchmarks.tiles.servers import deepzoom, iain, iipsrv, large_image, nginx
from benchmarks.tiles.servers.deepzoom import deep_zoom
from benchmarks.tiles.servers.iain import Description, Platform, platform, tile_path
from benchmarks.tiles.slides import APERIO, NATIVE, drawn, tissue
from benchmarks.tiles.trace import Session, deepzoom_grids, native_grids, read_sessions, replay
from tiler.geometry import Size

SESSIONS, SEED = 3, 1
DEEP_ZOOM_TILE = Size(256, 256)
COMPARED = 24
NAMES = Names(iain.NAME, nginx.NAME, large_image.NAME, iipsrv.NAME, deepzoom.NAME)
ACCESSIONS = ("26B00001", "26B00002")
CHANGING = f"{iain.NAME}, another session on each request"


@dataclass(frozen=True, slots=True)
class Read:
    """A slide that is read, and the tiles we are asked for by it."""

    slide: Path
    description: Description
    sessions: tuple[Session, ...]
    targets: tuple[Target, ...]
    tiles: Mapping[str, bytes]

    @property
    def size(self) -> Size:
        return Size(self.description["width"], self.description["height"])


def compare(bench: Bench) -> Figures:
    """All figures that set us beside the peers. Raises VoidRunError when the machine is not fit for measuring."""
    native, aperio = drawn(bench.build, NATIVE), drawn(bench.build, APERIO)
    programs = peers_environment(bench.build / "peers")
    with ExitStack() as running:
        bench.say("Starting the platform, pushing two slides, signing readers in…")
        ours = running.enter_context(platform(bench.below("iain"), ACCESSIONS))
        reads = [_read(ours, slide, accession) for slide, accession in zip((native, aperio), ACCESSIONS, strict=True)]
        shares = [equal_share(read.slide, read.description, read.tiles) for read in reads]
        bench.say("Starting the peers…")
        files = bench.below("nginx")
        pid, port = running.enter_context(nginx.static_files(files, {**reads[0].tiles, **reads[1].tiles}))
        contests = []
        for read in reads:
            platform_server = Server(iain.NAME, (ours.pid,), ours.port, read.targets, ours.cookies)
            servers = [platform_server, Server(nginx.NAME, (pid,), port, read.targets)]
            servers.extend(_peers(bench, read, programs, running, with_iipsrv=read.slide is native))
            contests.append(servers)
            bench.say(f"{read.slide.name}: {len(read.targets):,} tiles, {len(read.tiles):,} different.")
            _require_alike(read, servers)
            for server in servers:
                right = Target(server.replay[0].path, len(read.tiles[read.targets[0].path]))
                bench.generator.prove(server.port, right, server.cookies)
        rounds = [[_round(bench, servers, turn) for servers in contests] for turn in range(bench.rounds)]
        changing = [_changing_sessions(bench, servers[0]) for servers in contests]
    by_slide = [[one[number] for one in rounds] for number in range(len(contests))]
    for read, measured, worst in zip(reads, by_slide, changing, strict=True):
        bench.say(f"\n{read.slide.suffix[1:]}, {read.size.width:,} × {read.size.height:,} px\n\n{table(measured)}")
        bench.say(f"{CHANGING}: {worst.tiles_per_s:,.0f} tiles/s, {worst.cpu_us_per_tile:.1f} µs\n")
    found = figures(by_slide[0], by_slide[1], NAMES)
    share = min(shares)
    return found | {"tiles.bytes_equal_share": Spread(share, share, share)}


def _read(ours: Platform, slide: Path, accession: str) -> Read:
    """Pushes a slide and fetches what reading sessions need of it."""
    ours.push(slide, accession)
    ours.finish_work()
    (description,) = ours.describe(ours.slide_of(accession))
    size = Size(description["width"], description["height"])
    sessions = read_sessions(size, tissue(slide), count=SESSIONS, seed=SEED)
    paths = [tile_path(description, address) for address in replay(sessions, native_grids(description))]
    tiles = ours.fetch(paths)
    return Read(slide, description, sessions, tuple(Target(path, len(tiles[path])) for path in paths), tiles)


def _peers(bench: Bench, read: Read, programs: Path, running: ExitStack, *, with_iipsrv: bool) -> list[Server]:
    """iipsrv knows nothing of Aperio's levels 4 × apart: it is asked for the other slide alone."""
    native = replay(read.sessions, native_grids(read.description))
    halved = replay(read.sessions, deepzoom_grids(read.size, DEEP_ZOOM_TILE))
    scratch = bench.scratch
    servers = [running.enter_context(large_image.large_image(scratch, programs, read.slide, native))]
    if with_iipsrv:
        servers.append(running.enter_context(iipsrv.iipsrv(bench.below("iipsrv"), bench.build, read.slide, halved)))
    servers.append(running.enter_context(deep_zoom(scratch, programs, read.slide, halved)))
    return servers


def _require_alike(read: Read, servers: list[Server]) -> None:
    """Compares pictures of servers that have our cells, from among the half of the tiles with the most in them."""
    full = sorted(range(len(read.targets)), key=lambda place: read.targets[place].length)[len(read.targets) // 2 :]
    places = full[:: max(len(full) // COMPARED, 1)]
    for server in servers[2:]:
        if len(server.replay) != len(read.targets):
            continue
        with httpx.Client(base_url=f"http://127.0.0.1:{server.port}", timeout=30) as client:
            pictures.require_alike(
                [
                    (
                        read.tiles[read.targets[place].path],
                        client.get(server.replay[place].path).raise_for_status().content,
                    )
                    for place in places
                ]
            )


def _round(bench: Bench, servers: Sequence[Server], turn: int) -> Round:
    """Each server once; who comes first changes from round to round."""
    first = turn % len(servers)
    measured = {
        server.name: measure(server, bench.generator, seconds=bench.seconds)
        for server in (*servers[first:], *servers[:first])
    }
    told = ", ".join(f"{name} {one.tiles_per_s:,.0f}" for name, one in measured.items())
    bench.say(f"Round {turn + 1}, tiles/s: {told}")
    return {server.name: measured[server.name] for server in servers}


def _changing_sessions(bench: Bench, server: Server) -> Measurement:
    """The hardest order for whoever remembers: on each connection, every request comes from somebody else."""
    return measure(server, bench.generator, seconds=bench.seconds, stream=replace(STREAM, group=1))
