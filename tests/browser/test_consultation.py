"""One case between centres: Caen asks, Rouen answers, a guest looks, Lille sees nothing, the journal has it all.

Clicks are counted as a person makes them: each press of the mouse and each key that is not part of a text.
"""

import re
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fixtures.centres import Centres
from fixtures.desk import PHONE, Desks
from fixtures.figures import Figure
from fixtures.platform import PROGRAMS, Platform, clean_environment, new_world
from fixtures.waiting import last_shown_s
from playwright.sync_api import Locator, Page, Request, Route, expect

pytestmark = pytest.mark.browser

ANNE, PAUL, INES, CLAIRE = "pathologiste.caen", "pathologiste.rouen", "pathologiste.lille", "responsable.caen"
QUESTION = "Invasion au bord inférieur, ou artéfact de coupe ?"
OPINION = "In situ. Pas d’invasion sur ce niveau ; je recouperais le bloc."
# What tells whose case it is, or where the file came from.
IDENTIFYING = ("26H01234", "EXEMPLE", "Camille", "CMU-1", "1957")
BELL_WITHIN_S = 10.0  # two seconds on a machine with nothing else to do; a page asks every second
REFUSED_WITHIN_S = 1.0


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Platform, Centres]]:
    """A platform of its own, on which nothing has been shared yet."""
    with new_world(tmp_path_factory.mktemp("consultation")) as world:
        yield world


