"""Consultations over HTTP: asked, found, answered, and who sees nothing of them."""

import threading
import time

import httpx
import pytest
from fixtures.server import SAME_ORIGIN, World
from fixtures.waiting import last_shown_s, wait_until
from sqlalchemy import text

from sharing import audit_search, sessions, sites
from sharing.clock import SECOND_US
from sharing.slides import Slide
from sharing.vocabulary import Act, Outcome, new_id

# What the pages and the API tell is the same on both engines; what they ask is tried on both beside `sharing`.
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def slide(world: World) -> Slide:
    return world.add_slide(world.centres.caen, "26H01234")


def tile(slide: Slide) -> str:
    return f"/tiles/{slide.id}/{slide.version}/0/0_0"


def acts(world: World, act: Act, outcome: Outcome | None = None, centre: str = "caen") -> list[audit_search.AuditRow]:
    with world.database.writing() as session:
        manager = getattr(world.centres, centre).lab_manager
        return list(audit_search.query(session, manager, audit_search.Filters(act=act, outcome=outcome)).rows)


def test_a_question_sent_twice_for_want_of_an_answer_is_asked_once(world, slide) -> None:
    key = new_id()
    first = world.ask(slide, world.centres.rouen, id=key)
    assert first["id"] == key
    assert world.ask(slide, world.centres.rouen, id=key)["asked_us"] == first["asked_us"]
    assert world.signed_in("pathologiste.rouen").get("/api/bell").json() == {"unread": 1}


def test_from_the_question_to_the_closing(world, slide) -> None:
    rouen, caen = world.signed_in("pathologiste.rouen"), world.signed_in("pathologiste.caen")
    assert rouen.get("/api/bell").json() == {"unread": 0}
    assert rouen.get(tile(slide)).status_code == 404
    asked = world.ask(slide, world.centres.rouen, urgency="urgent", purpose="tumour_board")
    path = f"/api/consultations/{asked['id']}"
    assert (asked["state"], asked["ball"], asked["role"]) == ("requested", "consultant", "requester")
    assert asked["undo_until_us"] - asked["asked_us"] == 10 * SECOND_US
    assert (asked["case"]["accession"], asked["consultant"]["site"]) == ("26H01234", "Rouen")

    assert rouen.get("/api/bell").json() == {"unread": 1}
    seen = rouen.get(path).json()
    assert (seen["state"], seen["ball"], seen["role"]) == ("opened", "consultant", "consultant")
    assert (seen["view"], seen["question"], seen["urgency"]) == ("c=1110,1480&m=10", "Invasion ?", "urgent")
    assert (seen["case"], seen["undo_until_us"], seen["may_answer"]) == (None, None, True)
    assert rouen.get("/api/bell").json() == {"unread": 0}
    assert caen.get("/api/bell").json() == {"unread": 1}, "she learns that it was opened"

    wait_until(
        lambda: rouen.get(tile(slide)).status_code == 200, "the tile"
    )  # the "no" of before is kept for two seconds
    assert rouen.get(tile(slide)).headers["cache-control"] == "no-store"
    told = rouen.get(f"/api/slides/{slide.id}").json()
    context = told["context"]
    assert (context["kind"], context["role"], context["consultation_id"]) == ("consultation", "consultant", asked["id"])
    assert (context["may_ask"], context["may_link"], context["may_answer"]) == (False, False, True)
    assert told["case"] == {
        "id": None,
        "accession": asked["reference"],
        "site": "Caen",
        "organ": "Sein",
        "patient": {"name": "", "sex": "F", "birth_year": None, "age": told["case"]["patient"]["age"]},
    }
    own = caen.get(f"/api/slides/{slide.id}").json()["context"]
    assert (own["kind"], own["role"], own["consultation_id"]) == ("own", "requester", asked["id"])
    assert (own["may_ask"], own["may_link"]) == (True, True)

    more = rouen.post(f"{path}/moves", json={"move": "ask", "note": "Un immunomarquage ?"}).json()
    assert (more["state"], more["ball"]) == ("more_information", "requester")
    assert caen.post(f"{path}/moves", json={"move": "reply", "note": "En cours."}).json()["ball"] == "consultant"
    answer = {"agreement": "minor", "text": "Carcinome infiltrant, grade 2."}
    answered = rouen.post(f"{path}/answer", json=answer)
    assert answered.status_code == 201
    [first] = answered.json()["opinions"]
    assert (answered.json()["state"], first["agreement"], first["amends"]) == ("answered", "minor", None)
    amended = rouen.post(f"{path}/answer", json={"agreement": "major", "text": "Grade 3.", "amends": first["id"]})
    assert [each["amends"] for each in amended.json()["opinions"]] == [None, first["id"]]
    assert caen.get(path).json()["opinions"][-1]["text"] == "Grade 3."
    closed = caen.post(f"{path}/moves", json={"move": "close"}).json()
    assert (closed["state"], closed["ball"], closed["moves"]) == ("closed", None, [])
    assert [made["move"] for made in closed["thread"]] == [
        "request", "open", "ask", "reply", "answer", "amend", "close",
    ]  # fmt: skip
    late = rouen.post(f"{path}/answer", json=answer)
    assert late.status_code == 409
    assert late.json()["detail"]
    assert rouen.get(path).json()["opinions"] == amended.json()["opinions"], "words stay where they were said"
    wait_until(lambda: rouen.get(tile(slide)).status_code == 404, "the end")

    opened = acts(world, Act.SLIDE_OPENED)
    mirrored = acts(world, Act.SLIDE_OPENED, centre="rouen")
    reader, asker = world.centres.rouen.pathologist.id, world.centres.caen.pathologist.id
    assert [row.agent_id for row in opened] == [asker, reader]
    assert [row.agent_id for row in mirrored] == [reader]
    assert mirrored[0].accession is None
    assert len(acts(world, Act.ACCESS_REFUSED)) >= 2, "the tiles that were asked for before and after"


