"""What the program's own role may do to what is sealed: add to it, and nothing else.

Triggers refuse every change of a sealed row (see the migrations); they stop mistakes, not the owner of the tables, who
can drop them. On PostgreSQL the tables therefore belong to one role, which `iain migrate` uses, and the server comes as
another. SQLite knows no roles: whoever can write to the file owns it.
"""

from sqlalchemy import Connection, text

from sharing.errors import InvalidError

SEALED = ("audit_event", "audit_seal", "audit_checkpoint", "audit_cosignature", "opinion", "consultation_move")
"""Rows that are only ever added."""
ERASABLE = ("audit_personal",)
"""Rows that may go, and may not change."""
_KEPT = ("alembic_version",)
_CHANGES = {
    **dict.fromkeys(SEALED, ("UPDATE", "DELETE", "TRUNCATE")),
    **dict.fromkeys(ERASABLE, ("UPDATE", "TRUNCATE")),
}


def grant(connection: Connection, role: str) -> None:
    """Give a role of PostgreSQL what the server needs of the tables of this one, and take everything else away.

    Raises InvalidError on SQLite, and for a role that owns the tables or what they lie in: nothing can be taken from
    it.
    """
    if connection.dialect.name != "postgresql":
        raise InvalidError("SQLite has no roles. Use PostgreSQL where the server must not own its journal.")
    if owned := _owned(connection, role):
        raise InvalidError(
            f"The role {role} owns the {owned[-1]}, or may act as who does: it could change or drop what is sealed. "
            "Let the server use another one."
        )
    quoted = connection.dialect.identifier_preparer.quote(role)
    tables = connection.scalars(text("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()")).all()
    connection.execute(text(f"REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {quoted}"))
    connection.execute(text(f"REVOKE CREATE ON SCHEMA public FROM {quoted}"))
    connection.execute(text(f"GRANT USAGE ON SCHEMA public TO {quoted}"))
    connection.execute(text(f"GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO {quoted}"))
    for table in tables:
        connection.execute(text(f"GRANT {_rights(table)} ON TABLE {table} TO {quoted}"))


def alterable(connection: Connection) -> list[str]:
    """What is sealed and the role of this connection could change or clear all the same: tables of PostgreSQL that it
    may update or delete from, or drop, and tables whose triggers are gone or asleep, on both engines."""
    if connection.dialect.name == "sqlite":
        found = connection.scalars(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).all()
        wanted = {table: {f"{table}_no_{verb.lower()}" for verb in verbs[:-1]} for table, verbs in _CHANGES.items()}
        return sorted(table for table, names in wanted.items() if not names <= set(found))
    if _owned(connection, str(connection.scalar(text("SELECT current_user")))):
        return sorted(_CHANGES)
    guarded = connection.scalars(
        text(
            "SELECT DISTINCT c.relname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid "
            "WHERE NOT t.tgisinternal AND t.tgenabled IN ('O', 'A') AND t.tgname = c.relname || '_no_change'"
        )
    ).all()
    may = text("SELECT has_table_privilege(current_user, :table, :privilege)")
    return sorted(
        table
        for table, verbs in _CHANGES.items()
        if table not in guarded or any(connection.scalar(may, {"table": table, "privilege": verb}) for verb in verbs)
    )


def _owned(connection: Connection, role: str) -> list[str]:
    """Which of "database", "schema" and "tables" belong to a role of PostgreSQL, or to one that it may act as. Who owns
    a schema, or the database around it, may drop every table in it, whoever owns that.
    """
    owners = text(
        "SELECT DISTINCT thing FROM ("
        "SELECT 'tables' AS thing, relowner AS owner FROM pg_class "
        "WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r' "
        "UNION ALL SELECT 'schema', nspowner FROM pg_namespace WHERE nspname = current_schema() "
        "UNION ALL SELECT 'database', datdba FROM pg_database WHERE datname = current_database()"
        ") AS owned WHERE pg_has_role(:role, owner, 'MEMBER') ORDER BY thing"
    )
    return list(connection.scalars(owners, {"role": role}))


def _rights(table: str) -> str:
    if table in SEALED:
        return "SELECT, INSERT"
    if table in ERASABLE:
        return "SELECT, INSERT, DELETE"
    return "SELECT" if table in _KEPT else "SELECT, INSERT, UPDATE, DELETE"
