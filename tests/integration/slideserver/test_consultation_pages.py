"""Asking and answering from centre to centre, as two pathologists do it on the pages, with plain forms."""

import json
from dataclasses import dataclass

import pytest
from fixtures.html import parse
from fixtures.pages import ask, check, read, rows
from fixtures.server import World

from sharing import consultations, drafts, exchange
from sharing.slides import Slide
from sharing.vocabulary import Agreement, ConsultationId, ConsultationState, Move

# What pages show is the same on both engines; what they ask is tried on both beside `sharing`.
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

CAEN, ROUEN, LILLE = "pathologiste.caen", "pathologiste.rouen", "pathologiste.lille"
QUESTION = "Carcinome in situ ou adénose ?"
VIEW = "c=900,1200&m=10&r=0"
OPINION = {"agreement": "minor", "text": "Plutôt une adénose.\nUn p63 le confirmerait."}


@dataclass
class Asked:
    """Caen has asked the pathologist of Rouen about its slide."""

    id: ConsultationId
    slide: Slide

    @property
    def path(self) -> str:
        return f"/consultations/{self.id}"


@pytest.fixture
def asked(world: World) -> Asked:
    slide = world.add_slide(world.centres.caen, "26H01234")
    return Asked(ask(world, slide), slide)


def state_of(world: World, asked: Asked) -> ConsultationState:
    with world.database.reading() as session:
        return exchange.get(session, world.centres.caen.pathologist, asked.id).state


def turn(page) -> str:
    return page.one("section", id="turn").one(class_="state").text


def test_a_request_waits_in_the_inbox_of_who_is_asked(world, asked):
    client = world.signed_in(ROUEN)
    page = read(client, "/consultations")
    [row] = rows(page)
    assert row.one("a", class_="row-link").get("href") == asked.path
    assert "Sein" in row.text
    assert QUESTION in row.text
    assert "urgent" in row.text
    assert "nouveau" in row.text
    assert "Pathologiste de Caen, Caen à vous" in row.text
    assert row.all(class_="state")[-1].text == "À vous d’ouvrir"
    assert row.one("a", class_="thumb").get("href") == f"/slides/{asked.slide.id}#{VIEW}"
    for path in ("/consultations", "/cases"):  # on every page of hers
        assert read(client, path).one("iain-bell").get("data-unread") == "1"
    groups = [group.text for group in page.all("tbody", class_="group-head")]
    assert groups == ["À traiter par vous (1)", "Vous attendez (0)"]


def test_the_inbox_of_the_asker_says_whom_she_waits_for(world, asked):
    page = read(world.signed_in(CAEN), "/consultations")
    [row] = rows(page)
    assert "26H01234" in row.text
    assert row.all(class_="state")[-1].text == "Rouen ne l’a pas ouverte"
    assert page.one("iain-bell").get("data-unread") == "0"


def test_an_empty_inbox_says_how_one_asks(world):
    page = read(world.signed_in(CAEN), "/consultations")
    assert page.one(class_="empty").one("h2").text == "Aucune demande pour l’instant"
    assert "appuyez sur C" in page.text


def test_the_first_look_opens_the_request_and_both_see_it(world, asked):
    rouen = world.signed_in(ROUEN)
    page = read(rouen, asked.path)
    assert turn(page) == "À vous de répondre"
    assert state_of(world, asked) is ConsultationState.OPENED
    page = read(world.signed_in(CAEN), asked.path)
    assert turn(page) == "Rouen l’a ouverte"
    assert [step.one("strong").text for step in page.one("ol", class_="thread").all("li")] == [
        "Avis demandé",
        "Demande ouverte",
    ]
    assert read(rouen, "/cases").one("iain-bell").get("data-unread") == "0"


def test_the_pinned_view_is_a_picture_of_the_tiles_and_leads_to_the_viewer(world, asked):
    rouen = world.signed_in(ROUEN)
    page = read(rouen, asked.path)
    field = page.one("a", class_="field-of-view")
    assert field.get("href") == f"/slides/{asked.slide.id}#{VIEW}"
    pictures = [image.get("href") for image in field.all("image")]
    assert len(pictures) > 2
    for address in pictures:
        assert rouen.get(address).status_code == 200, address
    assert "100 µm" in field.text
    assert page.one("a", data_primary="").get("href") == f"/slides/{asked.slide.id}#{VIEW}"
    viewer = read(rouen, f"/slides/{asked.slide.id}")
    links = viewer.one("header", class_="case-banner").all("a")
    assert [each.get("href") for each in links] == [asked.path, f"/why/{asked.slide.id}"]


