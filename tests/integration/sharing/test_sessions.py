"""Log-in sessions: how long they live, and that they end everywhere."""

import hashlib

import pytest
from sqlalchemy import select

from sharing import epoch, sessions
from sharing.db.tables import SessionTokenRow


@pytest.fixture
def token(database, centres):
    with database.writing() as session:
        return sessions.create(session, centres.caen.pathologist)


def resolve(database, token):
    with database.writing() as session:
        return sessions.resolve(session, token)


def test_the_token_finds_its_member_and_only_its_hash_is_kept(database, centres, token):
    assert resolve(database, token).member == centres.caen.pathologist
    with database.reading() as session:
        assert session.scalars(select(SessionTokenRow.token_hash)).all() == [hashlib.sha256(token.encode()).hexdigest()]


def test_no_other_token_finds_anybody(database, token):
    for wrong in ("", token[:-1], token.swapcase(), token + "a", "\udc80", hashlib.sha256(token.encode()).hexdigest()):
        assert resolve(database, wrong) is None


def test_a_session_ends_after_thirty_idle_minutes(database, clock, token):
    clock.advance(minutes=29)
    assert resolve(database, token)
    clock.advance(minutes=29)
    assert resolve(database, token)
    clock.advance(minutes=30)
    assert resolve(database, token) is None


def test_a_session_ends_after_twelve_hours_however_busy(database, clock, token):
    for _ in range(12 * 60 // 20 - 1):
        clock.advance(minutes=20)
        assert resolve(database, token)
    last = resolve(database, token)
    clock.advance(minutes=20)
    assert last.expires_us == clock.now_us()
    assert resolve(database, token) is None


def test_looking_in_a_reading_transaction_does_not_prolong_it(database, clock, token):
    for _ in range(2):
        clock.advance(minutes=15)
        with database.reading() as session:
            login = sessions.resolve(session, token)
    assert login is None


def test_logging_out_ends_it_everywhere_and_moves_the_epoch_once(database, token):
    with database.writing() as session:
        before = epoch.read(session)
        assert sessions.revoke(session, token)
        assert not sessions.revoke(session, token)
        assert epoch.read(session) == before + 1
    assert resolve(database, token) is None


def test_ended_sessions_are_cleared_away(database, clock, centres, token):
    clock.advance(hours=13)
    with database.writing() as session:
        sessions.create(session, centres.rouen.pathologist)
        rows = session.scalars(select(SessionTokenRow.member_id)).all()
    assert rows == [centres.rouen.pathologist.id]
