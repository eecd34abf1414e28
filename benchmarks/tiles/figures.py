"""From measurements to figures: medians with their ranges, ratios within a round, and when a run counts for nothing.

Servers share a noisy machine with the load generator, so only ratios mean something: each is taken between two servers
of one round, minutes apart at most, and the figure is the median of the rounds' ratios. A rate is compared in *replays
of the trace*, not in tiles, so that servers with other tiles for the same screens are compared by what a reader sees.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

# Below this the machine, not the servers, was measured: nginx gives 30,000 tiles/s and more on two quiet cores.
NGINX_TILES_PER_S_MIN = 20_000


class VoidRunError(Exception):
    """The machine was too busy or too slow for the ratios to mean anything."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """One server in one round."""

    answers: int
    seconds: float
    server_cpu_s: float
    p50_us: float
    p99_us: float
    trace_tiles: int
    """Tiles in one replay of the trace on this server's grid."""
    one_by_one_p50_us: float
    screen_p50_us: float
    """A screenful over a browser's connections, from its first request to its last tile."""
    screen_p95_us: float

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


Round = Mapping[str, Measurement]
Rounds = Sequence[Round]
Figures = dict[str, Spread]


@dataclass(frozen=True, slots=True)
class Names:
    """What the servers are called in every round; a peer that a slide is not compared with is not there."""

    ours: str
    nginx: str
    large_image: str
    iipsrv: str
    deepzoom: str


def rate(rounds: Rounds, ours: str, theirs: str) -> Spread:
    """How many times as many replays a second; more is better."""
    return _ratio(rounds, ours, theirs, lambda one: one.replays_per_s)


def cost(rounds: Rounds, ours: str, theirs: str) -> Spread:
    """How many times as much CPU for a replay; less is better."""
    return _ratio(rounds, ours, theirs, lambda one: one.cpu_s_per_replay)


def one_by_one(rounds: Rounds, ours: str, theirs: str) -> Spread:
    """How many times as long for a tile asked for by itself; less is better."""
    return _ratio(rounds, ours, theirs, lambda one: one.one_by_one_p50_us)


def screens(rounds: Rounds, ours: str, theirs: str) -> Spread:
    """How many times as long for a screenful; less is better."""
    return _ratio(rounds, ours, theirs, lambda one: one.screen_p50_us)


def figures(native: Rounds, aperio: Rounds, names: Names) -> Figures:
    """The named figures of a run: `native` on the slide with 256-px tiles at every power of two, `aperio` on the other.
    Where both slides were measured, the worse counts.

    Raises VoidRunError when nginx was slower than a machine fit for measuring makes it.
    """
    ours, nginx = names.ours, names.nginx
    for rounds in (native, aperio):
        require_fit(Spread.of([measured[nginx].tiles_per_s for measured in rounds]).median)

    def slowest(ratio: Callable[[Rounds, str, str], Spread], theirs: str) -> Spread:
        return min((ratio(rounds, ours, theirs) for rounds in (native, aperio)), key=lambda spread: spread.median)

    def dearest(ratio: Callable[[Rounds, str, str], Spread], theirs: str) -> Spread:
        return max((ratio(rounds, ours, theirs) for rounds in (native, aperio)), key=lambda spread: spread.median)

    return {
        "tiles.rps_vs_nginx_static": slowest(rate, nginx),
        "tiles.cpu_per_tile_vs_nginx_static": dearest(cost, nginx),
        "tiles.seq_p50_vs_nginx_static": dearest(one_by_one, nginx),
        "tiles.viewport35_p50_vs_nginx_static": dearest(screens, nginx),
        "tiles.rps_vs_large_image": slowest(rate, names.large_image),
        "tiles.cpu_vs_large_image": dearest(cost, names.large_image),
        "tiles.rps_vs_iipsrv": rate(native, ours, names.iipsrv),
        "tiles.rps_vs_openslide_deepzoom": rate(native, ours, names.deepzoom),
        "tiles.cpu_per_tile_vs_openslide_deepzoom": cost(native, ours, names.deepzoom),
        "tiles.svs_area_rps_vs_openslide_deepzoom": rate(aperio, ours, names.deepzoom),
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
    columns: tuple[tuple[str, int, Callable[[Measurement], float]], ...] = (
        ("tiles/s", 0, lambda one: one.tiles_per_s),
        ("CPU µs/tile", 1, lambda one: one.cpu_us_per_tile),
        ("p50 ms", 2, lambda one: one.p50_us / 1000),
        ("p99 ms", 2, lambda one: one.p99_us / 1000),
        ("one by one p50 ms", 3, lambda one: one.one_by_one_p50_us / 1000),
        ("screen p50 ms", 2, lambda one: one.screen_p50_us / 1000),
        ("screen p95 ms", 2, lambda one: one.screen_p95_us / 1000),
    )
    lines = [("server", *(name for name, _, _ in columns), "tiles per replay")]
    lines.append(tuple("---" for _ in lines[0]))
    for name in rounds[0]:
        mine = [measured[name] for measured in rounds]
        cells = (spread_text(Spread.of([read(one) for one in mine]), decimals) for _, decimals, read in columns)
        lines.append((name, *cells, f"{mine[0].trace_tiles:,}"))
    return markdown(lines)


def ratio_table(ratios: Mapping[str, Spread]) -> str:
    """The figures with the range of their rounds, as a Markdown table."""
    lines = [("figure", "median (range of the rounds)"), ("---", "---")]
    lines.extend((name, spread_text(spread, 3 if spread.median < 10 else 1)) for name, spread in ratios.items())
    return markdown(lines)


def markdown(lines: Sequence[Sequence[str]]) -> str:
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def spread_text(spread: Spread, decimals: int) -> str:
    return f"{spread.median:,.{decimals}f} ({spread.low:,.{decimals}f}–{spread.high:,.{decimals}f})"


def _ratio(rounds: Rounds, ours: str, theirs: str, read: Callable[[Measurement], float]) -> Spread:
    return Spread.of([read(measured[ours]) / read(measured[theirs]) for measured in rounds])