def test_who_is_asked_reads_nothing_that_names_the_patient(world, asked):
    rouen = world.signed_in(ROUEN)
    for path in ("/consultations", asked.path, f"/slides/{asked.slide.id}"):
        text = rouen.get(path).text
        for secret in ("26H01234", "EXEMPLE", "Camille", "1957", "CMU-1", "Scanner Caen"):
            assert secret not in text, (path, secret)
    page = read(rouen, asked.path)
    assert page.one("h1").text.startswith("A-")
    assert "environ" in page.text


def test_an_answer_is_signed_with_a_form_and_read_by_the_asker(world, asked):
    rouen = world.signed_in(ROUEN)
    form = read(rouen, asked.path).one("form", class_="answer")
    assert form.one("button").text == "Signer et envoyer à Caen"
    assert {choice.get("value") for choice in form.all("input", type="radio")} == set(Agreement)
    answer = rouen.post(form.get("action"), data=OPINION)
    assert (answer.status_code, answer.headers["location"]) == (303, asked.path)
    page = read(rouen, asked.path)
    assert turn(page) == "Avis rendu"
    assert page.one("details", class_="more").one("summary").text == "Amender cet avis"
    caen = world.signed_in(CAEN)
    assert read(caen, "/cases").one("iain-bell").get("data-unread") == "1"
    page = read(caen, asked.path)
    assert turn(page) == "À vous de lire l’avis"
    opinion = page.one("section", class_="opinion")
    assert opinion.one(class_="state").text == "Désaccord mineur"
    assert "Un p63 le confirmerait." in opinion.text
    assert page.all("form", class_="answer") == []


def test_an_amendment_stands_before_the_opinion_that_it_amends(world, asked):
    rouen = world.signed_in(ROUEN)
    rouen.post(f"{asked.path}/answer", data=OPINION)
    form = read(rouen, asked.path).one("form", class_="answer")
    amends = form.one("input", name="amends").get("value")
    answer = rouen.post(form.get("action"), data={"agreement": "agree", "text": "In situ.", "amends": amends})
    assert answer.status_code == 303
    found = read(world.signed_in(CAEN), asked.path).all("section", class_="opinion")
    assert [section.one("h2").text for section in found] == ["Avis amendé", "Avis"]
    assert "superseded" in found[1].get("class")


def test_closing_takes_the_slides_back_and_leaves_the_words(world, asked):
    rouen, caen = world.signed_in(ROUEN), world.signed_in(CAEN)
    rouen.post(f"{asked.path}/answer", data=OPINION)
    page = read(caen, asked.path)
    [close] = [form for form in page.all("form", action=f"{asked.path}/moves") if form.one("button")]
    assert close.one("button").text == "Fermer la demande : Rouen ne verra plus les lames"
    assert caen.post(f"{asked.path}/moves", data={"move": "close"}).status_code == 303
    page = read(rouen, asked.path)
    assert turn(page) == "Fermée"
    assert "ne vous sont plus ouvertes" in page.one(class_="closed-view").text
    assert "Plutôt une adénose." in page.text
    assert page.all("image") == []
    [row] = rows(read(rouen, "/consultations"))
    assert row.all("img") == []


def test_more_information_goes_to_and_fro(world, asked):
    rouen, caen = world.signed_in(ROUEN), world.signed_in(CAEN)
    rouen.post(f"{asked.path}/moves", data={"move": "ask", "note": "Quelle taille ?"})
    assert turn(read(rouen, asked.path)) == "À Caen de préciser"
    page = read(caen, asked.path)
    assert turn(page) == "À vous de préciser"
    assert "Quelle taille ?" in page.one("ol", class_="thread").text
    caen.post(f"{asked.path}/moves", data={"move": "reply", "note": "8 mm."})
    page = read(rouen, asked.path)
    assert turn(page) == "À vous de répondre"
    assert "8 mm." in page.text


