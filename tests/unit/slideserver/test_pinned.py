"""A pinned view as a picture: which tiles it takes and where they lie."""

import math

import pytest

from sharing.vocabulary import SlideId
from slideserver.description import BoundsDescription, Context, LevelDescription, SlideDescription
from slideserver.pages import pinned
from slideserver.pages.pinned import HEIGHT, WIDTH


def slide(width=40_000, height=30_000, mpp=0.5, power=20.0, factors=tuple(2**n for n in range(9)), bounds=None):
    levels = [LevelDescription(width=width // f, height=height // f, tile_width=240, tile_height=240) for f in factors]
    return SlideDescription(
        id=SlideId("s"),
        version="v",
        case=None,
        stain=None,
        block=None,
        width=width,
        height=height,
        mpp_x=mpp,
        mpp_y=mpp,
        objective_power=power,
        bounds=bounds or BoundsDescription(x=0, y=0, width=width, height=height),
        display_window=None,
        focal_plane=None,
        levels=levels,
        tile_url="/tiles/s/v/{level}/{col}_{row}",
        thumbnail_url="/tiles/s/v/thumbnail",
        label_url=None,
        macro_url=None,
        slides_of_case=[],
        context=Context(kind="own"),
    )


def test_at_the_scanned_magnification_a_pixel_is_a_pixel():
    found = pinned.picture("c=20000,15000&m=20", slide())
    assert found.magnification == 20
    assert {tile.url.split("/")[4] for tile in found.tiles} == {"0"}
    left = [tile for tile in found.tiles if tile.x <= 0 <= tile.x + tile.width]
    col = int(left[0].url.split("/")[5].split("_")[0])
    assert left[0].x == pytest.approx(col * 240 - 20_000 + WIDTH / 2, abs=0.01)
    assert left[0].width == pytest.approx(240.6)


@pytest.mark.parametrize("magnification", [0.3, 1, 2.5, 5, 10, 20, 40])
@pytest.mark.parametrize("turn", [0, 15, 90, 200])
def test_the_tiles_cover_the_picture_and_are_few(magnification, turn):
    found = pinned.picture(f"c=20000,15000&m={magnification}&r={turn}", slide())
    assert len(found.tiles) <= 60
    radius = math.hypot(WIDTH, HEIGHT) / 2 if turn else 0
    for x, y in [(1, 1), (WIDTH - 1, HEIGHT - 1), (WIDTH / 2, 1), (WIDTH / 2 - radius + 1, HEIGHT / 2)]:
        inside_slide = all(
            0 < 20_000 + (value - middle) / magnification * 20 < 40_000 * share
            for value, middle, share in ((x, WIDTH / 2, 1), (y, HEIGHT / 2, 1))
        )
        covered = any(t.x <= x <= t.x + t.width and t.y <= y <= t.y + t.height for t in found.tiles)
        if inside_slide and magnification > 1:
            assert covered, (x, y)


@pytest.mark.parametrize(
    "fragment",
    ["", "#", "c=&m=", "c=a,b&m=x", "c=1,2,3", "m=-5", "m=0", "z=0", "m=1e9", "c=" + "9" * 300, "r=NaN", "%00", "&&&"],
)
def test_what_is_no_view_shows_the_whole_slide(fragment):
    found = pinned.picture(fragment, slide())
    whole = pinned.picture("", slide())
    assert found == whole
    assert len(found.tiles) <= 60


def test_a_point_off_the_slide_is_moved_to_its_edge():
    view = pinned.parse("c=-5,999999&m=20", slide())
    assert (view.x, view.y) == (0, 30_000)
    assert pinned.parse("c=1,1&m=999999", slide()).zoom == 8


def test_without_a_magnification_the_view_is_told_in_pixels():
    bare = slide(mpp=None, power=None)
    found = pinned.picture("c=20000,15000&z=0.5", bare)
    assert pinned.parse("z=0.5", bare).zoom == 0.5
    assert (found.magnification, found.bar) == (None, None)


@pytest.mark.parametrize(("magnification", "length"), [(20, "50 µm"), (10, "100 µm"), (1, "1 mm"), (40, "20 µm")])
def test_the_scale_bar_has_a_round_length(magnification, length):
    bar = pinned.picture(f"c=20000,15000&m={magnification}", slide()).bar
    assert bar.length == length
    assert 50 < bar.pixels <= 150


def test_the_frame_on_the_overview_can_always_be_found():
    found = pinned.picture("c=20000,15000&m=40", slide())
    assert found.frame.width >= 0.04 * found.overview.width
    assert found.frame.x + found.frame.width / 2 == pytest.approx(20_000)


def test_where_there_is_something_only_in_a_part_the_overview_and_the_first_view_show_that_part():
    seen = BoundsDescription(x=10_000, y=20_000, width=7_200, height=4_800)
    found = pinned.picture("", slide(bounds=seen))
    assert found.overview == seen
    assert (found.frame.x, found.frame.y, found.frame.width, found.frame.height) == (10_000, 20_000, 7_200, 4_800)
