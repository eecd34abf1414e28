"""The register of objections as its officer meets it, and what becomes of a share in everybody's browser.

What an objection does is decided in `sharing.objections`, whose tests run on both databases.
"""

import csv
import io

import httpx
import pytest
from fixtures.html import parse
from fixtures.pages import check, read
from fixtures.server import World
from sqlalchemy import select

from sharing.db.tables import AuditPersonalRow
from sharing.slides import Slide

ACCESSION = "26H01234"
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def slide(world: World) -> Slide:
    return world.add_slide(world.centres.caen, ACCESSION)


@pytest.fixture
def officer(world: World) -> httpx.Client:
    return world.signed_in("dpo.caen")


def enter(browser: httpx.Client, slide: Slide, *purposes: str, **more: object) -> httpx.Response:
    data = {"purpose": purposes, "origin": "letter", **more}
    return browser.post(f"/objections/patients/{slide.case_id}", data=data)


def test_an_objection_is_entered_from_the_first_page_with_its_effects_seen_before(world, slide, officer):
    link = world.link(slide, purpose="teaching", max_uses=5)
    guest = world.guest(link)
    asked = world.ask(slide, world.centres.rouen, purpose="teaching")
    first = officer.get("/", follow_redirects=True)
    assert first.url.path == "/objections"
    found = officer.get("/objections", params={"q": ACCESSION})
    assert found.status_code == 303
    effects = read(officer, found.headers["Location"])
    form = effects.one("form", class_="objection")
    teaching = form.one("input", value="teaching").parent.parent
    assert link["reference"] in teaching.text
    assert asked["reference"] in teaching.text
    assert "2 partages prennent fin" in teaching.text
    assert ACCESSION in form.text
    check(effects, "fr")
    answer = officer.post(form.get("action"), data={"purpose": "teaching", "origin": "letter"})
    assert answer.status_code == 303

    page = read(officer, answer.headers["Location"])
    assert "est en vigueur" in page.one(class_="notice").text
    check(page, "fr")
    assert guest.get(f"/g/{slide.id}").status_code == 410
    opinion = read(world.signed_in("pathologiste.rouen"), f"/consultations/{asked['id']}")
    assert "Opposition du patient" in opinion.one(class_="notice").text
    assert "Invasion ?" in opinion.text
    assert not opinion.all("a", href=f"/slides/{slide.id}")
    reader = world.signed_in("pathologiste.caen")
    assert "enseignement" in read(reader, f"/cases/{slide.case_id}").one(class_="waits").text
    assert reader.get(f"/api/slides/{slide.id}").json()["context"]["objections"] == ["teaching"]
    wanted = {"case_id": slide.case_id, "slide_id": slide.id, "purpose": "teaching"}
    to = world.centres.rouen.pathologist.id
    for refused in (
        reader.post("/api/links", json={**wanted, "reason": "Étude", "expires_in_s": 3600}),
        reader.post("/api/consultations", json={**wanted, "question": "Invasion ?", "to_member": to}),
    ):
        assert refused.status_code == 409
        assert "s’oppose à l’enseignement" in refused.json()["detail"]


def test_withdrawing_shows_again_can_be_taken_back_and_all_of_it_stays_in_the_register(world, slide, officer):
    guest = world.guest(world.link(slide, purpose="research", max_uses=5))
    entered = enter(officer, slide, "research").headers["Location"].rpartition("=")[2]
    proof = read(officer, f"/objections/{entered}")
    assert "EXEMPLE Camille" in proof.text
    assert entered in proof.text
    check(proof, "fr")
    assert world.signed_in("dpo.rouen").get(f"/objections/{entered}").status_code == 404
    register = read(officer, "/objections")
    (withdraw,) = {form.get("action") for form in register.all("form") if form.get("action").endswith("withdraw")}
    page = read(officer, officer.post(withdraw).headers["Location"])
    assert "levée" in page.one(class_="notice").text
    assert guest.get(f"/g/{slide.id}").status_code == 200
    assert officer.post(page.one(class_="notice").one("form").get("action")).status_code == 303
    assert guest.get(f"/g/{slide.id}").status_code == 410
    assert not read(officer, f"/objections?withdrawn={entered}").all(class_="notice")  # true then, and no longer
    faster = officer.post(withdraw, headers={"Referer": f"{world.url}/objections?q=26H"})
    assert faster.status_code == 409
    assert parse(faster.text).one("p", class_="choices").one("a", class_="primary").get("href") == "/objections?q=26H"
    rows = list(csv.reader(io.StringIO(officer.get("/objections.csv").text.lstrip("\ufeff")), delimiter=";"))
    assert [row[5] for row in rows[1:]] == ["recherche", "recherche"]
    assert [bool(row[8]) for row in rows[1:]] == [False, True]


def test_what_is_missing_is_said_what_was_chosen_stays_and_a_search_lists_what_it_finds(world, slide, officer):
    check(read(officer, "/objections"), "fr")
    many = read(officer, "/objections?q=26H")
    assert len(many.one("table", class_="found-patients").all("tr", class_="row")) == 3
    check(many, "fr")
    assert "Aucun patient" in read(officer, "/objections?q=zzz").text
    with world.database.reading() as session:
        read_by = session.scalars(select(AuditPersonalRow.body)).all()
    assert sum('"search":"zzz"' in body for body in read_by) == 1, "what was typed is on record"
    for missing in ({"purpose": ()}, {"origin": ""}):
        answer = enter(officer, slide, "ai", **missing)
        assert answer.status_code == 422
        page = parse(answer.text)
        assert page.one(role="alert").text
        assert bool(page.all("input", value="ai", checked="")) is ("origin" in missing)
    assert enter(officer, slide, "care").status_code == 422
    enter(officer, slide, "ai")
    assert enter(officer, slide, "ai").status_code == 409
