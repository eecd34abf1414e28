"""What a witness outside the server makes of the log: seven kinds of tampering are found, each in its place.

The attacker owns the server, the database and the server's key. The thousands of the whole run are in
`benchmarks/torture_sharing/mutations.py`, which shares its attacks with these.
"""

import base64
import json
import shutil
import subprocess
import sys

import pytest
from fixtures.witnessing import Guard, Platform, exported
from sqlalchemy import text

from benchmarks.torture_sharing.tampering import KINDS, Attacker, History, Tally, forge_history
from ingest.agent.cosigner import Listed
from ingest.agent.cosigner_record import EDGES, RECORD, SECRET, RecordError, open_cosigner
from ingest.agent.messages import Language, Words
from sharing import audit, chain, checkpoints, contradictions, verifier, witnesses
from sharing.checkpoints import Signer
from sharing.db.engine import open_database
from sharing.errors import ConflictError, InvalidError, NotFoundError
from sharing.subjects import Member
from sharing.vocabulary import Act, Entity, MemberId, Purpose, Role, SiteId

CAEN, ROUEN = SiteId("caen"), SiteId("rouen")
READER = Member(MemberId("m" * 26), CAEN, "Caen", Role.PATHOLOGIST, "EXEMPLE Zoé", "login")


def act(database, count=5, site_id=CAEN):
    with database.writing() as session:
        for number in range(count):
            audit.record(
                session,
                site_id=site_id,
                act=Act.SLIDE_OPENED,
                subject=READER,
                entities=[Entity("slide", f"slide-{number}"), Entity("case", "case")],
                detail={"quote": 'a"b\\c\u2028é', "hash": "0" * 64},
                purpose=Purpose.CARE,
            )
    chain.seal(database)


@pytest.fixture
def platform(database, centres):
    chain.seal(database)
    return Platform(database, Signer.new())


@pytest.fixture
def guard(platform, tmp_path):
    return Guard(tmp_path / "witness", platform)


def sentences(looked):
    return {each.site: each.sentence for each in looked}


def caen(lines, *records):
    return next(report for report in verifier.verify(lines, records) if report.site == "caen")


def attack(database, *statements):
    with database.writing() as session:
        if database.engine.dialect.name == "postgresql":
            session.execute(text("SET LOCAL session_replication_role = replica"))
        else:
            for name in session.scalars(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).all():
                session.execute(text(f"DROP TRIGGER {name}"))
        for statement in statements:
            session.execute(text(statement))