@pytest.mark.parametrize("move", ["decline", "cancel"])
def test_when_it_ends_the_next_tile_is_refused_within_a_second(world, slide, move) -> None:
    rouen, caen = world.signed_in("pathologiste.rouen"), world.signed_in("pathologiste.caen")
    path = f"/api/consultations/{world.ask(slide, world.centres.rouen)['id']}"
    assert rouen.get(path).json()["state"] == "opened"
    assert rouen.get(tile(slide)).status_code == 200
    mover = rouen if move == "decline" else caen
    answer = mover.post(f"{path}/moves", json={"move": move, "note": "Je suis absent."})
    assert answer.status_code == 200, answer.text
    shown_s, refused = last_shown_s(lambda: rouen.get(tile(slide)).status_code, time.monotonic())
    assert shown_s <= 1.0
    assert refused == 404
    assert rouen.get(f"/api/slides/{slide.id}").status_code == 404


def test_taken_back_within_ten_seconds_it_never_was(world, slide) -> None:
    asked = world.ask(slide, world.centres.rouen)
    caen, rouen = world.signed_in("pathologiste.caen"), world.signed_in("pathologiste.rouen")
    path = f"/api/consultations/{asked['id']}"
    undone = caen.post(f"{path}/moves", json={"move": "cancel"}).json()
    assert (undone["state"], undone["undo_until_us"]) == ("cancelled", None)
    assert rouen.get("/api/bell").json() == {"unread": 0}
    absent = rouen.get(f"/api/consultations/{new_id()}")
    assert (rouen.get(path).status_code, rouen.get(path).json()) == (404, absent.json())
    with world.database.reading() as session:
        waiting = session.scalar(text("SELECT count(*) FROM outbox WHERE state = 'waiting'"))
    assert waiting == 0, "no mail"


