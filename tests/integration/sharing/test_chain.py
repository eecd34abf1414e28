"""The chain: whatever an attacker with the database in hand does to a sealed entry, verification names the entry."""

import hashlib
import json
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from sharing import audit, audit_search, chain, chain_walk, checkpoints
from sharing.alarm import Alarm
from sharing.clock import FrozenClock
from sharing.db.engine import open_database
from sharing.db.tables import AuditEventRow
from sharing.subjects import Agent, Member, System
from sharing.vocabulary import Act, Entity, MemberId, Outcome, Purpose, Role, ScannerId, SiteId, new_id

CAEN, ROUEN = SiteId("caen"), SiteId("rouen")
READER = Member(MemberId("m" * 26), CAEN, "Caen", Role.PATHOLOGIST, "Éloïse “N.” D'Été", "login")
MANAGER = Member(MemberId("l" * 26), CAEN, "Caen", Role.LAB_MANAGER, "EXEMPLE Lou", "manager")


def fill(database, count=6, site_id=CAEN):
    for number in range(count):
        with database.writing() as session:
            audit.record(
                session,
                site_id=site_id,
                act=Act.SLIDE_OPENED,
                subject=READER,
                entities=[Entity("slide", f"slide-{number}"), Entity("case", f"case-{number}")],
                detail={"number": str(number), "quote": 'a"b\\c\u2028é'},
                purpose=Purpose.CARE,
            )


def verify(database):
    with database.reading() as session:
        return chain.verify(session)


def caen(database):
    return next(site for site in verify(database).sites if site.site_id == CAEN)


def attack(database, *statements):
    """Change the database as its owner can: with the triggers out of the way."""
    with database.writing() as session:
        if database.engine.dialect.name == "postgresql":
            session.execute(text("SET LOCAL session_replication_role = replica"))  # no triggers, no foreign keys
        else:
            triggers = "SELECT name FROM sqlite_master WHERE type = 'trigger'"
            for name in session.scalars(text(triggers)).all():
                session.execute(text(f"DROP TRIGGER {name}"))
            session.execute(text("PRAGMA defer_foreign_keys = ON"))
        for statement in statements:
            session.execute(text(statement))


def detached(database):
    """As `database`, but without foreign keys on SQLite, where they cannot be switched off within a transaction."""
    if database.engine.dialect.name == "sqlite":
        from sqlalchemy import event

        event.listen(database.engine, "connect", lambda connection, _: connection.execute("PRAGMA foreign_keys = OFF"))
        database.engine.dispose()
    return database


def test_an_untouched_log_is_whole(database):
    fill(database, 4)
    fill(database, 2, ROUEN)
    assert [(site.entries, site.waiting, site.whole) for site in verify(database).sites] == [(0, 4, True), (0, 2, True)]
    assert chain.seal(database) == 6
    assert chain.seal(database) == 0
    fill(database, 1)
    report = verify(database)
    assert report.whole
    assert [(site.site_id, site.entries, site.waiting) for site in report.sites] == [("caen", 4, 1), ("rouen", 2, 0)]


def test_a_verification_that_finds_something_is_on_record_as_failed(database, centres):
    manager = centres.caen.lab_manager
    chain.seal(database)
    attack(database, f"UPDATE audit_event SET outcome = 'failed' WHERE id = {event_of(2)}")
    with database.writing() as session:
        report = chain.verify_own(session, manager)
        chain.record_verification(session, manager, report)
        (row,) = audit_search.query(session, manager, audit_search.Filters(act=Act.AUDIT_VERIFIED)).rows
    assert (row.outcome, row.detail["first_bad"]) == ("failed", "2")


def test_an_empty_log_is_whole(database):
    assert verify(database).whole


def event_of(seq):
    return f"(SELECT event_id FROM audit_seal WHERE site_id = 'caen' AND seq = {seq})"


EDITS = {
    "outcome": "'failed'",
    "recorded_us": "recorded_us + 1",
    "act": "'slide.assigned'",
    "type": "'110107'",
    "action": "'U'",
    "site_id": "'rouen'",
    "agent_kind": "'system'",
    "agent_id": "'somebody'",
    "agent_site_id": "NULL",
    "agent_role": "'lab_manager'",
    "purpose": "'research'",
    "entities": "replace(entities, 'slide-3', 'slide-9')",
    "detail": "detail || ' '",
    "commitment": "NULL",
    "case_id": "'case-9'",
    "slide_id": "NULL",
    "version": "2",
}


