"""A server under measurement, and one measurement of it."""

from dataclasses import dataclass

from benchmarks.tiles.figures import Measurement
from benchmarks.tiles.load import Generator, Load, Pattern, Target
from benchmarks.tiles.processes import apart, cpu_seconds

CONNECTIONS = 16
SCREENFUL = 35
BROWSER_CONNECTIONS = 6
# So that every process has met every reader, and the page cache every tile.
WARM_REPLAYS, WARM_LIMIT_S, WARM_SLOW_S = 3, 20.0, 0.5
BRIEF_S = 1.0
BRIEF_SCREENS = 6
REPLAY_LIMIT_S = 90.0

STREAM = Pattern("stream", CONNECTIONS, SCREENFUL)
ONE_BY_ONE = Pattern("stream", 1, SCREENFUL)
SCREENS = Pattern("screens", BROWSER_CONNECTIONS, SCREENFUL)


@dataclass(frozen=True, slots=True)
class Server:
    """A running server; `replay` is the trace in its own tiles."""

    name: str
    pids: tuple[int, ...]
    port: int
    replay: tuple[Target, ...]
    cookies: tuple[str, ...] = ()
    slow: bool = False
    """Too slow to replay the trace many times: measured over exactly one replay, so that its mix is the others'."""


def measure(server: Server, generator: Generator, *, seconds: float, stream: Pattern = STREAM) -> Measurement:
    """One round of one server: warmed up, loaded from many sides, asked one tile at a time, asked for screens."""
    _warm_up(server, generator)
    before = cpu_seconds(*server.pids)
    if server.slow:
        # Tile by tile: in screenfuls, the last one would be waited for with all other connections idle.
        whole = Pattern("stream", CONNECTIONS)
        requests = len(server.replay)
        load = generator.run(
            server.port, server.replay, server.cookies, whole, seconds=REPLAY_LIMIT_S, requests=requests
        )
    else:
        load = generator.run(server.port, server.replay, server.cookies, stream, seconds=seconds)
    cpu_s = cpu_seconds(*server.pids) - before
    with apart(server.pids):
        one_by_one = _briefly(server, generator, ONE_BY_ONE)
    screens = _briefly(server, generator, SCREENS)
    return Measurement(
        answers=load.answers,
        seconds=load.seconds,
        server_cpu_s=cpu_s,
        p50_us=load.p50_us,
        p99_us=load.p99_us,
        trace_tiles=len(server.replay),
        one_by_one_p50_us=one_by_one.p50_us,
        screen_p50_us=screens.p50_us,
        screen_p95_us=screens.p95_us,
    )


def _warm_up(server: Server, generator: Generator) -> None:
    requests = 0 if server.slow else WARM_REPLAYS * len(server.replay)
    seconds = WARM_SLOW_S if server.slow else WARM_LIMIT_S
    generator.run(server.port, server.replay, server.cookies, STREAM, seconds=seconds, requests=requests)


def _briefly(server: Server, generator: Generator, pattern: Pattern) -> Load:
    """For a second; a slow server for some screens, however long they take it."""
    requests = BRIEF_SCREENS * SCREENFUL if server.slow else 0
    seconds = REPLAY_LIMIT_S if server.slow else BRIEF_S
    return generator.run(server.port, server.replay, server.cookies, pattern, seconds=seconds, requests=requests)
