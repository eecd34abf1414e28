"""What the people of a centre do in a day, in real Chromium: read a slide, see nothing foreign, read the journal."""

import re

import pytest
from fixtures.desk import PHONE, Desk, Desks
from fixtures.platform import Platform
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser


def open_slide(desk: Desk, page: Page, stain: str = "HES") -> None:
    """From the worklist into a slide of the case, as a person does it."""
    page.get_by_role("row", name=re.compile("26H01234")).get_by_title(re.compile(stain)).first.click()
    wait_for_view(page)


def wait_for_view(page: Page) -> None:
    page.wait_for_selector("iain-viewer[data-ready][data-sharp]")


def number(page: Page, name: str) -> float:
    return float(page.locator("iain-viewer").get_attribute(f"data-{name}") or "nan")


def center(page: Page) -> tuple[float, float]:
    x, y = (page.locator("iain-viewer").get_attribute("data-center") or "").split(",")
    return float(x), float(y)


def wait_until(page: Page, name: str, condition: str) -> None:
    """Until `condition` holds of the number in the viewer's `data-NAME` (the first one of several)."""
    value = f"Number(document.querySelector('iain-viewer').dataset.{name}.split(',')[0])"
    page.wait_for_function(f"() => {{ const {name} = {value}; return {condition}; }}")


STILL = """() => {
  const sharp = document.querySelector("iain-viewer[data-sharp]");
  const now = sharp && document.querySelector(".iv-stage canvas").toDataURL();
  const still = now && now === window.before;
  window.before = now;
  return still ? now : null;
}"""


def drawn(page: Page) -> str:
    """Every pixel of the slide, without what lies over it, once it is sharp and has stopped changing."""
    picture: str = page.wait_for_function(STILL, polling=200).json_value()
    return picture


def test_a_pathologist_finds_her_case_and_opens_its_slide(desk: Desks) -> None:
    anne = desk()
    page = anne.sign_in("pathologiste.caen")
    row = page.get_by_role("row", name=re.compile("26H01234"))
    expect(row).to_contain_text("EXEMPLE Camille")
    pictures = row.locator("img")
    expect(pictures).to_have_count(2)
    page.wait_for_function("() => [...document.images].every((image) => image.complete && image.naturalWidth > 0)")
    anne.picture(page, "worklist")

    open_slide(anne, page)
    banner = page.locator(".case-banner")
    for fact in ("26H01234", "EXEMPLE Camille", "Caen", "1957", "Sein", "HES", "A1"):
        expect(banner).to_contain_text(fact)
    anne.picture(page, "viewer")


def test_the_slide_moves_by_keys_wheel_and_mouse(desk: Desks) -> None:
    anne = desk()
    page = anne.sign_in("pathologiste.caen")
    open_slide(anne, page)
    for key, magnification in (("1", 1), ("3", 5), ("4", 10), ("5", 20)):
        page.keyboard.press(key)
        expect(page.locator("iain-viewer")).to_have_attribute("data-magnification", str(magnification))
    wait_for_view(page)
    expect(page.locator("iain-readings")).to_contain_text("µm")

    before = center(page)
    page.keyboard.press("ArrowRight")
    page.wait_for_function(
        "(x) => Number(document.querySelector('iain-viewer').dataset.center.split(',')[0]) > x", arg=before[0]
    )

    before = center(page)
    page.mouse.move(700, 450)
    page.mouse.down()
    page.mouse.move(600, 400, steps=5)
    page.mouse.up()
    page.wait_for_function(
        "(x) => Number(document.querySelector('iain-viewer').dataset.center.split(',')[0]) > x + 50", arg=before[0]
    )

    zoom = number(page, "zoom")
    page.mouse.wheel(0, -300)
    wait_until(page, "zoom", f"zoom > {zoom}")
    page.keyboard.press("0")
    wait_until(page, "magnification", "magnification < 10")


def test_the_slide_moves_by_touch(desk: Desks) -> None:
    anne = desk(viewport=PHONE, has_touch=True, is_mobile=True)
    page = anne.sign_in("pathologiste.caen")
    page.get_by_role("link", name=re.compile("26H01234")).first.tap()
    page.locator("a[href^='/slides/']").first.tap()
    wait_for_view(page)
    anne.picture(page, "viewer")
    zoom, (x, _) = number(page, "zoom"), center(page)
    fingers = anne.context.new_cdp_session(page)

    def touch(kind: str, *points: tuple[int, int]) -> None:
        touches = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(points)]
        fingers.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": touches})

    touch("touchStart", (190, 400), (210, 420))
    for step in range(1, 9):
        touch("touchMove", (190 - 12 * step, 400 - 12 * step), (210 + 12 * step, 420 + 12 * step))
    touch("touchEnd")
    wait_until(page, "zoom", f"zoom > {2 * zoom}")
    x = center(page)[0]
    touch("touchStart", (300, 420))
    for step in range(1, 9):
        touch("touchMove", (300 - 20 * step, 420))
    touch("touchEnd")
    page.wait_for_function(
        "(x) => Number(document.querySelector('iain-viewer').dataset.center.split(',')[0]) > x + 20", arg=x
    )


def test_label_and_macro_are_one_key_away_and_the_file_is_in_reach(desk: Desks) -> None:
    anne = desk()
    page = anne.sign_in("pathologiste.caen")
    open_slide(anne, page)
    page.keyboard.press("e")
    panel = page.locator("iain-label")
    expect(panel.locator("img")).to_have_count(2)
    page.wait_for_function(
        "() => [...document.querySelectorAll('iain-label img')].every((image) => image.naturalWidth > 0)"
    )
    anne.picture(page, "viewer-label")
    page.keyboard.press("e")
    expect(panel.locator("img:visible")).to_have_count(0)
    file = page.locator("iain-toolbar a[download]")
    expect(file).to_have_accessible_name(re.compile(r"^Télécharger le fichier du scanner \([\d,]+\s[kMG]?o\)$"))
    file.focus()
    with page.expect_download() as taken:
        page.keyboard.press("Enter")
    assert taken.value.path().stat().st_size > 100_000


