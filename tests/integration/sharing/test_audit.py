"""The audit log: what goes in, who may ask, and that nothing in it can be changed."""

import hashlib
import json

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from sharing import audit, audit_search, cases, chain, slides
from sharing.audit_search import Filters
from sharing.db.tables import AuditEventRow, AuditPersonalRow
from sharing.errors import InvalidError, NotFoundError, RefusedError, SharingError
from sharing.slides import StoredFile
from sharing.subjects import Agent, Stranger, System
from sharing.vocabulary import PLATFORM, Act, Action, Entity, EventId, Outcome


def ask(database, subject, filters=None, cursor=None, **options):
    with database.writing() as session:
        return audit_search.query(session, subject, filters or Filters(), cursor, **options)


def note(database, centre, act=Act.SLIDE_OPENED, **more):
    with database.writing() as session:
        return audit.record(session, site_id=centre.id, act=act, subject=centre.pathologist, **more)


def test_an_event_says_who_what_when_and_about_what(database, centres, clock):
    case_id = centres.caen.cases["26H01234"]
    clock.advance(minutes=5)
    about = [Entity("slide", "s" * 26), Entity("case", case_id)]
    event_id = note(
        database,
        centres.caen,
        entities=about,
        detail={"count": "1"},
        personal={"source": "192.0.2.7"},
    )
    row = ask(database, centres.caen.lab_manager).rows[0]
    assert (row.id, row.recorded_us, row.act, row.outcome) == (
        event_id,
        clock.now_us(),
        Act.SLIDE_OPENED,
        Outcome.SUCCESS,
    )
    member = centres.caen.pathologist
    assert (row.agent_kind, row.agent_id, row.agent_role) == ("member", member.id, "pathologist")
    assert row.agent_name == member.name
    assert (row.entities, row.case_id, row.slide_id) == (tuple(about), case_id, "s" * 26)
    assert (row.accession, row.slide_name) == ("26H01234", None)
    assert (row.detail, row.personal["source"], row.seq) == ({"count": "1"}, "192.0.2.7", None)
    chain.seal(database)
    assert ask(database, centres.caen.lab_manager).rows[1].seq > 0


def test_the_sealed_part_of_an_event_names_nobody(database, centres):
    note(database, centres.caen, personal={"source": "192.0.2.7", "login": "pathologiste.caen"})
    with database.reading() as session:
        for event in session.scalars(select(AuditEventRow)):
            sealed = chain.canonical(event)
            for personal in ("192.0.2.7", "pathologiste", "Pathologiste", "26H01234", "EXEMPLE"):
                assert personal not in sealed


def test_the_event_commits_to_its_personal_part(database, centres):
    event_id = note(database, centres.caen)
    with database.reading() as session:
        event = session.scalars(select(AuditEventRow).where(AuditEventRow.id == event_id)).one()
        personal = session.get(AuditPersonalRow, event_id)
    assert json.loads(personal.body) == {"agent_name": "Pathologiste de Caen"}
    assert event.commitment == hashlib.sha256(f"{personal.salt}{personal.body}".encode()).hexdigest()
    assert len(personal.salt) == 64


def test_only_a_lab_manager_reads_and_only_the_own_site(database, centres):
    for centre in (centres.caen, centres.rouen):
        rows = ask(database, centre.lab_manager).rows
        assert rows
        assert {row.agent_site_id for row in rows if row.agent_site_id} <= {centre.id}
    refusals = []
    for subject in (centres.caen.pathologist, centres.caen.technician, centres.caen.agent, System(), Stranger()):
        with pytest.raises(SharingError) as caught:
            ask(database, subject)
        refusals.append(type(caught.value))
    assert refusals == [RefusedError, RefusedError, InvalidError, InvalidError, InvalidError]


def test_asking_is_on_record(database, centres):
    ask(database, centres.caen.lab_manager, Filters(act=Act.SLIDE_OPENED, case_id="c"))
    latest = ask(database, centres.caen.lab_manager).rows[0]
    assert latest.act is Act.AUDIT_READ
    assert latest.agent_id == centres.caen.lab_manager.id
    assert latest.detail == {"act": "slide.opened", "case_id": "c"}


def test_filters(database, centres, clock):
    start = clock.now_us()
    clock.advance(hours=1)
    slide = [Entity("slide", "s1")]
    first = note(database, centres.caen, entities=slide)
    clock.advance(hours=1)
    second = note(database, centres.caen, outcome=Outcome.REFUSED, entities=[Entity("case", "c1")])
    manager = centres.caen.lab_manager

    def found(**filters):
        return [row.id for row in ask(database, manager, Filters(**filters)).rows]

    opened = {"act": Act.SLIDE_OPENED}
    assert found(**opened) == [second, first]
    assert found(slide_id="s1") == [first]
    assert found(case_id="c1") == [second]
    assert found(**opened, outcome=Outcome.SUCCESS) == [first]
    assert found(since_us=clock.now_us(), agent_id=centres.caen.pathologist.id) == [second]
    assert found(since_us=start + 1, until_us=clock.now_us()) == [first]
    assert found(agent_id=centres.rouen.pathologist.id) == []


