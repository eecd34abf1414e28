"""Every page under axe-core and under the production security policy: in French, light and on a desk; in English, dark
and on a telephone.

axe is handed to the page by the debugger's protocol, past the security policy, which so stays in force for the page.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from fixtures.centres import PASSWORD, PASSWORD_HASH, Centres
from fixtures.desk import DESK, PHONE, Desk, Desks
from fixtures.figures import Figure
from fixtures.platform import Platform, new_world
from fixtures.scanning import begin
from fixtures.shares import Shared, share
from playwright.sync_api import Page

from sharing import link_refusals, links, members, objections
from sharing.clock import MINUTE_US
from sharing.db.engine import open_database
from sharing.links import NewLink
from sharing.vocabulary import MemberId, ObjectionId, Origin, Purpose, Role, Vain
from slideserver import pages

pytestmark = pytest.mark.browser

AXE = Path(__file__).parents[2] / "viewer" / "node_modules" / "axe-core" / "axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
EXAMINE = "(tags) => axe.run(document, { runOnly: tags, resultTypes: ['violations'] })"
SERIOUS = {"serious", "critical"}
ANNE, PAUL, CLAIRE, JULIEN = "pathologiste.caen", "pathologiste.rouen", "responsable.caen", "technicien.caen"
OFFICER, ADMINISTRATOR = "dpo.caen", "administrateur.caen"
NEWCOMER = "neuf.caen"
STRANGER, GUEST = "", "by link"
# Answers that are no page of their own.
NO_PAGES = {
    "/",
    "/audit.csv",
    "/audit.ndjson",
    "/cases/{case_id}/certificate.json",
    "/shares.csv",
    "/scanners.csv",
    "/scanners/now",
    "/objections.csv",
    "/links/open.csv",
    "/members.csv",
}


@dataclass(frozen=True)
class Visit:
    """`route`: as the server declares it, with what follows behind a space when the same route has several states."""

    route: str
    login: str
    path: str
    then: Callable[[Page], None] = lambda page: None


@dataclass(frozen=True)
class Met(Shared):
    objection: ObjectionId
    bound: NewLink
    """It wants a code that goes to a mail address."""
    member: MemberId


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Platform, Centres]]:
    """A platform of its own: what is shared here is nobody else's to see."""
    with new_world(tmp_path_factory.mktemp("accessibility")) as world:
        yield world


@pytest.fixture(scope="module")
def shared(world: tuple[Platform, Centres]) -> Iterator[Met]:
    """Something in every list: consultations in several states, links standing and revoked, scanners well and not."""
    platform, centres = world
    database = open_database(platform.database_url or "")
    shared = share(database, centres)
    begin(database, centres.caen, shared.slide_id)
    with database.writing() as session:
        officer, case_id = centres.caen.protection_officer, shared.case_id
        (objection,) = objections.register(session, officer, case_id, {Purpose.AI}, Origin.LETTER)
        bound = links.create(
            session,
            centres.caen.pathologist,
            case_id,
            [shared.slide_id],
            purpose=Purpose.CARE,
            reason="Second avis",
            expires_us=session.now_us + 60 * MINUTE_US,
            slide_id=shared.slide_id,
            recipient="pr.martin@hopital-universitaire.example",
        )
        members.add(
            session,
            centres.caen.administrator,
            login=NEWCOMER,
            name="Dr Nouvelle",
            role=Role.TRAINEE,
            password_hash=PASSWORD_HASH,
        )
        link_refusals.count(session, bound.id, Vain.WRONG_CODE, 3)
        link_refusals.count(session, bound.id, Vain.WRONG_KEY, 12)
    yield Met(**vars(shared), objection=objection, bound=bound, member=centres.caen.trainee.id)
    database.close()


