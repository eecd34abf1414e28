"""A role of the server that owns no table, and could drop them all the same: it must be told, and not be trusted."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from fixtures.postgres import PostgresServer
from psycopg import sql
from sqlalchemy import text

from sharing.db import privileges
from sharing.db.engine import Database, open_database
from sharing.db.migrations import upgrade
from sharing.db.privileges import ERASABLE, SEALED
from sharing.errors import InvalidError
from sharing.vocabulary import new_id

ALL = sorted((*SEALED, *ERASABLE))


@contextmanager
def database_of(postgres: PostgresServer) -> Iterator[tuple[str, str, str]]:
    """The names of an empty database, of its owner and of the server's role."""
    names = tuple(f"{kind}_{new_id()}" for kind in ("iain", "owner", "server"))
    name, owner, server = map(sql.Identifier, names)
    with psycopg.connect(postgres.url("postgres"), autocommit=True) as connection:
        for role in (owner, server):
            connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(role))
        connection.execute(sql.SQL("CREATE DATABASE {} OWNER {} STRATEGY FILE_COPY").format(name, owner))
    yield names[0], names[1], names[2]
    with psycopg.connect(postgres.url("postgres"), autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))
        for role in (owner, server):
            connection.execute(sql.SQL("DROP ROLE {}").format(role))


WAYS = (
    ("schema", "ALTER DATABASE {name} OWNER TO {server}", "ALTER DATABASE {name} OWNER TO {owner}"),
    ("schema", "ALTER SCHEMA public OWNER TO {server}", "ALTER SCHEMA public OWNER TO pg_database_owner"),
    ("tables", "ALTER ROLE {server} NOINHERIT; GRANT {owner} TO {server}", "REVOKE {owner} FROM {server}"),
)
"""What the role could own, how it comes to that, and how it is taken back."""


def test_who_could_drop_what_is_sealed_is_no_role_for_the_server(postgres: PostgresServer) -> None:
    with database_of(postgres) as (name, owner, server):
        addresses = [postgres.url(name).replace("//postgres@", f"//{role}@") for role in (owner, server)]
        by_owner, by_server = map(open_database, addresses)
        upgrade(by_owner)
        with by_owner.connect_for_schema() as connection:
            privileges.grant(connection, server)
        quoted = {"name": sql.Identifier(name), "owner": sql.Identifier(owner), "server": sql.Identifier(server)}
        with psycopg.connect(postgres.url(name), autocommit=True) as administrator:
            for told, given, taken in WAYS:
                with by_server.reading() as session:
                    assert privileges.alterable(session.connection()) == [], "the control"
                administrator.execute(sql.SQL(given).format(**quoted))
                with by_server.reading() as session:
                    assert privileges.alterable(session.connection()) == ALL, given
                with by_owner.connect_for_schema() as connection, pytest.raises(InvalidError, match=f"owns the {told}"):
                    privileges.grant(connection, server)
                assert drops(by_server, owner if told == "tables" else server), "it is no idle fear"
                administrator.execute(sql.SQL(taken).format(**quoted))
        by_owner.close()
        by_server.close()


def drops(database: Database, role: str) -> bool:
    """Whether a connection can drop, as this role, what is sealed; it is undone."""
    with database.engine.connect() as connection:
        connection.execute(text(f"SET ROLE {role}"))
        connection.execute(text("DROP TABLE audit_seal"))
        gone = connection.scalar(text("SELECT to_regclass('audit_seal') IS NULL"))
        connection.rollback()
    return bool(gone)
