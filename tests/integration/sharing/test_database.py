"""Transactions and migrations, on both engines."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text
from sqlalchemy.exc import DBAPIError

from sharing import chain, consultations, drafts, epoch, exchange, links, sites, slides
from sharing.db import engine as engine_module
from sharing.db import migrations
from sharing.db.engine import open_database
from sharing.db.migrations import downgrade, upgrade
from sharing.db.tables import Base, JobRow
from sharing.errors import BusyError, NotFoundError, SchemaError
from sharing.slides import StoredFile
from sharing.vocabulary import Agreement, Purpose


def ours(database, name):
    """On PostgreSQL the queue of jobs is procrastinate's: `tests/integration/ingest/test_procrastination.py`."""
    if database.engine.dialect.name == "postgresql" and (name in {"job", "job_record"} or name[:13] == "procrastinate"):
        return False
    return name != "alembic_version"


def shape(database):
    """Everything the engine knows of the schema, check constraints and names included."""
    found = inspect(database.engine)
    names = [name for name in found.get_table_names() if ours(database, name)]
    return {
        name: {
            "columns": [
                (column["name"], str(column["type"]), column["nullable"]) for column in found.get_columns(name)
            ],
            "primary key": found.get_pk_constraint(name),
            "checks": sorted((check["name"], check["sqltext"]) for check in found.get_check_constraints(name)),
            "uniques": sorted(
                (unique["name"], unique["column_names"]) for unique in found.get_unique_constraints(name)
            ),
            "foreign keys": sorted(str(key) for key in found.get_foreign_keys(name)),
            "indexes": sorted(
                (index["name"], index["column_names"], index["unique"], sorted(index.get("dialect_options", {})))
                for index in found.get_indexes(name)
            ),
        }
        for name in names
    }


def test_the_migrations_lead_to_the_schema_that_the_code_declares(database):
    with database.connect_for_schema() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "compare_type": True,
                "compare_server_default": True,
                "target_metadata": Base.metadata,
                "include_name": lambda name, kind, _: kind != "table" or ours(database, name),
                "include_object": lambda _, name, kind, *__: kind != "table" or ours(database, name),
            },
        )
        assert compare_metadata(context, Base.metadata) == []
    migrated = shape(database)
    downgrade(database, "base")
    with database.connect_for_schema() as connection:
        Base.metadata.create_all(connection)
    assert shape(database) == migrated


def test_the_newest_migration_is_known_without_reading_the_migrations():
    scripts = ScriptDirectory(str(Path(migrations.__file__).parent))
    assert migrations.head() == scripts.get_current_head()


def test_a_start_that_finds_nothing_to_migrate_does_not_wait_for_alembic(database_url):
    start = (
        "import sys, slideserver.cli\n"
        "from sharing.db.engine import open_database\n"
        "slideserver.cli.upgrade(open_database(sys.argv[1]))\n"
        "assert not [name for name in sys.modules if name.partition('.')[0] == 'alembic']\n"
    )
    subprocess.run([sys.executable, "-c", start, database_url], check=True, timeout=60)


def test_a_database_of_a_newer_version_is_left_alone(database):
    with database.connect_for_schema() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SchemaError):
        upgrade(database)
    with database.connect_for_schema() as connection:
        assert migrations.schema_of(connection) == "9999"


def test_every_constraint_is_named(database):
    for table in shape(database).values():
        assert table["primary key"]["name"]
        assert all(name for name, _ in table["checks"] + table["uniques"])
        assert "'name': None" not in str(table["foreign keys"])


def test_migrations_go_down_and_up_again_and_twice_is_once(database):
    before = shape(database)
    downgrade(database, "base")
    assert shape(database) == {}
    upgrade(database)
    upgrade(database)
    assert shape(database) == before
    with database.reading() as session:
        assert epoch.read(session) == 1


