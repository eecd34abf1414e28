"""When the last picture can have left, as the servers themselves say."""

from contextlib import closing

import pytest
from psycopg import OperationalError
from sqlalchemy import text

from sharing import epoch, sites
from sharing.clock import SECOND_US
from sharing.db.engine import Database

MS = 1000


@pytest.fixture
def ended_us(database: Database, centres) -> int:
    """When an account was closed."""
    with database.writing() as session:
        sites.disable_member(session, centres.caen.pathologist.id)
        return session.now_us


def told(database: Database, ended_us: int, *seen: tuple[int, str, int, bool]) -> int | None:
    """`seen`: how much later than the standing epoch, who, how many ms after the end, whether it had just begun."""
    with database.writing() as session:
        standing = epoch.read(session)
        for later, process, ms, first in seen:
            epoch.saw(session, standing + later, process, ended_us + ms * MS, first=first)
        return epoch.last_tile(session, ended_us)


def test_it_is_when_the_last_server_had_learned_of_it(database, ended_us) -> None:
    seen = ((-1, "a", -5000, True), (0, "a", 120, False), (-1, "b", -900, False), (1, "b", 240, False))
    assert told(database, ended_us, *seen) == ended_us + 240 * MS


def test_what_a_server_learns_later_says_nothing_of_this_end(database, ended_us) -> None:
    assert told(database, ended_us, (0, "a", 120, False), (1, "a", 90_000, False)) == ended_us + 120 * MS


def test_a_server_that_began_afterwards_had_shown_nothing(database, ended_us) -> None:
    seen = ((0, "a", 120, False), (0, "new", 5000, True), (1, "new", 9000, False))
    assert told(database, ended_us, *seen) == ended_us + 120 * MS


def test_without_a_server_nobody_knows(database, ended_us) -> None:
    assert told(database, ended_us) is None
    assert told(database, ended_us, (0, "new", 5000, True)) is None


def test_a_right_that_ran_out_ended_by_itself(database, ended_us) -> None:
    assert told(database, ended_us - 1) == ended_us - 1


def test_a_process_says_it_once(database, ended_us) -> None:
    assert told(database, ended_us, (0, "a", 120, False), (0, "a", 500, False)) == ended_us + 120 * MS


def test_what_is_older_than_a_year_is_forgotten(database, ended_us, clock) -> None:
    assert told(database, ended_us, (0, "a", 120, False)) is not None
    clock.advance(seconds=epoch.KEPT_US / SECOND_US + 1)
    with database.writing() as session:
        epoch.bump(session)
        epoch.prune(session)
        assert epoch.last_tile(session, ended_us) is None
        assert epoch.last_tile(session, session.now_us) is None, "no server has said so yet"


def test_a_watch_sees_every_move_over_one_connection(database) -> None:
    with closing(epoch.Watch(database)) as watch:
        before = watch.read()
        for moved in (1, 2):
            with database.writing() as session:
                epoch.bump(session)
                if database.engine.dialect.name == "sqlite":
                    assert watch.read() == before + moved - 1, "what is not committed is nobody's"
            assert watch.read() == before + moved


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_watch_whose_connection_is_lost_takes_another(database) -> None:
    with closing(epoch.Watch(database)) as watch:
        before = watch.read()
        with database.writing() as session:
            its = "query = 'SELECT epoch FROM access_epoch'"
            ended = session.scalars(text(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {its}"))
            assert ended.all() == [True]
        with pytest.raises(OperationalError):
            watch.read()
        assert watch.read() == before