def visits(shared: Met) -> list[Visit]:
    return [
        Visit("/login", STRANGER, "/login"),
        Visit("/login own password", STRANGER, "/login", choosing),
        Visit("/account", ANNE, "/account"),
        Visit("/members", ADMINISTRATOR, "/members"),
        Visit("/members/new", ADMINISTRATOR, "/members/new"),
        Visit("/members/{member_id}", ADMINISTRATOR, f"/members/{shared.member}"),
        Visit("/members/{member_id} first password", ADMINISTRATOR, f"/members/{shared.member}", giving),
        Visit("/l/{link_id}", STRANGER, f"/l/{shared.link.id}#{shared.link.secret}"),
        Visit("/l/{link_id} code", STRANGER, f"/l/{shared.bound.id}#{shared.bound.secret}", knocking),
        Visit("/cases", ANNE, "/cases"),
        Visit("/cases nothing found", ANNE, "/cases?q=nobody"),
        Visit("/cases keys", ANNE, "/cases", lambda page: page.keyboard.press("?")),
        Visit("/cases/{case_id}", ANNE, f"/cases/{shared.case_id}"),
        Visit("/slides/{slide_id}", ANNE, f"/slides/{shared.slide_id}", viewer()),
        Visit("/slides/{slide_id} label", ANNE, f"/slides/{shared.slide_id}", viewer("e", "iain-label img")),
        Visit("/slides/{slide_id} asking", ANNE, f"/slides/{shared.slide_id}", viewer("c", "[data-tab=ask]")),
        Visit("/slides/{slide_id} linking", ANNE, f"/slides/{shared.slide_id}", viewer("c", "[data-tab=link]")),
        Visit("/slides/{slide_id} consultant", PAUL, f"/slides/{shared.slide_id}", answering),
        Visit("/consultations", ANNE, "/consultations"),
        Visit("/consultations consultant", PAUL, "/consultations"),
        Visit("/consultations/{consultation_id}", ANNE, f"/consultations/{shared.answered}"),
        Visit("/consultations/{consultation_id} consultant", PAUL, f"/consultations/{shared.asked}"),
        Visit("/links", ANNE, "/links"),
        Visit("/links/open", CLAIRE, "/links/open"),
        Visit("/shares", CLAIRE, "/shares"),
        Visit("/shares both ways", CLAIRE, "/shares?direction=all&since=2026-01-01"),
        Visit("/cases/{case_id}/certificate", CLAIRE, f"/cases/{shared.case_id}/certificate"),
        Visit("/objections", OFFICER, "/objections"),
        Visit("/objections found", OFFICER, "/objections?q=26H"),
        Visit("/objections/patients/{case_id}", OFFICER, f"/objections/patients/{shared.case_id}"),
        Visit("/objections/{objection_id}", OFFICER, f"/objections/{shared.objection}"),
        Visit("/why", ANNE, "/why"),
        Visit("/why/{slide_id}", PAUL, f"/why/{shared.slide_id}"),
        Visit("/why/{slide_id} somebody", CLAIRE, f"/why/{shared.slide_id}?person=link:{shared.link.id}"),
        Visit("/why/cases/{case_id}", PAUL, f"/why/cases/{shared.case_id}"),
        Visit("/intake", JULIEN, "/intake"),
        Visit("/intake/{slide_id}", JULIEN, f"/intake/{shared.slide_id}"),
        Visit("/scanners", JULIEN, "/scanners"),
        Visit("/deposit", JULIEN, "/deposit"),
        Visit("/deposit slides", JULIEN, "/deposit", dropping),
        Visit("/audit", CLAIRE, "/audit"),
        Visit("/error 404", ANNE, "/cases/nothing"),
        Visit("/error 403", ANNE, "/audit"),
    ]


def choosing(page: Page) -> None:
    """Comes with a password that an administrator gave."""
    page.fill("#login", NEWCOMER)
    page.fill("#password", PASSWORD)
    page.keyboard.press("Enter")
    page.locator("#new_password").wait_for()


def giving(page: Page) -> None:
    page.locator("form[action$='/password'] button").click()
    page.locator(".secret").wait_for()


def viewer(key: str = "", place: str = "iain-viewer") -> Callable[[Page], None]:
    """Once the slide is there: presses the key, waits for the place, and goes to it when it is a tab."""

    def then(page: Page) -> None:
        page.wait_for_selector("iain-viewer[data-ready]")
        if key:
            page.keyboard.press(key)
        page.locator(place).first.wait_for()
        if "data-tab" in place:
            page.locator(place).click()

    return then


def knocking(page: Page) -> None:
    """The key sent, and a code that is none."""
    page.locator("form[data-link-key] button").click()
    page.locator("[name=code]").fill("1234 5678")
    page.locator("form button.primary").click()
    page.get_by_role("alert").wait_for()


def answering(page: Page) -> None:
    """The question beside the slide; on a telephone it lies behind the slide until it is called."""
    viewer()(page)
    if page.viewport_size == PHONE:
        page.locator("iain-sheet button", has_text=re.compile("Avis|Opinion")).click()
    page.locator("iain-consultation").wait_for()