def test_who_declines_says_why(world, asked):
    rouen = world.signed_in(ROUEN)
    answer = rouen.post(f"{asked.path}/moves", data={"move": "decline", "note": " "})
    assert answer.status_code == 422
    assert "Écrivez au moins un mot" in parse(answer.text).one(role="alert").text
    rouen.post(f"{asked.path}/moves", data={"move": "decline", "note": "Absent cette semaine."})
    page = read(world.signed_in(CAEN), asked.path)
    assert turn(page) == "Rouen a décliné"
    assert "Absent cette semaine." in page.text


def test_an_opinion_that_names_the_patient_comes_back_as_it_was_typed(world, asked):
    rouen, caen = world.signed_in(ROUEN), world.signed_in(CAEN)
    caen_note = {"move": "cancel", "note": ""}
    answer = rouen.post(f"{asked.path}/answer", data={"agreement": "agree", "text": "Comme 26H01234, un CIS."})
    page = parse(answer.text)
    assert answer.status_code == 422
    assert "qui dit de quel patient il s’agit" in page.one(role="alert").text
    assert page.one("textarea", id="text").text == "Comme 26H01234, un CIS."
    assert page.one("input", value="agree").get("checked", "no") == ""
    assert state_of(world, asked) is not ConsultationState.ANSWERED
    assert caen.post(f"{asked.path}/moves", data=caen_note).status_code == 303


def test_an_answer_to_what_is_over_changes_nothing_and_says_so(world, asked):
    rouen = world.signed_in(ROUEN)
    read(rouen, asked.path)
    with world.database.writing() as session:
        consultations.move(session, world.centres.caen.pathologist, asked.id, Move.CANCEL)
    answer = rouen.post(f"{asked.path}/answer", data=OPINION)
    page = parse(answer.text)
    assert answer.status_code == 409
    assert "annulée" in page.one(role="alert").text
    assert turn(page) == "Annulée par Caen"
    assert state_of(world, asked) is ConsultationState.CANCELLED


def test_what_was_begun_is_there_again_and_gone_once_signed(world, asked):
    rouen, member = world.signed_in(ROUEN), world.centres.rouen.pathologist
    key = f"answer.{asked.id}"
    with world.database.writing() as session:
        drafts.save(session, member, key, json.dumps({"agreement": "major", "text": "À moitié"}))
    page = read(rouen, asked.path)
    assert page.one("textarea", id="text").text == "À moitié"
    assert "checked" in page.one("input", value="major").attributes
    assert "Brouillon gardé" in page.text
    rouen.post(f"{asked.path}/answer", data=OPINION)
    with world.database.reading() as session:
        assert drafts.get(session, member, key) == ""


@pytest.mark.parametrize("body", ["{", "[]", '"text"', '{"text": 7, "agreement": []}'])
def test_a_draft_that_is_no_draft_is_no_problem(world, asked, body):
    with world.database.writing() as session:
        drafts.save(session, world.centres.rouen.pathologist, f"answer.{asked.id}", body)
    read(world.signed_in(ROUEN), asked.path)


def test_a_third_centre_finds_nothing(world, asked):
    lille = world.signed_in(LILLE)
    assert rows(read(lille, "/consultations")) == []
    for path in (asked.path, "/consultations/nothing"):
        assert lille.get(path).status_code == 404
    for path, form in ((f"{asked.path}/moves", {"move": "accept"}), (f"{asked.path}/answer", OPINION)):
        assert lille.post(path, data=form).status_code == 404
    assert state_of(world, asked) is ConsultationState.REQUESTED


def test_technicians_have_no_inbox(world):
    client = world.signed_in("technicien.caen")
    assert "/consultations" not in [link.get("href") for link in read(client, "/intake").one("nav").all("a")]


def test_the_pages_are_well_formed_in_both_languages_from_both_sides(world, asked):
    second = Asked(ask(world, asked.slide, "Grade ?"), asked.slide)
    with world.database.writing() as session:
        consultations.answer(
            session, world.centres.rouen.pathologist, second.id, agreement=Agreement.AGREE, text="Grade 2."
        )
    for login in (CAEN, ROUEN):
        client = world.signed_in(login)
        for language in ("fr", "en"):
            client.post("/language", data={"language": language})
            for path in ("/consultations", asked.path, second.path, f"/slides/{asked.slide.id}"):
                check(parse(client.get(path).text), language)
