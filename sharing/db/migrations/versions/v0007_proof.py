"""More roles; patients who object; links bound to a recipient; who has read a case; when each server learned of a lost
right; Merkle trees, checkpoints and witnesses over the audit log.

Revision ID: 0007
"""

import sqlalchemy as sa
from alembic import op

from sharing.db.migrations.columns import boolean, integer, text
from sharing.text import patient_key

revision = "0007"
down_revision = "0006"

_ROLES = "role IN ('pathologist', 'technician', 'lab_manager')"
_MORE_ROLES = (
    "role IN ('pathologist', 'trainee', 'technician', 'lab_manager', 'data_protection_officer', "
    "'site_administrator', 'external_expert')"
)
_STANDING = sa.text("withdrawn_us IS NULL")
SEALED = ("audit_checkpoint", "audit_cosignature")
TABLES = (
    "audit_cosignature",
    "witness",
    "audit_checkpoint",
    "audit_tree",
    "epoch_seen",
    "epoch_move",
    "label_reading",
    "case_reading",
    "objection",
    "link_refusal",
    "link_code",
)
"""Each before those it refers to."""
_COUNTED = ("requester_id", "purpose", "opened_us", "answered_us", "case_id", "state", "ended_us")
_LINKS = ("ix_link_site_id_created_us", "link", ["site_id", "created_us"])
INDEXES = (
    ("ix_audit_event_site_id_act_recorded_us", "audit_event", ["site_id", "act", "recorded_us", "position"]),
    (
        "ix_consultation_site_id_created_us",
        "consultation",
        ["site_id", "created_us", "id", "to_site_id", *_COUNTED],
    ),
    (
        "ix_consultation_to_site_id_created_us",
        "consultation",
        ["to_site_id", "created_us", "id", "site_id", *_COUNTED],
    ),
    (
        "ix_link_site_id_created_us",
        "link",
        ["site_id", "created_us", "id", "maker_id", "purpose", "opened_us", "case_id"],
    ),
    ("ix_case__site_id_organ", "case_", ["site_id", "organ"]),
    ("ix_case__id_organ", "case_", ["id", "organ"]),
)
"""What the lab manager asks of a million events and a hundred thousand shares."""
REFUSALS = "ix_audit_event_site_id_recorded_us_not_success"


def upgrade() -> None:
    _change_roles(_ROLES, _MORE_ROLES)
    op.add_column("member", integer("password_until_us", null=True))
    op.add_column("case_", sa.Column("patient_key", sa.Text(), nullable=False, server_default=sa.text("''")))
    _know_patients()
    op.create_index("ix_case__site_id_patient_key", "case_", ["site_id", "patient_key"])
    op.create_index("ix_slide_file_sha256", "slide_file", ["sha256"])
    _create_objections()
    _create_link_tables()
    _create_readings()
    _create_epochs()
    _create_proof()
    _create_indexes()
    for table in SEALED:
        _refuse_changes(table)
    _rebuild_outbox(codes=True)


def downgrade() -> None:
    # Codes wait for minutes, so none is lost that anybody would miss.
    op.execute("DELETE FROM outbox WHERE consultation_id IS NULL")
    _rebuild_outbox(codes=False)
    for table in TABLES:
        op.drop_table(table)
    for name, table, _ in INDEXES:
        op.drop_index(name, table)
    op.create_index(*_LINKS)
    op.drop_index(REFUSALS, "audit_event")
    op.drop_index("ix_slide_file_sha256", "slide_file")
    op.drop_index("ix_case__site_id_patient_key", "case_")
    op.execute("ALTER TABLE case_ DROP COLUMN patient_key")
    for table, column in (("link_slide", "sha256"), ("link_slide", "version")):
        op.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
    # A link that was bound to a recipient must not become one that is not.
    op.execute("UPDATE link SET revoked_us = created_us WHERE recipient IS NOT NULL AND revoked_us IS NULL")
    op.execute("ALTER TABLE link DROP COLUMN recipient")
    # The older program takes any password for its owner's: those that were only lent hold no more.
    op.execute("UPDATE member SET disabled_us = coalesce(disabled_us, created_us) WHERE password_until_us IS NOT NULL")
    op.execute("ALTER TABLE member DROP COLUMN password_until_us")
    # The older program does not know these roles, and gives nobody more than he had: their accounts are closed.
    op.execute(
        "UPDATE member SET role = 'technician', disabled_us = coalesce(disabled_us, created_us) "
        "WHERE role NOT IN ('pathologist', 'technician', 'lab_manager')"
    )
    _change_roles(_MORE_ROLES, _ROLES)


