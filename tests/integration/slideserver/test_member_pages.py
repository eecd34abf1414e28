"""The accounts on the pages: a first password that opens no session, and what an administrator meets."""

import csv
import io
import re

import httpx
import pytest
from fixtures.html import Element, parse
from fixtures.pages import check, read, rows
from fixtures.server import World
from sqlalchemy import select

from sharing import sites
from sharing.db.tables import AuditEventRow
from sharing.vocabulary import Act, Outcome

# What the pages do with accounts does not depend on the database; tests/integration/sharing/test_members.py asks both.
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

ADMINISTRATOR = "administrateur.caen"
OWN = "quatre mots sans rapport"


def secret(page: httpx.Response) -> str:
    [found] = re.findall(r'<code class="secret">([a-z2-9-]{23})</code>', page.text)
    return found


def row_of(page: Element, name: str) -> Element:
    [found] = [row for row in rows(page) if name in row.text]
    return found


def test_an_account_is_opened_changed_and_closed_and_its_first_password_only_admits_to_another(world: World) -> None:
    boss = world.signed_in(ADMINISTRATOR)
    asked = {"login": "neuf.caen", "name": "Dr Nouvelle =1+1", "role": "pathologist", "mail_language": "fr"}
    shown = boss.post("/members", data=asked)
    assert shown.status_code == 200
    assert shown.headers["cache-control"] == "no-store"
    first = secret(shown)
    assert boss.post("/members", data=asked).status_code == 422, "a login is one person's"
    page = read(boss, "/members")
    check(page, "fr")
    assert "premier mot de passe" in row_of(page, "neuf.caen").text
    assert first not in page.text

    new = world.client()
    form = {"login": "neuf.caen", "password": first}
    met = new.post("/login", data=form)
    assert met.status_code == 200
    assert "iain_session" not in new.cookies
    assert new.get("/cases").status_code == 303
    for chosen, again in ((OWN, OWN + "!"), ("court", "court"), (first, first), ("neuf.caen neuf", "neuf.caen neuf")):
        met = new.post("/login", data={**form, "new_password": chosen, "again": again})
        assert met.status_code == 422, chosen
        assert "iain_session" not in new.cookies
    met = new.post("/login", data={**form, "new_password": OWN, "again": OWN, "next": "/cases"})
    assert (met.status_code, met.headers["location"]) == (303, "/cases")
    assert new.get("/cases").status_code == 200
    assert world.client().post("/login", data={**form, "new_password": "x" * 20, "again": "x" * 20}).status_code == 401

    with world.database.reading() as session:
        member = sites.member_by_login(session, "neuf.caen").member
    at = f"/members/{member.id}"
    for lie in ("role", "profile", "sessions", "close", "x"):
        assert not read(boss, f"/members?done={lie}&who={member.id}").all(class_="done"), lie
    changed = boss.post(f"{at}/role", data={"role": "technician"})
    assert "Le rôle est changé" in read(boss, changed.headers["location"]).one(class_="done").text
    assert "/intake" in new.get("/").headers["location"], "the new role holds in the session that is open"
    assert boss.post(f"{at}/sessions").status_code == 303
    assert new.get("/").headers["location"].startswith("/login")
    lost = secret(boss.post(f"{at}/password"))
    assert world.client().post("/login", data={"login": "neuf.caen", "password": OWN}).status_code == 401
    closed = boss.post(f"{at}/close")
    assert "Le compte est fermé" in read(boss, closed.headers["location"]).one(class_="done").text
    assert world.client().post("/login", data={"login": "neuf.caen", "password": lost}).status_code == 401
    assert "fermé" in row_of(read(boss, "/members"), "neuf.caen").text
    table = list(csv.reader(io.StringIO(boss.get("/members.csv").text.lstrip("\ufeff")), delimiter=";"))
    assert len(table[0]) == 7
    assert not any(cell.startswith(("=", "+", "@")) for row in table for cell in row)


def test_the_pages_hold_no_patients_data_and_are_closed_to_everybody_else(world: World) -> None:
    boss = world.signed_in(ADMINISTRATOR)
    for address in ("/members", "/members/new", f"/members/{world.centres.caen.pathologist.id}", "/account"):
        page = read(boss, address)
        check(page, "fr")
        assert not any(word in page.raw_text for word in ("26H01234", "EXEMPLE", "FICTIVE", "MODÈLE"))
    for address in ("/cases", "/audit", "/shares", "/consultations", "/intake"):
        assert boss.get(address).status_code in (403, 404), address
    assert boss.get(f"/members/{world.centres.rouen.pathologist.id}").status_code == 404
    assert boss.get("/members/" + "a" * 26).status_code == 404
    own = world.centres.caen.administrator.id
    assert boss.post(f"/members/{own}/close").status_code == 409
    for login in ("pathologiste.caen", "responsable.caen", "dpo.caen"):
        assert world.signed_in(login).get("/members").status_code in (403, 404)


def test_a_password_is_changed_by_who_knows_it_and_the_other_sessions_end(world: World) -> None:
    login = "interne.caen"
    here, there = world.signed_in(login), world.signed_in(login)
    assert "Se déconnecter partout ailleurs" in read(here, "/account").text
    for lie in ("password", "sessions", "x"):
        assert not read(here, f"/account?done={lie}").all(class_="done")
    old = world.centres.password
    for wrong in ({"password": "wrong", "new_password": OWN, "again": OWN}, {"password": old, "new_password": OWN}):
        assert here.post("/account/password", data=wrong).status_code == 422
    assert there.get("/account").status_code == 200
    with world.database.reading() as session:
        failed = select(AuditEventRow.detail).where(
            AuditEventRow.act == Act.MEMBER_CHANGED, AuditEventRow.outcome == Outcome.FAILED
        )
        [detail] = session.scalars(failed)
    assert "wrong-password" in detail
    done = here.post("/account/password", data={"password": old, "new_password": OWN, "again": OWN})
    assert done.headers["location"] == "/account?done=password"
    told = read(here, "/account?done=password")
    check(told, "fr")
    assert told.one(class_="done").text.startswith("Votre mot de passe est changé")
    assert there.get("/account").status_code == 303
    assert world.client().post("/login", data={"login": login, "password": old}).status_code == 401
    again = world.client()
    assert again.post("/login", data={"login": login, "password": OWN}).status_code == 303
    assert here.post("/account/sessions").status_code == 303
    assert again.get("/account").status_code == 303
    assert "partout ailleurs" in read(here, "/account?done=sessions").one(class_="done").text


def test_fields_of_passwords_hide_what_is_typed_and_take_what_is_pasted(world: World) -> None:
    boss, stranger = world.signed_in(ADMINISTRATOR), world.client()
    asked = {"login": "neuf.caen", "name": "Dr Nouvelle", "role": "trainee"}
    first = secret(boss.post("/members", data=asked))
    pages = (
        read(stranger, "/login"),
        parse(stranger.post("/login", data={"login": "neuf.caen", "password": first}).text),
        read(boss, "/account"),
    )
    for page in pages:
        fields = [each for each in page.all("input") if "password" in each.get("name") or each.get("name") == "again"]
        assert fields
        for each in fields:
            assert each.get("type") == "password"
            assert each.get("autocomplete") in ("current-password", "new-password")
            assert not each.get("value")
            assert "onpaste" not in each.attributes
        assert "question" not in page.text.lower(), "nothing is asked in place of a password"


def test_a_stranger_is_sent_to_sign_in(world: World) -> None:
    for address in ("/members", "/members/new", "/members.csv", "/account"):
        assert world.client().get(address).status_code == 303
