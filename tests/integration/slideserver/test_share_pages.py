"""Links and shares on the pages: who made which, who may close it, and what a guest without an account meets."""

import csv
import io
from dataclasses import dataclass

import httpx
import pytest
from fixtures.html import parse
from fixtures.pages import ask, check, read, rows
from fixtures.server import World
from sqlalchemy import update

from sharing import exchange, link_lists, links
from sharing.db.tables import MemberRow
from sharing.links import NewLink
from sharing.slides import Slide
from sharing.vocabulary import ConsultationId, ConsultationState, LinkState, Purpose

# What the pages and the API tell is the same on both engines; what they ask is tried on both beside `sharing`.
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

CAEN, ROUEN, MANAGER = "pathologiste.caen", "pathologiste.rouen", "responsable.caen"
DAY_US = 24 * 3600 * 1_000_000


@dataclass
class Shared:
    """Caen has asked Rouen and made a link, both about one slide."""

    slide: Slide
    consultation: ConsultationId
    link: NewLink


@pytest.fixture
def shared(world: World) -> Shared:
    slide = world.add_slide(world.centres.caen, "26H01234")
    return Shared(slide, ask(world, slide), make_link(world, slide))


def make_link(world: World, slide: Slide, reason: str = "RCP de jeudi", uses: int = 2) -> NewLink:
    assert slide.case_id
    with world.database.writing() as session:
        return links.create(
            session,
            world.centres.caen.pathologist,
            slide.case_id,
            None,
            purpose=Purpose.TEACHING,
            reason=reason,
            expires_us=session.now_us + DAY_US,
            max_uses=uses,
            slide_id=slide.id,
            view="c=900,1200&m=10",
        )


def open_link(world: World, link: NewLink) -> tuple[httpx.Client, httpx.Response]:
    """A browser without an account presses the button."""
    guest = world.client()
    return guest, guest.post(f"/l/{link.id}", data={"secret": link.secret})


def link_state(world: World, link: NewLink) -> LinkState:
    with world.database.reading() as session:
        [found] = [each for each in link_lists.made(session, world.centres.caen.pathologist) if each.id == link.id]
    return found.state


# ── Links, for their maker ──────────────────────────────────────────────────────────────────────────────────────────


def test_the_maker_sees_whether_the_link_was_opened_and_closes_it(world, shared):
    caen = world.signed_in(CAEN)
    [row] = rows(read(caen, "/links"))
    assert row.one("a", class_="row-link").get("href") == f"/slides/{shared.slide.id}#c=900,1200&m=10"
    assert "26H01234" in row.text
    assert "RCP de jeudi" in row.text
    assert "enseignement" in row.text
    assert "jamais ouvert" in row.text
    assert row.one(class_="state").text == "en vigueur"
    guest, answer = open_link(world, shared.link)
    assert answer.status_code == 303
    [row] = rows(read(caen, "/links"))
    assert "jamais ouvert" not in row.text
    assert "entrées : 1 sur 2" in row.text
    button = row.one("form")
    assert button.one("button").text == "Fermer l’accès de l’invité"
    done = caen.post(button.get("action"))
    assert done.status_code == 303
    page = read(caen, done.headers["location"])
    assert "révoqué" in page.one(role="status", class_="notice").text
    assert rows(page)[0].one(class_="state").text == "révoqué"
    assert rows(page)[0].all("form") == []
    over = guest.get(f"/g/{shared.slide.id}")
    assert over.status_code == 410
    assert "retiré par le centre" in over.text


def test_without_a_link_the_page_says_how_one_is_made(world):
    assert "Lien d’invité" in read(world.signed_in(CAEN), "/links").one(class_="empty").text


def test_nobody_closes_the_link_of_another_centre(world, shared):
    answer = world.signed_in(ROUEN).post(f"/links/{shared.link.id}/revoke")
    assert answer.status_code == 404
    assert link_state(world, shared.link) is LinkState.LIVE


# ── The page of a link, for a guest ─────────────────────────────────────────────────────────────────────────────────


def test_the_page_of_a_link_is_the_same_whether_there_is_one_or_not(world, shared):
    visitor = world.client()
    real = visitor.get(f"/l/{shared.link.id}").text.replace(shared.link.id, "ID")
    invented = "a" * 26
    assert visitor.get(f"/l/{invented}").text.replace(invented, "ID") == real
    page = parse(real)
    check(page, "fr")
    assert page.one("button", class_="primary").text == "Ouvrir les lames"
    assert page.one("form", data_link_key="").get("method") == "post"
    assert link_state(world, shared.link) is LinkState.LIVE