def test_a_third_centre_sees_nothing_of_it(world, slide) -> None:
    asked = world.ask(slide, world.centres.rouen)
    absent = new_id()
    for login in ("pathologiste.lille", "responsable.lille", "technicien.lille", "technicien.rouen"):
        other = world.signed_in(login)
        assert other.get("/api/bell").json() == {"unread": 0}
        for method, path, body in (
            ("GET", "/api/consultations/{}", None),
            ("POST", "/api/consultations/{}/moves", {"move": "accept"}),
            ("POST", "/api/consultations/{}/answer", {"agreement": "agree", "text": "Oui."}),
            ("GET", "/consultations/{}", None),
        ):
            got, invented = (other.request(method, path.format(id), json=body) for id in (asked["id"], absent))
            assert got.status_code == invented.status_code in (403, 404), (login, path)
            assert got.text.replace(asked["id"], "") == invented.text.replace(absent, "")
        assert other.get(tile(slide)).status_code == 404
        assert other.get(f"/api/slides/{slide.id}").status_code == 404
    refused = {row.agent_id for row in acts(world, Act.ACCESS_REFUSED)}
    assert world.centres.lille.pathologist.id in refused


def test_who_is_asked_sees_those_slides_and_no_other_of_the_case(world, slide) -> None:
    """The same bytes cannot be at one site twice, so the other slide is one of Rouen's here."""
    world.ask(slide, world.centres.lille)
    rouen_slide = world.add_slide(world.centres.rouen, "26R00077")
    lille = world.signed_in("pathologiste.lille")
    assert lille.get(tile(slide)).status_code == 200
    assert lille.get(tile(rouen_slide)).status_code == 404
    assert lille.get(f"/api/cases/{slide.case_id}").status_code == 404
    for what in ("label", "macro"):
        assert lille.get(f"/tiles/{slide.id}/{slide.version}/{what}").status_code == 404
    assert lille.get(f"/tiles/{slide.id}/{slide.version}/thumbnail").headers["cache-control"] == "no-store"


def test_what_cannot_be_asked_is_said_in_words_and_changes_nothing(world, slide) -> None:
    rouen = world.centres.rouen
    sent = {"case_id": slide.case_id, "to_member": rouen.pathologist.id, "question": "?", "slide_id": slide.id}
    foreign = world.add_slide(rouen, "26R00077")
    with world.database.writing() as session:
        sites.disable_member(session, world.centres.lille.pathologist.id)
    asks = [
        ("pathologiste.rouen", sent, 404),
        ("technicien.caen", sent, 403),
        ("responsable.caen", sent, 403),
        ("pathologiste.caen", sent | {"question": "  "}, 422),
        ("pathologiste.caen", sent | {"question": "Mme EXEMPLE Camille, 26H01234"}, 422),
        ("pathologiste.caen", sent | {"slide_id": foreign.id}, 422),
        ("pathologiste.caen", sent | {"slides": [foreign.id]}, 422),
        ("pathologiste.caen", sent | {"slides": []}, 422),
        ("pathologiste.caen", sent | {"to_member": None}, 422),
        ("pathologiste.caen", sent | {"to_member": world.centres.lille.pathologist.id}, 422),
        ("pathologiste.caen", sent | {"to_member": world.centres.caen.technician.id}, 422),
        ("pathologiste.caen", sent | {"urgency": "now"}, 422),
        ("pathologiste.caen", sent | {"view": "x" * 600}, 422),
        ("pathologiste.caen", sent | {"case_id": new_id()}, 404),
    ]
    for login, body, status in asks:
        answer = world.signed_in(login).post("/api/consultations", json=body)
        assert answer.status_code == status, (login, body, answer.text)
        assert answer.json()["detail"]
    assert world.client().post("/api/consultations", json=sent).status_code == 401
    assert acts(world, Act.CONSULTATION_REQUESTED) == []
    assert len(acts(world, Act.ACCESS_REFUSED)) >= 6