def test_all_keys_are_one_key_away(desk: Desks) -> None:
    anne = desk()
    page = anne.sign_in("pathologiste.caen")
    open_slide(anne, page)
    keys = page.locator("dialog.iv-keys")
    for _ in range(2):
        page.keyboard.press("?")
        expect(keys).to_be_visible()
        expect(keys).to_contain_text("Tab")
        page.keyboard.press("?")
        expect(keys).to_be_hidden()


def test_the_next_slide_of_the_case_is_one_key_away(desk: Desks) -> None:
    anne = desk()
    page = anne.sign_in("pathologiste.caen")
    open_slide(anne, page, "HES")
    first = page.url
    page.keyboard.press("]")
    expect(page.locator(".case-banner")).to_contain_text("PAS")
    wait_for_view(page)
    assert page.url.split("#")[0] != first.split("#")[0]
    page.keyboard.press("[")
    expect(page.locator(".case-banner")).to_contain_text("HES")


def test_a_link_lands_on_the_very_view_also_through_the_sign_in(desk: Desks) -> None:
    anne = desk()
    page = anne.sign_in("pathologiste.caen")
    open_slide(anne, page)
    page.keyboard.press("5")
    page.keyboard.press("Shift+ArrowDown")
    wait_for_view(page)
    page.wait_for_function("() => location.hash.includes('m=20')")
    page.wait_for_function(
        "() => { const [x, y] = document.querySelector('iain-viewer').dataset.center.split(',').map(Number);"
        " const link = /c=([\\d.-]+),([\\d.-]+)/.exec(decodeURIComponent(location.hash));"
        " return link && Math.abs(link[1] - x) < 2 && Math.abs(link[2] - y) < 2; }"
    )
    seen = center(page)

    elsewhere = desk()
    landed = elsewhere.sign_in("pathologiste.caen", page.url)
    wait_for_view(landed)
    assert landed.url.split("#")[0] == page.url.split("#")[0]
    assert number(landed, "magnification") == 20
    assert center(landed) == pytest.approx(seen, abs=2)


def test_another_centre_sees_none_of_it(desk: Desks, platform: Platform) -> None:
    anne = desk()
    page = anne.sign_in("pathologiste.caen")
    open_slide(anne, page)
    slide = page.url.split("#")[0]
    requested = page.evaluate("performance.getEntriesByType('resource').map((entry) => entry.name)")
    tiles = [url for url in requested if "/tiles/" in url]
    assert tiles

    paul = desk()
    paul.expected.append("status of 404")
    page = paul.sign_in("pathologiste.rouen")
    expect(page.locator("body")).not_to_contain_text("26H01234")
    foreign = page.goto(slide)
    assert foreign is not None
    assert foreign.status == 404
    expect(page.locator("body")).not_to_contain_text("EXEMPLE")
    paul.picture(page, "not-found")
    for tile in tiles[:5]:
        answer = page.request.get(tile)
        assert answer.status == 404
        assert not answer.body().startswith(b"\xff\xd8")


def test_the_lab_manager_reads_who_pushed_and_who_opened(desk: Desks) -> None:
    anne = desk()
    open_slide(anne, anne.sign_in("pathologiste.caen"))

    claire = desk()
    page = claire.sign_in("responsable.caen", "/audit?case=26H01234")
    journal = page.locator("main")
    expect(journal).to_contain_text("Pathologiste de Caen")
    expect(journal).to_contain_text("Scanner Caen 1")
    claire.picture(page, "journal")
    page.goto(f"{claire.platform.url}/intake")
    expect(page.locator("main")).to_contain_text("CMU-1-Small-Region.svs")
    claire.picture(page, "reception")


def test_a_wrong_password_is_told_in_words(desk: Desks) -> None:
    anne = desk()
    anne.expected.append("status of 401")
    page = anne.open("/login")
    anne.picture(page, "login")
    page.fill("#login", "pathologiste.caen")
    page.fill("#password", "not-the-password")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_be_visible()
    expect(page.locator("#login")).to_have_value("pathologiste.caen")


@pytest.mark.parametrize(
    ("locale", "word"), [("fr-FR", "Se connecter"), ("en-GB", "Sign in"), ("de-DE", "Se connecter")]
)
def test_the_browser_chooses_the_language_and_french_comes_first(desk: Desks, locale: str, word: str) -> None:
    page = desk(locale=locale).open("/login")
    expect(page.get_by_role("button", name=word)).to_be_visible()


def test_the_language_can_be_switched(desk: Desks) -> None:
    page = desk().open("/login")
    page.get_by_role("button", name="English").click()
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    page.get_by_role("button", name="Français").click()
    expect(page.get_by_role("button", name="Se connecter")).to_be_visible()


def test_pages_fit_a_phone(desk: Desks) -> None:
    claire = desk(viewport=PHONE)
    page = claire.sign_in("responsable.caen")
    for path, name in (("/cases", "worklist"), ("/intake", "reception"), ("/audit", "journal")):
        page.goto(claire.platform.url + path)
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, f"{path} scrolls sideways by {wide} px"
        claire.picture(page, name)
    signed_out = desk(viewport=PHONE)
    signed_out.picture(signed_out.open("/login"), "login")
