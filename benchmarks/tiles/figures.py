"""From measurements to figures: medians with their ranges, ratios within a round, and when a run counts for nothing.

Servers share a noisy machine with the load generator, so only ratios mean something: each is taken between two servers
of one round, minutes apart at most, and the figure is the median of the rounds' ratios. A rate is compared in *replays
of the trace*, not in tiles, so that servers with other tiles for the same screens are compared by what a reader sees.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

# Below this the machine, not the servers, was measured: nginx gives 30,000 to 40,000 tiles/s on two quiet cores.
NGINX_TILES_PER_S_MIN = 20_000


class VoidRunError(Exception):
    """The machine was too busy or too slow for the ratios to mean anything."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """One server in one round."""

    answers: int
    seconds: float
    server_cpu_s: float
    p50_us: int
    p99_us: int
    trace_tiles: int
    """Tiles in one replay of the trace on this server's grid."""

    @property
    def tiles_per_s(self) -> float:
        return self.answers / self.seconds

    @property
    def cpu_us_per_tile(self) -> float:
        return self.server_cpu_s / self.answers * 1e6

    @property
    def replays_per_s(self) -> float:
        return self.tiles_per_s / self.trace_tiles

    @property
    def cpu_s_per_replay(self) -> float:
        return self.server_cpu_s / self.answers * self.trace_tiles


@dataclass(frozen=True, slots=True)
class Spread:
    """A median with its range."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        return cls(median(values), min(values), max(values))


Rounds = Sequence[Mapping[str, Measurement]]


def figures(rounds: Rounds, *, ours: str, nginx: str, deepzoom: str) -> dict[str, Spread]:
    """The named figures of a run; `ours`, `nginx` and `deepzoom` are the servers' names in every round.

    Raises VoidRunError when nginx was slower than a machine fit for measuring makes it.
    """
    require_fit(Spread.of([measured[nginx].tiles_per_s for measured in rounds]).median)
    return {
        "tiles.rps_vs_nginx_static": _rate(rounds, ours, nginx),
        "tiles.rps_vs_openslide_deepzoom": _rate(rounds, ours, deepzoom),
        "tiles.cpu_per_tile_vs_nginx_static": _cost(rounds, ours, nginx),
        "tiles.cpu_per_tile_vs_openslide_deepzoom": _cost(rounds, ours, deepzoom),
    }


def require_fit(nginx_tiles_per_s: float) -> None:
    """Raises VoidRunError when nginx gave too few tiles a second for the run to count."""
    if nginx_tiles_per_s < NGINX_TILES_PER_S_MIN:
        raise VoidRunError(
            f"This run is void: nginx served {nginx_tiles_per_s:,.0f} static tiles/s, and below "
            f"{NGINX_TILES_PER_S_MIN:,} it is the machine that was measured, not the servers. "
            "Run it again when nothing else works on this machine."
        )


def figure_line(name: str, value: float) -> str:
    """A figure as programs read it: four significant digits, never in scientific notation."""
    decimals = 1 if value >= 100 else 2 if value >= 10 else 3 if value >= 1 else 4
    return f"figure {name} {value:.{decimals}f}"


def table(rounds: Rounds) -> str:
    """What was measured, a line per server, medians with ranges, as a Markdown table."""
    head = ("server", "tiles/s", "CPU µs/tile", "p50 ms", "p99 ms", "tiles per replay")
    lines = [head, tuple("---" for _ in head)]
    for name in rounds[0]:
        mine = [measured[name] for measured in rounds]
        lines.append(
            (
                name,
                _text(Spread.of([one.tiles_per_s for one in mine]), 0),
                _text(Spread.of([one.cpu_us_per_tile for one in mine]), 1),
                _text(Spread.of([one.p50_us / 1000 for one in mine]), 2),
                _text(Spread.of([one.p99_us / 1000 for one in mine]), 2),
                f"{mine[0].trace_tiles:,}",
            )
        )
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def ratio_table(ratios: Mapping[str, Spread]) -> str:
    """The figures with the range of their rounds, as a Markdown table."""
    lines = [("figure", "median (range of the rounds)"), ("---", "---")]
    lines.extend((name, _text(spread, 3 if spread.median < 10 else 1)) for name, spread in ratios.items())
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def _rate(rounds: Rounds, ours: str, theirs: str) -> Spread:
    return Spread.of([measured[ours].replays_per_s / measured[theirs].replays_per_s for measured in rounds])


def _cost(rounds: Rounds, ours: str, theirs: str) -> Spread:
    return Spread.of([measured[ours].cpu_s_per_replay / measured[theirs].cpu_s_per_replay for measured in rounds])


def _text(spread: Spread, decimals: int) -> str:
    return f"{spread.median:,.{decimals}f} ({spread.low:,.{decimals}f}–{spread.high:,.{decimals}f})"