def test_the_button_leads_a_guest_to_the_pinned_view_without_a_name(world, shared):
    guest, answer = open_link(world, shared.link)
    assert answer.headers["location"] == f"/g/{shared.slide.id}#c=900,1200&m=10"
    page = read(guest, f"/g/{shared.slide.id}")
    banner = page.one("header", class_="case-banner")
    assert banner.one("h1").text == shared.link.reference
    assert "montré à titre d’invité" in banner.text
    ways = [each.get("href") for each in banner.all("a")]
    assert ways == [f"/why/{shared.slide.id}"], "there is nowhere to go back to"
    viewer = page.one("iain-viewer")
    assert viewer.get("slides-url") == "/g/"
    assert viewer.get("case-url") == ""
    for secret in ("26H01234", "EXEMPLE", "1957", "CMU-1", "Scanner Caen", shared.slide.case_id):
        assert secret not in guest.get(f"/g/{shared.slide.id}").text


def test_a_mistyped_used_or_revoked_link_says_what_to_do(world, shared):
    wrong = world.client().post(f"/l/{shared.link.id}", data={"secret": "x" * 43})
    assert wrong.status_code == 404
    assert parse(wrong.text).one("h1").text == "Ce lien n’ouvre rien"
    once = make_link(world, shared.slide, uses=1)
    open_link(world, once)
    _, used = open_link(world, once)
    assert "déjà servi" in parse(used.text).text
    with world.database.writing() as session:
        links.revoke(session, world.centres.caen.pathologist, shared.link.id)
    _, revoked = open_link(world, shared.link)
    assert revoked.status_code == 410
    assert "retiré par le centre" in parse(revoked.text).text
    for answer in (wrong, used, revoked):
        check(parse(answer.text), "fr")


# ── Shares, for the lab manager ─────────────────────────────────────────────────────────────────────────────────────


def test_the_manager_sees_what_left_with_whom_what_for_and_whether_it_was_opened(world, shared):
    page = read(world.signed_in(MANAGER), "/shares")
    told = {row.get("id"): row.text for row in rows(page)}
    assert set(told) == {f"row-{shared.consultation}", f"row-{shared.link.id}"}
    asked, link = told[f"row-{shared.consultation}"], told[f"row-{shared.link.id}"]
    for word in ("26H01234", "Pathologiste de Caen", "Pathologiste de Rouen, Rouen", "RCP", "jamais ouvert", "demandé"):
        assert word in asked
    for word in ("invité, par lien", "enseignement", "RCP de jeudi", "en vigueur"):
        assert word in link
    assert "Carcinome" not in page.text, "what was asked is between the two pathologists"
    bars = page.one("svg", class_="weeks").all("rect")
    assert len(bars) == 1
    assert page.one("svg", class_="weeks").one("text", class_="value").text == "2"
    this_week = page.one("table", class_="close").one("tbody").all("tr")[0]
    assert [cell.text for cell in this_week.all("td")] == ["1", "1"]


def test_every_filter_of_the_shares_is_in_the_address(world, shared):
    client = world.signed_in(MANAGER)

    def kinds(query: str) -> set[str]:
        found = rows(read(client, f"/shares?{query}"))
        return {"link" if row.get("id") == f"row-{shared.link.id}" else "consultation" for row in found}

    both = {"consultation", "link"}
    assert kinds("") == kinds("opened=no") == kinds(f"person={world.centres.caen.pathologist.id}") == both
    assert kinds("site=rouen") == kinds("purpose=tumour_board") == {"consultation"}
    assert kinds("site=-") == kinds("purpose=teaching") == {"link"}
    assert kinds("site=lille") == kinds("opened=yes") == kinds("until=2020-01-01") == kinds("direction=in") == set()
    assert kinds("purpose=spying&opened=perhaps&since=yesterday") == both, "what is not understood is not asked"
    page = read(client, "/shares?purpose=teaching&opened=no")
    assert "selected" in page.one("option", value="teaching").attributes
    assert page.one("a", download="").get("href") == "/shares.csv?purpose=teaching&opened=no"
    assert page.one("a", class_="plain").get("href") == "/shares"
    assert "Aucun partage ne correspond" in read(client, "/shares?site=lille").text