def test_the_story_of_a_case_begins_with_the_pushing_of_its_slides(database, centres):
    case_id = centres.caen.cases["26H01235"]
    pushed = {}
    with database.writing() as session:
        for centre, digest in ((centres.caen, "a" * 64), (centres.caen, "b" * 64), (centres.rouen, "a" * 64)):
            file = StoredFile("scan.svs", digest, 1)
            pushed[centre.id, digest] = slides.create_slide(session, centre.agent, files=[file])
        slide_id = pushed["caen", "a" * 64]
        slides.assign(session, centres.caen.technician, slide_id, case_id)
    found = ask(database, centres.caen.lab_manager, Filters(case_id=case_id)).rows
    assert [(row.act, row.slide_id) for row in found] == [
        (Act.SLIDE_ASSIGNED, slide_id),
        (Act.SLIDE_RECEIVED, slide_id),
        (Act.CASE_REGISTERED, None),
    ]
    assert found[1].agent_name == "Scanner Caen 1"
    assert ask(database, centres.rouen.lab_manager, Filters(case_id=case_id)).rows == ()


def test_pages_hold_every_event_once_also_when_new_ones_come_in_between(database, centres):
    ids = [note(database, centres.caen) for _ in range(25)]
    seen, cursor = [], None
    while True:
        page = ask(database, centres.caen.lab_manager, Filters(act=Act.SLIDE_OPENED), cursor, limit=10)
        seen += [row.id for row in page.rows]
        note(database, centres.caen)
        cursor = page.next
        if cursor is None:
            break
    assert seen == ids[::-1]


@pytest.mark.parametrize("cursor", ["x", "1", "1-2-3", "--1-1", "٣-٣", "1-" + "9" * 19])
def test_a_wrong_cursor_is_refused_in_words(database, centres, cursor):
    with pytest.raises(InvalidError, match="first page"):
        ask(database, centres.caen.lab_manager, cursor=cursor)


def test_the_people_to_choose_from_are_those_of_the_site(database, centres):
    with database.reading() as session:
        people = audit_search.people(session, centres.caen.lab_manager)
    caen = centres.caen
    members = (caen.pathologist, caen.trainee, caen.technician, caen.lab_manager, caen.protection_officer)
    assert {member_id for member_id, _ in people} == {member.id for member in (*members, caen.administrator)}


def test_a_refusal_stands_in_the_chain_of_the_owner(database, centres):
    case_id = centres.rouen.cases["26R00077"]
    with database.reading() as session, pytest.raises(NotFoundError) as caught:
        cases.get_case(session, centres.caen.pathologist, case_id)
    audit.record_refusal(database, caught.value.refusal, personal={"source": "192.0.2.7"})
    row = ask(database, centres.rouen.lab_manager).rows[0]
    assert (row.act, row.outcome, row.case_id) == (Act.ACCESS_REFUSED, Outcome.REFUSED, case_id)
    assert (row.agent_id, row.agent_site_id) == (centres.caen.pathologist.id, "caen")
    assert row.detail == {"asked": "case.view", "reason": "belongs to another site"}
    assert row.personal == {"agent_name": "Pathologiste de Caen", "source": "192.0.2.7"}
    assert Act.ACCESS_REFUSED not in {row.act for row in ask(database, centres.caen.lab_manager).rows}


def test_an_absent_thing_is_nobodys_refusal(database, centres):
    with database.reading() as session, pytest.raises(NotFoundError) as caught:
        cases.get_case(session, centres.caen.pathologist, "z" * 26)
    assert caught.value.refusal is None


def test_an_act_that_is_undone_leaves_no_event(database, centres):
    before = len(ask(database, centres.caen.lab_manager).rows)
    with pytest.raises(DBAPIError), database.writing() as session:
        _record_and_fail(session, centres.caen)
    assert len(ask(database, centres.caen.lab_manager).rows) == before + 1


def _record_and_fail(session, centre):
    audit.record(session, site_id=centre.id, act=Act.SLIDE_OPENED, subject=centre.pathologist)
    session.execute(text("SELECT nothing"))


def stranger_events(database):
    statement = select(AuditEventRow).where(AuditEventRow.act == Act.STRANGERS_REFUSED)
    with database.reading() as session:
        rows = session.scalars(statement.order_by(AuditEventRow.position)).all()
    return [(row.site_id, *json.loads(row.detail).values()) for row in rows]