def test_a_witness_signs_what_only_grows_and_the_export_proves_it(database, platform, guard, tmp_path):
    act(database)
    assert sentences(guard.look())["caen"] == "witness-signed"
    assert set(sentences(guard.look()).values()) == {"witness-same"}
    act(database, 3)
    looked = sentences(guard.look())
    assert looked.pop("caen") == "witness-signed"
    assert set(looked.values()) == {"witness-same"}
    act(database, 2)
    lines = exported(database, platform.signer)
    report = caen(lines, guard.record)
    assert report.whole, report.findings
    assert (report.covered, report.entries) == (report.entries - 2, chain_of(database).entries)
    assert report.head == chain_of(database).head
    told = verifier.told(report, "en")
    assert any(f"the entries {report.entries - 1} to {report.entries}" in line for line in told), told
    bare = caen(exported(database, platform.signer, "caen", persons=False), guard.record)
    assert (bare.whole, bare.head) == (True, report.head)
    assert bare.erased >= 10
    assert "EXEMPLE" not in "".join(exported(database, platform.signer, "caen", persons=False))

    # In an empty folder, by Python alone.
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    shutil.copyfile(verifier.__file__, folder / "verifier.py")
    (folder / "log").write_text("".join(lines), encoding="utf-8", newline="\n")
    shutil.copyfile(guard.folder / RECORD, folder / RECORD)
    command = [sys.executable, "-I", "-S", "verifier.py", "log", "--language", "en"]
    done = subprocess.run([*command, "--witness", RECORD], cwd=folder, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "seen by witness.rouen" in done.stdout
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0
    assert "so the log itself says" in done.stdout
    assert "cannot be seen" in done.stdout


def chain_of(database):
    with database.reading() as session:
        return next(site for site in chain.verify(session).sites if site.site_id == CAEN)


def test_erasing_a_person_leaves_everything_whole(database, platform, guard, centres):
    act(database)
    guard.look()
    with database.writing() as session:
        event = session.scalar(text("SELECT event_id FROM audit_seal WHERE site_id = 'caen' AND seq = 3"))
        officer = centres.caen.protection_officer
        assert audit.erase_personal(session, officer, event)
    report = caen(exported(database, platform.signer), guard.record)
    assert (report.whole, report.erased) == (True, 1)
    assert sentences(guard.look())["caen"] == "witness-signed"


def test_what_contradicts_a_witness_it_does_not_sign_and_keeps(database, platform, guard):
    act(database)
    guard.look()
    seen = guard.record.seen[platform.signer.key(CAEN).name][-1].checkpoint.size
    # The owner of the database rewrites history, with all hashes, and signs it with the server's key.
    with database.reading() as session:
        history = History.read(session, CAEN)
    history.events[2]["outcome"] = "failed"
    forge_history(database, history)
    act(database, 2)
    (told,) = [each for each in guard.look() if each.site == "caen"]
    assert (told.contradiction, told.sentence, told.values["seen"]) == (True, "witness-rewritten", seen)
    evidence = json.loads(told.values["evidence"].read_text())
    assert verifier.parse_checkpoint(evidence["before"]).size == seen
    assert verifier.parse_checkpoint(evidence["checkpoint"]).is_signed_by(platform.signer.key(CAEN))
    guard.look()
    assert len(list(told.values["evidence"].parent.iterdir())) == 1, "the same evidence is kept once"
    assert chain_of(database).whole, "from within, nothing is to be seen"
    report = caen(exported(database, platform.signer), guard.record)
    assert [(each.code, each.first, each.last) for each in report.findings] == [("rewritten", 1, seen)]
    assert caen(exported(database, platform.signer)).whole, "the control: without a witness, nobody can tell"


def test_a_log_that_shrinks_is_told_until_a_person_accepts_it(database, platform, guard, tmp_path):
    act(database)
    guard.look()
    kept = exported(database, platform.signer)
    act(database, 3)
    guard.look()
    seen = guard.record.seen[platform.signer.key(CAEN).name][-1].checkpoint.size
    with database.reading() as session:
        history = History.read(session, CAEN)
    history.cut(seen - 2)
    forge_history(database, history)
    (told,) = [each for each in guard.look() if each.site == "caen"]
    assert (told.sentence, told.values["size"], told.values["seen"]) == ("witness-shorter", seen - 2, seen)
    report = caen(kept, guard.record)
    assert [(each.code, each.last) for each in report.findings] == [("shorter", seen)], "an old copy, put back"
    origin = platform.signer.key(CAEN).name
    guard.opened().begin_anew(origin, 1_790_000_000)
    assert sentences(guard.look())["caen"] == "witness-signed"
    report = caen(exported(database, platform.signer), guard.record)
    assert report.whole, report.findings
    assert [(each.code, each.last) for each in report.notes] == [("restart", seen)]


def test_nobody_else_can_make_a_witness_give_up_what_it_saw(database, platform, guard):
    act(database, 3)
    guard.look()
    origin, record = platform.signer.key(CAEN).name, guard.folder / "record.jsonl"
    seen = record.read_text()
    guard.opened().begin_anew(origin, 1_790_000_000)
    genuine = record.read_text().removeprefix(seen)
    assert verifier.parse_record(seen + genuine).restarts == {origin: [(seen.count("\n") + 1, 1_790_000_000)]}
    told = json.loads(genuine)
    first, rest = seen.split("\n", 1)
    for forged in (
        seen + verifier.canonical({"restart": origin, "when": 1_790_000_000}) + "\n",
        seen + verifier.canonical(told | {"when": 1_790_000_001}) + "\n",
        seen + verifier.canonical(told | {"restart": "iain-other/caen"}) + "\n",
        seen + rest + genuine,
        first + "\n" + genuine,
    ):
        with pytest.raises(verifier.NoteError):
            verifier.parse_record(forged)


def test_a_log_by_another_name_or_key_is_not_signed(database, platform, guard):
    act(database)
    guard.look()
    assert {each.sentence for each in guard.look(Platform(database, Signer.new()))} == {"witness-renamed"}
    other = Signer(platform.signer.name, Signer.new()._private)
    assert {each.sentence for each in guard.look(Platform(database, other))} == {"witness-other-key"}
    report = caen(exported(database, Signer.new()), guard.record)
    assert "origin" in {each.code for each in report.findings}
    report = caen(exported(database, other), guard.record)
    assert {"key", "checkpoint-signature"} <= {each.code for each in report.findings}
    assert caen(exported(database, platform.signer)).whole


class Liar(Platform):
    """Whoever holds the server may answer anything."""

    def __init__(self, database, signer, site="caen", key=None, note=None, told=None):
        super().__init__(database, signer)
        self.site, self.key, self.note, self.told = site, key or str(signer.key(CAEN)), note, told

    def logs(self):
        return [Listed(self.site, self.key, 0)]

    def checkpoint(self, site):
        return super().checkpoint(site) if self.note is None else self.note

    def hashes(self, site, after, until):
        return super().hashes(site, after, until) if self.told is None else self.told


def test_whatever_a_server_answers_the_witness_signs_nothing_wrong(database, platform, guard):
    act(database)
    signer = platform.signer
    huge = signer.signed(CAEN, 10**17, bytes(32), bytes(32))
    theirs = Signer.new().signed(CAEN, 3, bytes(32), bytes(32))
    for lie, sentence in (
        ({"site": "../../caen"}, "witness-nonsense"),
        ({"key": "key"}, "witness-nonsense"),
        ({"site": "rouen"}, "witness-renamed"),
        ({"note": "note"}, "witness-nonsense"),
        ({"note": theirs}, "witness-unsigned"),
        ({"note": huge}, "witness-nonsense"),
        ({"told": b""}, "witness-entries-missing"),
        ({"told": b"x" * 39}, "witness-entries-missing"),
        ({"told": bytes(40 * 999)}, "witness-entries-missing"),
        ({"told": bytes(40)}, "witness-rewritten"),
    ):
        looked = guard.look(Liar(database, signer, **lie))
        assert {each.sentence for each in looked if each.contradiction} >= {sentence}, lie
        assert all(each.contradiction for each in looked), lie
        for each in looked:
            assert each.values["evidence"].parent == guard.folder / "evidence"
            Words(Language.FR)(each.sentence, **each.values)
    assert guard.record.seen == {}


class Silent(Platform):
    """Shows no log of Caen any more."""

    def logs(self):
        return [each for each in super().logs() if each.site != "caen"]


def test_a_log_that_is_no_longer_shown_is_told(database, platform, guard):
    act(database)
    guard.look()
    assert sentences(guard.look(Silent(database, platform.signer)))["caen"] == "witness-gone"


def test_a_witness_that_dies_has_signed_nothing_it_does_not_know(database, platform, guard):
    """It dies between its disk and the platform, or while it writes; its edges are lost; then it goes on."""
    act(database)

    class Away(Platform):
        def cosign(self, site, size, line):
            raise ConnectionError

    with pytest.raises(ConnectionError):
        guard.look(Away(database, platform.signer))
    with (guard.folder / RECORD).open("ab") as record:
        record.write(b'{"checkpoint":"ia')
    (guard.folder / EDGES).unlink()
    looked = sentences(guard.look())
    assert looked.pop("caen") == "witness-same"
    with database.reading() as session:
        assert [each.size for each in witnesses.standing(session, CAEN)] == [chain_of(database).entries]
    act(database, 1)
    assert sentences(guard.look())["caen"] == "witness-signed"
    (guard.folder / SECRET).unlink()
    with pytest.raises(RecordError, match="witness-key-lost"):
        open_cosigner(guard.folder, "new")


def test_a_tampered_database_is_exported_as_it_is_and_the_entry_is_named(database, platform, guard):
    act(database)
    guard.look()
    event = "(SELECT event_id FROM audit_seal WHERE site_id = 'caen' AND seq = 4)"
    for change in ("detail = 'no json'", "recorded_us = recorded_us + 1", "detail = '{}' || chr(10)"):
        change = change.replace("chr(10)", "char(10)") if database.engine.dialect.name == "sqlite" else change
        attack(database, f"UPDATE audit_event SET {change} WHERE id = {event}")
        report = caen(exported(database, platform.signer), guard.record)
        assert (report.entries, report.findings[0].first) == (3, 4), change


def test_a_chain_older_than_trees_is_caught_up_with(database, platform, monkeypatch):
    act(database, 7)
    with database.reading() as session:
        before = session.execute(text("SELECT * FROM audit_tree ORDER BY site_id")).all()
    attack(database, "DELETE FROM audit_tree WHERE site_id = 'caen'")
    act(database, 1)
    assert chain_of(database).whole
    monkeypatch.setattr(chain, "_BATCH", 3)
    chain.catch_up(database)
    with database.reading() as session:
        after = session.execute(text("SELECT * FROM audit_tree ORDER BY site_id")).all()
    assert [(row.site_id, row.size) for row in after] == [
        (row.site_id, row.size + (row.site_id == "caen")) for row in before
    ]
    assert chain_of(database).whole


def test_a_log_is_signed_when_it_has_grown_and_not_at_every_turn(database, platform):
    act(database)
    assert checkpoints.sign(database, platform.signer) > 0
    act(database)
    assert checkpoints.sign(database, platform.signer) == 0
    assert checkpoints.sign(database, platform.signer, every_us=0) == 1
    assert checkpoints.sign(database, platform.signer, every_us=0) == 0
    with database.reading() as session:
        assert checkpoints.current(session, CAEN).size == chain_of(database).entries
    assert chain_of(database).whole
    attack(database, f"UPDATE audit_checkpoint SET root = '{'0' * 64}' WHERE site_id = 'caen'")
    assert "checkpoint" in chain_of(database).first_bad.what


def test_the_covering_of_an_entry_is_the_first_that_a_witness_signed(database, platform, guard):
    act(database)
    with database.reading() as session:
        assert checkpoints.covering(session, CAEN, 1) is None
    guard.look()
    size = chain_of(database).entries
    act(database, 2)
    guard.look()
    with database.reading() as session:
        covered = checkpoints.covering(session, CAEN, size)
        assert covered.checkpoint.size == size
        assert [each.witness_name for each in covered.cosignatures] == ["witness.rouen"]
        assert verifier.parse_checkpoint(covered.note).cosigned_at(guard.known.key) == 1_790_000_000
        assert checkpoints.covering(session, CAEN).checkpoint.size == size + 2
        assert checkpoints.covering(session, CAEN, size + 3) is None


def test_a_witness_is_added_once_and_withdrawn_on_record(database, platform, guard, tmp_path):
    key = str(guard.known.key)
    with database.writing() as session:
        with pytest.raises(ConflictError):
            witnesses.add(session, CAEN, key)
        with pytest.raises(InvalidError):
            witnesses.add(session, CAEN, str(platform.signer.key(CAEN)))
        with pytest.raises(NotFoundError):
            witnesses.add(session, SiteId("nowhere"), str(open_cosigner(tmp_path / "w2", "w2").key))
        withdrawn = witnesses.withdraw(session, "witness.rouen")
        assert withdrawn is None
        with pytest.raises(NotFoundError):
            witnesses.withdraw(session, "witness.rouen")
        assert [(each.name, each.disabled_us is None) for each in witnesses.listed(session)] == [
            ("witness.rouen", False)
        ]
        acts = session.scalars(text("SELECT act FROM audit_event WHERE act LIKE 'witness.%' ORDER BY position")).all()
    assert acts == ["witness.added", "witness.disabled"]


def test_what_a_witness_holds_against_a_log_stands_until_it_signs_again(database, platform, guard, tmp_path):
    act(database)
    guard.look()
    other = Guard(tmp_path / "lille", platform, "witness.lille", "lille")

    def standing(site_id):
        with database.reading() as session:
            found = contradictions.concerning(session, SiteId(site_id))
            assert set(found) <= set(contradictions.everywhere(session))
        return [(each.witness, each.witness_site, each.log, each.log_site, each.what) for each in found]

    def report(witness, site_id, what):
        with database.writing() as session:
            contradictions.report(session, witness.known, SiteId(site_id), what)

    assert standing("caen") == []
    for _ in range(3):
        report(guard, "caen", "rewritten")
    report(other, "platform", "shorter")
    told = ("witness.rouen", "Rouen", "caen", "Caen", "rewritten")
    assert (standing("caen"), standing("rouen")) == ([told], [told])
    assert standing("lille") == [("witness.lille", "Lille", "platform", "", "shorter")]
    with pytest.raises(NotFoundError):
        report(guard, "nowhere", "rewritten")
    with pytest.raises(InvalidError):
        report(guard, "caen", "that I do not like it")

    chain.seal(database)
    guard.look()
    assert standing("caen") == [], "it has signed the log again"
    report(guard, "caen", "other-key")
    assert standing("caen")
    assert sentences(guard.look())["caen"] == "witness-same"
    assert standing("caen") == [], "also where nothing was added meanwhile"
    report(guard, "caen", "gone")
    with database.writing() as session:
        witnesses.withdraw(session, "witness.rouen")
    assert standing("caen") == [], "nobody believes it any more"
    with database.reading() as session:
        acts = session.execute(
            text("SELECT site_id, act FROM audit_event WHERE act LIKE 'witness.re%' ORDER BY position")
        ).all()
    for site_id in ("caen", "rouen"):
        assert [row.act for row in acts if row.site_id == site_id] == [
            "witness.refused",
            "witness.resumed",
            "witness.refused",
            "witness.resumed",
            "witness.refused",
        ]
    assert [row.site_id for row in acts if row.site_id in ("lille", "platform")] == ["lille", "platform"]


@pytest.fixture(scope="module")
def attacker(sqlite_template, tmp_path_factory):
    folder = tmp_path_factory.mktemp("attacker")
    shutil.copyfile(sqlite_template, folder / "iain.db")
    database = open_database(f"sqlite:///{folder / 'iain.db'}")
    yield Attacker.prepare(database, folder / "witness", entries=18, looks=4, seed=7)
    database.close()


def test_seven_kinds_of_tampering_are_found_in_their_place(attacker, figure):
    assert attacker.is_quiet_about_the_truth()
    total = Tally()
    for kind in KINDS:
        total += attacker.run(kind, 8)
    assert total.undetected == []
    assert total.missed_without_witness == total.beyond_the_chain > 20, "the control: without a witness, none is found"
    figure("audit.mutations", total.mutations)
    figure("audit.undetected", len(total.undetected))


def test_a_witness_adds_one_line_of_its_own_and_nothing_in_the_name_of_others(database, platform, guard, tmp_path):
    """Else any of them could have every export fail its verification, and a page stumble over a time that is none."""
    act(database)
    guard.look()
    other = Guard(tmp_path / "other", platform, "witness.lille", "lille")
    platform.witness, signer = other.known, other.opened()
    with database.reading() as session:
        checkpoint = checkpoints.latest(session, CAEN)
    body = verifier.parse_checkpoint(checkpoint.note).body

    def line(when):
        signature = base64.b64decode(signer.signature_of(verifier.cosigned_message(when, body)))
        return verifier.signature_line(signer.key, when.to_bytes(8, "big") + signature)

    forged = verifier.signature_line(guard.opened().key, bytes(72))
    for lines in (f"{forged}\n{line(1)}", f"{line(1)}\n{forged}", forged, line(10**12), line(2**63)):
        with pytest.raises(InvalidError):
            platform.cosign("caen", checkpoint.size, lines)
    platform.cosign("caen", checkpoint.size, line(1))
    report = caen(exported(database, platform.signer, "caen"), guard.record, other.record)
    assert report.whole
    assert [each.name for each in report.coverage] == ["witness.rouen", "witness.lille"]