def test_the_list_of_edits_covers_every_column():
    columns = {column.name for column in AuditEventRow.__table__.columns}
    assert set(EDITS) == columns - {"position", "id"}  # these two are changed below, as insertion and reordering


@pytest.mark.parametrize("column", EDITS)
def test_an_edited_event_is_found(database, column):
    fill(database)
    chain.seal(database)
    attack(database, f"UPDATE audit_event SET {column} = {EDITS[column]} WHERE id = {event_of(4)}")
    report = caen(database)
    assert report.first_bad.seq == 4, report
    assert report.first_bad.event_id
    assert report.entries == 3


@pytest.mark.parametrize(
    "edit",
    [
        "hash = upper(hash)",
        "hash = '00' || substr(hash, 3)",
        "sealed_us = sealed_us - 1",
        "sealed_us = -1",
        "prev_hash = '" + "0" * 64 + "'",
        "seq = 44",
    ],
)
def test_an_edited_seal_is_found(database, edit):
    fill(database)
    chain.seal(database)
    attack(database, f"UPDATE audit_seal SET {edit} WHERE site_id = 'caen' AND seq = 4")
    report = caen(database)
    assert report.entries == 3
    assert report.first_bad.seq in (4, 5)


@pytest.mark.parametrize(
    "edit",
    [
        "body = replace(body, 'N.', 'M.')",
        "body = body || ' '",
        "salt = upper(salt)",
        "salt = salt || substr(body, 1, 14), body = substr(body, 15)",  # the same text, divided elsewhere
    ],
)
def test_an_edited_personal_part_is_found(database, edit):
    fill(database)
    chain.seal(database)
    attack(database, f"UPDATE audit_personal SET {edit} WHERE event_id = {event_of(4)}")
    assert caen(database).first_bad.seq == 4
    assert "personal" in caen(database).first_bad.what


def test_a_personal_part_put_where_there_was_none_is_found(database):
    with database.writing() as session:
        audit.record(session, site_id=CAEN, act=Act.SLIDE_REGISTERED, subject=System())
    chain.seal(database)
    assert caen(database).whole
    attack(database, f"INSERT INTO audit_personal SELECT id, '{'0' * 64}', '{{}}' FROM audit_event")
    assert caen(database).first_bad.seq == 1


@pytest.mark.parametrize("erase_personal", [False, True])
def test_a_deleted_event_is_found(database, erase_personal):
    fill(database)
    chain.seal(database)
    event = event_of(4)
    erase = [f"DELETE FROM audit_personal WHERE event_id = {event}"] if erase_personal else []
    attack(detached(database), *erase, f"DELETE FROM audit_event WHERE id = {event}")
    assert (caen(database).first_bad.seq, caen(database).first_bad.what) == (4, "its event is missing")


def test_an_entry_taken_out_of_the_middle_is_found(database):
    fill(database)
    chain.seal(database)
    event = event_of(4)
    attack(
        detached(database),
        f"DELETE FROM audit_personal WHERE event_id = {event}",
        f"DELETE FROM audit_event WHERE id = {event}",
        "DELETE FROM audit_seal WHERE seq = 4",
    )
    assert caen(database).first_bad.what == "entry 4 is missing"
    attack(database, "UPDATE audit_seal SET seq = seq - 1 WHERE seq = 5", "UPDATE audit_seal SET seq = 5 WHERE seq = 6")
    assert caen(database).first_bad.seq == 4


def test_an_inserted_event_is_found(database):
    fill(database)
    chain.seal(database)
    columns = ", ".join(column for column in EDITS if column != "commitment")
    forged = (
        f"INSERT INTO audit_event (id, {columns}) SELECT 'forged', {columns} FROM audit_event WHERE id = {event_of(2)}"
    )
    attack(database, forged)
    assert caen(database).first_bad == chain.BadEntry(None, "forged", "the event has no seal and does not wait for one")
    attack(
        database,
        "UPDATE audit_seal SET seq = 100 + seq WHERE seq >= 4",
        "UPDATE audit_seal SET seq = seq - 99 WHERE seq > 100",
        "INSERT INTO audit_seal (site_id, seq, event_id, sealed_us, prev_hash, hash) "
        "SELECT site_id, 4, 'forged', sealed_us, hash, hash FROM audit_seal WHERE seq = 3",
    )
    assert (caen(database).first_bad.seq, caen(database).first_bad.event_id) == (4, "forged")


