"""A server under measurement, and one measurement of it."""

from dataclasses import dataclass

from benchmarks.tiles.figures import Measurement
from benchmarks.tiles.load import Generator, Target
from benchmarks.tiles.processes import cpu_seconds

WARM_S = 1.0
REPLAY_LIMIT_S = 60.0


@dataclass(frozen=True, slots=True)
class Server:
    """A running server; `replay` is the trace in its own tiles."""

    name: str
    pid: int
    port: int
    replay: tuple[Target, ...]
    cookies: tuple[str, ...] = ()
    slow: bool = False
    """Too slow to replay the trace many times: measured over exactly one replay, so that its mix is the others'."""


def measure(server: Server, generator: Generator, *, connections: int, seconds: float) -> Measurement:
    """One round of one server: warmed up, then loaded."""
    generator.run(server.port, server.replay, server.cookies, connections=connections, seconds=WARM_S)
    before = cpu_seconds(server.pid)
    load = generator.run(
        server.port,
        server.replay,
        server.cookies,
        connections=connections,
        seconds=REPLAY_LIMIT_S if server.slow else seconds,
        requests=len(server.replay) if server.slow else 0,
    )
    return Measurement(
        answers=load.answers,
        seconds=load.seconds,
        server_cpu_s=cpu_seconds(server.pid) - before,
        p50_us=load.p50_us,
        p99_us=load.p99_us,
        trace_tiles=len(server.replay),
    )