def test_two_servers_may_migrate_at_the_same_time(database):
    downgrade(database, "base")
    failures = []

    def start():
        try:
            upgrade(database)
        except DBAPIError as error:
            failures.append(error)

    threads = [threading.Thread(target=start) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert "slide" in shape(database)


def test_writing_commits_at_the_end_and_undoes_what_raised(database):
    with database.writing() as session:
        epoch.bump(session)
    with pytest.raises(DBAPIError), database.writing() as session:
        _bump_and_fail(session)
    with database.reading() as session:
        assert epoch.read(session) == 2


def _bump_and_fail(session):
    epoch.bump(session)
    session.execute(text("SELECT nothing"))


def test_reading_cannot_write_and_leaves_no_trace_on_its_connection(database):
    with pytest.raises(DBAPIError), database.reading() as session:
        epoch.bump(session)
    with database.writing() as session:
        epoch.bump(session)
        assert epoch.read(session) == 2


def test_readers_are_not_held_up_by_a_writer(database):
    with database.writing() as writer:
        epoch.bump(writer)
        with database.reading() as reader:
            assert epoch.read(reader) == 1


def test_thirty_writers_all_get_their_turn(database):
    def add():
        for _ in range(5):
            with database.writing() as session:
                epoch.bump(session)

    threads = [threading.Thread(target=add) for _ in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.reading() as session:
        assert epoch.read(session) == 151


def test_a_transaction_has_one_time(database, clock):
    with database.writing() as session:
        before = session.now_us
        clock.advance(hours=1)
        assert session.now_us == before


@pytest.fixture
def sqlite_database(sqlite_template, tmp_path):
    path = tmp_path / "copy.db"
    path.write_bytes(sqlite_template.read_bytes())
    database = open_database(f"sqlite:///{path}")
    yield database
    database.close()


def test_sqlite_is_set_to_lose_nothing(sqlite_database):
    with sqlite_database.reading() as session:
        pragma = {
            name: session.execute(text(f"PRAGMA {name}")).scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys", "secure_delete", "busy_timeout")
        }
    assert pragma == {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "secure_delete": 1,
        "busy_timeout": 15_000,
    }


def test_a_thread_that_waits_too_long_for_its_turn_is_told_so(sqlite_database, monkeypatch):
    monkeypatch.setattr(engine_module, "BUSY_TIMEOUT_S", 0.05)
    with (
        sqlite_database.writing(),
        pytest.raises(BusyError, match="busy"),
        sqlite_database.writing(),
    ):
        pass


def test_the_second_migration_goes_down_and_up_with_data_in_it(database, centres, shared):
    """Down loses what the older schema has no room for, and nothing else; up finds a whole database."""
    with database.writing() as session:
        sites.set_email(session, centres.caen.pathologist.id, "caen@hopital.example")
        asked = consultations.request(
            session,
            centres.caen.pathologist,
            centres.caen.cases["26H01234"],
            question="?",
            slide_id=shared.first,
            to_member=centres.rouen.pathologist.id,
        )
        first = consultations.answer(session, centres.rouen.pathologist, asked, agreement=Agreement.AGREE, text="Oui.")
        consultations.amend(session, centres.rouen.pathologist, asked, agreement=Agreement.MINOR, text="Enfin, oui.")
        drafts.save(session, centres.caen.pathologist, "key", "body")
        link = links.create(
            session,
            centres.caen.pathologist,
            centres.caen.cases["26H01234"],
            purpose=Purpose.CARE,
            reason="Avis",
            expires_us=session.now_us + 1_000_000,
            slide_id=shared.first,
        )
    links.redeem(database, link.id, link.secret)
    assert first
    chain.seal(database)
    before = shape(database)
    downgrade(database, "0001")
    assert "consultation" not in shape(database)
    assert "email" not in {name for name, *_ in shape(database)["member"]["columns"]}
    with database.connect_for_schema() as connection:
        assert connection.execute(text("SELECT count(*) FROM member")).scalar() == 19
        # The older program knows three roles: nobody else can sign in to it, and nobody has more rights than before.
        assert connection.execute(text("SELECT count(*) FROM member WHERE disabled_us IS NULL")).scalar() == 9
        assert connection.execute(text("SELECT count(*) FROM slide")).scalar() == 4
    upgrade(database)
    assert shape(database) == before
    with database.writing() as session:
        assert chain.verify(session).whole
        assert slides.get_slide(session, centres.caen.pathologist, shared.first)
        with pytest.raises(NotFoundError):
            slides.get_slide(session, centres.rouen.pathologist, shared.first)
        assert exchange.unread(session, centres.rouen.pathologist) == 0


def test_the_third_migration_has_every_slide_read_anew_and_touches_nothing_else(database, centres, shared):
    """Indexes have another form on either side of it. What was received and what people said stays."""
    before = shape(database)
    with database.writing() as session:
        derived = StoredFile("derived.tiles", "d" * 64, 7)
        slides.publish(session, shared.first, index_digest="e" * 64, derived=derived)
    downgrade(database, "0005")
    with database.writing() as session:
        for slide_id in (shared.first, shared.unready):
            done = dict(state="done", attempts=1, not_before_us=5, fence=1, created_us=5, finished_us=6)
            session.add(JobRow(id=f"read-{slide_id}", kind="register", key=slide_id, payload="{}", **done))
        session.add(JobRow(id="build", kind="build", key=shared.first, payload="{}", units=3, done_units=3, **done))

    def read_anew(*columns: str) -> None:
        with database.connect_for_schema() as connection:
            [(state, *values)] = connection.execute(
                text(f"SELECT {', '.join(('state', 'index_digest', 'case_id', *columns))} FROM slide WHERE id = :id"),
                {"id": shared.first},
            )
            assert (state, *values) == ("received", None, centres.caen.cases["26H01234"], *[None] * len(columns))
            jobs = connection.execute(text("SELECT key, kind, state, attempts FROM job ORDER BY attempts")).all()
            assert [tuple(job) for job in jobs] == [
                (shared.first, "register", "queued", 0),
                (shared.unready, "register", "done", 1),
            ]
            files = connection.execute(text("SELECT name FROM slide_file WHERE slide_id = :id"), {"id": shared.first})
            assert files.all() == [("first.svs",)]

    downgrade(database, "0002")
    read_anew()
    with database.connect_for_schema() as connection:
        connection.execute(text("UPDATE slide SET state = 'ready', index_digest = 'old' WHERE state = 'received'"))
        connection.execute(text("UPDATE slide SET state = 'indexing' WHERE id = :id"), {"id": shared.unready})
        connection.execute(text("UPDATE job SET state = 'done', attempts = 1"))
        connection.commit()
    upgrade(database, "0003")
    read_anew("version")
    upgrade(database)
    assert shape(database) == before


def test_the_fourth_migration_reads_anew_what_was_read_or_could_not_be(database, centres, shared):
    """A slide whose overview was being built is read anew with it, and so is one of a kind that was not known."""
    downgrade(database, "0003")
    states = {
        shared.first: ("ready", None),
        shared.second: ("indexing", None),
        shared.other_case: ("refused", "unsupported"),
        shared.unready: ("refused", "damaged"),
    }
    with database.connect_for_schema() as connection:
        for slide_id, (state, code) in states.items():
            values = {"id": slide_id, "state": state, "code": code, "job": f"read-{slide_id}", "built": f"b-{slide_id}"}
            change = "UPDATE slide SET state = :state, refusal_code = :code, refusal_reason = :code WHERE id = :id"
            connection.execute(text(change), values)
            for job, kind in (("job", "register"), ("built", "build")):
                add = (
                    "INSERT INTO job (id, kind, key, payload, state, attempts, not_before_us, fence, created_us) "
                    f"VALUES (:{job}, '{kind}', :id, '{{}}', 'done', 1, 5, 1, 5)"
                )
                connection.execute(text(add), values)
        connection.commit()
    upgrade(database)
    with database.reading() as session:
        jobs = session.execute(text("SELECT key, kind, state FROM job")).all()
        assert sorted(tuple(job) for job in jobs) == sorted(
            (slide_id, "register", "done" if code == "damaged" else "queued") for slide_id, (_, code) in states.items()
        )
        found = session.execute(text("SELECT id, state, refusal_code FROM slide")).all()
    wanted = {slide_id: "refused" if code == "damaged" else "received" for slide_id, (_, code) in states.items()}
    assert {row.id: row.state for row in found if row.id in wanted} == wanted
    assert [row.id for row in found if row.refusal_code] == [shared.unready]


def test_the_program_before_the_fourth_migration_shows_no_slide_of_several_files(database, centres, shared):
    """It would take the first file for the slide. The program after it reads the slide again."""
    add = text(
        "INSERT INTO slide_file (slide_id, number, name, sha256, length, derived) "
        "VALUES (:id, :number, 'x', 'x', 1, :derived)"
    )
    with database.connect_for_schema() as connection:
        for number, derived in ((1, False), (2, True)):
            connection.execute(add, {"id": shared.first, "number": number, "derived": derived})
        connection.execute(add, {"id": shared.second, "number": 1, "derived": True})
        connection.execute(text("UPDATE slide SET state = 'ready'"))
        connection.commit()

    def states() -> dict[str, str]:
        with database.reading() as session:
            found = session.execute(text("SELECT id, state FROM slide")).all()
        return {row.id: row.state for row in found if row.id in (shared.first, shared.second)}

    downgrade(database, "0003")
    assert states() == {shared.first: "refused", shared.second: "received"}
    upgrade(database)
    assert states() == {shared.first: "received", shared.second: "received"}


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_who_hangs_in_a_transaction_is_ended_by_the_database(database) -> None:
    for transaction in (database.reading, database.writing):
        with transaction() as session:
            assert session.scalar(text("SHOW idle_in_transaction_session_timeout")) == "2min"
