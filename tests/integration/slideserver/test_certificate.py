"""The certificate of sharing: what it says of a case, who may have it, and that it is on record."""

import hashlib
import json

import pytest
from fixtures.html import Element, parse
from fixtures.pages import check, read, rows
from sqlalchemy import text

from sharing import chain, checkpoints, links
from sharing.checkpoints import Signer
from sharing.vocabulary import LinkId

# What the pages and the API tell is the same on both engines; what they ask is tried on both beside `sharing`.
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

MANAGER, OFFICER = "responsable.caen", "dpo.caen"
RECIPIENT_REASON = "Avis d'un confrère"


@pytest.fixture
def shared(world):
    """A request that Rouen has opened, and a link that a guest has opened and that is revoked."""
    slide = world.add_slide(world.centres.caen, "26H01234")
    asked = world.ask(slide, world.centres.rouen)
    assert world.signed_in("pathologiste.rouen").get(f"/slides/{slide.id}").status_code == 200
    link = world.link(slide)
    guest = world.guest(link)
    assert guest.get(f"/tiles/{slide.id}/{slide.version}/thumbnail").status_code == 200
    with world.database.writing() as session:
        links.revoke(session, world.centres.caen.pathologist, LinkId(link["id"]))
    chain.seal(world.database)
    return slide, asked, link


def address(world) -> str:
    return f"/cases/{world.centres.caen.cases['26H01234']}/certificate"


def issue(world, login: str = MANAGER) -> Element:
    return read(world.signed_in(login), address(world))


def test_it_tells_what_was_shown_to_whom_why_and_until_when(world, shared):
    slide, asked, link = shared
    page = issue(world)
    assert page.one("h1").text == "Attestation de partage"
    first, second = page.one("table", class_="shared").one("tbody").all("tr")
    for word in (asked["reference"], "Pathologiste de Rouen, Rouen", "soin", "Pathologiste de Caen", "demandé"):
        assert word in first.text, word
    for word in (link["reference"], "invité, par lien", RECIPIENT_REASON, "révoqué"):
        assert word in second.text, word
    assert "entrée" in first.text
    [digest] = page.one("table", class_="digests").one("tbody").all("tr")
    assert slide.sha256 in digest.text
    assert "EXEMPLE" not in page.text, "no patient's name"
    assert "Aucun témoin" in page.text


def test_a_reason_that_names_the_patient_stays_in_the_centre(world, shared):
    with world.database.writing() as session:
        session.execute(text("UPDATE link SET reason = 'Avis sur Mme EXEMPLE, 26H01234'"))
    assert "EXEMPLE" not in issue(world).text
    assert "EXEMPLE" not in world.signed_in(MANAGER).get(f"{address(world)}.json").text


def test_it_shows_the_checkpoint_and_who_signed_it(world, shared):
    signer = Signer.new()
    with world.database.writing() as session:
        checkpoint = checkpoints.sign_now(session, signer, world.centres.caen.id)
        assert checkpoint
        witness = {"id": "w" * 26, "key": "ab" * 32, "now": session.now_us, "size": checkpoint.size}
        session.execute(text("INSERT INTO witness VALUES (:id, 'rouen', 'Témoin de Rouen', :key, :now, NULL)"), witness)
        session.execute(
            text("INSERT INTO audit_cosignature VALUES ('caen', :size, :id, :now, '— temoin AAAA')"), witness
        )
    told = issue(world)
    assert told.one("pre", class_="note").raw_text == checkpoint.note + "— temoin AAAA\n"
    assert "Témoin de Rouen" in told.text
    assert "ab" * 32 in told.text


def test_the_journal_keeps_the_digest_of_the_file(world, shared):
    client = world.signed_in(OFFICER)
    answer = client.get(f"{address(world)}.json")
    certificate = json.loads(answer.text)
    assert answer.headers["content-disposition"] == f'attachment; filename="iain-{certificate["reference"]}.json"'
    assert [each["share"]["kind"] for each in certificate["shares"]] == ["consultation", "link"]
    [event] = client.get("/api/audit", params={"act": "certificate.issued"}).json()["rows"]
    assert event["detail"] == {
        "form": "file",
        "reference": certificate["reference"],
        "sha256": hashlib.sha256(answer.content).hexdigest(),
        "shares": "2",
    }


def test_a_case_that_was_never_shared_has_one_too(world):
    page = issue(world)
    assert "Aucune lame de ce cas" in page.text
    assert page.all("table", class_="shared") == []


def test_it_is_for_who_answers_for_the_site(world, shared):
    for login in ("pathologiste.caen", "interne.caen", "technicien.caen", "administrateur.caen"):
        assert world.signed_in(login).get(address(world)).status_code == 403, login
    for login in ("responsable.rouen", "dpo.lille"):
        client = world.signed_in(login)
        foreign, invented = client.get(address(world)), client.get(f"/cases/{'a' * 26}/certificate")
        assert (foreign.status_code, invented.status_code) == (404, 404)
        assert parse(foreign.text).one("main").text == parse(invented.text).one("main").text


def test_it_is_reached_from_the_shares_and_from_the_journal_of_a_case(world, shared):
    client = world.signed_in(MANAGER)
    over = [row for row in rows(read(client, "/shares")) if row.all("a", class_="plain")]
    assert [row.one("a", class_="plain").get("href") for row in over] == [address(world)]
    assert address(world) in {each.get("href") for each in read(client, "/audit?case=26H01234").all("a")}


def test_it_is_well_formed_in_both_languages_and_says_when_the_record_was_altered(world, shared):
    client = world.signed_in(OFFICER)
    for language in ("fr", "en"):
        client.post("/language", data={"language": language})
        check(read(client, address(world)), language)
    with world.database.writing() as session:
        for statement in TRIGGERS_OFF[world.database.engine.dialect.name]:
            session.execute(text(statement))
        session.execute(
            text("UPDATE audit_event SET act = 'nothing.of_the_kind' WHERE act = 'link.made' AND site_id = 'caen'")
        )
    assert "can no longer be read" in read(client, address(world)).text


TRIGGERS_OFF = {
    "sqlite": ("DROP TRIGGER audit_event_no_update",),
    "postgresql": ("ALTER TABLE audit_event DISABLE TRIGGER USER",),
}