def _change_roles(old: str, new: str) -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.drop_constraint("ck_member_role", "member")
        op.create_check_constraint(op.f("ck_member_role"), "member", new)
        return
    # SQLite has no other way to change a constraint of a table to which others refer
    # (https://www.sqlite.org/lang_altertable.html, 7: the simpler procedure).
    connection = op.get_bind()
    version = connection.exec_driver_sql("PRAGMA schema_version").scalar_one()
    connection.exec_driver_sql("PRAGMA writable_schema = ON")
    changed = connection.exec_driver_sql(
        "UPDATE sqlite_master SET sql = replace(sql, ?, ?) WHERE type = 'table' AND name = 'member' AND instr(sql, ?)",
        (old, new, old),
    )
    if changed.rowcount != 1:
        raise RuntimeError("The table of members is not the one that the first migration made.")
    connection.exec_driver_sql(f"PRAGMA schema_version = {version + 1}")
    connection.exec_driver_sql("PRAGMA writable_schema = OFF")


def _know_patients() -> None:
    connection = op.get_bind()
    case = sa.table("case_", *map(sa.column, ("id", "site_id", "patient_name", "patient_birth_year", "patient_sex")))
    keys = [
        {"which": row.id, "key": patient_key(row.site_id, row.patient_name, row.patient_birth_year, row.patient_sex)}
        for row in connection.execute(sa.select(case))
    ]
    if keys:
        connection.execute(sa.text("UPDATE case_ SET patient_key = :key WHERE id = :which"), keys)


def _create_indexes() -> None:
    op.drop_index(*_LINKS[:2])
    for name, table, columns in INDEXES:
        op.create_index(name, table, columns)
    refused = sa.text("outcome != 'success'")
    op.create_index(
        REFUSALS,
        "audit_event",
        ["site_id", "recorded_us", "position"],
        sqlite_where=refused,
        postgresql_where=refused,
    )


def _create_objections() -> None:
    op.create_table(
        "objection",
        text("id"),
        text("site_id"),
        text("patient_key"),
        text("purpose"),
        text("case_id"),
        text("origin"),
        integer("registered_us"),
        text("registered_by"),
        integer("withdrawn_us", null=True),
        text("withdrawn_by", null=True),
        sa.PrimaryKeyConstraint("id", name="pk_objection"),
        _foreign("objection", "site_id", "site"),
        _foreign("objection", "case_id", "case_"),
        _foreign("objection", "registered_by", "member"),
        _foreign("objection", "withdrawn_by", "member"),
        sa.CheckConstraint("purpose IN ('teaching', 'research', 'ai')", name=op.f("ck_objection_purpose")),
        sa.CheckConstraint("origin IN ('letter', 'mail', 'in_person', 'other')", name=op.f("ck_objection_origin")),
    )
    op.create_index(
        "uq_objection_site_id_patient_key_purpose_standing",
        "objection",
        ["site_id", "patient_key", "purpose"],
        unique=True,
        sqlite_where=_STANDING,
        postgresql_where=_STANDING,
    )


def _create_link_tables() -> None:
    op.add_column("link", text("recipient", null=True))
    op.add_column("link_slide", text("sha256", null=True))
    op.add_column("link_slide", text("version", null=True))
    op.create_table(
        "link_code",
        text("id"),
        text("link_id"),
        text("language"),
        text("code_hash", null=True),
        integer("created_us"),
        integer("expires_us"),
        integer("tries"),
        integer("used_us", null=True),
        sa.PrimaryKeyConstraint("id", name="pk_link_code"),
        _foreign("link_code", "link_id", "link"),
    )
    op.create_index("ix_link_code_link_id", "link_code", ["link_id"])
    op.create_table(
        "link_refusal",
        text("link_id"),
        text("reason"),
        integer("count"),
        integer("first_us"),
        integer("last_us"),
        sa.PrimaryKeyConstraint("link_id", "reason", name="pk_link_refusal"),
        _foreign("link_refusal", "link_id", "link"),
    )


def _create_readings() -> None:
    for table, thing, target in (("case_reading", "case_id", "case_"), ("label_reading", "slide_id", "slide")):
        op.create_table(
            table,
            text("subject_kind"),
            text("subject_id"),
            text(thing),
            integer("opened_us"),
            integer("seen_us"),
            sa.PrimaryKeyConstraint("subject_kind", "subject_id", thing, name=f"pk_{table}"),
            _foreign(table, thing, target),
        )