def test_refusals_of_strangers_are_counted_by_the_minute(database, centres, clock):
    for _ in range(3):
        audit.count_stranger(database, "wrong-key")
    audit.count_stranger(database, "wrong-key", site_id=centres.caen.id)
    chain.seal(database)
    audit.count_stranger(database, "wrong-key")
    chain.seal(database)
    assert stranger_events(database) == []
    clock.advance(minutes=1)
    audit.count_stranger(database, "unknown-login")
    chain.seal(database)
    assert stranger_events(database) == [
        ("caen", "1", "2026-01-05T08:00Z", "wrong-key"),
        (PLATFORM, "4", "2026-01-05T08:00Z", "wrong-key"),
    ]
    clock.advance(minutes=1)
    chain.seal(database)
    assert stranger_events(database)[2:] == [(PLATFORM, "1", "2026-01-05T08:01Z", "unknown-login")]
    assert chain.seal(database) == 0


def test_the_refusal_of_a_stranger_is_counted_not_listed(database, centres):
    with database.reading() as session, pytest.raises(NotFoundError) as caught:
        cases.get_case(session, Stranger(), centres.caen.cases["26H01234"])
    audit.record_refusal(database, caught.value.refusal)
    assert list(database.strangers.take().values()) == [1]
    assert Act.ACCESS_REFUSED not in {row.act for row in ask(database, centres.caen.lab_manager).rows}


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_event SET outcome = 'refused'",
        "DELETE FROM audit_event",
        "UPDATE audit_seal SET seq = seq + 1000",
        "DELETE FROM audit_seal",
        "UPDATE audit_personal SET body = '{}'",
    ],
)
def test_the_database_refuses_to_change_what_is_written(database, centres, statement):
    chain.seal(database)
    with pytest.raises(DBAPIError, match=r"takes no (UPDATE|DELETE)"), database.writing() as session:
        session.execute(text(statement))


def test_erasing_leaves_the_chain_whole_and_is_on_record(database, centres):
    event_id = note(database, centres.caen, personal={"source": "192.0.2.7"})
    chain.seal(database)
    with database.writing() as session:
        assert audit.erase_personal(session, System(), event_id)
        assert not audit.erase_personal(session, System(), event_id)
    chain.seal(database)
    rows = {row.id: row for row in ask(database, centres.caen.lab_manager).rows}
    assert (rows[event_id].personal, rows[event_id].agent_name) == (None, None)
    assert [row.entities for row in rows.values() if row.act is Act.PERSONAL_ERASED] == [(Entity("event", event_id),)]
    with database.reading() as session:
        report = chain.verify(session)
    assert report.whole
    assert {site.site_id: site.erased for site in report.sites}["caen"] == 1


def test_erasing_is_not_for_members(database, centres):
    event_id = note(database, centres.caen)
    with database.writing() as session:
        with pytest.raises(RefusedError):
            audit.erase_personal(session, centres.caen.lab_manager, event_id)
        with pytest.raises(NotFoundError):
            audit.erase_personal(session, centres.rouen.lab_manager, event_id)
        with pytest.raises(NotFoundError):
            audit.erase_personal(session, System(), EventId("z" * 26))


def test_what_an_agent_does_bears_its_scanner(database, centres):
    agent: Agent = centres.caen.agent
    with database.writing() as session:
        audit.record(session, site_id=agent.site_id, act=Act.SLIDE_RECEIVED, subject=agent)
    row = ask(database, centres.caen.lab_manager).rows[0]
    assert (row.agent_kind, row.agent_id, row.agent_name) == ("agent", agent.scanner_id, "Scanner Caen 1")
    assert Action.PUSH_SLIDE == "slide.push"


def test_a_lab_manager_verifies_the_chain_of_the_own_site_and_that_is_on_record(database, centres):
    chain.seal(database)
    manager = centres.caen.lab_manager
    note(database, centres.caen)
    with database.reading() as session:
        standing, report = chain.standing(session, manager), chain.verify_own(session, manager)
        for other in (centres.caen.pathologist, centres.caen.technician):
            with pytest.raises(RefusedError):
                chain.standing(session, other)
            with pytest.raises(RefusedError):
                chain.verify_own(session, other)
    assert (report.site_id, report.whole) == (centres.caen.id, True)
    assert (standing.entries, standing.waiting, standing.sealed_us) == (report.entries, 1, report.sealed_us)
    with database.writing() as session:
        chain.record_verification(session, manager, report)
    row = ask(database, manager, Filters(act=Act.AUDIT_VERIFIED)).rows[0]
    assert (row.outcome, row.detail) == (Outcome.SUCCESS, {"entries": str(report.entries), "head": report.head})
