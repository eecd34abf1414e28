import pytest

from benchmarks.tiles.figures import Measurement, Spread, VoidRunError, figure_line, figures, ratio_table, table

NAMES = {"ours": "ours", "nginx": "nginx", "deepzoom": "deepzoom"}


def measured(tiles_per_s, cpu_us_per_tile, trace_tiles=100):
    return Measurement(
        answers=tiles_per_s * 4,
        seconds=4.0,
        server_cpu_s=tiles_per_s * 4 * cpu_us_per_tile / 1e6,
        p50_us=200,
        p99_us=900,
        trace_tiles=trace_tiles,
    )


def a_round(ours, nginx, deepzoom=500):
    return {"nginx": measured(nginx, 10), "ours": measured(ours, 15), "deepzoom": measured(deepzoom, 3_000)}


def test_a_figure_is_the_median_of_the_ratios_within_each_round():
    # Medians over all rounds (30,000 and 50,000) would give 0.6; the machine was twice as slow in the second round.
    rounds = [a_round(30_000, 60_000), a_round(20_000, 25_000), a_round(35_000, 50_000)]
    ratios = figures(rounds, **NAMES)
    assert ratios["tiles.rps_vs_nginx_static"] == Spread(pytest.approx(0.7), pytest.approx(0.5), pytest.approx(0.8))
    assert ratios["tiles.rps_vs_openslide_deepzoom"].median == pytest.approx(60)
    assert ratios["tiles.cpu_per_tile_vs_nginx_static"].median == pytest.approx(1.5)
    assert ratios["tiles.cpu_per_tile_vs_openslide_deepzoom"].median == pytest.approx(0.005)


def test_servers_with_other_tiles_are_compared_by_replays_of_the_trace():
    measurements = a_round(30_000, 60_000) | {"deepzoom": measured(500, 3_000, trace_tiles=50)}
    ratios = figures([measurements], **NAMES)
    assert ratios["tiles.rps_vs_openslide_deepzoom"].median == pytest.approx(30)
    assert ratios["tiles.cpu_per_tile_vs_openslide_deepzoom"].median == pytest.approx(0.01)


def test_a_run_is_void_when_nginx_is_below_20_000_tiles_a_second():
    rounds = [a_round(30_000, 19_999), a_round(30_000, 19_999), a_round(30_000, 40_000)]
    with pytest.raises(VoidRunError, match=r"19,999 static tiles/s"):
        figures(rounds, **NAMES)
    assert figures([*rounds[1:], a_round(30_000, 20_000)], **NAMES)


@pytest.mark.parametrize(
    ("value", "text"), [(0.4512, "0.4512"), (0.00612, "0.0061"), (1.0, "1.000"), (27.123, "27.12"), (151.26, "151.3")]
)
def test_a_figure_stands_on_a_line_of_its_own(value, text):
    assert figure_line("tiles.rps_vs_nginx_static", value) == f"figure tiles.rps_vs_nginx_static {text}"


def test_the_tables_show_medians_and_ranges():
    rounds = [a_round(30_000, 60_000), a_round(40_000, 50_000), a_round(35_000, 55_000)]
    assert "| ours | 35,000 (30,000–40,000) | 15.0 (15.0–15.0) | 0.20 (0.20–0.20) | 0.90 (0.90–0.90) | 100 |" in table(
        rounds
    )
    assert "| tiles.rps_vs_nginx_static | 0.636 (0.500–0.800) |" in ratio_table(figures(rounds, **NAMES))
