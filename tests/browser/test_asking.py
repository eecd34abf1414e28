"""The panel beside the slide: by the keyboard alone, with a name in the question, and back and forth to its end."""

from collections.abc import Iterator
from contextlib import closing

import pytest
from fixtures.centres import Centres
from fixtures.desk import PHONE, Desk, Desks
from fixtures.platform import Platform, new_world
from playwright.sync_api import Page, Route, expect

from sharing import objections
from sharing.db.engine import open_database
from sharing.vocabulary import Origin, Purpose

pytestmark = pytest.mark.browser

ANNE, PAUL = "pathologiste.caen", "pathologiste.rouen"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Platform, Centres]]:
    with new_world(tmp_path_factory.mktemp("asking")) as world:
        yield world


@pytest.fixture
def anne(desk: Desks) -> tuple[Desk, Page]:
    """Caen, before the first slide of 26H01234."""
    caen = desk()
    page = caen.sign_in(ANNE, "/cases?q=26H01234")
    page.goto(caen.platform.url + (page.locator("a[href^='/slides/']").first.get_attribute("href") or ""))
    page.wait_for_selector("iain-viewer[data-ready]")
    return caen, page


def open_panel(page: Page) -> None:
    page.keyboard.press("c")
    page.locator("[data-tab=ask], [name=to]").first.wait_for(state="attached")
    if page.locator("[data-tab=ask]").count():
        page.locator("[data-tab=ask]").click()
    expect(page.locator("[name=to]").first).to_be_attached()


def ask(page: Page, question: str) -> None:
    open_panel(page)
    page.locator("iain-request label", has_text="Rouen").first.click()
    page.fill("[name=question]", question)
    page.click("[data-act=send]")
    expect(page.locator("[data-sent]")).to_contain_text("Envoyé à Rouen")


def view_of_rouen(desk: Desks, **options: object) -> tuple[Desk, Page]:
    """Rouen, before the slide that the newest request is about."""
    rouen = desk(**options)
    page = rouen.sign_in(PAUL, "/consultations")
    page.locator("a[href^='/consultations/']").first.click()
    view = page.locator("a[href*='/slides/']").first.get_attribute("href") or ""
    page.goto(rouen.platform.url + view)
    page.wait_for_selector("iain-viewer[data-ready]")
    return rouen, page


def test_the_keyboard_alone_is_enough(desk: Desks, anne: tuple[Desk, Page]) -> None:
    _, caen = anne
    caen.keyboard.press("c")
    expect(caen.locator("[name=to]").first).to_be_focused()
    names = caen.locator("iain-request label", has=caen.locator("[name=to]")).all_inner_texts()
    caen.keyboard.press("Space")
    for _step in range(next(index for index, name in enumerate(names) if "Rouen" in name)):
        caen.keyboard.press("ArrowDown")
    caen.keyboard.press("Tab")
    caen.keyboard.insert_text("Adénose ou carcinome ?")
    caen.keyboard.press("Control+Enter")
    caen.wait_for_selector("[data-act=undo]")
    caen.keyboard.press("Escape")
    expect(caen.locator("iain-sharing section")).to_have_count(0)
    assert caen.evaluate("document.querySelector('.iv-stage').contains(document.activeElement)")

    paul, rouen = view_of_rouen(desk)
    paul.expected.append("404")
    expect(rouen.locator("[data-ball]")).to_have_attribute("data-turn", "yours")
    rouen.keyboard.press("c")  # the panel is open: the key leads into it
    expect(rouen.locator("[name=agreement]").first).to_be_focused()
    rouen.keyboard.press("Space")
    rouen.keyboard.press("Tab")
    rouen.keyboard.insert_text("Adénose. La double couche est là partout.")
    rouen.keyboard.press("Control+Enter")
    expect(rouen.locator("[data-opinion]")).to_contain_text("D’accord")
    expect(caen.locator(".iv-chip")).to_contain_text("répondu · à vous")
    caen.keyboard.press("c")
    caen.click("[data-move=close]")
    expect(caen.locator(".iv-chip")).to_contain_text("fermé")


