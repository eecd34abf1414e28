"""What a lab manager takes away of the journal, and how the journal is read when somebody has altered it."""

import json

from fhir.resources.R4B.bundle import Bundle
from fixtures.pages import check, read, rows
from sqlalchemy import select, text

from sharing import audit_search
from sharing.db.tables import AuditEventRow
from sharing.vocabulary import Act

MANAGER = "responsable.caen"
TRIGGERS_OFF = {
    "sqlite": ("DROP TRIGGER audit_event_no_update",),
    "postgresql": ("ALTER TABLE audit_event DISABLE TRIGGER USER",),
}
HARM = (
    "act = 'nothing.of_the_kind'",
    "outcome = 'perhaps'",
    "agent_role = 'king'",
    "purpose = 'spying'",
    "entities = '{}}'",
    "detail = '[1]'",
    "recorded_us = 9000000000000000000",
    "recorded_us = -5",
)
"""Each done to a row of its own."""
HARM_IN_SQLITE = ("detail = CAST(x'ff00fe' AS TEXT)", "recorded_us = 'yesterday'", "recorded_us = CAST(x'ff' AS TEXT)")
"""It takes whatever is written, also what is no text and no number."""


def test_altered_rows_are_shown_as_such_and_hide_no_other(world):
    client = world.signed_in(MANAGER)
    engine = world.database.engine.dialect.name
    harm = HARM + (HARM_IN_SQLITE if engine == "sqlite" else ())
    for _ in harm:
        client.get("/audit?act=audit.read")
    with world.database.writing() as session:
        for statement in TRIGGERS_OFF[engine]:
            session.execute(text(statement))
        found = select(AuditEventRow.position).where(AuditEventRow.act == Act.AUDIT_READ)
        for position, change in zip(session.scalars(found).all(), harm, strict=True):
            session.execute(text(f"UPDATE audit_event SET {change} WHERE position = {position}"))
    page = read(client, "/audit")
    check(page, "fr")
    altered = page.all("tr", class_="altered")
    assert len(altered) == len(harm)
    assert all("n’est plus lisible" in row.text for row in altered)
    assert "Session ouverte" in page.text or "Connexion" in page.text
    for path in ("/audit.csv", "/audit.ndjson", "/api/audit", "/api/fhir/AuditEvent"):
        assert client.get(path).status_code == 200, path
    # Whoever goes on page by page meets every row once, and comes to an end.
    seen, cursor = [], None
    with world.database.reading() as session:
        manager = world.centres.caen.lab_manager
        whole = audit_search.read(session, manager, audit_search.Filters(), limit=200).rows
        for _ in whole:
            found = audit_search.read(session, manager, audit_search.Filters(), cursor, limit=4)
            seen += [row.position for row in found.rows]
            cursor = found.next
            if cursor is None:
                break
    assert cursor is None
    assert seen == [row.position for row in whole]


def test_the_journal_leaves_as_fhir_line_by_line(world):
    client = world.signed_in(MANAGER)
    answer = client.get("/audit.ndjson?act=session.opened")
    assert answer.headers["content-type"] == "application/fhir+ndjson"
    assert answer.headers["cache-control"] == "no-store"
    [event] = [json.loads(line) for line in answer.text.splitlines()]
    assert (event["resourceType"], event["subtype"][0]["code"]) == ("AuditEvent", "session.opened")
    [exported] = client.get("/api/audit", params={"act": "audit.exported"}).json()["rows"]
    assert exported["detail"] == {"act": "session.opened", "form": "fhir"}


def test_a_bundle_leads_to_the_next(world):
    client = world.signed_in(MANAGER)
    for _ in range(4):
        client.get("/audit")
    address, ids = "/api/fhir/AuditEvent?_count=2", []
    for _ in range(20):
        answer = client.get(address)
        assert answer.headers["content-type"] == "application/fhir+json"
        bundle = answer.json()
        Bundle.model_validate(bundle)
        ids += [each["resource"]["id"] for each in bundle["entry"]]
        following = [link["url"] for link in bundle["link"] if link["relation"] == "next"]
        if not following:
            break
        address = following[0][following[0].index("/api/fhir/") :]
    assert len(ids) == len(set(ids)) > 4
    for login in ("pathologiste.caen", "administrateur.caen"):
        assert world.signed_in(login).get("/api/fhir/AuditEvent").status_code == 403


def test_who_may_not_open_cases_sees_their_numbers_without_a_link(world):
    for login, linked in ((MANAGER, True), ("dpo.caen", False)):
        [row] = rows(read(world.signed_in(login), "/audit?act=case.registered&case=26H01234"))
        assert "26H01234" in row.text
        assert bool(row.all("a")) is linked


def test_everything_shared_last_quarter_is_two_presses_away(world):
    """From the page on which the day begins: the name of the page, then the name of the span."""
    slide = world.add_slide(world.centres.caen, "26H01234")
    world.ask(slide, world.centres.rouen)
    asked = world.database.clock.now_us() - 95 * 86_400 * 1_000_000
    with world.database.writing() as session:
        session.execute(text("UPDATE consultation SET created_us = :asked"), {"asked": asked})
    client = world.signed_in(MANAGER)
    home = read(client, client.get("/").headers["location"])
    shares = read(client, next(a.get("href") for a in home.all("a") if a.text == "Partages"))
    spans = {a.text: a.get("href") for a in shares.one("nav", class_="spans").all("a")}
    found = {name: len(rows(read(client, address))) for name, address in spans.items()}
    assert sum(found[name] for name in ("Ce trimestre", "Trimestre dernier")) >= found["Ce mois"] == 0
    assert found["Cette année"] + found["Année dernière"] == 1
    for division in shares.one("section", class_="divisions").all("table"):
        for link in division.all("a"):
            assert len(rows(read(client, link.get("href")))) == 1
