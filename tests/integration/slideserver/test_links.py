"""Links over HTTP: how a guest comes in, what a guest sees, and how it ends."""

import threading
import time
from collections import Counter

import httpx
import pytest
from fixtures.server import World
from fixtures.waiting import last_shown_s
from sqlalchemy import update

from sharing import audit_search, sites
from sharing.clock import SECOND_US
from sharing.db.tables import GuestRow, LinkRow
from sharing.slides import Slide
from sharing.vocabulary import Act, Outcome, new_id

# What the pages and the API tell is the same on both engines; what they ask is tried on both beside `sharing`.
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def slide(world: World) -> Slide:
    return world.add_slide(world.centres.caen, "26H01234")


def tile(slide: Slide, address: str = "0/0_0") -> str:
    return f"/tiles/{slide.id}/{slide.version}/{address}"


def acts(world: World, act: Act, outcome: Outcome | None = None) -> list[audit_search.AuditRow]:
    with world.database.writing() as session:
        filters = audit_search.Filters(act=act, outcome=outcome)
        return list(audit_search.query(session, world.centres.caen.lab_manager, filters).rows)


def test_the_button_leads_to_the_pinned_view_and_to_nothing_else(world, slide) -> None:
    browser, answer = world.redeem(world.link(slide))
    assert answer.status_code == 303
    assert answer.headers["location"] == f"/g/{slide.id}#c=1110,1480&m=10"
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("iain_guest=")
    assert {"HttpOnly", "Path=/", "SameSite=lax"} <= set(cookie.split("; "))
    got = browser.get(tile(slide))
    assert (got.status_code, got.headers["cache-control"]) == (200, "no-store")
    assert browser.get(tile(slide, "thumbnail")).status_code == 200
    for path in (tile(slide, "label"), tile(slide, "macro")):
        assert browser.get(path).status_code == 404
    told = browser.get(f"/api/slides/{slide.id}").json()
    assert told["context"]["kind"] == told["context"]["role"] == "guest"
    assert (told["label_url"], told["macro_url"], told["file"], told["case"]["id"]) == (None, None, None, None)
    assert told["case"]["accession"].startswith("L-")
    assert [other["id"] for other in told["slides_of_case"]] == [slide.id]
    assert browser.get(f"/g/{slide.id}").status_code == 200
    for path in ("/api/cases", "/api/session", "/api/bell", "/api/audit", "/api/colleagues", "/api/drafts/a"):
        assert browser.get(path).status_code == 401, path
    for path in ("/cases", "/consultations", "/links", "/shares"):
        assert browser.get(path).headers["location"].startswith("/login"), path


def test_other_slides_are_as_absent_as_invented_ones(world, slide) -> None:
    others = [world.add_slide(world.centres.rouen, "26R00077"), world.add_slide(world.centres.lille)]
    browser = world.guest(world.link(slide))
    absent = new_id()
    for other in others:
        for path in ("/tiles/{}/" + f"{other.version}/0/0_0", "/api/slides/{}", "/g/{}"):
            asked, invented = browser.get(path.format(other.id)), browser.get(path.format(absent))
            assert asked.status_code == invented.status_code == 404
            assert asked.text.replace(other.id, "") == invented.text.replace(absent, "")


def test_looking_spends_nothing(world, slide) -> None:
    """As mail scanners do: they follow the address, and cannot see what stands behind its #."""
    link = world.link(slide)
    path = "/l/" + link["id"]
    scanner = world.client()
    pages = [scanner.get(path), scanner.get(f"/l/{new_id()}"), scanner.head(path)]
    assert pages[0].status_code == 200
    assert pages[0].text.replace(link["id"], "") == pages[1].text.replace(pages[1].url.path.rpartition("/")[2], "")
    assert scanner.cookies == {}
    assert world.redeem(link)[1].status_code == 303
    assert [row.detail["use"] for row in acts(world, Act.LINK_REDEEMED)] == ["1"]


@pytest.mark.parametrize("secret", ["", "x", "A" * 43, "\N{GREEK SMALL LETTER OMEGA}" * 60, "%00"])
def test_a_mistyped_link_is_told_like_one_that_never_was(world, slide, secret) -> None:
    link = world.link(slide)
    stranger = world.client()
    answers = [stranger.post(f"/l/{id}", data={"secret": secret}) for id in (link["id"], new_id(), "x", "é")]
    assert {answer.status_code for answer in answers} == {404}
    assert "set-cookie" not in answers[0].headers
    assert answers[0].text.replace(link["id"], "") == answers[1].text.replace(answers[1].url.path[3:], "")
    assert acts(world, Act.LINK_REFUSED) == [], "strangers are counted, not listed"
    assert world.redeem(link)[1].status_code == 303


