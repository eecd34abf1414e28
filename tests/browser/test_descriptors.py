"""Viewers that know nothing of us open our slides: stock OpenSeadragon by Deep Zoom and by IIIF, stock Leaflet by IIIF.

They run as their makers ship them, with their default settings, on a page of the site that holds nothing but what their
manuals show. What they draw is compared with what OpenSlide reads, at full resolution in the middle and in the far
corner, where tiles are cropped, and with the whole slide.
"""

import io
import mimetypes
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import openslide
import pytest
from fixtures.desk import Desks
from fixtures.platform import SCAN, Platform
from PIL import Image
from playwright.sync_api import Page, Route

pytestmark = pytest.mark.browser

MODULES = Path(__file__).parents[2] / "viewer" / "node_modules"
STOCK = "/stock/"
WIDTH, HEIGHT = 560, 420
PAGE = """<!doctype html><title>{title}</title>{scripts}
<style>body {{ margin: 0 }} #slide {{ width: 560px; height: 420px; background: #000 }}</style><div id="slide"></div>
<script>{start}</script>"""


@dataclass(frozen=True)
class Viewer:
    """How its manual says to put it on a page, and how it is told to show a place of the slide at full resolution."""

    stain: str
    """Which slide it opens: the real scan, of one stored level, or the made one, of two."""
    descriptor: str
    scripts: str
    start: str
    show: str
    loaded: str


OPENSEADRAGON = {
    "scripts": '<script src="openseadragon/build/openseadragon/openseadragon.js"></script>',
    "start": """const viewer = OpenSeadragon({
        id: "slide", prefixUrl: "openseadragon/build/openseadragon/images/", tileSources: "ADDRESS" });""",
    "show": """([x, y]) => { const view = viewer.viewport;
        view.zoomTo(view.imageToViewportZoom(1), null, true);
        view.panTo(view.imageToViewportCoordinates(x, y), true); }""",
    "loaded": """() => viewer.world.getItemCount() === 1 && viewer.world.getItemAt(0).getFullyLoaded()""",
}
VIEWERS = {
    "OpenSeadragon, Deep Zoom": Viewer("PAS", "slide.dzi", **OPENSEADRAGON),
    "OpenSeadragon, IIIF": Viewer("HES", "iiif/info.json", **OPENSEADRAGON),
    "Leaflet, IIIF": Viewer(
        "PAS",
        "iiif/info.json",
        scripts='<link rel="stylesheet" href="leaflet/dist/leaflet.css"><script src="leaflet/dist/leaflet-src.js">'
        '</script><script src="leaflet-iiif/leaflet-iiif.js"></script>',
        start="""const map = L.map("slide", { center: [0, 0], crs: L.CRS.Simple, zoom: 0 });
        const layer = L.tileLayer.iiif("ADDRESS").addTo(map);""",
        show="""([x, y]) => { const zoom = layer.maxNativeZoom;
        map.setView(map.options.crs.pointToLatLng(L.point(x, y), zoom), zoom, { animate: false }); }""",
        loaded="""() => layer.maxNativeZoom !== undefined && !layer.isLoading()
        && document.querySelectorAll(".leaflet-tile").length > 0
        && [...document.querySelectorAll(".leaflet-tile")].every((tile) => getComputedStyle(tile).opacity === "1")""",
    ),
}


@pytest.fixture(params=VIEWERS)
def viewer(request: pytest.FixtureRequest) -> Viewer:
    return VIEWERS[request.param]


@pytest.fixture
def page(desk: Desks, platform: Platform, viewer: Viewer) -> Page:
    """The viewer with its slide, opened by a member of the slide's site."""
    someone = desk()
    worklist = someone.sign_in("pathologiste.caen")
    link = worklist.get_by_role("row", name=re.compile("26H01234")).get_by_title(re.compile(viewer.stain)).first
    slide_id = (link.get_attribute("href") or "").split("#")[0].rpartition("/")[2]
    version = worklist.request.get(f"{platform.url}/api/slides/{slide_id}").json()["version"]
    start = viewer.start.replace("ADDRESS", f"/tiles/{slide_id}/{version}/{viewer.descriptor}")

    def serve(route: Route) -> None:
        name = route.request.url.partition(STOCK)[2]
        if name:
            route.fulfill(body=(MODULES / name).read_bytes(), content_type=mimetypes.guess_type(name)[0])
        else:
            body = PAGE.format(title=viewer.stain, scripts=viewer.scripts, start=start)
            route.fulfill(body=body, content_type="text/html; charset=utf-8")

    someone.context.route(f"**{STOCK}**", serve)
    worklist.goto(platform.url + STOCK)
    worklist.wait_for_function(viewer.loaded)
    return worklist


