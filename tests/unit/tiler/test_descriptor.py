"""A slide told as Deep Zoom and as IIIF: every pixel of every resolution once, and the scanner's own bytes inside."""

import json
import xml.etree.ElementTree as ElementTree

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tiler.descriptor import (
    DZI_NAMESPACE,
    IIIF_CONTEXT,
    Halvings,
    Piece,
    at_power,
    dzi,
    dzi_piece,
    iiif_info,
    iiif_piece,
    slide_json,
)
from tiler.errors import NotTellableError, TileNotFoundError
from tiler.geometry import Size
from tiler.index import WEBP, TileIndex
from tiler.ladder import Native, ladder

T240, T256 = Size(240, 240), Size(256, 256)
APERIO = [Native(Size(46000, 32914), T240), Native(Size(11500, 8228), T240), Native(Size(2875, 2057), T240)]
ADDRESS = "https://slides.example.org/tiles/a/b/iiif"


def halvings(*stored: Native) -> Halvings:
    return Halvings.of(ladder(stored))


def halved(size: Size, tile: Size = T256) -> Halvings:
    """Of a slide that stores its finest level only."""
    return halvings(Native(size, tile))


sides = st.integers(1, 6000)
tiles = st.integers(1, 32).map(lambda n: Size(16 * n, 16 * n))


def test_a_real_aperio_slide_can_be_told_though_its_levels_are_rounded_down() -> None:
    told = halvings(*APERIO)
    assert told.numbers == tuple(range(9))
    assert [at_power(told.full, power) for power in (0, 2, 4, 8)] == [
        Size(46000, 32914), Size(11500, 8229), Size(2875, 2058), Size(180, 129),
    ]  # fmt: skip
    last = told.tile_at(2, 0, 34)
    assert last.size == Size(240, 8229 - 34 * 240), "one row more than the scanner kept"
    assert told.tile_at(2, 0, 0) == Piece(2, 0, 0, 1, 1, 1, T240, True)


@pytest.mark.parametrize(
    "stored",
    [
        [Native(Size(9000, 9000), T256), Native(Size(3000, 3000), T256)],
        [Native(Size(4000, 4000), T240), Native(Size(1000, 1000), T256)],
        [Native(Size(4098, 4096), T256), Native(Size(2047, 2048), T256)],
        [Native(Size(1024, 513), T256), Native(Size(512, 256), T256)],
        [Native(Size(1024, 512), T256, media_type=WEBP), Native(Size(512, 256), T256, media_type=WEBP)],
    ],
    ids=["thirds", "two tile sizes", "two pixels short", "a row of tiles short", "WebP"],
)
def test_what_cannot_be_told_is_not_guessed(stored: list[tuple[Size, Size]]) -> None:
    with pytest.raises(NotTellableError):
        halvings(*stored)


def test_oblong_tiles_are_no_deep_zoom_but_iiif() -> None:
    told = halved(Size(900, 900), Size(256, 128))
    for refused in (lambda: dzi(told), lambda: dzi_piece(told, 10, 0, 0)):
        with pytest.raises(NotTellableError, match="square"):
            refused()
    assert json.loads(iiif_info(told, ADDRESS))["tiles"][0]["height"] == 128
    assert iiif_piece(told, (256, 128, 256, 128), Size(256, 128)).whole