def test_too_long_a_secret_is_no_secret(world, slide) -> None:
    answer = world.client().post("/l/" + world.link(slide)["id"], data={"secret": "x" * 5000})
    assert answer.status_code in (404, 422)


def test_from_another_page_the_button_cannot_be_pressed(world, slide) -> None:
    link = world.link(slide)
    stranger = world.client()
    stranger.headers["Sec-Fetch-Site"] = "cross-site"
    assert world.redeem(link, stranger)[1].status_code == 403
    assert world.redeem(link)[1].status_code == 303


def test_a_used_up_link_says_so_to_the_holder_of_the_secret_alone(world, slide) -> None:
    link = world.link(slide)
    first = world.guest(link)
    _, again = world.redeem(link)
    assert again.status_code == 410
    assert "set-cookie" not in again.headers
    [refused] = acts(world, Act.LINK_REFUSED)
    assert (refused.outcome, refused.detail["reason"]) == (Outcome.REFUSED, "used_up")
    assert refused.personal["source"], "where the try came from"
    assert first.get(tile(slide)).status_code == 200, "who is in stays"
    assert first.get("/api/guest").json()["state"] == "standing"


def test_who_came_in_and_goes_back_goes_on_without_another_use(world, slide) -> None:
    link = world.link(slide)
    browser, first = world.redeem(link)
    _, again = world.redeem(link, browser)
    assert (again.status_code, again.headers["location"]) == (303, first.headers["location"])
    assert len(acts(world, Act.LINK_REDEEMED)) == 1
    other = world.link(slide)
    assert world.redeem(other, browser)[1].status_code == 303, "another link is another right"
    assert len(acts(world, Act.LINK_REDEEMED)) == 2


