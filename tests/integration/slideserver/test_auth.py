"""Signing in and out, over HTTP."""

import threading
import time

import httpx
import pytest
from fixtures.server import SAME_ORIGIN, World

from sharing import audit_search
from sharing.vocabulary import Act, Outcome
from slideserver.auth.throttle import PAIR
from slideserver.login import FAILURE_TAKES_S

CAEN = "pathologiste.caen"


def sign_in(world: World, login: str = CAEN, password: str | None = None, **fields: str) -> httpx.Response:
    data = {"login": login, "password": password or world.centres.password, **fields}
    return httpx.post(f"{world.url}/login", data=data, headers=SAME_ORIGIN, timeout=60)


def events(world: World, act: Act) -> list[audit_search.AuditRow]:
    with world.database.writing() as session:
        return list(audit_search.query(session, world.centres.caen.lab_manager, audit_search.Filters(act=act)).rows)


def test_the_right_password_opens_a_session_and_leads_on(world) -> None:
    answer = sign_in(world, login=" Pathologiste.CAEN ", next="/slides/x?y=1")
    assert (answer.status_code, answer.headers["location"]) == (303, "/slides/x?y=1")
    assert {"HttpOnly", "SameSite=lax", "Path=/"} <= set(answer.headers["set-cookie"].split("; "))
    who = httpx.get(f"{world.url}/api/session", cookies=answer.cookies, timeout=60)
    assert who.json()["login"] == CAEN
    [event] = events(world, Act.SESSION_OPENED)
    assert (event.agent_id, event.outcome) == (world.centres.caen.pathologist.id, Outcome.SUCCESS)


@pytest.mark.parametrize(
    "elsewhere",
    [
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "javascript:alert(1)",
        "",
        "/a\r\nSet-Cookie: x=y",
        "/" * 2,
    ],
)
def test_nobody_is_led_to_another_site(world, elsewhere) -> None:
    assert sign_in(world, next=elsewhere).headers["location"] == "/"


def test_a_wrong_password_and_an_unknown_login_look_alike_and_take_alike(world) -> None:
    answers, times = [], []
    for login in (CAEN, "nobody.caen"):
        started = time.monotonic()
        answers.append(sign_in(world, login=login, password="wrong"))
        times.append(time.monotonic() - started)
    wrong, unknown = answers
    assert wrong.status_code == unknown.status_code == 401
    assert "set-cookie" not in wrong.headers
    assert wrong.text.replace(CAEN, "") == unknown.text.replace("nobody.caen", "")
    assert CAEN in wrong.text, "what was typed stays"
    assert min(times) >= FAILURE_TAKES_S


def test_a_wrong_password_is_on_record_at_the_members_site(world) -> None:
    sign_in(world, password="wrong")
    [event] = events(world, Act.SESSION_OPENED)
    assert (event.outcome, event.agent_kind) == (Outcome.FAILED, "stranger")
    assert [(entity.kind, entity.id) for entity in event.entities] == [("member", world.centres.caen.pathologist.id)]
    assert event.personal == {"login": CAEN, "source": "127.0.0.1"}


def test_guessing_ends_after_ten_tries_even_when_they_come_at_once(world) -> None:
    statuses: list[int] = []
    threads = [
        threading.Thread(target=lambda: statuses.append(sign_in(world, password="wrong").status_code))
        for _ in range(PAIR + 5)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [401] * PAIR + [429] * 5
    answer = sign_in(world)
    assert answer.status_code == 429, "the right password is not told either"
    assert 0 < int(answer.headers["retry-after"]) <= 15 * 60
    assert sign_in(world, login="technicien.caen").status_code == 303, "a colleague at the same address goes on"


def test_signing_in_gives_a_new_session_and_ends_the_old_one(world) -> None:
    browser = world.signed_in(CAEN)
    old = browser.cookies["iain_session"]
    browser.post("/login", data={"login": CAEN, "password": world.centres.password})
    assert browser.cookies["iain_session"] != old
    assert httpx.get(f"{world.url}/api/session", cookies={"iain_session": old}, timeout=60).status_code == 401
    assert browser.get("/api/session").status_code == 200


def test_a_session_chosen_by_somebody_else_is_not_taken_up(world) -> None:
    browser = world.client()
    browser.cookies.set("iain_session", "chosen-by-an-attacker")
    browser.post("/login", data={"login": CAEN, "password": world.centres.password})
    fixed = httpx.get(f"{world.url}/api/session", cookies={"iain_session": "chosen-by-an-attacker"}, timeout=60)
    assert fixed.status_code == 401


def test_signing_out_ends_the_session_on_the_server_and_clears_the_browser(world) -> None:
    browser = world.signed_in(CAEN)
    token = browser.cookies["iain_session"]
    answer = browser.post("/logout")
    assert (answer.status_code, answer.headers["location"]) == (303, "/login")
    assert answer.headers["clear-site-data"] == '"cache", "storage"'
    assert "iain_session" not in browser.cookies
    assert httpx.get(f"{world.url}/api/session", cookies={"iain_session": token}, timeout=60).status_code == 401
    assert len(events(world, Act.SESSION_CLOSED)) == 1


def test_without_a_session_a_page_leads_to_the_form_and_the_api_says_401(world) -> None:
    stranger = world.client()
    page = stranger.get("/cases?q=rein")
    assert (page.status_code, page.headers["location"]) == (303, "/login?next=/cases%3Fq%3Drein")
    for before, back in ((f"{world.url}/objections?q=rein", "/objections%3Fq%3Drein"), ("", "/")):
        form = stranger.post("/audit/verify", headers={"Referer": before})
        assert (form.status_code, form.headers["location"]) == (303, f"/login?next={back}")
    api = stranger.get("/api/cases")
    assert (api.status_code, api.headers["content-type"]) == (401, "application/problem+json")


def test_a_closed_account_is_out_at_once(world) -> None:
    from sharing import sites

    browser = world.signed_in(CAEN)
    with world.database.writing() as session:
        sites.disable_member(session, world.centres.caen.pathologist.id)
    assert browser.get("/api/session").status_code == 401
    assert sign_in(world).status_code == 401
