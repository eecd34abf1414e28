"""Why one can, or cannot, see a slide: in words to the one who may know, and the same words to everybody else.

What is told is decided in `sharing.explanation`, whose tests run on both databases.
"""

import httpx
import pytest
from fixtures.pages import check, read
from fixtures.server import World

from sharing.slides import Slide
from sharing.vocabulary import new_id

ACCESSION = "26H01234"
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def slide(world: World) -> Slide:
    return world.add_slide(world.centres.caen, ACCESSION)


def card(page):
    return page.all(class_="card")[0].text


def same(answer: httpx.Response) -> str:
    """The page, but for the address that it was asked under."""
    assert answer.status_code == 200
    return answer.text.replace(answer.url.path.rpartition("/")[2], "ID")


def test_who_sees_a_slide_is_told_by_which_right_until_when_and_what_is_hidden(world, slide):
    lesson, link = world.ask(slide, world.centres.rouen, purpose="teaching"), world.link(slide)
    officer = world.signed_in("dpo.caen")
    officer.post(f"/objections/patients/{slide.case_id}", data={"purpose": "ai", "origin": "mail"})

    at_home = read(world.signed_in("pathologiste.caen"), f"/why/{slide.id}")
    assert "votre rôle, pathologiste, l’ouvre" in card(at_home)
    assert "analyse par un programme" in card(at_home)
    assert ACCESSION in at_home.text
    check(at_home, "fr")
    abroad = read(world.signed_in("pathologiste.rouen"), f"/why/{slide.id}")
    assert lesson["reference"] in card(abroad)
    assert "Le sexe et l’âge ne sont pas montrés" in card(abroad)
    assert ACCESSION not in abroad.text
    check(abroad, "fr")
    guest = world.guest(link)
    shown = read(guest, f"/why/{slide.id}")
    assert link["reference"] in card(shown)
    assert shown.all("dt")[0].text == "Jusqu’à quand"
    assert "n’existe pas, ou ne vous est pas ouvert" in card(read(guest, f"/why/{new_id()}"))

    about = centres_of(world)["rouen"]
    told = read(officer, f"/why/{slide.id}?person={about}")
    assert lesson["reference"] in told.one("section", aria_labelledby="somebody").text
    check(told, "fr")
    officer.post(f"/objections/patients/{slide.case_id}", data={"purpose": "teaching", "origin": "mail"})
    told = read(officer, f"/why/{slide.id}?person={about}").one("section", aria_labelledby="somebody").text
    assert "Opposition du patient" in told
    told = read(officer, f"/why/{slide.id}?person={centres_of(world)['lille']}")
    assert "n’a rien demandé à Lille" in told.text
    assert link["reference"] in read(officer, f"/why/{slide.id}?person=link:{link['id']}").text


def centres_of(world: World) -> dict[str, str]:
    return {centre.id: f"member:{centre.pathologist.id}" for centre in (world.centres.rouen, world.centres.lille)}


def test_what_is_not_there_and_what_is_not_open_are_told_in_the_same_words(world, slide):
    ended = world.ask(slide, world.centres.rouen)
    world.signed_in("pathologiste.caen").post(f"/api/consultations/{ended['id']}/moves", json={"move": "cancel"})
    for login in ("pathologiste.rouen", "expert.experts", "technicien.lille", "dpo.rouen", "administrateur.caen"):
        browser = world.signed_in(login)
        assert same(browser.get(f"/why/{slide.id}")) == same(browser.get(f"/why/{new_id()}"))
        assert same(browser.get(f"/why/cases/{slide.case_id}")) == same(browser.get(f"/why/cases/{new_id()}"))
        asked = browser.get(f"/why/{slide.id}?person={centres_of(world)['rouen']}")
        assert "Pathologiste de Rouen" not in asked.text or login == "pathologiste.rouen"
        assert 'id="person"' not in asked.text
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