def test_of_many_who_press_at_once_one_comes_in(world, slide) -> None:
    link = world.link(slide)
    statuses: Counter[int] = Counter()
    address, _, secret = link["url"].partition("#")
    start = threading.Barrier(50)

    def press() -> None:
        with world_client(world) as client:
            start.wait(60)
            statuses[client.post(address, data={"secret": secret}).status_code] += 1

    threads = [threading.Thread(target=press) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == {303: 1, 410: 49}
    assert len(acts(world, Act.LINK_REDEEMED)) == 1
    assert len(acts(world, Act.LINK_REFUSED)) == 49


def world_client(world: World) -> httpx.Client:
    return httpx.Client(headers={"Sec-Fetch-Site": "same-origin"}, timeout=60)


ENDS = {"revoked": "retiré", "expired": "expiré", "maker": "partager"}


@pytest.mark.parametrize("way", ENDS)
def test_when_it_ends_the_next_tile_is_refused_and_the_guest_is_told_why(world, slide, way) -> None:
    link = world.link(slide, max_uses=2)
    guest = world.guest(link)
    maker = world.signed_in("pathologiste.caen")
    asked = guest.get("/api/guest").json()
    assert (asked["state"], asked["slide_id"], asked["site"]) == ("standing", slide.id, "Caen")
    if way == "expired":  # nothing tells the server when: the time comes, whatever is in memory
        with world.database.writing() as session:
            expires_us = session.now_us + 2 * SECOND_US
            for row in (LinkRow, GuestRow):
                session.execute(update(row).values(expires_us=expires_us))
    assert guest.get(tile(slide)).status_code == 200
    if way == "revoked":
        assert maker.post(f"/api/links/{link['id']}/revoke").status_code == 204
    elif way == "maker":
        with world.database.writing() as session:
            sites.disable_member(session, world.centres.caen.pathologist.id)
    ends_in_s = expires_us / SECOND_US - time.time() if way == "expired" else 0
    shown_s, refused = last_shown_s(lambda: guest.get(tile(slide)).status_code, time.monotonic() + ends_in_s)
    assert shown_s <= 1.0
    assert refused == 410
    guest.headers["Accept-Language"] = "fr"
    problem = guest.get(tile(slide))
    assert problem.headers["content-type"] == "application/problem+json"
    assert ENDS[way] in problem.json()["detail"]
    told = guest.get("/api/guest")
    assert (told.status_code, told.json()["state"], told.json()["slide_id"]) == (200, way, None)
    assert told.json()["reason"] == problem.json()["detail"]
    for path in (f"/api/slides/{slide.id}", f"/g/{slide.id}"):
        answer = guest.get(path)
        assert answer.status_code == 410, path
        assert ENDS[way] in answer.text
    answer = world.redeem(link)[1]
    assert answer.status_code == 410
    assert acts(world, Act.LINK_REFUSED)[0].detail["reason"] in ("revoked", "expired", "maker_gone")
    refused = acts(world, Act.ACCESS_REFUSED)
    assert refused, "the tile that was refused is on record"
    assert {row.agent_kind for row in refused} == {"guest"}
    if way == "revoked":
        assert maker.post(f"/api/links/{link['id']}/revoke").status_code == 409


def test_only_its_maker_or_the_lab_manager_revokes_it(world, slide) -> None:
    link = world.link(slide)
    path = f"/api/links/{link['id']}/revoke"
    for login, status in (("pathologiste.rouen", 404), ("responsable.lille", 404), ("technicien.caen", 403)):
        answer = world.signed_in(login).post(path)
        assert answer.status_code == status, login
    assert world.client().post(path).status_code == 401
    assert world.signed_in("responsable.caen").post(path).status_code == 204


def test_a_link_is_made_only_of_what_its_maker_may_share(world, slide) -> None:
    other = world.add_slide(world.centres.rouen, "26R00077")
    sent = {"case_id": slide.case_id, "slide_id": slide.id, "reason": "Avis", "expires_in_s": 3600}
    asks = [
        ("pathologiste.rouen", sent, 404),
        ("technicien.caen", sent, 403),
        ("pathologiste.caen", sent | {"slides": [other.id]}, 422),
        ("pathologiste.caen", sent | {"slide_id": other.id}, 422),
        ("pathologiste.caen", sent | {"expires_in_s": 0}, 422),
        ("pathologiste.caen", sent | {"max_uses": 0}, 422),
        ("pathologiste.caen", sent | {"reason": " "}, 422),
        ("pathologiste.caen", sent | {"purpose": "curiosity"}, 422),
        ("pathologiste.caen", sent | {"case_id": new_id()}, 404),
        ("pathologiste.caen", sent | {"recipient": "pr.martin@hopital.example"}, 422),  # no mail server, no code
        ("pathologiste.caen", sent | {"mail": "pr.martin@hopital.example"}, 422),  # a limit by another name
    ]
    for login, body, status in asks:
        answer = world.signed_in(login).post("/api/links", json=body)
        assert answer.status_code == status, (login, body, answer.text)
        assert answer.json()["detail"]
    assert acts(world, Act.LINK_MADE) == []
    assert len(acts(world, Act.ACCESS_REFUSED)) >= 4


def test_the_secret_is_kept_and_told_nowhere(world, slide) -> None:
    link = world.link(slide)
    secret = link["url"].partition("#")[2]
    assert len(secret) >= 43
    world.guest(link)
    browser = world.signed_in("pathologiste.caen")
    for path in ("/links", "/cases", f"/slides/{slide.id}"):
        assert secret not in browser.get(path).text
    if world.settings.database.startswith("sqlite"):
        for file in world.settings.var.parent.rglob("iain.db*"):
            assert secret.encode() not in file.read_bytes()


def test_a_member_may_follow_a_link_too_and_stays_a_member(world, slide) -> None:
    browser = world.signed_in("pathologiste.lille")
    assert browser.get(tile(slide)).status_code == 404
    assert world.redeem(world.link(slide), browser)[1].status_code == 303
    got = browser.get(tile(slide))
    assert (got.status_code, got.headers["cache-control"]) == (200, "no-store")
    assert browser.get(f"/api/slides/{slide.id}").json()["context"]["kind"] == "guest"
    assert browser.get("/api/session").json()["login"] == "pathologiste.lille"
    own = world.add_slide(world.centres.lille, "26L00410")
    assert browser.get(tile(own)).headers["cache-control"] == "private, no-cache"


def test_a_guests_reading_is_on_record_at_the_owners(world, slide) -> None:
    guest = world.guest(world.link(slide))
    for address in ("0/0_0", "0/1_0", "0/0_0"):
        assert guest.get(tile(slide, address)).status_code == 200
    [row] = acts(world, Act.SLIDE_OPENED)
    assert (row.agent_kind, row.slide_id, row.purpose) == ("guest", slide.id, "care")
    assert "link" in {entity.kind for entity in row.entities}


def test_without_a_guests_cookie_there_is_none(world) -> None:
    stranger = world.client()
    assert stranger.get("/api/guest").json()["state"] == "none"
    stranger.cookies.set("iain_guest", "x" * 43)
    assert stranger.get("/api/guest").json()["state"] == "none"
    lost = stranger.get(f"/g/{new_id()}")
    assert lost.status_code == 401
    assert "lien que vous avez reçu" in lost.text, "a guest has no password to sign in with"