def _create_epochs() -> None:
    op.create_table(
        "epoch_move",
        integer("epoch"),
        integer("moved_us"),
        sa.PrimaryKeyConstraint("epoch", name="pk_epoch_move"),
    )
    op.create_index("ix_epoch_move_moved_us", "epoch_move", ["moved_us"])
    first = boolean("first")
    first.server_default = sa.DefaultClause(sa.false())
    op.create_table(
        "epoch_seen",
        integer("epoch"),
        text("process"),
        integer("seen_us"),
        first,
        sa.PrimaryKeyConstraint("epoch", "process", name="pk_epoch_seen"),
    )


def _create_proof() -> None:
    op.create_table(
        "audit_tree",
        text("site_id"),
        integer("size"),
        text("edge"),
        sa.PrimaryKeyConstraint("site_id", name="pk_audit_tree"),
    )
    op.create_table(
        "audit_checkpoint",
        text("site_id"),
        integer("size"),
        text("root"),
        integer("signed_us"),
        text("note"),
        sa.PrimaryKeyConstraint("site_id", "size", name="pk_audit_checkpoint"),
    )
    op.create_table(
        "witness",
        text("id"),
        text("site_id"),
        text("name"),
        text("public_key"),
        integer("created_us"),
        integer("disabled_us", null=True),
        sa.PrimaryKeyConstraint("id", name="pk_witness"),
        sa.UniqueConstraint("name", name="uq_witness_name"),
        _foreign("witness", "site_id", "site"),
    )
    op.create_table(
        "audit_cosignature",
        text("site_id"),
        integer("size"),
        text("witness_id"),
        integer("signed_us"),
        text("line"),
        sa.PrimaryKeyConstraint("site_id", "size", "witness_id", name="pk_audit_cosignature"),
        _foreign("audit_cosignature", "witness_id", "witness"),
    )


def _refuse_changes(table: str) -> None:
    if op.get_bind().dialect.name == "sqlite":
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{table} takes no {verb}'); END"
            )
    else:
        op.execute(
            f"CREATE TRIGGER {table}_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            f"FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )


def _rebuild_outbox(*, codes: bool) -> None:
    """Nothing refers to the outbox, and mails come and go: a new table takes over what the old one has."""
    op.drop_index("ix_outbox_consultation_id", "outbox")
    op.drop_index("ix_outbox_state_not_before_us", "outbox")
    if op.get_bind().dialect.name == "postgresql":
        for name in ("pk_outbox", "fk_outbox_consultation_id", "fk_outbox_member_id", "ck_outbox_state"):
            op.drop_constraint(name, "outbox")
    op.rename_table("outbox", "older_outbox")
    columns = "id, consultation_id, member_id, move, state, not_before_us, attempts, last_error, created_us, sent_us"
    codes_too = (
        _foreign("outbox", "link_code_id", "link_code"),
        sa.CheckConstraint(
            "(link_code_id IS NULL) = (consultation_id IS NOT NULL)", name=op.f("ck_outbox_one_subject")
        ),
    )
    op.create_table(
        "outbox",
        text("id"),
        text("consultation_id", null=codes),
        text("member_id", null=codes),
        text("move", null=codes),
        *((text("link_code_id", null=True),) if codes else ()),
        text("state"),
        integer("not_before_us"),
        integer("attempts"),
        text("last_error", null=True),
        integer("created_us"),
        integer("sent_us", null=True),
        sa.PrimaryKeyConstraint("id", name="pk_outbox"),
        _foreign("outbox", "consultation_id", "consultation"),
        _foreign("outbox", "member_id", "member"),
        sa.CheckConstraint("state IN ('waiting', 'sent', 'dropped')", name=op.f("ck_outbox_state")),
        *(codes_too if codes else ()),
    )
    op.execute(f"INSERT INTO outbox ({columns}) SELECT {columns} FROM older_outbox")  # noqa: S608
    op.drop_table("older_outbox")
    op.create_index("ix_outbox_consultation_id", "outbox", ["consultation_id"])
    op.create_index("ix_outbox_state_not_before_us", "outbox", ["state", "not_before_us"])


def _foreign(table: str, column: str, target: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{target}.id"], name=f"fk_{table}_{column}")
