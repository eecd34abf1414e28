"""The history of the schema. `upgrade` brings a database to the present; it may be called at every start.

Alembic is imported where there is something to migrate: most starts find nothing, and would wait for it.
"""

from pathlib import Path
from typing import Literal

from sqlalchemy import Connection, inspect, text

from sharing.db.engine import Database
from sharing.errors import SchemaError

_LOCK = 0x1A1A1A1A  # of PostgreSQL: two servers started together take turns
_VERSIONS = Path(__file__).parent / "versions"


def upgrade(database: Database, revision: str = "head") -> None:
    """Apply, in one transaction, every migration that the database has not seen. Raises SchemaError when it is of a
    newer version than this one."""
    if revision == "head":
        with database.engine.connect() as connection:
            if schema_of(connection) == head():
                return
    _migrate(database, "upgrade", revision)


def downgrade(database: Database, revision: str) -> None:
    """Undo migrations down to `revision`; "base" undoes all. What the older schema has no room for is lost.

    Raises SchemaError when there is no such revision."""
    _migrate(database, "downgrade", revision)


def schema_of(connection: Connection) -> str:
    """The revision of a database; empty when it has none."""
    if not inspect(connection).has_table("alembic_version"):
        return ""
    return str(connection.execute(text("SELECT version_num FROM alembic_version")).scalar() or "")


def head() -> str:
    """The revision that `upgrade` leads to: its file has the highest number."""
    return max(path.name[1:5] for path in _VERSIONS.glob("v[0-9][0-9][0-9][0-9]_*.py"))


def _migrate(database: Database, direction: Literal["upgrade", "downgrade"], revision: str) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    with database.connect_for_schema() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        config.attributes["connection"] = connection
        try:
            {"upgrade": command.upgrade, "downgrade": command.downgrade}[direction](config, revision)
        except CommandError as error:
            raise SchemaError(str(error)) from error
