import pytest

from benchmarks.tiles.trace import SCREEN, Grid, Screen, cover, deepzoom_grids, native_grids, read_sessions, replay
from tiler.address import TileAddress
from tiler.geometry import Region, Size

SLIDE = Size(24_000, 18_000)
PLACES = [(5_000, 4_000), (20_000, 15_000), (0, 0), (23_999, 17_999)]


def description(size, tile, downsamples):
    return {
        "width": size.width,
        "levels": [
            {"width": size.width // d, "height": size.height // d, "tile_width": tile, "tile_height": tile}
            for d in downsamples
        ],
    }


def covered(screen, grids):
    """Level-0 rectangle that the chosen tiles cover, from their addresses alone."""
    addresses = list(cover(screen, grids))
    grid = next(grid for grid in grids if grid.level == addresses[0].level)
    columns, rows = {a.col for a in addresses}, {a.row for a in addresses}
    assert len(addresses) == len(columns) * len(rows)
    right = min((max(columns) + 1) * grid.tile.width, grid.size.width)
    bottom = min((max(rows) + 1) * grid.tile.height, grid.size.height)
    return (
        min(columns) * grid.tile.width * grid.downsample,
        min(rows) * grid.tile.height * grid.downsample,
        right * grid.downsample,
        bottom * grid.downsample,
        grid,
    )


@pytest.mark.parametrize(
    "grids",
    [
        native_grids(description(SLIDE, 256, (1, 2, 4, 8, 16))),
        native_grids(description(SLIDE, 240, (1, 4, 16))),
        native_grids(description(Size(24_001, 17_999), 240, (1, 4, 16))),
        deepzoom_grids(SLIDE, Size(256, 256)),
    ],
)
def test_every_screen_is_covered_and_no_tile_lies_wholly_outside_it(grids):
    for session in read_sessions(SLIDE, PLACES, count=3, seed=7):
        for screen in session:
            left, top, right, bottom, grid = covered(screen, grids)
            pixel = 2 * grid.downsample
            assert left <= screen.l0.x
            assert top <= screen.l0.y
            assert right >= screen.l0.x + screen.l0.width - pixel
            assert bottom >= screen.l0.y + screen.l0.height - pixel
            edge = grid.tile.width * grid.downsample
            assert left > screen.l0.x - edge
            assert top > screen.l0.y - edge
            assert right < screen.l0.x + screen.l0.width + edge + pixel
            assert bottom < screen.l0.y + screen.l0.height + edge + pixel


def test_the_level_is_the_coarsest_that_is_still_sharp():
    grids = native_grids(description(SLIDE, 240, (1, 4, 16)))
    chosen = {d: next(cover(Screen(Region(0, 0, 2_000, 2_000), d), grids)).level for d in (1, 2, 4, 8, 16, 32)}
    assert chosen == {1: 0, 2: 0, 4: 1, 8: 1, 16: 2, 32: 2}


def test_level_sizes_rounded_down_still_count_as_that_downsample():
    grids = native_grids(description(Size(24_001, 17_999), 256, (1, 4, 16)))
    assert grids[2].downsample > 16
    assert next(cover(Screen(Region(0, 0, 2_000, 2_000), 16), grids)).level == 2


def test_deep_zoom_numbers_its_levels_from_one_pixel_upwards():
    grids = {grid.level: grid for grid in deepzoom_grids(SLIDE, Size(256, 256))}
    assert sorted(grids) == list(range(16))
    assert grids[15].size == SLIDE
    assert grids[11].size == Size(1_500, 1_125)
    assert grids[0].size == Size(1, 1)


def test_on_power_of_two_levels_both_servers_are_asked_for_the_same_cells():
    sessions = read_sessions(SLIDE, PLACES, count=4, seed=1)
    native = replay(sessions, native_grids(description(SLIDE, 256, (1, 2, 4, 8, 16))))
    deep_zoom = replay(sessions, deepzoom_grids(SLIDE, Size(256, 256)))
    assert [(15 - level, col, row) for level, col, row in deep_zoom] == list(native)


def test_sessions_stay_on_the_slide_and_end_at_full_resolution():
    for session in read_sessions(SLIDE, PLACES, count=5, seed=3):
        assert session[0] == Screen(Region(0, 0, 24_000, 18_000), 16)
        assert session[-1].downsample == 1
        assert {screen.downsample for screen in session} == {16, 8, 4, 2, 1}
        for screen in session:
            assert screen.l0.x >= 0
            assert screen.l0.y >= 0
            assert screen.l0.x + screen.l0.width <= SLIDE.width
            assert screen.l0.y + screen.l0.height <= SLIDE.height
            assert screen.l0.width <= SCREEN.width * screen.downsample


def test_a_slide_smaller_than_a_screen_is_seen_whole():
    (session,) = read_sessions(Size(900, 700), [(450, 350)], count=1, seed=1)
    assert {screen.l0 for screen in session} == {Region(0, 0, 900, 700)}


def test_the_same_seed_gives_the_same_reading_and_another_seed_another():
    assert read_sessions(SLIDE, PLACES, count=2, seed=5) == read_sessions(SLIDE, PLACES, count=2, seed=5)
    assert read_sessions(SLIDE, PLACES, count=2, seed=5) != read_sessions(SLIDE, PLACES, count=2, seed=6)


def test_a_session_asks_for_a_tile_once_and_sessions_take_turns():
    grids = (Grid(0, Size(1_024, 512), Size(256, 256), 1.0),)
    left, both = Screen(Region(0, 0, 256, 256), 1), Screen(Region(0, 0, 512, 256), 1)
    asked = replay([(left, both), (both,)], grids)
    first, second = TileAddress(0, 0, 0), TileAddress(0, 1, 0)
    assert asked == (first, first, second, second)
