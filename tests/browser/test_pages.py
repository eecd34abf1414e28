"""What the scripts of the pages add to the documents: keys, themes, rows that stay true; and the pages without them."""

import re

import pytest
from fixtures.centres import Centres
from fixtures.desk import DESK, PHONE, Desks
from fixtures.platform import Platform
from playwright.sync_api import expect

from sharing import slides
from sharing.db.engine import open_database
from sharing.slides import StoredFile

pytestmark = pytest.mark.browser
PATHOLOGIST, MANAGER = "pathologiste.caen", "responsable.caen"


def test_the_worklist_is_worked_from_the_keyboard(desk: Desks) -> None:
    page = desk().sign_in(PATHOLOGIST)
    focused = page.locator(":focus")
    page.keyboard.press("j")
    expect(focused).to_have_text("26H01234")
    page.keyboard.press("j")
    second = focused.inner_text()
    assert second != "26H01234"
    page.keyboard.press("ArrowUp")
    expect(focused).to_have_text("26H01234")
    page.keyboard.press("k")
    expect(focused).to_have_text("26H01234")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("26H01234")
    page.keyboard.press("g")
    page.keyboard.press("c")
    page.wait_for_url(re.compile("/cases$"))
    page.keyboard.press("j")
    page.keyboard.press("o")
    page.wait_for_url(re.compile("/slides/"))


def test_the_search_is_one_key_away_and_escape_gives_the_keys_back(desk: Desks) -> None:
    page = desk().sign_in(PATHOLOGIST)
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.keyboard.type("jokg/?")
    expect(page.get_by_role("searchbox")).to_have_value("jokg/?")
    expect(page.get_by_role("dialog")).to_be_hidden()
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Touches")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()


def test_single_letters_can_be_switched_off_for_good(desk: Desks) -> None:
    page = desk().sign_in(PATHOLOGIST)
    page.keyboard.press("?")
    page.get_by_role("checkbox").uncheck()
    page.get_by_role("button", name="Fermer").click()
    page.reload()
    for key in ("?", "j", "/"):
        page.keyboard.press(key)
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(page.locator("a.row-link:focus")).to_have_count(0)
    page.locator("summary").click()
    page.get_by_role("button", name="Touches").click()
    expect(page.get_by_role("dialog", name="Touches")).to_be_visible()


def test_a_chosen_filter_takes_effect_and_keeps_the_address_short(desk: Desks) -> None:
    page = desk().sign_in(PATHOLOGIST)
    page.get_by_label("Organe").select_option("Sein")
    page.wait_for_url(re.compile(r"/cases\?organ=Sein$"))
    expect(page.locator("tr.row")).to_have_count(1)


def test_the_appearance_changes_at_once_and_stays(desk: Desks) -> None:
    page = desk(color_scheme="light").sign_in(PATHOLOGIST)
    ground = "getComputedStyle(document.documentElement).backgroundColor"
    light = page.evaluate(ground)
    page.locator("summary").click()
    with page.expect_response(re.compile("/theme$")):
        page.get_by_role("button", name="Sombre").click()
    dark = page.evaluate(ground)
    assert dark != light
    expect(page.get_by_role("button", name="Sombre")).to_have_attribute("aria-pressed", "true")
    page.reload()
    assert page.evaluate(ground) == dark
    page.locator("summary").click()
    with page.expect_response(re.compile("/theme$")):
        page.get_by_role("button", name="Système").click()
    assert page.evaluate(ground) == light


def test_the_menu_closes_when_one_turns_away(desk: Desks) -> None:
    page = desk().sign_in(PATHOLOGIST)
    out = page.get_by_role("button", name="Se déconnecter")
    for turn_away in (
        lambda: page.keyboard.press("Escape"),
        lambda: page.locator("h1").click(),
        lambda: page.locator(".brand").focus(),
    ):
        page.locator("summary").click()
        expect(out).to_be_visible()
        turn_away()
        expect(out).to_be_hidden()


def test_on_a_telephone_the_head_shows_the_page_one_is_on(desk: Desks) -> None:
    page = desk(viewport=PHONE).sign_in(MANAGER, "/audit")
    nav, current = page.locator(".head nav").bounding_box(), page.locator(".head nav [aria-current]").bounding_box()
    assert nav is not None
    assert current is not None
    assert nav["x"] <= current["x"]
    assert current["x"] + current["width"] <= nav["x"] + nav["width"] + 1


def test_a_row_tells_by_itself_when_its_slide_is_decided(desk: Desks, platform: Platform, centres: Centres) -> None:
    database = open_database(platform.database_url or "")
    with database.writing() as session:
        file = StoredFile("lente.svs", "7" * 64, 1)
        slide_id = slides.create_slide(session, centres.lille.agent, files=[file], accession="26L00410")
    page = desk().sign_in("technicien.lille")
    row = page.locator("tr.row", has_text="lente.svs")
    expect(row).to_contain_text("Reçue")
    page.locator("h1").evaluate("(title) => title.dataset.witness = 'same page'")
    with database.writing() as session:
        slides.mark_refused(session, slide_id, code="damaged", reason="It ends at byte 1.")
    database.close()
    expect(row).to_contain_text("Refusée")
    assert page.locator("h1").get_attribute("data-witness") == "same page"


def test_without_scripts_everything_but_the_viewer_works(desk: Desks) -> None:
    anne = desk(java_script_enabled=False)
    page = anne.sign_in(PATHOLOGIST, "/cases")
    page.get_by_role("searchbox").fill("exemple")
    page.get_by_role("button", name="Filtrer").click()
    expect(page.locator("tr.row")).to_have_count(1)
    page.locator("summary").click()
    page.get_by_role("button", name="English").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Cases")
    page.locator("summary").click()
    page.get_by_role("button", name="Dark").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.locator("a.thumb").first.click()
    expect(page.locator(".case-banner")).to_contain_text("EXEMPLE Camille")
    expect(page.locator("noscript p")).to_contain_text("JavaScript")
    anne.picture(page, "viewer-without-scripts")


@pytest.mark.parametrize("viewport", [DESK, PHONE], ids=["desk", "phone"])
def test_no_page_is_wider_than_its_window(desk: Desks, viewport: dict[str, int]) -> None:
    claire = desk(viewport=viewport)
    page = claire.sign_in(MANAGER)
    case = page.locator("a.row-link", has_text="26H01234").get_attribute("href") or ""
    page.goto(claire.platform.url + "/intake")
    received = page.locator("a.row-link").first.get_attribute("href") or ""
    for name, path in (
        ("worklist", "/cases"),
        ("case", case),
        ("intake", "/intake"),
        ("intake-slide", received),
        ("audit", "/audit"),
    ):
        page.goto(claire.platform.url + path, wait_until="networkidle")
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), path
        claire.picture(page, name)
    claire.expected.append("404")
    page.goto(claire.platform.url + "/cases/nothing")
    expect(page.get_by_role("heading", level=1)).to_have_text("Rien ici pour vous")
    claire.picture(page, "error")
