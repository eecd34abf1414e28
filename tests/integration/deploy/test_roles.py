"""Two roles on PostgreSQL: one owns the tables, the other does the platform's work and can change nothing sealed."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from fixtures.centres import Centres, found_centres
from fixtures.ports import free_port
from fixtures.postgres import PostgresServer
from fixtures.server import World, running_server
from psycopg import sql
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from typer.testing import CliRunner

from ingest.procrastination import ProcrastinateQueue
from sharing import audit, audit_search, chain
from sharing.db import privileges
from sharing.db.engine import Database, open_database
from sharing.db.migrations import upgrade
from sharing.db.privileges import ERASABLE, SEALED
from sharing.vocabulary import Act, Outcome, new_id
from slideserver.cli import app
from slideserver.operations import doctor
from slideserver.settings import Settings
from tiler.sandbox import IndexedSlide, Sandbox


@pytest.fixture
def sandbox() -> Sandbox:
    return Sandbox()


@pytest.fixture
def roles(postgres: PostgresServer) -> Iterator[tuple[str, str]]:
    """The addresses of an empty database as its owner and as the role of the server."""
    owner, server, name = f"owner_{new_id()}", f"server_{new_id()}", f"iain_{new_id()}"
    with psycopg.connect(postgres.url("postgres"), autocommit=True) as connection:
        for role in (owner, server):
            connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(role)))
        make = sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE template0 STRATEGY FILE_COPY")
        connection.execute(make.format(sql.Identifier(name), sql.Identifier(owner)))
    yield tuple(postgres.url(name).replace("//postgres@", f"//{role}@") for role in (owner, server))
    with psycopg.connect(postgres.url("postgres"), autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
        for role in (owner, server):
            connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))


def migrate(owner: str, server: str, var: Path) -> str:
    environment = {"IAIN_DATABASE_OWNER_URL": owner, "IAIN_DATABASE_URL": server, "IAIN_VAR": str(var)}
    done = CliRunner().invoke(app, ["migrate"], env=environment)
    assert done.exit_code == 0, done.output
    return done.output


def test_the_server_works_with_what_it_may_and_cannot_change_what_is_sealed(
    roles: tuple[str, str], tmp_path: Path, indexed: IndexedSlide, sandbox: Sandbox
) -> None:
    owner, server = roles
    assert "can change nothing that is sealed" in migrate(owner, server, tmp_path)
    database = open_database(server)
    with database.writing() as session:
        centres = found_centres(session)
    settings = Settings(var=tmp_path, database_url=server)
    with running_server(settings, sandbox=sandbox) as url:
        work(World(url, settings, database, centres, indexed))
    chain.seal(database)
    with database.reading() as session:
        assert chain.verify(session).whole
    refused_everywhere(database)
    with database.reading() as session:
        assert privileges.alterable(session.connection()) == []
    seals = [found for found in doctor.examine(settings, database) if found.part == "seals"]
    assert [found.state for found in seals] == [doctor.State.FINE]
    database.close()


def work(world: World) -> None:
    """What a server does with its tables: people sign in, slides come and are opened, opinions are asked and given,
    links are made and used, personal parts erased."""
    slide = world.add_slide(world.centres.caen, "26H01234")
    caen, rouen = (world.signed_in(f"pathologiste.{site}") for site in ("caen", "rouen"))
    assert caen.get("/cases").status_code == caen.get(f"/slides/{slide.id}").status_code == 200
    asked = world.ask(slide, world.centres.rouen)
    assert rouen.get(f"/consultations/{asked['id']}").status_code == 200
    answer = {"agreement": "agree", "text": "D'accord."}
    assert rouen.post(f"/api/consultations/{asked['id']}/answer", json=answer).status_code == 201
    guest = world.guest(world.link(slide))
    assert guest.get(f"/tiles/{slide.id}/{slide.version}/0/0_0").status_code == 200
    officer = world.centres.caen.protection_officer
    with world.database.writing() as session:
        event = audit_search.query(session, officer, audit_search.Filters(act=Act.CASES_LISTED)).rows[0]
        assert audit.erase_personal(session, officer, event.id)
    queue = ProcrastinateQueue(world.database)
    with world.database.writing() as session:
        queue.enqueue(session, "register", new_id(), {})
    for client in world.clients:
        client.close()


def refused_everywhere(database: Database) -> None:
    for table in (*SEALED, *ERASABLE):
        for statement in changes(table):
            with pytest.raises(DBAPIError, match="permission denied"), database.writing() as session:
                session.execute(text(statement))
    for statement in (
        "DROP TRIGGER audit_event_no_change ON audit_event",
        "ALTER TABLE audit_event DISABLE TRIGGER ALL",
    ):
        with pytest.raises(DBAPIError, match="must be owner"), database.writing() as session:
            session.execute(text(statement))


def changes(table: str) -> list[str]:
    column = {"audit_personal": "body", "opinion": "text", "consultation_move": "note", "audit_cosignature": "line"}
    name = column.get(table, "note" if table == "audit_checkpoint" else "site_id")
    found = [f"UPDATE {table} SET {name} = 'x'", f"TRUNCATE {table} CASCADE"]
    return found if table in ERASABLE else [*found, f"DELETE FROM {table}"]


def test_a_server_that_owns_the_tables_is_told_so(roles: tuple[str, str], tmp_path: Path) -> None:
    """The control: the owner could, and cannot be kept from it."""
    owner, _ = roles
    environment = {"IAIN_DATABASE_OWNER_URL": owner, "IAIN_DATABASE_URL": owner, "IAIN_VAR": str(tmp_path)}
    done = CliRunner().invoke(app, ["migrate"], env=environment)
    assert done.exit_code == 1
    assert "owns the tables" in done.output
    database = open_database(owner)
    found = {each.part: each for each in doctor.examine(Settings(var=tmp_path, database_url=owner), database)}
    database.close()
    assert found["seals"].state is doctor.State.WARNING
    assert "audit_event" in found["seals"].sentence


def test_an_older_database_is_not_brought_up_to_date_by_the_servers_role(
    roles: tuple[str, str], tmp_path: Path
) -> None:
    _, server = roles
    done = CliRunner().invoke(
        app, ["serve", "--var", str(tmp_path), "--database-url", server, "--port", str(free_port())]
    )
    assert done.exit_code == 1
    assert "IAIN_DATABASE_OWNER_URL" in done.output


def test_what_is_sealed_takes_no_change_in_sqlite_whichever_way(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path}/iain.db")
    upgrade(database)
    with database.writing() as session:
        centres: Centres = found_centres(session)
        audit.record(
            session,
            site_id=centres.caen.id,
            act=Act.CASES_LISTED,
            outcome=Outcome.SUCCESS,
            subject=centres.caen.pathologist,
        )
    chain.seal(database)
    tries = [*changes("audit_event")[::2], *changes("audit_seal")[::2], "UPDATE audit_personal SET body = 'x'"]
    tries += ["INSERT OR REPLACE INTO audit_event SELECT * FROM audit_event WHERE position = 1"]
    tries += ["REPLACE INTO audit_seal SELECT * FROM audit_seal", "UPDATE OR REPLACE audit_event SET id = 'x'"]
    for statement in tries:
        with pytest.raises(DBAPIError, match="takes no"), database.writing() as session:
            session.execute(text(statement))
    with database.reading() as session:
        assert privileges.alterable(session.connection()) == []
    with database.connect_for_schema() as connection:
        connection.execute(text("DROP TRIGGER audit_seal_no_delete"))
        assert privileges.alterable(connection) == ["audit_seal"], "the control"
    database.close()