@settings(max_examples=60, deadline=None)
@given(width=sides, height=sides, tile=tiles)
def test_deep_zoom_tiles_cover_each_level_once_in_true_size(width: int, height: int, tile: Size) -> None:
    told = halved(Size(width, height), tile)
    highest = max(width, height) - 1
    highest = highest.bit_length()
    size = told.full
    for dz_level in range(highest, -1, -1):
        assert size == at_power(told.full, highest - dz_level)
        cols, rows = -(-size.width // tile.width), -(-size.height // tile.height)
        across = sum(dzi_piece(told, dz_level, col, 0).size.width for col in range(cols))
        down = sum(dzi_piece(told, dz_level, 0, row).size.height for row in range(rows))
        assert (across, down) == (size.width, size.height)
        for col, row in ((cols, 0), (0, rows)):
            with pytest.raises(TileNotFoundError):
                dzi_piece(told, dz_level, col, row)
        size = Size(-(-size.width // 2), -(-size.height // 2))
    assert dzi_piece(told, 0, 0, 0).size == Size(1, 1)
    with pytest.raises(TileNotFoundError):
        dzi_piece(told, highest + 1, 0, 0)


@settings(max_examples=60, deadline=None)
@given(width=sides, height=sides, tile=tiles)
def test_a_tile_that_is_served_whole_has_that_size(width: int, height: int, tile: Size) -> None:
    """Inside, stored bytes pass as they are; at the edge only what was not padded does."""
    told = halved(Size(width, height), tile)
    for power, level in enumerate(told.levels):
        for col in {0, level.grid.width - 1}:
            for row in {0, level.grid.height - 1}:
                piece = told.tile_at(power, col, row)
                assert piece.whole or level.stored
                assert piece.whole == (not level.stored or piece.size == tile)
                assert (piece.level, piece.col, piece.row) == (told.numbers[power], col, row)


def test_the_deep_zoom_descriptor() -> None:
    root = ElementTree.fromstring(dzi(halved(Size(6001, 4000))))
    assert root.tag == f"{{{DZI_NAMESPACE}}}Image"
    assert root.attrib == {"Format": "jpeg", "Overlap": "0", "TileSize": "256"}
    [size] = root
    assert size.tag == f"{{{DZI_NAMESPACE}}}Size"
    assert size.attrib == {"Width": "6001", "Height": "4000"}


def requests_of_a_viewer(info: dict) -> list[tuple[tuple[int, ...] | None, Size | None]]:
    """Region and size of all that a client may ask for, as it computes them from the description (IIIF §5.4,
    implementation notes of the specification)."""
    found: list[tuple[tuple[int, ...] | None, Size | None]] = [(None, None)]
    found += [(None, Size(size["width"], size["height"])) for size in info["sizes"]]
    [tile] = info["tiles"]
    for factor in tile["scaleFactors"]:
        across, down = tile["width"] * factor, tile.get("height", tile["width"]) * factor
        for y in range(0, info["height"], down):
            for x in range(0, info["width"], across):
                width, height = min(across, info["width"] - x), min(down, info["height"] - y)
                found.append(((x, y, width, height), Size(-(-width // factor), -(-height // factor))))
    return found


@settings(max_examples=40, deadline=None)
@given(width=sides, height=sides, tile=tiles)
def test_everything_the_iiif_description_lists_is_given(width: int, height: int, tile: Size) -> None:
    assume(width * height < 400 * tile.area)
    told = halved(Size(width, height), tile)
    info = json.loads(iiif_info(told, ADDRESS))
    for region, size in requests_of_a_viewer(info):
        piece = iiif_piece(told, region, size)
        assert size is None or piece.size == size
        assert piece.size.width <= info.get("maxWidth", width)
        assert piece.size.height <= info.get("maxHeight", height)
        assert piece.cols * piece.rows <= 4


@settings(max_examples=60, deadline=None)
@given(width=sides, height=sides, tile=tiles, x=sides, y=sides, w=sides, h=sides, to=st.integers(1, 600))
def test_what_the_iiif_description_does_not_list_is_not_given(
    width: int, height: int, tile: Size, x: int, y: int, w: int, h: int, to: int
) -> None:
    assume(width * height < 400 * tile.area)
    told = halved(Size(width, height), tile)
    listed = requests_of_a_viewer(json.loads(iiif_info(told, ADDRESS)))
    for region in ((x, y, w, h), (0, 0, w, h), (x, y, tile.width, tile.height)):
        size = Size(to, to)
        if (region, size) not in listed and region != (0, 0, width, height):
            with pytest.raises(TileNotFoundError):
                iiif_piece(told, region, size)


@pytest.mark.parametrize("size", [Size(100, 90), Size(300, 200), Size(46000, 32914), Size(40, 9000)])
def test_max_is_the_largest_whole_picture_the_limits_allow(size: Size) -> None:
    """IIIF Image API 3.0 §4.2: without limits `max` is the full size, else the largest that respects them."""
    told = halved(size)
    info = json.loads(iiif_info(told, ADDRESS))
    largest = iiif_piece(told, None, None).size
    if "maxWidth" not in info:
        assert largest == size
        return
    share = min(info["maxWidth"] / size.width, info["maxHeight"] / size.height)
    assert abs(largest.width - size.width * share) < 1
    assert abs(largest.height - size.height * share) < 1
    assert {"width": largest.width, "height": largest.height} in info["sizes"]


# IIIF Image API 3.0 §5: property → type; those that must be there, and what they must be.
REQUIRED = {
    "@context": IIIF_CONTEXT,
    "type": "ImageService3",
    "protocol": "http://iiif.io/api/image",
    "profile": "level0",
    "id": ADDRESS,
}
OPTIONAL = {"maxWidth", "maxHeight", "sizes", "tiles", "preferredFormats", "extraFeatures"}
# §5.7, the names of features that a server may say it has beyond its compliance level.
FEATURES = {
    "baseUriRedirect", "canonicalLinkHeader", "cors", "jsonldMediaType", "mirroring", "profileLinkHeader",
    "regionByPct", "regionByPx", "regionSquare", "rotationArbitrary", "rotationBy90s", "sizeByConfinedWh", "sizeByH",
    "sizeByPct", "sizeByW", "sizeByWh", "sizeUpscaling",
}  # fmt: skip


@pytest.mark.parametrize("told", [halvings(*APERIO), halved(Size(100, 90)), halved(Size(700, 5000), Size(512, 256))])
def test_the_iiif_description_is_what_the_standard_says(told: Halvings) -> None:
    info = json.loads(iiif_info(told, ADDRESS))
    assert {name: info[name] for name in REQUIRED} == REQUIRED
    assert (info["width"], info["height"]) == (told.full.width, told.full.height)
    assert set(info) - set(REQUIRED) - {"width", "height"} <= OPTIONAL
    assert set(info["extraFeatures"]) <= FEATURES
    assert info["preferredFormats"] == ["jpg"]
    assert ("maxWidth" in info) == ("maxHeight" in info)
    sizes = [(size["width"], size["height"]) for size in info["sizes"]]
    assert sizes == sorted(set(sizes)), "each once, from the smallest on"
    for width, height in sizes:
        assert abs(width / height - told.full.width / told.full.height) <= 1.2 * width / height / min(width, height)
    [tile] = info["tiles"]
    assert tile["scaleFactors"] == [2**power for power in range(len(tile["scaleFactors"]))]
    assert set(tile) <= {"width", "height", "scaleFactors"}


def test_slide_json_tells_the_levels_as_they_are(svs_index: TileIndex) -> None:
    said = json.loads(slide_json(svs_index, version="0" * 16, profile=True))
    kinds = ["stored" if level.stored else "derived" for level in svs_index.levels]
    assert [level["kind"] for level in said["levels"]] == kinds
    assert (said["bounds"], said["focal_planes"]) == (None, None)
    for told, level in zip(said["levels"], svs_index.levels, strict=True):
        assert (told["width"], told["height"]) == (level.size.width, level.size.height)
        assert (told["tile_width"], told["tile_height"]) == (level.tile.width, level.tile.height)
        assert told["downsample"] == level.downsample
    assert (said["width"], said["height"]) == (2560, 1728)
    assert said["mpp_x"] == svs_index.metadata.mpp_x
    assert (said["deep_zoom"], said["iiif"], said["icc_profile"]) == ("slide.dzi", "iiif/info.json", "profile.icc")
    assert json.loads(slide_json(svs_index, version="0" * 16, profile=False))["icc_profile"] is None
    assert not {"scanner_serial", "properties", "acquired_at"} & set(said)
