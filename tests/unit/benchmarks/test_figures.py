import pytest

from benchmarks.tiles.figures import (
    Measurement,
    Names,
    Spread,
    VoidRunError,
    cost,
    figure_line,
    figures,
    one_by_one,
    rate,
    ratio_table,
    screens,
    table,
)

NAMES = Names("ours", "nginx", "large_image", "iipsrv", "deepzoom")


def measured(tiles_per_s, cpu_us_per_tile, trace_tiles=100, one_by_one_p50_us=100, screen_p50_us=1_000):
    return Measurement(
        answers=tiles_per_s * 4,
        seconds=4.0,
        server_cpu_s=tiles_per_s * 4 * cpu_us_per_tile / 1e6,
        p50_us=200,
        p99_us=900,
        trace_tiles=trace_tiles,
        one_by_one_p50_us=one_by_one_p50_us,
        screen_p50_us=screen_p50_us,
        screen_p95_us=2_000,
    )


def a_round(ours, nginx, deepzoom=500, large_image=10_000):
    return {
        "nginx": measured(nginx, 10),
        "ours": measured(ours, 15, one_by_one_p50_us=150, screen_p50_us=1_200),
        "large_image": measured(large_image, 60),
        "iipsrv": measured(1_000, 2_000),
        "deepzoom": measured(deepzoom, 3_000),
    }


def test_a_figure_is_the_median_of_the_ratios_within_each_round():
    # Medians over all rounds (30,000 and 50,000) would give 0.6; the machine was twice as slow in the second round.
    rounds = [a_round(30_000, 60_000), a_round(20_000, 25_000), a_round(35_000, 50_000)]
    assert rate(rounds, "ours", "nginx") == Spread(pytest.approx(0.7), pytest.approx(0.5), pytest.approx(0.8))
    assert cost(rounds, "ours", "nginx").median == pytest.approx(1.5)
    assert one_by_one(rounds, "ours", "nginx").median == pytest.approx(1.5)
    assert screens(rounds, "ours", "nginx").median == pytest.approx(1.2)


def test_servers_with_other_tiles_are_compared_by_replays_of_the_trace():
    measurements = a_round(30_000, 60_000) | {"deepzoom": measured(500, 3_000, trace_tiles=50)}
    assert rate([measurements], "ours", "deepzoom").median == pytest.approx(30)
    assert cost([measurements], "ours", "deepzoom").median == pytest.approx(0.01)


@pytest.mark.parametrize("worse_first", [True, False])
def test_the_worse_of_the_two_slides_is_the_figure(worse_first):
    worse = {name: one for name, one in a_round(30_000, 60_000, large_image=15_000).items() if name != "iipsrv"}
    worse["ours"] = measured(30_000, 20, one_by_one_p50_us=300, screen_p50_us=3_000)
    slides = [[a_round(40_000, 50_000)], [worse | {"iipsrv": measured(2_000, 2_000)}]]
    native, aperio = reversed(slides) if worse_first else slides
    found = {name: spread.median for name, spread in figures(native, aperio, NAMES).items()}
    assert found["tiles.rps_vs_nginx_static"] == pytest.approx(0.5)
    assert found["tiles.cpu_per_tile_vs_nginx_static"] == pytest.approx(2.0)
    assert found["tiles.seq_p50_vs_nginx_static"] == pytest.approx(3.0)
    assert found["tiles.viewport35_p50_vs_nginx_static"] == pytest.approx(3.0)
    assert found["tiles.rps_vs_large_image"] == pytest.approx(2.0)
    assert found["tiles.cpu_vs_large_image"] == pytest.approx(1 / 3)


def test_peers_that_know_one_kind_of_slide_are_compared_on_that():
    aperio = {name: one for name, one in a_round(20_000, 40_000, deepzoom=100).items() if name != "iipsrv"}
    found = figures([a_round(40_000, 50_000)], [aperio], NAMES)
    assert found["tiles.rps_vs_iipsrv"].median == pytest.approx(40)
    assert found["tiles.rps_vs_openslide_deepzoom"].median == pytest.approx(80)
    assert found["tiles.svs_area_rps_vs_openslide_deepzoom"].median == pytest.approx(200)


@pytest.mark.parametrize("slow", ["native", "aperio"])
def test_a_run_is_void_when_nginx_is_below_20_000_tiles_a_second_on_either_slide(slow):
    good = [a_round(30_000, 20_000)] * 3
    bad = [a_round(30_000, 19_999), a_round(30_000, 19_999), a_round(30_000, 40_000)]
    assert figures(good, good, NAMES)
    with pytest.raises(VoidRunError, match=r"19,999 static tiles/s"):
        figures(bad if slow == "native" else good, bad if slow == "aperio" else good, NAMES)


@pytest.mark.parametrize(
    ("value", "text"), [(0.4512, "0.4512"), (0.00612, "0.0061"), (1.0, "1.000"), (27.123, "27.12"), (151.26, "151.3")]
)
def test_a_figure_stands_on_a_line_of_its_own(value, text):
    assert figure_line("tiles.rps_vs_nginx_static", value) == f"figure tiles.rps_vs_nginx_static {text}"


def test_the_tables_show_medians_and_ranges():
    rounds = [a_round(30_000, 60_000), a_round(40_000, 50_000), a_round(35_000, 55_000)]
    ours = "| ours | 35,000 (30,000–40,000) | 15.0 (15.0–15.0) | 0.20 (0.20–0.20) | 0.90 (0.90–0.90) |"
    assert ours in table(rounds)
    ratios = {"tiles.rps_vs_nginx_static": rate(rounds, "ours", "nginx")}
    assert "| tiles.rps_vs_nginx_static | 0.636 (0.500–0.800) |" in ratio_table(ratios)