def test_of_two_answers_at_once_one_is_signed(world, slide) -> None:
    path = f"/api/consultations/{world.ask(slide, world.centres.rouen)['id']}/answer"
    cookies = dict(world.signed_in("pathologiste.rouen").cookies)
    statuses: list[int] = []

    def answer(number: int) -> None:
        with httpx.Client(
            base_url=world.url, headers=SAME_ORIGIN, cookies=cookies, timeout=60, verify=False
        ) as browser:
            sent = {"agreement": "agree", "text": f"Avis {number}."}
            statuses.append(browser.post(path, json=sent).status_code)

    threads = [threading.Thread(target=answer, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [201] + [409] * 7
    assert len(acts(world, Act.OPINION_SIGNED)) == 1


def test_polling_keeps_no_session_alive_and_says_304_when_nothing_changed(world, slide) -> None:
    asked = world.ask(slide, world.centres.rouen)
    rouen = world.signed_in("pathologiste.rouen")
    rouen.get(f"/api/consultations/{asked['id']}")
    with world.database.writing() as session:
        session.execute(text("UPDATE session_token SET used_us = used_us - 600000000"))
        before = session.scalars(text("SELECT used_us FROM session_token ORDER BY token_hash")).all()
    for path in ("/api/bell", f"/api/consultations/{asked['id']}", "/api/guest"):
        etag = rouen.get(path).headers.get("etag")
        if etag:
            again = rouen.get(path, headers={"If-None-Match": etag})
            assert (again.status_code, again.content) == (304, b"")
    with world.database.reading() as session:
        assert session.scalars(text("SELECT used_us FROM session_token ORDER BY token_hash")).all() == before
    rouen.get("/api/session")
    with world.database.reading() as session:
        assert session.scalars(text("SELECT used_us FROM session_token ORDER BY token_hash")).all() != before
    assert sessions.IDLE_US > 600_000_000


def test_drafts_are_kept_for_their_writer_alone(world) -> None:
    caen, other = world.signed_in("pathologiste.caen"), world.signed_in("responsable.caen")
    assert caen.get("/api/drafts/ask.a").status_code == 204
    saved = caen.put("/api/drafts/ask.a", json={"body": "Une question à demi é"})
    assert saved.status_code == 200
    assert caen.get("/api/drafts/ask.a").json()["body"] == "Une question à demi é"
    assert other.get("/api/drafts/ask.a").status_code == 204
    assert caen.put("/api/drafts/ask.a", json={"body": ""}).status_code == 200
    assert caen.get("/api/drafts/ask.a").status_code == 204
    assert caen.put("/api/drafts/ask.a", json={"body": "x" * 20_001}).status_code == 422
    assert caen.put("/api/drafts/Ask%20a", json={"body": "x"}).status_code == 404
    assert world.client().get("/api/drafts/ask.a").status_code == 401


def test_sending_forgets_the_draft(world, slide) -> None:
    caen = world.signed_in("pathologiste.caen")
    caen.put(f"/api/drafts/ask.{slide.case_id}", json={"body": "Invasion"})
    world.ask(slide, world.centres.rouen)
    assert caen.get(f"/api/drafts/ask.{slide.case_id}").status_code == 204


def test_colleagues_are_those_of_other_sites_the_lately_asked_first(world, slide) -> None:
    caen = world.signed_in("pathologiste.caen")
    before = caen.get("/api/colleagues").json()["colleagues"]
    assert [(row["site"], row["to_member"] is None) for row in before] == [
        ("Experts extérieurs", False),
        ("Lille", True),
        ("Lille", False),
        ("Rouen", True),
        ("Rouen", False),
    ]
    world.ask(slide, world.centres.rouen)
    after = caen.get("/api/colleagues").json()["colleagues"]
    assert after[0]["to_member"] == world.centres.rouen.pathologist.id
    assert after[0]["asked_us"]
    assert len(after) == len(before)
