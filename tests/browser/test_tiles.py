"""Which tiles the viewer asks for and in which order, what it does when they do not come, and what it does ahead."""

import json
import random
import re
import threading
import time
from collections.abc import Callable
from itertools import pairwise
from statistics import quantiles
from typing import Any

import pytest
from fixtures.desk import Desks
from fixtures.failing_proxy import TILE, BadNetwork
from fixtures.figures import Figure
from fixtures.platform import Platform
from playwright.sync_api import Page, Request, expect
from sqlalchemy import func, select, update

from sharing.clock import MINUTE_US
from sharing.db.engine import open_database
from sharing.db.tables import ReadingRow

from .test_main_job import drawn, number, open_slide, wait_for_view, wait_until

pytestmark = pytest.mark.browser

ANNE = "pathologiste.caen"
Address = tuple[int, int, int]


COLOURS = """() => {
  const canvas = document.querySelector(".iv-stage canvas");
  const { data } = canvas.getContext("2d").getImageData(canvas.width / 2 - 150, canvas.height / 2 - 150, 300, 300);
  return new Set(new Uint32Array(data.buffer)).size;
}"""


def address_of(url: str) -> Address:
    """Level, column, row."""
    level, col, row = map(int, re.split(r"[/_]", url)[-3:])
    return level, col, row


class Asked:
    """The tiles that a page asked for, in order."""

    def __init__(self, page: Page) -> None:
        self.tiles: list[Address] = []
        self.cancelled: list[Address] = []
        page.on("request", lambda request: self._note(request, self.tiles))
        page.on("requestfailed", self._failed)

    def _note(self, request: Request, tiles: list[Address]) -> None:
        if TILE.search(request.url):
            tiles.append(address_of(request.url))

    def _failed(self, request: Request) -> None:
        if request.failure == "net::ERR_ABORTED":
            self._note(request, self.cancelled)

    def take(self) -> list[Address]:
        taken, self.tiles[:] = list(self.tiles), []
        return taken


def described(page: Page) -> dict[str, Any]:
    slide: dict[str, Any] = json.loads(page.locator("#slide").text_content() or "")
    return slide


def region_of(slide: dict[str, Any], address: Address) -> tuple[float, float, float, float]:
    """Left, top, right, bottom in level-0 pixels."""
    number, col, row = address
    level = slide["levels"][number]
    across, down = slide["width"] / level["width"], slide["height"] / level["height"]
    left, top = col * level["tile_width"], row * level["tile_height"]
    right, bottom = min(left + level["tile_width"], level["width"]), min(top + level["tile_height"], level["height"])
    return left * across, top * down, right * across, bottom * down


def seen(page: Page) -> tuple[float, float, float, float]:
    """What the stage shows, in level-0 pixels: left, top, right, bottom."""
    zoom = number(page, "zoom")
    x, y = map(float, (page.locator("iain-viewer").get_attribute("data-center") or "").split(","))
    box = page.locator(".iv-stage").bounding_box()
    assert box is not None
    return (
        x - box["width"] / zoom / 2,
        y - box["height"] / zoom / 2,
        x + box["width"] / zoom / 2,
        y + box["height"] / (zoom * 2),
    )