def test_what_comes_in_is_told_without_the_other_centres_number(world, shared):
    client = world.signed_in("responsable.rouen")
    [row] = rows(read(client, "/shares?direction=in"))
    assert "26H01234" not in row.text
    assert row.one("th").text.startswith("A-")
    assert row.all("form") == []
    assert "Rien n’est sorti de Rouen" in read(client, "/shares").text


def test_the_manager_takes_the_slides_back_from_the_list(world, shared):
    client, rouen = world.signed_in(MANAGER), world.signed_in(ROUEN)
    guest, _ = open_link(world, shared.link)
    buttons = {form.one("button").text: form for form in read(client, "/shares?opened=").all("form", class_="above")}
    assert set(buttons) == {"Fermer l’accès de Rouen", "Fermer l’accès de l’invité"}
    for lie in (shared.link.id, shared.consultation):
        assert "Plus aucune image" not in read(client, f"/shares?done={lie}").text
    for form in buttons.values():
        done = client.post(form.get("action"), data={"next": "/shares?site=rouen"})
        assert done.headers["location"].startswith("/shares?site=rouen&done=")
    assert "Plus aucune image" in read(client, done.headers["location"]).text
    assert guest.get(f"/g/{shared.slide.id}").status_code == 410
    assert rouen.get(f"/slides/{shared.slide.id}").status_code == 404
    with world.database.reading() as session:
        found = exchange.get(session, world.centres.caen.pathologist, shared.consultation)
    assert found.state is ConsultationState.CANCELLED
    assert client.post(f"/shares/link/{shared.link.id}/end", data={"next": "//evil.example"}).status_code in (303, 409)


def test_only_a_lab_manager_reads_the_shares(world, shared):
    for login in (CAEN, "technicien.caen"):
        client = world.signed_in(login)
        assert client.get("/shares").status_code == 403
        assert client.get("/shares.csv").status_code == 403
    other = world.signed_in("responsable.lille")
    assert rows(read(other, "/shares")) == []
    for kind, id in (("link", shared.link.id), ("consultation", shared.consultation)):
        assert other.post(f"/shares/{kind}/{id}/end").status_code == 404
    assert link_state(world, shared.link) is LinkState.LIVE


def test_the_export_holds_what_the_page_shows_and_no_formula(world, shared):
    client = world.signed_in(MANAGER)
    make_link(world, shared.slide, reason='=HYPERLINK("http://evil.example")')
    with world.database.writing() as session:
        session.execute(update(MemberRow).where(MemberRow.login == CAEN).values(name="=cmd|'/c calc'!A1"))
    answer = client.get("/shares.csv?purpose=teaching")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert "iain-partages-caen-" in answer.headers["content-disposition"]
    table = list(csv.reader(io.StringIO(answer.text.removeprefix("\ufeff")), delimiter=";"))
    assert table[0][:5] == ["Date", "Sens", "Nature", "Numéro", "N° de cas"]
    assert len(table) == 3
    assert {tuple(row[1:3]) for row in table[1:]} == {("Sortant", "Lien d’invité")}
    assert '\'=HYPERLINK("http://evil.example")' in {row[-1] for row in table}
    assert {row[7] for row in table[1:]} == {"'=cmd|'/c calc'!A1"}
    for row in table:
        assert not any(cell.startswith(("=", "+", "-", "@")) for cell in row), row


def test_reading_and_ending_shares_stands_in_the_journal(world, shared):
    client = world.signed_in(MANAGER)
    client.get("/shares?purpose=teaching")
    client.post(f"/shares/link/{shared.link.id}/end")
    journal = read(client, "/audit")
    told = [row.one(class_="what-cell").text for row in rows(journal)]
    for word in ("Lien révoqué", "Partages consultés", "Lien créé", "Avis demandé"):
        assert word in told


def test_the_pages_are_well_formed_in_both_languages(world, shared):
    open_link(world, shared.link)
    for login, paths in (
        (CAEN, ["/links"]),
        (MANAGER, ["/shares", "/shares?site=lille", "/shares?direction=in"]),
        ("responsable.lille", ["/shares"]),
        (ROUEN, ["/links"]),
    ):
        client = world.signed_in(login)
        for language in ("fr", "en"):
            client.post("/language", data={"language": language})
            for path in paths:
                check(parse(client.get(path).text), language)
