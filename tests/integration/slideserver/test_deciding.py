"""What another process decides is what this one would, and a process that dies is not missed."""

import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

import pytest
from fixtures.server import World
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from sharing import sessions
from sharing.db.tables import AuditEventRow
from sharing.errors import BusyError
from sharing.vocabulary import Act, SlideId
from slideserver.admissions import Admissions, Admitting, Decision, Key, Look, Verdict
from slideserver.deciding import MOST_BYTES, TOLD, Elsewhere, Line, Told, UndecidedError, lay, serve

KEY: Key = (";guest", SlideId("a" * 26), Look.TILE)


@pytest.fixture
def line() -> Iterator[Line]:
    [line] = lay(1)
    yield line
    for end in line:
        end.close()


@pytest.fixture
def elsewhere(line: Line) -> Elsewhere:
    return Elsewhere([line], within_s=60)


@contextmanager
def deciding(line: Line, admissions: Admitting) -> Iterator[None]:
    thread = threading.Thread(target=serve, args=(line[1], admissions))
    thread.start()
    try:
        yield
    finally:
        line[0].shutdown(socket.SHUT_WR)
        thread.join(60)


class Failing:
    """Raises instead of deciding."""

    def __init__(self, problem: Exception) -> None:
        self.problem = problem

    def look(self, keys: Sequence[Key]) -> Mapping[Key, Decision | None]:
        raise self.problem

    admit = look


class Refusing:
    def look(self, keys: Sequence[Key]) -> Mapping[Key, Decision | None]:
        return dict.fromkeys(keys, Decision(Verdict.ABSENT, 7, 8))

    admit = look


def test_the_decisions_are_those_of_this_process(settings, database, centres, indexed, line, elsewhere) -> None:
    settings.var.mkdir()
    slide = World("", settings, database, centres, indexed).add_slide(centres.caen, "26H01234")
    with database.writing() as session:
        tokens = [sessions.create(session, site.pathologist) for site in (centres.caen, centres.rouen)]
    here = Admissions(database)
    with deciding(line, here):
        keys: list[Key] = [(f"{token};", slide.id, Look.TILE) for token in tokens]
        keys.append((";nobody\xff\x00", SlideId("a" * 26), Look.THUMBNAIL))
        first = elsewhere.look(keys)
        assert [told and told.verdict for told in first.values()] == [None, None, Verdict.SIGNED_OUT]
        admitted = elsewhere.admit(keys[:2])
        assert [told.verdict for told in admitted.values()] == [Verdict.ALLOWED, Verdict.ABSENT]
        assert admitted[keys[0]].slide == slide
        with database.reading() as session:
            opened = session.scalars(select(AuditEventRow.id).where(AuditEventRow.act == Act.SLIDE_OPENED)).all()
        assert len(opened) == 1
        for key, told in elsewhere.look(keys).items():
            expected = here.look([key])[key]
            assert (told and replace(told, expires_us=0)) == (expected and replace(expected, expires_us=0))
            assert (told is None) == (key == keys[1])


def test_an_answer_that_nobody_waited_for_is_nobodys(line, elsewhere) -> None:
    line[1].sendall(TOLD.dump_json(Told("1234", [Decision(Verdict.ALLOWED, 1, 2**62)])))
    with deciding(line, Failing(ValueError("no"))), pytest.raises(UndecidedError, match="ValueError"):
        elsewhere.look([KEY])


def test_who_takes_the_place_of_a_dead_one_is_asked_again(line, elsewhere) -> None:
    told: list[object] = []

    def ask() -> None:
        told.append(elsewhere.look([KEY]))

    asking = threading.Thread(target=ask)
    asking.start()
    assert line[1].recv(MOST_BYTES), "taken up by a process that dies"
    with deciding(line, Refusing()):
        asking.join(60)
        assert told == [{KEY: Decision(Verdict.ABSENT, 7, 8)}]


@pytest.mark.parametrize("problem", [BusyError("busy"), OperationalError("SELECT 1", {}, Exception())])
def test_a_database_that_cannot_be_had_is_no_error_of_the_question(line, elsewhere, problem: Exception) -> None:
    with deciding(line, Failing(problem)), pytest.raises(BusyError):
        elsewhere.admit([KEY])


def test_nobody_waits_for_ever(line) -> None:
    with pytest.raises(BusyError):
        Elsewhere([line], within_s=0.05).look([KEY])


@pytest.mark.parametrize("length", [MOST_BYTES, MOST_BYTES + 100_000, 4 * MOST_BYTES])
def test_a_question_that_is_too_long_leaves_the_line_as_it_was(line, elsewhere, length: int) -> None:
    with deciding(line, Refusing()):
        with pytest.raises(UndecidedError, match="too long"):
            elsewhere.look([(";" + "a" * length, KEY[1], Look.TILE)])
        assert elsewhere.look([KEY])[KEY] == Decision(Verdict.ABSENT, 7, 8)


def test_a_question_that_cannot_be_read_ends_nothing(line, elsewhere) -> None:
    with deciding(line, Refusing()):
        line[0].sendall(b'{"number":"1"')
        assert elsewhere.look([KEY])[KEY] == Decision(Verdict.ABSENT, 7, 8)
