"""What the scripts add to the pages of opinions, links and shares; and these pages without scripts."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from fixtures.centres import Centres
from fixtures.desk import DESK, PHONE, Desks
from fixtures.platform import Platform
from playwright.sync_api import expect
from sqlalchemy import update

from sharing import cases, consultations, links
from sharing.db.engine import Database, open_database
from sharing.db.tables import CaseRow, MemberRow
from sharing.links import NewLink
from sharing.vocabulary import Agreement, ConsultationId, Move, Purpose

pytestmark = pytest.mark.browser
CAEN, ROUEN, MANAGER = "pathologiste.caen", "pathologiste.rouen", "responsable.caen"
DAY_US = 24 * 3600 * 1_000_000


@pytest.fixture
def database(platform: Platform) -> Iterator[Database]:
    database = open_database(platform.database_url or "")
    yield database
    database.close()


def ask(database: Database, centres: Centres, question: str = "Adénose ou CIS ?") -> ConsultationId:
    with database.writing() as session:
        case = cases.get_case(session, centres.caen.pathologist, centres.caen.cases["26H01234"])
        return consultations.request(
            session,
            centres.caen.pathologist,
            case.id,
            to_member=centres.rouen.pathologist.id,
            question=question,
            slide_id=case.slides[0].id,
            view="c=1100,1500&m=20",
        )


def make_link(database: Database, centres: Centres, uses: int = 1) -> NewLink:
    with database.writing() as session:
        case = cases.get_case(session, centres.caen.pathologist, centres.caen.cases["26H01234"])
        return links.create(
            session,
            centres.caen.pathologist,
            case.id,
            None,
            purpose=Purpose.TUMOUR_BOARD,
            reason="RCP",
            expires_us=session.now_us + DAY_US,
            max_uses=uses,
            slide_id=case.slides[0].id,
            view="c=1100,1500&m=20",
        )


def test_the_bell_tells_within_two_seconds_and_moves_no_row(desk: Desks, database: Database, centres: Centres) -> None:
    paul = desk()
    anywhere, inbox = paul.sign_in(ROUEN, "/cases"), paul.open("/consultations")
    bell = anywhere.locator("iain-bell")
    before = int(bell.get_attribute("data-unread") or 0)
    rows = inbox.locator("tr.row").count()
    about = ask(database, centres)
    for page in (anywhere, inbox):
        page.bring_to_front()
        expect(page.locator("iain-bell")).to_have_attribute("data-unread", str(before + 1))
    expect(bell.locator(".badge")).to_have_text(str(before + 1))
    assert anywhere.title().startswith(f"({before + 1}) ")
    assert inbox.locator("tr.row").count() == rows, "no row moves by itself"
    inbox.get_by_role("link", name="Du nouveau").click()
    expect(inbox.locator(f"#row-{about}")).to_contain_text("nouveau")


def test_what_is_begun_survives_the_tab(desk: Desks, database: Database, centres: Centres) -> None:
    about = ask(database, centres)
    paul = desk()
    page = paul.sign_in(ROUEN, f"/consultations/{about}")
    page.get_by_role("radio", name="Désaccord mineur").check()
    page.get_by_label("Votre avis").fill("Plutôt une adénose.")
    expect(page.locator("[data-draft-state]")).to_have_text("Brouillon gardé")
    page.close()
    page = paul.open(f"/consultations/{about}")
    expect(page.get_by_label("Votre avis")).to_have_value("Plutôt une adénose.")
    expect(page.get_by_role("radio", name="Désaccord mineur")).to_be_checked()
    page.get_by_role("button", name="Signer et envoyer à Caen").click()
    expect(page.locator("#turn")).to_contain_text("Avis rendu")


def test_the_turn_changes_on_the_open_page_and_leaves_what_is_being_written(
    desk: Desks, database: Database, centres: Centres
) -> None:
    about = ask(database, centres)
    anne, paul = desk().sign_in(CAEN, f"/consultations/{about}"), desk().sign_in(ROUEN, f"/consultations/{about}")
    expect(anne.locator("#turn")).to_contain_text("Rouen l’a ouverte")
    paul.get_by_label("Votre avis").fill("Je commence")
    with database.writing() as session:
        consultations.move(session, centres.caen.pathologist, about, Move.CANCEL)
    expect(paul.locator("#turn")).to_contain_text("Annulée par Caen")
    expect(paul.get_by_label("Votre avis")).to_have_value("Je commence")
    expect(anne.locator("#turn")).to_contain_text("Annulée")
    expect(anne.locator("#answered form")).to_have_count(0)


def test_the_button_of_a_link_carries_its_key(desk: Desks, database: Database, centres: Centres) -> None:
    link = make_link(database, centres)
    guest = desk()
    page = guest.open(f"/l/{link.id}#{link.secret}")
    expect(page.get_by_label("Clé du lien")).to_be_hidden()
    page.get_by_role("button", name="English").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("A pathologist shares slides with you")
    page.get_by_role("button", name="Open the slides").click()
    page.wait_for_url(re.compile(r"/g/[a-z2-7]{26}#c=1100,1500"))
    expect(page.locator(".case-banner h1")).to_have_text(link.reference)
    late = desk()
    late.expected.append("410")
    page = late.open(f"/l/{link.id}#{link.secret}")
    page.get_by_role("button", name="Ouvrir les lames").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Ce lien ne s’ouvre plus")
    late.picture(page, "link-used")


def test_a_link_that_lost_its_key_asks_for_it(desk: Desks, database: Database, centres: Centres) -> None:
    link = make_link(database, centres, uses=2)
    for scripts in (True, False):
        guest = desk(java_script_enabled=scripts, viewport=PHONE)
        page = guest.open(f"/l/{link.id}")
        guest.picture(page, f"link-without-key{'' if scripts else '-nor-scripts'}")
        page.get_by_label("Clé du lien").fill(link.secret)
        page.get_by_role("button", name="Ouvrir les lames").click()
        page.wait_for_url(re.compile(r"/g/[a-z2-7]{26}"))


def test_an_opinion_is_asked_for_and_given_without_scripts(desk: Desks, database: Database, centres: Centres) -> None:
    about = ask(database, centres)
    page = desk(java_script_enabled=False).sign_in(ROUEN, "/consultations")
    page.locator(f"#row-{about} a.row-link").click()
    expect(page.locator(".field-of-view image").nth(2)).to_be_attached()
    page.get_by_text("Demander des précisions").click()
    page.get_by_label("Que vous faut-il savoir ?").fill("Quelle taille ?")
    page.get_by_role("button", name="Envoyer la question à Caen").click()
    expect(page.locator("#turn")).to_contain_text("À Caen de préciser")
    page.get_by_role("radio", name="D’accord").check()
    page.get_by_label("Votre avis").fill("CIS de bas grade.")
    page.get_by_role("button", name="Signer et envoyer à Caen").click()
    expect(page.locator("#turn")).to_contain_text("Avis rendu")


@contextmanager
def long_names(database: Database, centres: Centres) -> Iterator[None]:
    """The case, its patient and who reads it, called as long as people and numbers are now and then."""
    case_id, member_id = centres.caen.cases["26H01234"], centres.caen.pathologist.id
    rename_case = update(CaseRow).where(CaseRow.id == case_id)
    rename_member = update(MemberRow).where(MemberRow.id == member_id)
    with database.writing() as session:
        case, member = session.get_one(CaseRow, case_id), session.get_one(MemberRow, member_id)
        kept = {"accession": case.accession, "patient_name": case.patient_name, "organ": case.organ}
        kept_name = member.name
        session.execute(
            rename_case.values(
                accession="CHU-CAEN-2026-H-0012345-A",
                patient_name="DE LA ROCHEFICTIVE-MONTEXEMPLE-INVENTÉE Marie-Bernadette-Antoinette",
                organ="Ganglion lymphatique axillaire",
            )
        )
        session.execute(rename_member.values(name="Dr Marie-Antoinette de La Rochefictive-Montexemple"))
    try:
        yield
    finally:
        with database.writing() as session:
            session.execute(rename_case.values(**kept))
            session.execute(rename_member.values(name=kept_name))


@pytest.mark.parametrize("viewport", [DESK, PHONE], ids=["desk", "phone"])
@pytest.mark.parametrize("light", ["light", "dark"])
def test_no_page_is_wider_than_its_window(
    desk: Desks, database: Database, centres: Centres, viewport: dict[str, int], light: str
) -> None:
    first, second = ask(database, centres, "Grade nucléaire ?"), ask(database, centres, "Un mot " * 300)
    with database.writing() as session:
        consultations.answer(
            session, centres.rouen.pathologist, first, agreement=Agreement.MAJOR, text="Grade 3.\n" * 20
        )
    make_link(database, centres)
    with database.reading() as session:
        slide_id = cases.get_case(session, centres.caen.pathologist, centres.caen.cases["26H01234"]).slides[0].id
    with long_names(database, centres):
        for login, pages in (
            (
                CAEN,
                {
                    "inbox": "/consultations",
                    "answered": f"/consultations/{first}",
                    "links": "/links",
                    "slide": f"/slides/{slide_id}",
                },
            ),
            (ROUEN, {"asked": f"/consultations/{second}"}),
            (MANAGER, {"shares": "/shares", "open-links": "/links/open"}),
        ):
            reader = desk(viewport=viewport, color_scheme=light)
            page = reader.sign_in(login)
            for name, path in pages.items():
                page.goto(reader.platform.url + path, wait_until="load")
                assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), path
                reader.picture(page, f"{name}-{light}")
