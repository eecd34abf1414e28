"""Scanners: what proves which one it is, how its keys are exchanged, and what its agent last said."""

import hashlib

import pytest
from sqlalchemy import func, select

from sharing import epoch, heartbeats, scanners
from sharing.clock import MINUTE_US, SECOND_US
from sharing.db.tables import AuditEventRow, HeartbeatRow, ScannerKeyRow
from sharing.errors import ConflictError, InvalidError, NotFoundError, RefusedError
from sharing.vocabulary import Act

HOUR_US = 60 * MINUTE_US


def acts(database, *wanted):
    with database.reading() as session:
        counted = select(func.count()).select_from(AuditEventRow)
        return tuple(session.scalar(counted.where(AuditEventRow.act == act)) for act in wanted)


def holds(database, centre, key):
    with database.reading() as session:
        return scanners.authenticate_scanner(session, key) == centre.agent


def rotate(database, centre, hours):
    with database.writing() as session:
        return scanners.rotate(session, centre.agent.scanner_id, overlap_us=hours * HOUR_US)


def hear(database, agent, report="{}", sent_bytes=0):
    with database.writing() as session:
        heartbeats.hear(session, agent, sent_bytes=sent_bytes, report=report)


def listed(database, centre, subject=None):
    with database.reading() as session:
        return heartbeats.list_scanners(session, subject or centre.technician, centre.id)


def test_a_scanner_key_proves_its_scanner_and_is_not_kept(database, centres):
    key = centres.caen.scanner_key
    _, scanner_id, secret = key.split("_", 2)
    with database.reading() as session:
        assert scanners.authenticate_scanner(session, key) == centres.caen.agent
        row = session.scalars(select(ScannerKeyRow).where(ScannerKeyRow.scanner_id == scanner_id)).one()
    assert row.key_hash == hashlib.sha256(secret.encode()).hexdigest()
    assert len(secret) == 43  # 256 bits


@pytest.mark.parametrize("change", ["", "iain", "iain__", "iain_x_y", "_"])
def test_no_other_key_proves_anything(database, centres, change):
    key, other = centres.caen.scanner_key, centres.rouen.scanner_key
    _, scanner_id, _ = key.split("_", 2)
    swapped = f"iain_{scanner_id}_{other.split('_', 2)[2]}"
    with database.reading() as session:
        for wrong in (change, key[:-1], key + "A", key.upper(), key.replace("iain", "IAIN"), swapped, key + "\udc80"):
            assert scanners.authenticate_scanner(session, wrong) is None


def test_a_disabled_scanner_is_a_stranger_and_the_epoch_moves(database, centres):
    with database.writing() as session:
        before = epoch.read(session)
        scanners.disable_scanner(session, centres.caen.agent.scanner_id)
        assert scanners.authenticate_scanner(session, centres.caen.scanner_key) is None
        assert epoch.read(session) == before + 1
        with pytest.raises(NotFoundError):
            scanners.disable_scanner(session, centres.caen.agent.scanner_id)


def test_a_name_is_taken_once_at_its_site(database, centres):
    with database.writing() as session:
        for site in ("caen", "nowhere"):
            with pytest.raises(ConflictError):
                scanners.add_scanner(session, site, "Scanner Caen 1")
        scanners.add_scanner(session, "rouen", "Scanner Caen 1")


def test_the_former_key_holds_for_the_overlap_and_no_longer(database, centres, clock):
    first = centres.caen.scanner_key
    second = rotate(database, centres.caen, hours=2)
    assert holds(database, centres.caen, first)
    assert holds(database, centres.caen, second)
    clock.advance(hours=1)
    third = rotate(database, centres.caen, hours=48)
    clock.advance(hours=1)
    assert not holds(database, centres.caen, first), "a second exchange puts off no end"
    assert holds(database, centres.caen, second)
    assert listed(database, centres.caen)[0].keys == 2
    clock.advance(hours=47)
    assert not holds(database, centres.caen, second)
    assert holds(database, centres.caen, third)
    assert acts(database, Act.SCANNER_KEY_ADDED, Act.SCANNER_KEY_ENDED) == (2, 2)


def test_without_overlap_the_former_key_is_worthless_at_once(database, centres):
    new = rotate(database, centres.caen, hours=0)
    assert not holds(database, centres.caen, centres.caen.scanner_key)
    assert holds(database, centres.caen, new)
    assert holds(database, centres.rouen, centres.rouen.scanner_key)


def test_no_key_is_made_for_what_is_no_scanner_in_service(database, centres):
    with database.writing() as session:
        with pytest.raises(InvalidError):
            scanners.rotate(session, centres.caen.agent.scanner_id, overlap_us=91 * 24 * HOUR_US)
        with pytest.raises(NotFoundError):
            scanners.scanner_by_name(session, "caen", "Scanner Rouen 1")
        assert scanners.scanner_by_name(session, "caen", "Scanner Caen 1") == centres.caen.agent.scanner_id
        scanners.disable_scanner(session, centres.caen.agent.scanner_id)
        with pytest.raises(NotFoundError):
            scanners.rotate(session, centres.caen.agent.scanner_id)
    assert listed(database, centres.caen) == []


def test_the_last_word_is_kept_and_what_was_sent_in_each_minute_is_summed(database, centres, clock):
    agent = centres.caen.agent
    for report, sent in (("1", 5), ("2", 7)):
        hear(database, agent, report, sent)
        clock.advance(seconds=15)
    [scanner] = listed(database, centres.caen)
    assert (scanner.report, scanner.heard_us) == ("2", clock.now_us() - 15 * SECOND_US)
    clock.advance(minutes=1)
    hear(database, agent, "3", 1 << 60)
    with database.reading() as session:
        assert session.scalars(select(HeartbeatRow.report).order_by(HeartbeatRow.minute_us)).all() == ["", "3"]
        volumes = heartbeats.volumes(session, centres.caen.technician, "caen", 0, clock.now_us() + 1)
        assert [each.sent_bytes for each in volumes] == [12, heartbeats.MOST_SENT_BYTES]
        assert heartbeats.volumes(session, centres.rouen.technician, "rouen", 0, clock.now_us() + 1) == []
    assert listed(database, centres.caen)[0].report == "3"
    assert listed(database, centres.rouen)[0].report is None


def test_old_heartbeats_go_and_those_of_others_stay(database, centres, clock):
    hear(database, centres.caen.agent)
    hear(database, centres.rouen.agent)
    clock.advance(hours=9 * 24)
    hear(database, centres.caen.agent)
    with database.reading() as session:
        kept = [row.scanner_id for row in session.scalars(select(HeartbeatRow))]
    assert sorted(kept) == sorted([centres.caen.agent.scanner_id, centres.rouen.agent.scanner_id])


def test_scanners_are_shown_to_who_receives_slides_there(database, centres):
    with pytest.raises(RefusedError):
        listed(database, centres.caen, centres.caen.pathologist)
    with pytest.raises(NotFoundError):
        listed(database, centres.caen, centres.rouen.technician)