def test_two_events_that_changed_places_are_found(database):
    fill(database)
    chain.seal(database)
    with database.reading() as session:
        third, fourth = session.scalars(text("SELECT event_id FROM audit_seal WHERE seq IN (3, 4) ORDER BY seq")).all()
    attack(
        detached(database),
        "UPDATE audit_seal SET event_id = 'nobody' WHERE seq = 3",
        f"UPDATE audit_seal SET event_id = '{third}' WHERE seq = 4",
        f"UPDATE audit_seal SET event_id = '{fourth}' WHERE seq = 3",
    )
    assert caen(database).first_bad.seq == 3


def test_two_whole_entries_that_changed_places_are_found(database):
    fill(database)
    chain.seal(database)
    attack(
        database,
        "UPDATE audit_seal SET seq = 99 WHERE seq = 3",
        "UPDATE audit_seal SET seq = 3 WHERE seq = 4",
        "UPDATE audit_seal SET seq = 4 WHERE seq = 99",
    )
    assert caen(database).first_bad.seq == 3


def test_an_entry_moved_to_another_chain_is_found_in_both(database):
    fill(database)
    fill(database, 2, ROUEN)
    chain.seal(database)
    attack(database, "UPDATE audit_seal SET site_id = 'rouen', seq = 3 WHERE site_id = 'caen' AND seq = 6")
    sites = {site.site_id: site for site in verify(database).sites}
    assert sites["rouen"].first_bad.seq == 3
    assert sites["rouen"].first_bad.what == "its event belongs to another chain"


def test_a_seal_cut_off_the_tail_leaves_an_event_that_waits_for_nothing(database):
    fill(database)
    chain.seal(database)
    attack(database, "DELETE FROM audit_seal WHERE seq = 6")
    assert caen(database).first_bad.what == "the event has no seal and does not wait for one"


@pytest.mark.parametrize("batch", [2, 5000])
def test_a_chain_that_cannot_go_on_holds_up_no_other(database, monkeypatch, batch, caplog):
    monkeypatch.setattr(chain, "_BATCH", batch)
    fill(database)
    chain.seal(database)
    attack(database, "UPDATE audit_seal SET hash = 'none' WHERE site_id = 'caen' AND seq = 6")
    fill(database, 4)
    fill(database, 3, ROUEN)
    assert chain.seal(database) == 3
    sites = {site.site_id: site for site in verify(database).sites}
    assert (sites[ROUEN].entries, sites[ROUEN].waiting) == (3, 0)
    assert (sites[CAEN].first_bad.seq, sites[CAEN].waiting) == (6, 4)
    assert "caen" in caplog.text
    caplog.clear()
    alarm = Alarm()
    for _ in range(3):
        chain.seal(database, alarm)
    assert len(caplog.records) == 1, "what goes on twice a second is told once"


def test_a_tail_cut_off_with_its_events_cannot_be_seen_from_within(database):
    """The honest limit: it takes a witness who has kept a later head. See docs/reference/audit-format.md."""
    fill(database)
    chain.seal(database)
    kept = caen(database).head
    event = event_of(6)
    attack(
        detached(database),
        f"DELETE FROM audit_personal WHERE event_id = {event}",
        f"DELETE FROM audit_event WHERE id = {event}",
        "DELETE FROM audit_seal WHERE seq = 6",
    )
    assert (caen(database).first_bad.seq, caen(database).entries) == (6, 5)
    attack(database, "DELETE FROM audit_tree")
    report = caen(database)
    assert report.whole
    assert report.entries == 5
    assert report.head != kept


