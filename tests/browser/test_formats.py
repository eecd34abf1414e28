"""A slide that must be decoded and has something to see only in a part: on the stage as that part, tissue in place."""

import io
import re

import numpy as np
import pytest
from fixtures.centres import Centres
from fixtures.desk import Desks
from fixtures.platform import Platform, push
from PIL import Image
from playwright.sync_api import Page
from sqlalchemy import select

from benchmarks.layouts import mrxs
from sharing.db.engine import open_database
from sharing.db.tables import SlideRow

from .test_main_job import center, number, wait_for_view

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def slide(world: tuple[Platform, Centres], tmp_path_factory: pytest.TempPathFactory) -> str:
    """Where the viewer opens a MIRAX slide whose left half is empty, pushed as the files that it is; it is of no case
    that other tests look at."""
    platform, centres = world
    home = tmp_path_factory.mktemp("mirax")
    path = mrxs.make(home, overlap=16, blank=2)
    key = home.with_suffix(".key")
    key.touch(mode=0o600)
    key.write_text(centres.caen.scanner_key)
    sent = push(path, platform, key, "--accession", "26H99111", "--stain", "PAN")
    assert sent.returncode == 0, sent.stdout + sent.stderr
    database = open_database(platform.database_url or "")
    with database.reading() as session:
        slide_id = session.scalar(select(SlideRow.id).where(SlideRow.stain == "PAN"))
    database.close()
    return f"/slides/{slide_id}"


def test_the_slide_opens_on_what_there_is_to_see(desk: Desks, slide: str) -> None:
    anne = desk()
    page = anne.sign_in("pathologiste.caen", slide)
    wait_for_view(page)
    anne.picture(page, "mirax")
    said = page.evaluate("() => JSON.parse(document.getElementById('slide').textContent)")
    bounds = said["bounds"]
    assert bounds["width"] < 0.7 * said["width"]
    x, y = center(page)
    zoom = number(page, "zoom")
    free = page.locator(".iv-stage").bounding_box()
    assert abs(x - bounds["x"] - bounds["width"] / 2) < 200 / zoom
    assert abs(y - bounds["y"] - bounds["height"] / 2) < 200 / zoom
    assert zoom > 0.6 * min(free["width"] / bounds["width"], free["height"] / bounds["height"])


def test_the_thumbnail_lies_where_its_tissue_is(desk: Desks, slide: str) -> None:
    """No tile comes: what stands in for them shows each spot where the tiles show it afterwards."""
    anne = desk()
    anne.expected += ["status of 503", "net::ERR_FAILED"]
    page = anne.sign_in("pathologiste.caen", slide)
    wait_for_view(page)
    box = place_of_bounds(page)
    sharp = picture(page, box)
    address = page.url
    anne.context.route(re.compile(r"/tiles/.*/\d+/\d+_\d+$"), lambda route: route.abort())
    page.goto("about:blank")
    page.goto(address)
    page.wait_for_function("() => document.querySelector('.iv-stage canvas')?.toDataURL().length > 20000")
    blurred = picture(page, box)
    assert blurred.std() > 10, "the control: there is something"
    assert np.corrcoef(sharp.ravel(), blurred.ravel())[0, 1] > 0.8


def place_of_bounds(page: Page) -> tuple[float, float, float, float]:
    """Where on the page the part is of which the thumbnail is the picture."""
    bounds = page.evaluate("() => JSON.parse(document.getElementById('slide').textContent)")["bounds"]
    stage = page.locator(".iv-stage").bounding_box()
    (x, y), zoom = center(page), number(page, "zoom")
    left = stage["x"] + stage["width"] / 2 + (bounds["x"] - x) * zoom
    top = stage["y"] + stage["height"] / 2 + (bounds["y"] - y) * zoom
    return left, top, left + bounds["width"] * zoom, top + bounds["height"] * zoom


def picture(page: Page, box: tuple[float, float, float, float]) -> np.ndarray:
    """A part of the page in coarse grey."""
    shown = Image.open(io.BytesIO(page.screenshot())).convert("L").crop(tuple(map(round, box)))
    return np.asarray(shown.resize((40, 60), Image.Resampling.BOX)).astype(float)