class Hand:
    """Counts what a person does with mouse and keys."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.clicks = 0

    def click(self, place: Locator) -> None:
        self.clicks += 1
        place.click()

    def press(self, key: str) -> None:
        self.clicks += 1
        self.page.keyboard.press(key)

    def write(self, place: Locator, text: str) -> None:
        """A click into the field, unless the keyboard is there already; the text itself is not counted."""
        if not place.evaluate("(field) => field === document.activeElement"):
            self.click(place)
        self.page.keyboard.insert_text(text)


def option(page: Page, name: str, value: str) -> Locator:
    """The visible label of a radio button."""
    return page.locator(f"label:has(input[name='{name}'][value='{value}'])")


def colleague(page: Page, name: str) -> Locator:
    return page.locator("iain-request label", has_text=name).first


def wait_for_view(page: Page) -> None:
    page.wait_for_selector("iain-viewer[data-ready][data-sharp]")


def center(page: Page) -> tuple[float, float]:
    x, y = (page.locator("iain-viewer").get_attribute("data-center") or "").split(",")
    return float(x), float(y)


def look_closer(page: Page) -> tuple[float, float]:
    """To a field of its own at 10×; its centre."""
    wait_for_view(page)
    page.keyboard.press("4")
    expect(page.locator("iain-viewer")).to_have_attribute("data-magnification", "10")
    page.keyboard.press("Shift+ArrowRight")
    wait_for_view(page)
    page.wait_for_timeout(250)  # the move takes 110 ms and has no end to wait for
    return center(page)


def answers_heard(page: Page) -> list[tuple[Request, str]]:
    """Every request of the page, with the text of its answer where it is text; filled while the page lives."""
    heard: list[tuple[Request, str]] = []

    def hear(request: Request) -> None:
        answer = request.response()
        kind = answer.headers.get("content-type", "") if answer else ""
        text = answer.text() if answer and answer.ok and re.match("text/html|application/json", kind) else ""
        heard.append((request, text))

    page.on("requestfinished", hear)
    return heard


def test_the_whole_story(desk: Desks, platform: Platform, figure: Figure, tmp_path: Path) -> None:
    anne, paul, ines = desk(), desk(), desk()
    rouen = paul.sign_in(PAUL, "/cases")
    expect(rouen.locator("iain-bell")).to_have_attribute("data-unread", "0")

    # Caen: from the list to a sent question.
    page = anne.sign_in(ANNE, "/cases")
    hand = Hand(page)
    hand.click(page.get_by_role("row", name=re.compile("26H01234")).get_by_title(re.compile("HES")).first)
    seen = look_closer(page)
    hand.press("c")
    dialog = page.locator("iain-sharing section[role=dialog]")
    expect(dialog).to_be_visible()
    hand.click(colleague(page, "Pathologiste de Rouen"))
    hand.write(page.locator("iain-request [name=question]"), QUESTION)
    anne.picture(page, "story-ask")
    hand.click(page.locator("[data-act=send]"))
    sent_at = time.monotonic()
    figure("consult.clicks", hand.clicks)
    assert hand.clicks <= 5
    expect(page.locator("[data-sent]")).to_contain_text("Rouen")
    anne.picture(page, "story-sent")

    # Rouen: the bell, without doing anything.
    expect(rouen.locator("iain-bell")).to_have_attribute("data-unread", "1")
    bell_s = time.monotonic() - sent_at
    figure("consult.bell_ms", round(bell_s * 1000))
    assert bell_s <= BELL_WITHIN_S

    # Who has the ball, on Caen's side.
    caen = anne.open("/consultations")
    row = caen.locator("tr.row").first
    expect(row).to_contain_text("Rouen")
    consultation = row.locator("a.row-link").get_attribute("href") or ""
    caen.goto(platform.url + consultation)
    expect(caen.locator("#turn")).to_contain_text("Rouen")
    expect(page.locator("iain-consultation [data-ball]")).to_have_attribute("data-ball", "consultant")

    # Rouen: from the bell to a signed opinion.
    heard = answers_heard(rouen)
    hand = Hand(rouen)
    hand.click(rouen.locator("a:has(iain-bell)"))
    rouen.wait_for_url("**/consultations")
    paul.picture(rouen, "story-inbox")
    hand.click(rouen.locator("tr.row a.thumb").first)
    wait_for_view(rouen)
    assert center(rouen) == pytest.approx(seen, abs=2)
    expect(rouen.locator("iain-viewer")).to_have_attribute("data-magnification", "10")
    panel = rouen.locator("iain-consultation")
    expect(panel).to_contain_text(QUESTION)
    hand.click(option(rouen, "agreement", "minor"))
    hand.write(rouen.locator("[name=answer]"), OPINION)
    paul.picture(rouen, "story-answer")
    hand.click(rouen.locator("iain-consultation [data-act=answer]"))
    figure("answer.clicks", hand.clicks)
    assert hand.clicks <= 6
    expect(rouen.locator("[data-opinion]")).to_contain_text(OPINION)

    # Caen sees it where she looks, and whose turn it is.
    expect(page.locator("[data-opinion]")).to_contain_text(OPINION)
    expect(page.locator("iain-consultation [data-ball]")).to_have_attribute("data-ball", "requester")
    anne.picture(page, "story-answered")
    caen.reload()
    expect(caen.locator(".opinion")).to_contain_text(OPINION)
    anne.picture(caen, "story-consultation")

    # Nothing that Rouen was sent says whose case it is.
    expect(rouen.locator("iain-label img")).to_have_count(0)
    assert_unnamed(heard)
    tiles = [request.url for request, _ in heard if "/tiles/" in request.url]
    assert tiles

    # Lille sees nothing of it.
    slide = page.url.split("#")[0]
    lille = ines.sign_in(INES, "/consultations")
    expect(lille.locator("tr.row")).to_have_count(0)
    expect(lille.locator("iain-bell")).to_have_attribute("data-unread", "0")
    ines.expected += ["status of 404"]
    for address in (platform.url + consultation, slide, *tiles[:3]):
        answer = lille.request.get(address)
        assert answer.status == 404, address
        assert QUESTION not in answer.text() if "/tiles/" not in address else True
    lille.goto(platform.url + consultation)
    ines.picture(lille, "story-lille")

    # A link for somebody without an account.
    url = make_link(page)
    anne.picture(page, "story-link")
    guest = desk()
    met = guest.open(url)
    guest.picture(met, "story-link-met")
    assert "#" not in met.evaluate("document.referrer")
    heard = answers_heard(met)
    met.get_by_role("button", name="Ouvrir les lames").click()
    met.wait_for_url("**/g/**")
    wait_for_view(met)
    assert center(met) == pytest.approx(center(page), abs=2)
    for command in ("ask", "label"):
        expect(met.locator(f".iv-toolbar [data-command={command}]:visible")).to_have_count(0)
    guest.picture(met, "story-guest")
    assert_unnamed(heard)
    (tile,) = [request.url for request, _ in heard if re.search(r"/\d+_\d+$", request.url)][:1]
    assert met.request.get(tile).status == 200

    # A second browser with the same link: it was for one use.
    late = desk()
    late.expected += ["status of 410"]
    turned = late.open(url)
    turned.get_by_role("button", name="Ouvrir les lames").click()
    expect(turned.locator("main")).to_contain_text("déjà")
    late.picture(turned, "story-link-used")

    # Its maker sees it opened, and closes it.
    links = anne.open("/links")
    expect(links.locator("main")).to_contain_text(re.compile("ouvert", re.IGNORECASE))
    anne.picture(links, "story-links")
    guest.expected += ["status of 410", "status of 404", "status of 401"]
    with links.expect_navigation():
        links.get_by_role("button", name="Fermer l’accès de l’invité").click()
    shown_s, status = last_shown_s(lambda: met.request.get(tile).status, time.monotonic())
    figure("link.refused_after_ms", round(max(shown_s, 0) * 1000))
    assert status == 410
    assert shown_s <= REFUSED_WITHIN_S
    met.wait_for_selector("iain-viewer[data-state=revoked]")
    expect(met.locator("iain-viewer")).to_contain_text(re.compile("fermé|retiré|révoqué|mis fin", re.IGNORECASE))
    guest.picture(met, "story-guest-ended")

    # The lab manager has it all, and the chain is whole until somebody touches it.
    claire = desk()
    shares = claire.sign_in(CLAIRE, "/shares")
    rows = shares.locator("tr.row")
    expect(rows).to_have_count(2)
    expect(shares.locator("table.shares")).to_contain_text("Rouen")
    claire.picture(shares, "story-shares")
    shares.get_by_label("Centre").select_option("rouen")
    shares.wait_for_url(re.compile("site=rouen"))
    expect(rows).to_have_count(1)
    csv = shares.request.get(platform.url + "/shares.csv")
    assert csv.ok
    assert csv.text().count("26H01234") == 2
    verify_the_chain(platform, tmp_path)


def begin_to_ask(page: Page) -> None:
    """The panel may show a consultation that is there already; asking another question is the tab beside it."""
    page.keyboard.press("c")
    expect(page.locator("iain-sharing section[role=dialog]")).to_be_visible()
    tab = page.locator("[data-tab=ask]")
    if tab.count():
        tab.click()


@pytest.mark.parametrize("chosen", ["consultation", "ask"], ids=["untouched", "turned to the question"])
def test_no_tab_moves_from_under_the_hand_when_the_consultation_is_heard(
    desk: Desks, platform: Platform, chosen: str
) -> None:
    page = desk().sign_in(ANNE, "/cases")
    held: list[Route] = []
    page.route(re.compile("/api/consultations/"), lambda route: held.append(route))
    with page.expect_request(re.compile("/api/consultations/")):
        page.get_by_role("row", name=re.compile("26H01234")).get_by_title(re.compile("PAS")).first.click()
    wait_for_view(page)
    page.keyboard.press("c")
    tabs = page.locator("iain-sharing [role=tab]")
    expect(tabs).to_have_count(3)
    page.locator(f"[data-tab={chosen}]").click()
    places = [tab.bounding_box() for tab in tabs.all()]
    with page.expect_response(re.compile("/api/consultations/")):
        held[0].continue_()
    expect(page.locator(".iv-chip[data-turn]")).to_be_visible()
    assert [tab.bounding_box() for tab in tabs.all()] == places
    expect(page.locator("[aria-selected=true]")).to_have_attribute("data-tab", chosen)


def make_link(page: Page) -> str:
    page.locator("[data-tab=link]").click()
    page.locator("iain-guest-link [name=reason]").fill("RCP de mardi")
    option(page, "uses", "1").click()
    page.locator("[data-act=make-link]").click()
    return page.locator("[data-link-url]").input_value()


def assert_unnamed(heard: list[tuple[Request, str]]) -> None:
    texts = [(request.url, text) for request, text in heard if text and "/static/" not in request.url]
    assert texts, "the control: answers were heard"
    for url, text in texts:
        named = [word for word in IDENTIFYING if word in text]
        assert not named, (url, named)
    assert not [request.url for request, _ in heard if request.url.endswith(("/label", "/macro"))]


def verify_the_chain(platform: Platform, folder: Path) -> None:
    """`iain audit verify` on a copy: whole; then one character is changed past the guards, and it names the entry."""
    copy = folder / "copy.db"
    source = sqlite3.connect((platform.database_url or "").removeprefix("sqlite:///"))
    target = sqlite3.connect(copy)
    source.backup(target)
    source.close()
    command = [str(PROGRAMS / "iain"), "audit", "verify", "--var", str(folder), "--database-url", f"sqlite:///{copy}"]
    run = lambda: subprocess.run(command, capture_output=True, text=True, env=clean_environment(), timeout=60)  # noqa: E731
    assert run().returncode == 0
    for (name,) in target.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        target.execute(f"DROP TRIGGER {name}")
    (event,) = target.execute("SELECT id FROM audit_event WHERE act = 'consultation.requested' LIMIT 1").fetchone()
    target.execute("UPDATE audit_event SET recorded_us = recorded_us + 1 WHERE id = ?", (event,))
    target.commit()
    target.close()
    altered = run()
    assert altered.returncode == 1
    assert event in altered.stdout


def test_a_question_survives_its_tab_and_can_be_taken_back(desk: Desks, platform: Platform) -> None:
    anne, paul = desk(), desk()
    page = anne.sign_in(ANNE, "/cases")
    page.get_by_role("row", name=re.compile("26H01234")).get_by_title(re.compile("PAS")).first.click()
    wait_for_view(page)
    address = page.url
    begin_to_ask(page)
    question = page.locator("iain-request [name=question]")
    colleague(page, "Pathologiste de Rouen").click()
    question.fill("Et sur ce niveau")
    with page.expect_response(re.compile("/api/drafts/")):
        question.press_sequentially(" ?")
    page.wait_for_timeout(1500)  # the draft is kept a moment after the last key
    page.close(run_before_unload=False)

    page = anne.open(address)
    wait_for_view(page)
    begin_to_ask(page)
    expect(page.locator("iain-request [name=question]")).to_have_value("Et sur ce niveau ?")
    inbox = paul.sign_in(PAUL, "/consultations")
    page.locator("[data-act=send]").click()
    page.locator("[data-sent] [data-act=undo]").click()
    expect(page.locator("iain-request [name=question]")).to_have_value("Et sur ce niveau ?")
    inbox.reload()
    expect(inbox.locator("iain-bell")).to_have_attribute("data-unread", "0")


@pytest.mark.parametrize(
    ("end", "words"),
    [("x" * 43, "clé|adresse"), ("", "clé|adresse")],
    ids=["mistyped", "cut"],
)
def test_a_link_that_is_wrong_says_so(desk: Desks, end: str, words: str) -> None:
    nobody = desk(viewport=PHONE)
    nobody.expected += ["status of 404"]
    page = nobody.open("/l/" + "a" * 26 + ("#" + end if end else ""))
    if end:
        page.locator("form[data-link-key] button").click()
    expect(page.locator("main")).to_contain_text(re.compile(words))