def dropping(page: Page) -> None:
    """A slide that is ready to be sent, a MIRAX slide that lacks its files, and an empty file."""
    files = [("26H01234.svs", b"II*\0"), ("lame.mrxs", b"\xff\xd8\xff"), ("vide.svs", b"")]
    field = page.locator("input[multiple]")
    field.set_input_files([{"name": name, "mimeType": "", "buffer": data} for name, data in files])
    page.get_by_text(re.compile("EXEMPLE Camille")).wait_for()


def test_the_walk_knows_every_page(shared: Met, figure: Figure) -> None:
    routes = {route.path for route in pages.router.routes if "GET" in getattr(route, "methods", ())} - NO_PAGES
    walked = {visit.route.split(" ")[0] for visit in visits(shared)} | {"/g/{slide_id}"}
    figure("a11y.pages", len(walked))
    assert walked >= routes


@pytest.mark.parametrize(
    ("language", "theme", "screen", "turn"),
    [("fr", "light", DESK, 0), ("en", "dark", PHONE, 1)],
    ids=["fr-light-desk", "en-dark-phone"],
)
def test_pages_are_for_everybody(
    desk: Desks,
    shared: Met,
    figure: Figure,
    platform: Platform,
    language: str,
    theme: str,
    screen: dict[str, int],
    turn: int,
) -> None:
    """Each page and state in one of the two ways, turn about: axe takes a second for each."""
    axe = AXE.read_text()
    serious: list[str] = []
    others: list[str] = []
    people: dict[str, Desk] = {}
    seen: Counter[str] = Counter()

    def person(login: str) -> Desk:
        if login not in people:
            each = desk(color_scheme=theme, locale={"fr": "fr-FR", "en": "en-GB"}[language], viewport=screen)
            each.context.add_cookies([{"name": "iain_language", "value": language, "url": platform.url}])
            each.expected += ["status of 404", "status of 403"]
            if login not in (STRANGER, GUEST):
                each.sign_in(login).close()
            people[login] = each
        return people[login]

    def examine(each: Desk, page: Page, name: str) -> None:
        rest(page)
        if language == "fr":
            each.picture(page, f"{theme}-{slug(name)}")
        assert page.evaluate("document.documentElement.lang") == language, name
        page.evaluate(f"() => {{ {axe}\n; }}")
        found = page.evaluate(EXAMINE, RULES)["violations"]
        for violation in found:
            where = "; ".join(str(node["target"]) for node in violation["nodes"][:3])
            line = f"{name}: {violation['impact']} {violation['id']}: {violation['help']} ({where})"
            (serious if violation["impact"] in SERIOUS else others).append(line)
        seen[name] += 1

    for visit in visits(shared)[turn::2]:
        each = person(visit.login)
        page = each.open(visit.path)
        visit.then(page)
        examine(each, page, visit.route)
        page.close()
    guest = person(GUEST)
    page = guest.open(f"/l/{shared.link.id}#{shared.link.secret}")
    page.locator("form[data-link-key] button").click()
    page.wait_for_url("**/g/**")
    page.wait_for_selector("iain-viewer[data-ready]")
    examine(guest, page, "/g/{slide_id}")

    complaints = [line for each in people.values() for line in each.complaints]
    policy = [line for line in complaints if "CSP:" in line or "Content Security Policy" in line]
    figure("a11y.pages_and_states_examined", sum(seen.values()), add=True)
    figure("a11y.serious_violations", len(serious), add=True)
    figure("csp.violations", len(policy), add=True)
    assert not serious, "\n".join(serious)
    assert not policy, "\n".join(policy)
    assert not others, "\n".join(others)


def test_axe_sees_what_is_wrong(desk: Desks) -> None:
    """The control: a page spoilt on purpose."""
    page = desk().open("/login")
    page.evaluate("document.querySelectorAll('label').forEach((label) => label.remove())")
    page.evaluate("document.documentElement.removeAttribute('lang')")
    page.evaluate(f"() => {{ {AXE.read_text()}\n; }}")
    found = page.evaluate(EXAMINE, RULES)["violations"]
    assert {"label", "html-has-lang"} <= {violation["id"] for violation in found}


def rest(page: Page) -> None:
    """Until nothing on the page moves any more: a colour half-way through its change would be judged."""
    page.evaluate(
        "() => Promise.all(document.getAnimations()"
        ".filter((one) => one.effect.getComputedTiming().iterations !== Infinity)"
        ".map((one) => one.finished.catch(() => null)))"
    )


def slug(route: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in route).strip("-")