def overlap(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    across = min(one[2], other[2]) - max(one[0], other[0])
    down = min(one[3], other[3]) - max(one[1], other[1])
    return max(0.0, across) * max(0.0, down)


def test_no_hole_stays_whatever_befalls_the_tiles(desk: Desks, platform: Platform) -> None:
    """A quarter of the tiles fail, hang or arrive by half, again and again; the picture ends the same as without."""
    anne = desk()
    page = anne.sign_in(ANNE)
    open_slide(anne, page)
    page.keyboard.press("4")
    wait_for_view(page)
    sound = drawn(page)
    link = page.url.removeprefix(platform.url)

    dice, lock = random.Random(10), threading.Lock()

    def fate(_: str) -> str:
        with lock:
            return dice.choices(("pass", "fail", "cut", "hang"), (76, 11, 11, 2))[0]

    paul = desk()
    paul.expected += ["status of 503", "net::ERR_CONTENT_LENGTH_MISMATCH", "net::ERR_INCOMPLETE_CHUNKED_ENCODING"]
    with BadNetwork(platform.port, fate).running() as network:
        healed = paul.sign_in(ANNE, network.url + link)
        wait_for_view(healed)
        assert drawn(healed) == sound
    assert all(network.met[fate] for fate in ("pass", "fail", "cut", "hang")), "the control: everything befell a tile"


def test_tissue_is_on_the_stage_before_the_first_tile(desk: Desks, platform: Platform) -> None:
    """No tile comes at all: the thumbnail stands in for them, at any zoom and however the slide is turned."""
    anne = desk()
    page = anne.sign_in(ANNE)
    open_slide(anne, page)
    link = page.url.removeprefix(platform.url)
    paul = desk()
    with BadNetwork(platform.port, lambda _: "hang").running() as network:
        page = paul.sign_in(ANNE, network.url + link)
        for key, turned in (("Home", 0), ("4", 0), ("r", 90)):
            page.keyboard.press(key)
            wait_until(page, "rotation", f"rotation === {turned}")
            page.wait_for_function(f"() => ({COLOURS})() > 100")
            expect(page.locator("iain-viewer[data-sharp]")).to_have_count(0)
        expect(page.locator(".iv-note")).not_to_be_empty()
        paul.picture(page, "viewer-no-tiles")
        page.goto("about:blank")
    assert set(network.met) == {"hang"}


def test_the_tile_under_the_pointer_comes_first(desk: Desks) -> None:
    anne = desk()
    page = anne.sign_in(ANNE)
    open_slide(anne, page)
    slide = described(page)
    page.mouse.move(1150, 300)
    wait_for_view(page)
    asked = Asked(page)
    page.keyboard.press("5")
    expect(page.locator("iain-viewer")).to_have_attribute("data-magnification", "20")
    wait_for_view(page)
    box = page.locator(".iv-stage").bounding_box()
    assert box is not None
    left, top, *_ = seen(page)
    looked = left + (1150 - box["x"]) / number(page, "zoom"), top + (300 - box["y"]) / number(page, "zoom")

    def distance(tile: Address) -> float:
        region = region_of(slide, tile)
        x, y = (region[0] + region[2]) / 2, (region[1] + region[3]) / 2
        return ((x - looked[0]) ** 2 + (y - looked[1]) ** 2) ** 0.5

    finest = [distance(tile) for tile in asked.tiles if tile[0] == 0]
    assert len(finest) >= 20
    assert finest[0] < min(finest) + 1
    assert all(after > before - 1 for before, after in pairwise(finest)), "from the pointer outwards"


def test_requests_of_a_view_left_behind_are_cancelled(desk: Desks, platform: Platform) -> None:
    """The tiles of one view hang; the reader goes elsewhere, and their connections are closed."""
    anne = desk()
    page = anne.sign_in(ANNE)
    open_slide(anne, page)
    link = page.url.removeprefix(platform.url)
    hangs = threading.Event()
    paul = desk()
    with BadNetwork(platform.port, lambda _: "hang" if hangs.is_set() else "pass").running() as network:
        page = paul.sign_in(ANNE, network.url + link)
        wait_for_view(page)
        asked = Asked(page)
        hangs.set()
        page.keyboard.press("6")
        poll(page, lambda: network.met["hang"] >= 3)
        left_behind = asked.take()
        hangs.clear()
        page.keyboard.press("0")
        wait_for_view(page)
        poll(page, lambda: len(network.left) >= 3)
    assert set(map(address_of, network.left)) <= {tile for tile in asked.cancelled + left_behind}
    assert set(left_behind) <= set(asked.cancelled)


def poll(page: Page, condition: Callable[[], bool]) -> None:
    for _ in range(100):
        if condition():
            return
        page.wait_for_timeout(50)
    raise AssertionError("It did not come to this within 5 s")


def test_no_zoom_loads_more_than_four_tile_areas_for_the_screen(
    desk: Desks, platform: Platform, figure: Figure
) -> None:
    """From the whole slide to its pixels step by step, and cold at some zooms."""
    anne = desk(viewport={"width": 720, "height": 450})
    page = anne.sign_in(ANNE)
    open_slide(anne, page, "PAS")
    slide = described(page)
    most = 0.0

    def load(asked: Asked) -> float:
        """Pixels of tiles on the screen for each of its pixels that the slide covers; no tile may lie beside it."""
        shown, zoom = seen(page), number(page, "zoom")
        pixels = 0.0
        for tile in asked.take():
            region, level = region_of(slide, tile), slide["levels"][tile[0]]
            part = overlap(region, shown)
            assert part > 0 or overlap(tuple(map(sum, zip(region, (-9, -9, 9, 9), strict=True))), shown) > 0, tile
            pixels += part * (level["width"] / slide["width"]) * (level["height"] / slide["height"])
        return pixels / (overlap(shown, (0, 0, slide["width"], slide["height"])) * zoom**2)

    asked = Asked(page)
    while (zoom := number(page, "zoom") * 2**0.5) < 2:
        page.keyboard.press("+")
        wait_until(page, "zoom", f"zoom > {0.999 * zoom}")
        wait_for_view(page)
        most = max(most, load(asked))
    assert most > 1, "the control: something was loaded on the way"
    # Cold, also where the level shown is as fine against the screen as it ever gets.
    for zoom in (1, 0.56, 0.28):
        page.goto("about:blank")
        page.goto(f"{platform.url}/slides/{slide['id']}#c=1500,1200&m={20 * zoom:g}&r=0")
        wait_for_view(page)
        assert number(page, "zoom") == pytest.approx(zoom, abs=1e-4)
        cold = load(asked)
        assert cold > 0.5
        most = max(most, cold)
    figure("viewer.tile_areas_per_screen", round(most, 2))
    assert most <= 4


def test_the_next_slide_is_warmed_without_being_read(desk: Desks, platform: Platform, figure: Figure) -> None:
    anne = desk()
    page = anne.sign_in(ANNE)
    # All longer ago than a minute, after which it is noted again that somebody reads.
    before = read_slides(platform, 2 * MINUTE_US)
    with page.expect_response(re.compile(r"/api/slides/\w+$")) as warmed:
        open_slide(anne, page)
    following = warmed.value.url.rpartition("/")[2]
    assert following != described(page)["id"]
    assert warmed.value.ok
    addresses: list[str] = page.evaluate("performance.getEntriesByType('resource').map((entry) => entry.name)")
    assert not [url for url in addresses if TILE.search(url) and following in url]
    unread = read_slides(platform).get(following)
    assert unread == before.get(following)
    page.evaluate("""() => {
      const viewer = document.querySelector("iain-viewer");
      window.changed = new Promise((done) => {
        addEventListener("keydown", () => { window.pressed = performance.now(); }, { once: true, capture: true });
        addEventListener("slide-shown", () => {
          const watch = new MutationObserver(() => viewer.hasAttribute("data-sharp")
            && viewer.hasAttribute("data-ready") && done(performance.now() - window.pressed));
          watch.observe(viewer, { attributes: true });
        });
      });
    }""")
    page.keyboard.press("]")
    took: float = page.evaluate("window.changed")
    figure("viewer.next_slide_ms", round(took))
    assert took < 20_000
    wait_for_view(page)
    assert page.url.split("#")[0].endswith(following)
    # The control: who looks at it is put on record; nobody waits for it who had read it lately.
    deadline = time.monotonic() + 60
    while read_slides(platform).get(following) == unread and time.monotonic() < deadline:
        page.wait_for_timeout(100)
    assert read_slides(platform)[following] != unread


def read_slides(platform: Platform, ago_us: int = 0) -> dict[str, int]:
    """When somebody was last on record as reading each slide, µs since the epoch; as if all had been so long before."""
    assert platform.database_url is not None
    database = open_database(platform.database_url)
    try:
        with database.writing() as session:
            if ago_us:
                session.execute(update(ReadingRow).values(seen_us=ReadingRow.seen_us - ago_us))
            last = select(ReadingRow.slide_id, func.max(ReadingRow.seen_us)).group_by(ReadingRow.slide_id)
            return {slide: seen for slide, seen in session.execute(last)}
    finally:
        database.close()


def test_panning_keeps_its_frames(desk: Desks, figure: Figure) -> None:
    anne = desk()
    page = anne.sign_in(ANNE)
    open_slide(anne, page)
    page.keyboard.press("5")
    wait_for_view(page)
    page.evaluate("""() => {
      window.frames = [];
      const note = (now) => { window.frames.push(now); window.noting = requestAnimationFrame(note); };
      window.noting = requestAnimationFrame(note);
    }""")
    page.mouse.move(720, 450)
    page.mouse.down()
    for step in range(60):
        page.mouse.move(720 + 8 * (step if step < 30 else 60 - step), 450 + 3 * step)
    page.mouse.up()
    times: list[float] = page.evaluate("cancelAnimationFrame(window.noting), window.frames")
    gaps = [after - before for before, after in pairwise(times)]
    assert len(gaps) > 20
    p95 = quantiles(gaps, n=20)[-1]
    figure("viewer.pan_frame_p95_ms", round(p95, 1))
    assert p95 < 500
