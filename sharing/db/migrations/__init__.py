"""The history of the schema. `upgrade` brings a database to the present; it may be called at every start."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from sharing.db.engine import Database

_LOCK = 0x1A1A1A1A  # of PostgreSQL: two servers started together take turns


def upgrade(database: Database, revision: str = "head") -> None:
    """Apply, in one transaction, every migration that the database has not seen."""
    with database.connect_for_schema() as connection:
        command.upgrade(_config(connection), revision)


def downgrade(database: Database, revision: str) -> None:
    """Undo migrations down to `revision`; "base" undoes all. What the older schema has no room for is lost."""
    with database.connect_for_schema() as connection:
        command.downgrade(_config(connection), revision)


def head() -> str:
    """The revision that `upgrade` leads to."""
    return ScriptDirectory.from_config(_script()).get_current_head() or ""


def _config(connection: Connection) -> Config:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    config = _script()
    config.attributes["connection"] = connection
    return config


def _script() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    return config