def test_bytes_that_are_no_text_are_found(sqlite_template, tmp_path):
    """SQLite alone can hold them: PostgreSQL checks its encoding."""
    shutil.copyfile(sqlite_template, tmp_path / "iain.db")
    database = open_database(f"sqlite:///{tmp_path / 'iain.db'}")
    fill(database)
    chain.seal(database)
    attack(database, f"UPDATE audit_event SET detail = CAST(x'7bff7d' AS TEXT) WHERE id = {event_of(4)}")
    assert caen(database).first_bad == chain.BadEntry(4, None, "the entry holds bytes that are no text")
    attack(database, f"UPDATE audit_event SET recorded_us = 'yesterday' WHERE id = {event_of(3)}")
    assert caen(database).first_bad.seq == 3
    database.close()


@pytest.mark.parametrize("edit", ["", "3", "4", "5", "8"])
@pytest.mark.parametrize("apart", [False, True])
def test_a_long_chain_is_walked_in_stretches_that_hold_together(database, monkeypatch, edit, apart):
    monkeypatch.setattr(chain_walk, "STRETCH", 4)
    monkeypatch.setattr(chain_walk, "WORTH_PROCESSES", 2)
    fill(database, 9)
    chain.seal(database)
    checkpoints.sign(database, checkpoints.Signer.new())
    fill(database, 2)
    chain.seal(database)
    if edit:
        attack(database, f"UPDATE audit_seal SET hash = '{'0' * 64}' WHERE site_id = 'caen' AND seq = {edit}")
    with ThreadPoolExecutor(3) as pool, database.reading() as session:
        (report,) = chain.verify(session, pool if apart else None).sites
        if apart and session.get_bind().dialect.name == "postgresql":  # else it would be ended while it waits
            assert session.scalar(text("SHOW idle_in_transaction_session_timeout")) == "0"
    assert report.entries == (int(edit) - 1 if edit else 11)
    assert (report.first_bad and report.first_bad.seq) == (int(edit) if edit else None)
    attack(detached(database), "DELETE FROM audit_seal WHERE seq = 4")
    assert caen(database).first_bad.seq in (3, 4)


def test_a_tree_or_a_checkpoint_that_was_tampered_with_is_found_and_stops_nothing(sqlite_template, tmp_path):
    """SQLite holds any type in any column; sealing and verifying go on all the same."""
    shutil.copyfile(sqlite_template, tmp_path / "iain.db")
    database = open_database(f"sqlite:///{tmp_path / 'iain.db'}")
    signer = checkpoints.Signer.new()
    fill(database)
    chain.seal(database)
    checkpoints.sign(database, signer)
    kept = tmp_path / "kept.db"
    database.close()
    shutil.copyfile(tmp_path / "iain.db", kept)
    deep = "[" * 100_000
    for table, change in (
        ("audit_tree", "size = 'six'"),
        ("audit_tree", "size = 7"),
        ("audit_tree", "edge = 'no list'"),
        ("audit_tree", "edge = '[1, 2]'"),
        ("audit_tree", "edge = CAST(x'ff' AS TEXT)"),
        ("audit_tree", f"edge = '{deep}'"),
        ("audit_event", f"entities = '{deep}'"),
        ("audit_checkpoint", "size = 'six'"),
        ("audit_checkpoint", "size = 5"),
        ("audit_checkpoint", "root = 5"),
        ("audit_checkpoint", "note = 'no note'"),
        ("audit_checkpoint", "note = x'ff'"),
        ("audit_checkpoint", "note = CAST(x'ff' AS TEXT)"),
    ):
        shutil.copyfile(kept, tmp_path / "iain.db")
        database = open_database(f"sqlite:///{tmp_path / 'iain.db'}")
        attack(database, f"UPDATE {table} SET {change}")
        assert caen(database).first_bad is not None, change
        with database.reading() as session:
            assert len(audit_search.read(session, MANAGER, audit_search.Filters()).rows) == 6
        fill(database, 1)
        assert chain.seal(database) == 1
        chain.catch_up(database)
        assert caen(database).first_bad is not None, change
        database.close()


def test_several_sealers_make_one_chain(database):
    start = threading.Barrier(4)
    failures = []

    def work():
        start.wait()
        try:
            for _ in range(5):
                fill(database, 4)
                chain.seal(database)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    chain.seal(database)
    assert failures == []
    assert (caen(database).entries, caen(database).waiting, caen(database).whole) == (80, 0, True)