def test_a_name_does_not_leave_the_centre(anne: tuple[Desk, Page]) -> None:
    caen, page = anne
    caen.expected.append("422")
    open_panel(page)
    page.locator("iain-request label", has_text="Rouen").first.click()
    page.click("[data-act=send]")
    expect(page.locator("[role=alert]")).to_have_text("Écrivez votre question.")
    page.fill("[name=question]", "Mme EXEMPLE : adénose ?")
    page.click("[data-act=send]")
    expect(page.locator("[role=alert]")).to_contain_text("EXEMPLE")
    assert page.input_value("[name=question]") == "Mme EXEMPLE : adénose ?"
    page.fill("[name=question]", "")


def test_more_is_asked_for_and_given_and_the_end_is_told_at_once(desk: Desks, anne: tuple[Desk, Page]) -> None:
    _, caen = anne
    ask(caen, "Stroma ?")
    paul, rouen = view_of_rouen(desk)
    paul.expected += ["404"]
    phone_of_paul, phone = view_of_rouen(desk, viewport=PHONE)
    phone_of_paul.expected += ["404"]

    rouen.click("[data-move=ask]")
    rouen.click("[data-act=confirm]")
    expect(rouen.locator("[role=alert]")).to_have_text("Écrivez une phrase : elle part avec.")
    rouen.fill("[name=note]", "Une coloration de PAS, s’il vous plaît.")
    rouen.click("[data-act=confirm]")
    expect(rouen.locator("[data-ball]")).to_contain_text("complément demandé · chez Caen")

    expect(caen.locator("[data-ball]")).to_contain_text("complément demandé · à vous")
    caen.click("[data-move=reply]")
    caen.fill("[name=note]", "La lame 2 est le PAS.")
    caen.click("[data-act=confirm]")
    expect(caen.locator("[data-ball]")).to_have_attribute("data-ball", "consultant")

    phone.locator("iain-sheet button", has_text="Avis").click()
    phone.locator("label", has_text="Désaccord majeur").click()
    phone.fill("[name=answer]", "Stroma desmoplasique.")
    phone.click("[data-act=answer]")
    expect(caen.locator("[data-opinion]")).to_contain_text("Stroma desmoplasique.")

    caen.click("[data-move=close]")
    rouen.wait_for_selector("iain-viewer[data-state=revoked]")
    rouen.get_by_role("link", name="Revenir à l’avis").click()
    expect(rouen.locator("main")).to_contain_text("Stroma desmoplasique.")


def test_when_the_answer_is_lost_sending_again_asks_nobody_twice(anne: tuple[Desk, Page]) -> None:
    caen, page = anne
    caen.expected.append("ERR_FAILED")
    stored: list[str] = []

    def lose_the_first(route: Route) -> None:
        if stored:
            route.continue_()
        else:
            stored.append(route.fetch().json()["id"])
            route.abort()

    page.route("**/api/consultations", lose_the_first)
    open_panel(page)
    page.locator("iain-request label", has_text="Rouen").first.click()
    page.fill("[name=question]", "Nécrose ?")
    page.click("[data-act=send]")
    expect(page.locator("[role=alert]")).not_to_be_empty()
    with page.expect_response("**/api/consultations") as second:
        page.click("[data-act=send]")
    assert [second.value.json()["id"]] == stored
    expect(page.locator("[data-sent]")).to_contain_text("Envoyé à Rouen")


def test_a_purpose_to_which_the_patient_objects_cannot_be_chosen(
    anne: tuple[Desk, Page], platform: Platform, centres: Centres
) -> None:
    desk, page = anne
    with closing(open_database(platform.database_url or "")) as database, database.writing() as session:
        officer, case_id = centres.caen.protection_officer, centres.caen.cases["26H01234"]
        objections.register(session, officer, case_id, {Purpose.TEACHING}, Origin.LETTER)
    page.reload()
    page.wait_for_selector("iain-viewer[data-ready]")
    open_panel(page)
    for tab in ("ask", "link"):
        page.locator(f"[data-tab={tab}]").click()
        expect(page.locator("[name=purpose][value=teaching]")).to_be_disabled()
        expect(page.locator("[name=purpose][value=research]")).to_be_enabled()
        expect(page.locator("[data-objected]")).to_contain_text("Enseignement")
    desk.picture(page, "linking-objected")
