"""The page of the scanners while it stays open, and the choice between two numbers: seen, pressed, taken back."""

from collections.abc import Iterator

import pytest
from fixtures.centres import Centres
from fixtures.desk import DESK, PHONE, SCREENSHOTS, Desks
from fixtures.figures import Figure
from fixtures.platform import Platform
from fixtures.scanning import TROUBLED, Day, hear, spend
from playwright.sync_api import Page, expect
from sqlalchemy import select, update

from ingest.heartbeat import SILENT_S
from sharing import claims, slides
from sharing.clock import SECOND_US
from sharing.db.engine import Database, open_database
from sharing.db.tables import HeartbeatRow, JobRow, SlideRow
from sharing.subjects import System

pytestmark = pytest.mark.browser


@pytest.fixture
def database(platform: Platform) -> Iterator[Database]:
    database = open_database(platform.database_url or "")
    yield database
    database.close()


@pytest.fixture(scope="module")
def day(world: tuple[Platform, Centres]) -> Iterator[Day]:
    """At Lille, where no other test works."""
    platform, centres = world
    database = open_database(platform.database_url or "")
    yield spend(database, centres.lille)
    database.close()


def row(page: Page, name: str):
    return page.locator("table.scanners tr.row", has_text=name)


def test_the_page_tells_of_a_trouble_and_of_silence_by_itself(
    desk: Desks, database: Database, centres: Centres, day: Day, figure: Figure
) -> None:
    technician = desk()
    page = technician.sign_in("technicien.lille", "/scanners")
    first = row(page, "Scanner Lille 1")
    expect(first).to_have_attribute("data-sign", "fine")
    signs = {name: row(page, f"Lille {name} ").get_attribute("data-sign") for name in "ABCD"}
    assert signs == {"A": "alarm", "B": "watch", "C": "resting", "D": "never"}
    technician.picture(page, "scanners")
    page.evaluate("window.kept = true")
    page.locator("#by-hour summary").click()

    hear(database, centres.lille.agent, TROUBLED)
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")  # as when the tab is looked at again
    expect(first).to_have_attribute("data-sign", "watch")
    expect(page.locator("#to-do")).to_contain_text("Data0007.dat")
    expect(page.locator("#by-hour")).to_have_attribute("open", "")

    # As if it had been silent for most of the time: the rest is waited for.
    before_s = 51
    with database.writing() as session:
        scanner = HeartbeatRow.scanner_id == centres.lille.agent.scanner_id
        minutes = select(HeartbeatRow.minute_us).where(scanner).order_by(HeartbeatRow.minute_us.desc()).limit(1)
        last = session.now_us - before_s * SECOND_US
        session.execute(update(HeartbeatRow).where(scanner, HeartbeatRow.minute_us.in_(minutes)).values(at_us=last))
    expect(first).to_have_attribute("data-sign", "alarm")
    with database.reading() as session:
        silence_s = (session.now_us - last) / SECOND_US
    figure("scanners.red_after_s", round(silence_s, 1))
    assert silence_s <= SILENT_S
    assert page.evaluate("window.kept"), "the page was never loaded anew"


def test_a_page_that_hears_nothing_says_so(desk: Desks, day: Day) -> None:
    technician = desk(viewport=PHONE)
    technician.expected += ["ERR_FAILED"]
    page = technician.sign_in("technicien.lille", "/scanners")
    page.clock.install()
    page.goto(technician.platform.url + "/scanners")
    technician.picture(page, "scanners")
    page.screenshot(path=SCREENSHOTS / "scanners-whole-390.png", full_page=True)
    lost = page.locator("[data-live-lost]")
    page.route("**/scanners/now", lambda route: route.abort())
    for _ in range(4):
        expect(lost).to_be_hidden()
        with page.expect_event("requestfailed"):
            page.clock.fast_forward(5_000)
    page.clock.fast_forward(5_000)
    expect(lost).to_be_visible()
    page.unroute("**/scanners/now")
    with page.expect_response("**/scanners/now"):
        page.clock.fast_forward(5_000)
    expect(lost).to_be_hidden()
    technician.context.clear_cookies()
    page.clock.fast_forward(5_000)
    expect(page.locator("[data-live-ended]")).to_be_visible()
    technician.picture(page, "scanners-signed-out")


def test_a_slide_in_preparation_tells_how_far_it_is(desk: Desks, database: Database, day: Day) -> None:
    technician = desk()
    page = technician.sign_in("technicien.lille", f"/slides/{day.working}")
    expect(page.locator("#progress")).to_contain_text("26 %")
    technician.picture(page, "slide-waiting")
    with database.writing() as session:
        session.execute(update(JobRow).where(JobRow.key == day.working).values(done_units=900))
    expect(page.locator("#progress")).to_contain_text("75 %")
    page.goto(technician.platform.url + "/scanners")
    expect(page.locator("#works")).to_contain_text("75 %")


def test_one_press_decides_between_two_numbers_and_one_takes_it_back(
    desk: Desks, database: Database, centres: Centres
) -> None:
    with database.writing() as session:
        slide_id = session.scalars(
            select(SlideRow.id).where(SlideRow.site_id == "caen", SlideRow.stain == "HES")
        ).first()
        slide = slides.get_slide(session, System(), slide_id)
        assert slide.case_accession == "26H01234"
        claims.lodge(session, centres.caen.agent, slide, accession="26H01235", file_name="26H01235-A1.svs")
    technician = desk()
    page = technician.sign_in("technicien.caen", "/intake")
    claim = page.locator(".claim")
    expect(claim).to_contain_text("FICTIVE Dominique")
    expect(claim.locator("img")).to_be_visible()
    for size in (PHONE, DESK):
        page.set_viewport_size(size)
        technician.picture(page, "claims")
    claim.get_by_role("button", name="C’est 26H01235").click()
    expect(page.locator(".notice.done")).to_contain_text("maintenant sous 26H01235")
    expect(page.locator(".claim")).to_have_count(0)
    technician.picture(page, "claims-decided")
    page.get_by_role("button", name="Revenir en arrière").click()
    expect(page.locator(".claim")).to_have_count(1)
    with database.reading() as session:
        assert slides.get_slide(session, System(), slide_id) == slide
    page.locator(".claim").get_by_role("button", name="C’est 26H01234").click()
    expect(page.locator(".notice.done")).to_contain_text("reste sous 26H01234")
    with database.writing() as session:
        claims.reopen(session, centres.caen.technician, page.url.rpartition("=")[2])