def test_a_long_queue_is_sealed_in_one_call(database, monkeypatch):
    monkeypatch.setattr(chain, "_BATCH", 3)
    fill(database, 8)
    assert chain.seal(database) == 8
    assert caen(database).entries == 8


def test_the_canonical_form_is_the_documented_one(database):
    """Computed here anew from docs/reference/audit-format.md, down to the head of the chain."""
    fill(database, 2)
    chain.seal(database)
    head = bytes(32)
    with database.reading() as session:
        seals = session.execute(text("SELECT * FROM audit_seal ORDER BY seq")).mappings().all()
        events = {row["id"]: row for row in session.execute(text("SELECT * FROM audit_event")).mappings()}
    for seal in seals:
        row = events[seal["event_id"]]
        told = {
            "version": row["version"],
            "id": row["id"],
            "site": row["site_id"],
            "recorded_us": row["recorded_us"],
            "type": row["type"],
            "act": row["act"],
            "action": row["action"],
            "outcome": row["outcome"],
            "agent": {
                "kind": row["agent_kind"],
                "id": row["agent_id"],
                "site": row["agent_site_id"],
                "role": row["agent_role"],
            },
            "purpose": row["purpose"],
            "entities": json.loads(row["entities"]),
            "detail": json.loads(row["detail"]),
            "commitment": row["commitment"],
        }
        leaf = json.dumps(told, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
        numbers = seal["seq"].to_bytes(8, "big") + seal["sealed_us"].to_bytes(8, "big")
        head = hashlib.sha256(b"\x02" + head + numbers + hashlib.sha256(b"\x00" + leaf).digest()).digest()
        assert seal["hash"] == head.hex()
    assert caen(database).head == head.hex()


words = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=12)
subjects = st.one_of(
    st.just(System()),
    st.builds(lambda name: Agent(ScannerId("s"), CAEN, name), words),
    st.builds(lambda name, role: Member(MemberId("m"), ROUEN, "Rouen", role, name, "l"), words, st.sampled_from(Role)),
)
events = st.fixed_dictionaries(
    {
        "site_id": st.sampled_from([CAEN, ROUEN]),
        "act": st.sampled_from(Act),
        "subject": subjects,
        "outcome": st.sampled_from(Outcome),
        "entities": st.lists(st.builds(Entity, st.sampled_from(["case", "slide", "member"]), words), max_size=3),
        "detail": st.dictionaries(words, words, max_size=3),
        "personal": st.dictionaries(words, words, max_size=3),
        "purpose": st.one_of(st.none(), st.sampled_from(Purpose)),
    }
)


@pytest.fixture(scope="module")
def scratch(sqlite_template, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("chain")
    shutil.copyfile(sqlite_template, folder / "template.db")
    return folder


@settings(max_examples=60, deadline=None)
@given(recorded=st.lists(events, min_size=1, max_size=8), seal_after=st.integers(1, 8), data=st.data())
def test_any_events_verify_and_any_single_edit_is_found(scratch, recorded, seal_after, data):
    path = scratch / f"{new_id()}.db"
    shutil.copyfile(scratch / "template.db", path)
    database = open_database(f"sqlite:///{path}", FrozenClock())
    try:
        for number, event in enumerate(recorded):
            with database.writing() as session:
                audit.record(session, **event)
            if number % seal_after == 0:
                chain.seal(database)
        chain.seal(database)
        report = verify(database)
        assert report.whole
        assert sum(site.entries for site in report.sites) == len(recorded)

        column = data.draw(st.sampled_from(sorted(EDITS)))
        position = data.draw(st.integers(1, len(recorded)))
        with database.reading() as session:
            value, site_id, seq = session.execute(
                text(
                    f"SELECT e.{column}, s.site_id, s.seq FROM audit_event e JOIN audit_seal s ON s.event_id = e.id "
                    "WHERE e.position = :position"
                ),
                {"position": position},
            ).one()
        other = data.draw(words.filter(lambda new: new != value) if not isinstance(value, int) else st.just(value + 1))
        attack(database)
        with database.writing() as session:
            statement = f"UPDATE audit_event SET {column} = :other WHERE position = :position"
            session.execute(text(statement), {"other": other, "position": position})
        bad = next(site for site in verify(database).sites if site.site_id == site_id).first_bad
        assert bad is not None
        assert bad.seq == seq
    finally:
        database.close()
