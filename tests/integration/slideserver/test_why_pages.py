"""Why one can, or cannot, see a slide: told to the one who may know, and nothing to anybody else."""

import httpx
import pytest
from fixtures.pages import check, read
from fixtures.server import World
from sqlalchemy import select

from sharing.db.tables import AuditEventRow
from sharing.slides import Slide
from sharing.vocabulary import Act, new_id

ACCESSION = "26H01234"


@pytest.fixture
def slide(world: World) -> Slide:
    return world.add_slide(world.centres.caen, ACCESSION)


def card(page):
    return page.all(class_="card")[0].text


def test_the_own_centre_s_reader_is_told_by_which_right_and_what_is_objected_to(world, slide):
    world.signed_in("dpo.caen").post(f"/objections/patients/{slide.case_id}", data={"purpose": "ai", "origin": "mail"})
    page = read(world.signed_in("pathologiste.caen"), f"/why/{slide.id}")
    assert "votre rôle, pathologiste, l’ouvre" in card(page)
    assert "analyse par un programme" in card(page)
    assert ACCESSION in page.text
    check(page, "fr")
    trainee = read(world.signed_in("interne.caen"), f"/why/{slide.id}")
    assert "ne peut pas être téléchargé" in card(trainee)


def test_who_is_asked_is_told_by_which_request_and_what_stays_hidden(world, slide):
    asked = world.ask(slide, world.centres.rouen, purpose="teaching")
    page = read(world.signed_in("pathologiste.rouen"), f"/why/{slide.id}")
    assert asked["reference"] in card(page)
    assert "Le sexe et l’âge ne sont pas montrés" in card(page)
    assert ACCESSION not in page.text
    check(page, "fr")


def test_a_guest_is_told_by_which_link_and_until_when(world, slide):
    link = world.link(slide)
    page = read(world.guest(link), f"/why/{slide.id}")
    assert link["reference"] in card(page)
    assert page.all("dt")[0].text == "Jusqu’à quand"
    other = world.add_slide(world.centres.rouen, "26R00077")
    assert "n’existe pas, ou ne vous est pas ouvert" in card(read(world.guest(world.link(slide)), f"/why/{other.id}"))


def test_what_is_not_there_and_what_is_not_open_are_told_in_the_same_words(world, slide):
    ended = world.ask(slide, world.centres.rouen)
    world.signed_in("pathologiste.caen").post(f"/api/consultations/{ended['id']}/moves", json={"move": "cancel"})
    for login in ("pathologiste.rouen", "expert.experts", "technicien.lille", "responsable.rouen", "dpo.rouen"):
        browser = world.signed_in(login)
        for path in ("/why", "/why/cases"):
            thing = slide.id if path == "/why" else slide.case_id
            foreign, absent = (browser.get(f"{path}/{each}") for each in (thing, new_id()))
            assert foreign.status_code == absent.status_code == 200
            assert same(foreign) == same(absent)
    administrator = world.signed_in("administrateur.caen")
    assert same(administrator.get(f"/why/{slide.id}")) == same(administrator.get(f"/why/{new_id()}"))


def same(answer: httpx.Response) -> str:
    return answer.text.replace(answer.url.path.rpartition("/")[2], "ID")


@pytest.mark.parametrize("login", ["dpo.caen", "responsable.caen"])
def test_who_may_explain_is_told_the_truth_about_anybody(world, slide, login):
    lesson = world.ask(slide, world.centres.rouen, purpose="teaching")
    link = world.link(slide, purpose="research")
    world.signed_in("dpo.caen").post(
        f"/objections/patients/{slide.case_id}", data={"purpose": ["teaching", "research"], "origin": "mail"}
    )
    browser, centres = world.signed_in(login), world.centres

    def told(key: str) -> str:
        return read(browser, f"/why/{slide.id}?person={key}").one("section", aria_labelledby="somebody").text

    rouen = told(f"member:{centres.rouen.pathologist.id}")
    assert lesson["reference"] in rouen
    assert "Opposition du patient" in rouen
    assert "n’a rien demandé à Lille" in told(f"member:{centres.lille.pathologist.id}")
    assert "la voit" in told(f"member:{centres.caen.pathologist.id}")
    assert "pas ouverte au rôle administrateur" in told(f"member:{centres.caen.administrator.id}")
    assert link["reference"] in told(f"link:{link['id']}")
    check(read(browser, f"/why/{slide.id}?person=member:{centres.rouen.pathologist.id}"), "fr")
    with world.database.reading() as session:
        asked = session.scalars(
            select(AuditEventRow.entities).where(
                AuditEventRow.act == Act.ACCESS_EXPLAINED, AuditEventRow.site_id == "caen"
            )
        ).all()
    assert any(centres.rouen.pathologist.id in entities for entities in asked)


def test_others_are_explained_to_nobody_else(world, slide):
    person = world.centres.rouen.pathologist.id
    for login in ("pathologiste.caen", "technicien.caen", "dpo.rouen", "responsable.lille"):
        page = read(world.signed_in(login), f"/why/{slide.id}?person=member:{person}")
        assert not page.all("select", id="person")
        assert "Pathologiste de Rouen" not in page.text


def test_every_refusal_leads_there(world, slide):
    browser = world.signed_in("pathologiste.lille")
    for path, why in (
        (f"/slides/{slide.id}", f"/why/{slide.id}"),
        (f"/cases/{slide.case_id}", f"/why/cases/{slide.case_id}"),
        ("/audit", "/why"),
    ):
        answer = browser.get(path)
        assert answer.status_code in (403, 404)
        assert f'href="{why}"' in answer.text
        assert browser.get(why).status_code == 200
