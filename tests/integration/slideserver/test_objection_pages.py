"""The register of objections as its officer meets it, and what becomes of a share in everybody's browser."""

import csv
import io

import httpx
import pytest
from fixtures.html import parse
from fixtures.pages import check, read
from fixtures.server import World

from sharing.slides import Slide

ACCESSION = "26H01234"


@pytest.fixture
def slide(world: World) -> Slide:
    return world.add_slide(world.centres.caen, ACCESSION)


@pytest.fixture
def officer(world: World) -> httpx.Client:
    return world.signed_in("dpo.caen")


def entered(browser: httpx.Client, slide: Slide, *purposes: str, **more: object) -> httpx.Response:
    data = {"purpose": purposes, "origin": "letter", **more}
    return browser.post(f"/objections/patients/{slide.case_id}", data=data)


def test_an_objection_is_entered_in_four_clicks_from_the_first_page_with_its_effects_seen_before(world, slide, officer):
    link = world.link(slide, purpose="teaching", max_uses=5)
    guest = world.guest(link)
    asked = world.ask(slide, world.centres.rouen, purpose="teaching")
    first = officer.get("/", follow_redirects=True)
    assert first.url.path == "/objections"
    clicks = ["find"]  # the field has the focus already
    found = officer.get("/objections", params={"q": ACCESSION})
    assert found.status_code == 303
    effects = read(officer, found.headers["Location"])
    form = effects.one("form", class_="objection")
    teaching = form.one("input", value="teaching").parent.parent
    assert link["reference"] in teaching.text
    assert asked["reference"] in teaching.text
    assert "2 partages prennent fin" in teaching.text
    assert "26H01234" in form.text
    clicks += ["teaching", "letter", "enter"]
    answer = officer.post(form.get("action"), data={"purpose": "teaching", "origin": "letter"})
    assert answer.status_code == 303
    assert len(clicks) <= 4

    page = read(officer, answer.headers["Location"])
    assert "est en vigueur" in page.one(class_="notice").text
    check(page, "fr")
    seen = guest.get(f"/g/{slide.id}")
    assert seen.status_code == 410
    opinion = read(world.signed_in("pathologiste.rouen"), f"/consultations/{asked['id']}")
    assert "Opposition du patient" in opinion.one(class_="notice").text
    assert "Invasion ?" in opinion.text
    assert not opinion.all("a", href=f"/slides/{slide.id}")
    at_home = read(world.signed_in("pathologiste.caen"), f"/cases/{slide.case_id}")
    assert "enseignement" in at_home.one(class_="waits").text


def test_the_viewer_and_the_api_tell_whoever_would_share_why_not(world, slide, officer):
    entered(officer, slide, "research")
    browser = world.signed_in("pathologiste.caen")
    assert browser.get(f"/api/slides/{slide.id}").json()["context"]["objections"] == ["research"]
    wanted = {"case_id": slide.case_id, "slide_id": slide.id, "purpose": "research"}
    link = browser.post("/api/links", json={**wanted, "reason": "Étude", "expires_in_s": 3600})
    asked = browser.post(
        "/api/consultations", json={**wanted, "question": "?!", "to_member": world.centres.rouen.pathologist.id}
    )
    for answer in (link, asked):
        assert answer.status_code == 409
        assert "s’oppose à la recherche" in answer.json()["detail"]


def test_withdrawing_shows_again_and_can_be_taken_back(world, slide, officer):
    guest = world.guest(world.link(slide, purpose="research", max_uses=5))
    entered(officer, slide, "research")
    register = read(officer, "/objections")
    (withdraw,) = {form.get("action") for form in register.all("form") if form.get("action").endswith("withdraw")}
    answer = officer.post(withdraw)
    page = read(officer, answer.headers["Location"])
    assert "levée" in page.one(class_="notice").text
    assert guest.get(f"/g/{slide.id}").status_code == 200
    again = page.one(class_="notice").one("form").get("action")
    assert officer.post(again).status_code == 303
    assert guest.get(f"/g/{slide.id}").status_code == 410
    rows = list(csv.reader(io.StringIO(officer.get("/objections.csv").text.lstrip("\ufeff")), delimiter=";"))
    assert [row[5] for row in rows[1:]] == ["recherche", "recherche"]
    assert [bool(row[8]) for row in rows[1:]] == [False, True]


def test_the_proof_tells_the_entry_and_prints(world, slide, officer):
    answer = entered(officer, slide, "ai")
    objection = answer.headers["Location"].rpartition("=")[2]
    proof = read(officer, f"/objections/{objection}")
    assert "EXEMPLE Camille" in proof.text
    assert objection in proof.text
    check(proof, "fr")
    assert world.signed_in("dpo.rouen").get(f"/objections/{objection}").status_code == 404


@pytest.mark.parametrize("missing", [{"purpose": ()}, {"origin": ""}])
def test_what_is_missing_is_said_and_what_was_chosen_stays(slide, officer, missing):
    answer = entered(officer, slide, "ai", **missing)
    assert answer.status_code == 422
    page = parse(answer.text)
    assert page.one(role="alert").text
    assert bool(page.all("input", value="ai", checked="")) is ("origin" in missing)


def test_words_that_find_many_and_none(world, slide, officer):
    many = read(officer, "/objections?q=26H")
    assert len(many.one("table", class_="found-patients").all("tr", class_="row")) == 3
    check(many, "fr")
    none = read(officer, "/objections?q=zzz")
    assert "Aucun patient" in none.text
    check(read(officer, "/objections"), "fr")