@pytest.fixture
def scan(viewer: Viewer, platform: Platform) -> Iterator[openslide.OpenSlide]:
    """The same slide as OpenSlide reads it."""
    made = platform.var.parent / "26H01234-A2.svs"
    with openslide.OpenSlide(SCAN if viewer.stain == "HES" else made) as slide:
        yield slide


def drawn(page: Page) -> np.ndarray:
    """What stands on the screen, once it does not change any more."""
    before = b""
    while (now := page.locator("#slide").screenshot()) != before:
        before = now
        page.wait_for_timeout(100)
    return np.asarray(Image.open(io.BytesIO(now)).convert("RGB")).astype(int)


def shown_at(page: Page, viewer: Viewer, x: int, y: int) -> np.ndarray:
    """The screen with a level-0 pixel in its middle, at one screen pixel per pixel."""
    page.evaluate(viewer.show, [x, y])
    page.wait_for_function(viewer.loaded)
    return drawn(page)


def read(scan: openslide.OpenSlide, left: int, top: int, width: int, height: int) -> np.ndarray:
    return np.asarray(scan.read_region((left, top), 0, (width, height)).convert("RGB")).astype(int)


def test_a_stock_viewer_draws_what_openslide_reads(page: Page, viewer: Viewer, scan: openslide.OpenSlide) -> None:
    assert_whole(page, viewer, scan)
    width, height = scan.dimensions
    across, down = WIDTH // 2, HEIGHT // 2

    left, top = width // 2 - across, height // 2 - down
    # Without the corner where the viewers have their buttons.
    middle = shown_at(page, viewer, left + across, top + down)[80:, 180:]
    wanted = read(scan, left, top, WIDTH, HEIGHT)[80:, 180:]
    near = np.abs(middle - wanted).mean()
    assert near < 2
    for shifted in (np.roll(wanted, 1, 0), np.roll(wanted, 1, 1), wanted[::-1]):
        assert np.abs(middle - shifted).mean() > near + 1, "the control: a pixel aside is seen"

    # The far corner in the middle of the screen: tiles cropped on two sides, and nothing behind them.
    screen = shown_at(page, viewer, width, height)
    wanted = read(scan, width - across, height - down, across, down)
    assert np.abs(screen[80 : down - 1, 180 : across - 1] - wanted[80 : down - 1, 180 : across - 1]).mean() < 2
    behind = screen[down + 1 :, across + 1 : -150]
    assert np.ptp(behind.reshape(-1, 3), axis=0).max() == 0, "one colour, the page's own"


def assert_whole(page: Page, viewer: Viewer, scan: openslide.OpenSlide) -> None:
    """The picture that it opens with is the whole slide, where it should be."""
    width, height = scan.dimensions
    screen = drawn(page)
    if "leaflet" in viewer.scripts:  # it shows whole zoom levels only
        share = page.evaluate("2 ** (map.getZoom() - layer.maxNativeZoom)")
        x, y = page.evaluate("(() => { const at = map.latLngToContainerPoint([0, 0]); return [at.x, at.y]; })()")
    else:
        share = min(WIDTH / width, HEIGHT / height)
        x, y = (WIDTH - width * share) / 2, (HEIGHT - height * share) / 2
    size = round(width * share), round(height * share)
    canvas = Image.new("RGB", (WIDTH, HEIGHT))
    whole = scan.read_region((0, 0), 0, scan.dimensions).convert("RGB")
    canvas.paste(whole.resize(size, Image.Resampling.BOX), (round(x), round(y)))
    rows = slice(max(80, round(y) + 2), min(HEIGHT, round(y) + size[1]) - 2)
    cols = slice(max(150, round(x) + 2), min(WIDTH, round(x) + size[0]) - 2)
    ours, wanted = screen[rows, cols], np.asarray(canvas).astype(int)
    near = np.abs(blurred(ours) - blurred(wanted[rows, cols])).mean()
    assert near < 6
    assert np.abs(blurred(ours) - blurred(wanted[::-1, ::-1][rows, cols])).mean() > 2 * near, "the control"


def blurred(picture: np.ndarray) -> np.ndarray:
    """Averages of 8 × 8 pixels: viewers scale in different ways, to the same colours."""
    height, width = (side // 8 * 8 for side in picture.shape[:2])
    blocks = picture[:height, :width].reshape(height // 8, 8, width // 8, 8, 3)
    means: np.ndarray = blocks.mean(axis=(1, 3))
    return means
