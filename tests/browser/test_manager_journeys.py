"""A lab manager gives account: how many presses it takes from where the day begins, and that each leads somewhere."""

import re

import pytest
from fixtures.centres import Centres
from fixtures.desk import Desks
from fixtures.platform import Platform
from fixtures.shares import share
from playwright.sync_api import Page, expect

from sharing.db.engine import open_database

pytestmark = pytest.mark.browser
MANAGER = "responsable.caen"


class Presses:
    """Counts what a person presses."""

    def __init__(self, page: Page) -> None:
        self.page, self.count = page, 0

    def __call__(self, role: str, name: str | re.Pattern[str]) -> None:
        self.count += 1
        self.page.get_by_role(role, name=name).first.click()  # type: ignore[arg-type]
        self.page.wait_for_load_state("load")


@pytest.fixture
def page(desk: Desks, platform: Platform, centres: Centres) -> Page:
    database = open_database(platform.database_url or "")
    share(database, centres)
    database.close()
    page: Page = desk().sign_in(MANAGER)
    return page


def test_everything_shared_with_a_centre_or_for_a_purpose_is_two_presses_away(page: Page) -> None:
    home = page.url
    for name, query in (("Rouen", "site=rouen"), ("RCP", "purpose=tumour_board"), ("Cette année", "since=")):
        page.goto(home)
        press = Presses(page)
        press("link", "Partages")
        press("link", re.compile(f"^{name}$"))
        assert press.count <= 2
        assert query in page.url
        assert page.locator("tr.row").count() > 0


def test_a_share_is_ended_by_one_press_that_says_what_it_does(page: Page) -> None:
    press = Presses(page)
    press("link", "Partages")
    row = page.locator("tr.row:has(form.above)").first
    identity = row.get_attribute("id")
    row.get_by_role("button", name=re.compile("Fermer l’accès de")).click()
    expect(page.get_by_role("status")).to_contain_text("Plus aucune image")
    expect(page.locator(f"#{identity} .standing-cell")).to_contain_text(re.compile("révoqué|annulé|fermé"))


def test_the_certificate_of_a_case_fits_its_paper(page: Page) -> None:
    press = Presses(page)
    press("link", "Partages")
    press("link", "Attestation")
    assert press.count == 2
    expect(page.get_by_role("heading", level=1)).to_have_text("Attestation de partage")
    page.emulate_media(media="print")
    assert not page.locator("header.head").is_visible()
    assert not page.get_by_text("Ctrl + P").is_visible()
    shares = page.locator(".shared tbody tr").count()  # of other tests too
    paper = page.pdf(prefer_css_page_size=True)
    assert 1 <= len(re.findall(rb"/Type\s*/Page\b", paper)) <= 2 + shares // 12
