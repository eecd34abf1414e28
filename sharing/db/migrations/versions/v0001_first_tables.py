"""The first tables, and the triggers that keep the audit log as it was written.

Revision ID: 0001
"""

import sqlalchemy as sa
from alembic import op

from sharing.db.migrations.columns import boolean, counter, integer, real, text

revision = "0001"
down_revision = None

SEALED = ("audit_event", "audit_seal")


def upgrade() -> None:
    op.create_table(
        "site",
        text("id"),
        text("name"),
        integer("created_us"),
        sa.PrimaryKeyConstraint("id", name="pk_site"),
        sa.UniqueConstraint("name", name="uq_site_name"),
    )
    op.create_table(
        "member",
        text("id"),
        text("site_id"),
        text("login"),
        text("name"),
        text("role"),
        text("password_hash"),
        text("language"),
        integer("created_us"),
        integer("disabled_us", null=True),
        sa.PrimaryKeyConstraint("id", name="pk_member"),
        sa.ForeignKeyConstraint(["site_id"], ["site.id"], name="fk_member_site_id"),
        sa.UniqueConstraint("login", name="uq_member_login"),
        sa.CheckConstraint("role IN ('pathologist', 'technician', 'lab_manager')", name=op.f("ck_member_role")),
    )
    op.create_index("ix_member_site_id", "member", ["site_id"])
    op.create_table(
        "scanner",
        text("id"),
        text("site_id"),
        text("name"),
        text("manufacturer", null=True),
        text("model", null=True),
        text("serial", null=True),
        text("key_hash"),
        integer("created_us"),
        integer("disabled_us", null=True),
        sa.PrimaryKeyConstraint("id", name="pk_scanner"),
        sa.ForeignKeyConstraint(["site_id"], ["site.id"], name="fk_scanner_site_id"),
        sa.UniqueConstraint("site_id", "name", name="uq_scanner_site_id_name"),
    )
    op.create_table(
        "session_token",
        text("token_hash"),
        text("member_id"),
        integer("created_us"),
        integer("used_us"),
        integer("expires_us"),
        sa.PrimaryKeyConstraint("token_hash", name="pk_session_token"),
        sa.ForeignKeyConstraint(["member_id"], ["member.id"], name="fk_session_token_member_id"),
    )
    op.create_index("ix_session_token_expires_us", "session_token", ["expires_us"])
    op.create_index("ix_session_token_member_id", "session_token", ["member_id"])
    op.create_table(
        "case_",
        text("id"),
        text("site_id"),
        text("accession"),
        text("patient_name"),
        integer("patient_birth_year", null=True),
        text("patient_sex", null=True),
        text("organ", null=True),
        text("search_text"),
        integer("registered_us"),
        sa.PrimaryKeyConstraint("id", name="pk_case_"),
        sa.ForeignKeyConstraint(["site_id"], ["site.id"], name="fk_case__site_id"),
        sa.UniqueConstraint("site_id", "accession", name="uq_case__site_id_accession"),
        sa.CheckConstraint("patient_sex IN ('F', 'M', 'O')", name=op.f("ck_case__patient_sex")),
    )
    op.create_index("ix_case__site_id_registered_us", "case_", ["site_id", "registered_us"])
    op.create_table(
        "slide",
        text("id"),
        text("site_id"),
        text("scanner_id", null=True),
        text("case_id", null=True),
        text("state"),
        text("sha256"),
        integer("length"),
        text("file_name"),
        text("accession", null=True),
        text("stain", null=True),
        text("block", null=True),
        text("index_digest", null=True),
        text("format", null=True),
        integer("width", null=True),
        integer("height", null=True),
        real("mpp_x", null=True),
        real("mpp_y", null=True),
        real("objective_power", null=True),
        boolean("has_label"),
        boolean("has_macro"),
        text("refusal_code", null=True),
        text("refusal_reason", null=True),
        integer("received_us"),
        integer("decided_us", null=True),
        sa.PrimaryKeyConstraint("id", name="pk_slide"),
        sa.ForeignKeyConstraint(["case_id"], ["case_.id"], name="fk_slide_case_id"),
        sa.ForeignKeyConstraint(["scanner_id"], ["scanner.id"], name="fk_slide_scanner_id"),
        sa.ForeignKeyConstraint(["site_id"], ["site.id"], name="fk_slide_site_id"),
        sa.UniqueConstraint("site_id", "sha256", name="uq_slide_site_id_sha256"),
        sa.CheckConstraint("state IN ('received', 'indexing', 'ready', 'refused')", name=op.f("ck_slide_state")),
    )
    op.create_index("ix_slide_case_id", "slide", ["case_id"])
    op.create_index("ix_slide_site_id_received_us", "slide", ["site_id", "received_us"])
    op.create_table(
        "slide_file",
        text("slide_id"),
        integer("number"),
        text("name"),
        text("sha256"),
        integer("length"),
        sa.PrimaryKeyConstraint("slide_id", "number", name="pk_slide_file"),
        sa.ForeignKeyConstraint(["slide_id"], ["slide.id"], name="fk_slide_file_slide_id"),
    )
    op.create_table(
        "upload",
        text("id"),
        text("site_id"),
        text("scanner_id"),
        integer("length"),
        text("sha256", null=True),
        text("file_name"),
        text("accession", null=True),
        text("stain", null=True),
        text("block", null=True),
        integer("created_us"),
        integer("expires_us"),
        integer("completed_us", null=True),
        text("slide_id", null=True),
        sa.PrimaryKeyConstraint("id", name="pk_upload"),
        sa.ForeignKeyConstraint(["scanner_id"], ["scanner.id"], name="fk_upload_scanner_id"),
        sa.ForeignKeyConstraint(["site_id"], ["site.id"], name="fk_upload_site_id"),
        sa.ForeignKeyConstraint(["slide_id"], ["slide.id"], name="fk_upload_slide_id"),
    )
    op.create_index("ix_upload_expires_us", "upload", ["expires_us"])
    op.create_index(
        "uq_upload_scanner_id_sha256_open",
        "upload",
        ["scanner_id", "sha256"],
        unique=True,
        sqlite_where=sa.text("completed_us IS NULL"),
        postgresql_where=sa.text("completed_us IS NULL"),
    )
    op.create_table(
        "job",
        text("id"),
        text("kind"),
        text("key"),
        text("payload"),
        text("state"),
        integer("attempts"),
        integer("not_before_us"),
        integer("lease_until_us", null=True),
        integer("fence"),
        text("worker", null=True),
        text("last_error", null=True),
        integer("created_us"),
        integer("finished_us", null=True),
        sa.PrimaryKeyConstraint("id", name="pk_job"),
        sa.UniqueConstraint("kind", "key", name="uq_job_kind_key"),
        sa.CheckConstraint("state IN ('queued', 'running', 'done', 'dead')", name=op.f("ck_job_state")),
    )
    op.create_index("ix_job_state_not_before_us", "job", ["state", "not_before_us"])
    op.create_table(
        "reading",
        text("subject_kind"),
        text("subject_id"),
        text("slide_id"),
        integer("opened_us"),
        integer("seen_us"),
        sa.PrimaryKeyConstraint("subject_kind", "subject_id", "slide_id", name="pk_reading"),
        sa.ForeignKeyConstraint(["slide_id"], ["slide.id"], name="fk_reading_slide_id"),
    )
    op.create_table(
        "access_epoch",
        integer("id"),
        integer("epoch"),
        sa.PrimaryKeyConstraint("id", name="pk_access_epoch"),
        sa.CheckConstraint("id = 1", name=op.f("ck_access_epoch_single")),
    )
    op.create_table(
        "audit_event",
        counter("position", generated=True),
        text("id"),
        integer("version"),
        text("site_id"),
        integer("recorded_us"),
        text("type"),
        text("act"),
        text("action"),
        text("outcome"),
        text("agent_kind"),
        text("agent_id", null=True),
        text("agent_site_id", null=True),
        text("agent_role", null=True),
        text("purpose", null=True),
        text("entities"),
        text("detail"),
        text("commitment", null=True),
        text("case_id", null=True),
        text("slide_id", null=True),
        sa.PrimaryKeyConstraint("position", name="pk_audit_event"),
        sa.UniqueConstraint("id", name="uq_audit_event_id"),
    )
    op.create_index("ix_audit_event_agent_id_recorded_us", "audit_event", ["agent_id", "recorded_us"])
    op.create_index("ix_audit_event_case_id_recorded_us", "audit_event", ["case_id", "recorded_us"])
    op.create_index("ix_audit_event_site_id_recorded_us", "audit_event", ["site_id", "recorded_us", "position"])
    op.create_index("ix_audit_event_slide_id_recorded_us", "audit_event", ["slide_id", "recorded_us"])
    op.create_table(
        "audit_personal",
        text("event_id"),
        text("salt"),
        text("body"),
        sa.PrimaryKeyConstraint("event_id", name="pk_audit_personal"),
        sa.ForeignKeyConstraint(["event_id"], ["audit_event.id"], name="fk_audit_personal_event_id"),
    )
    op.create_table(
        "audit_pending",
        counter("position"),
        sa.PrimaryKeyConstraint("position", name="pk_audit_pending"),
    )
    op.create_table(
        "audit_seal",
        text("site_id"),
        integer("seq"),
        text("event_id"),
        integer("sealed_us"),
        text("prev_hash"),
        text("hash"),
        sa.PrimaryKeyConstraint("site_id", "seq", name="pk_audit_seal"),
        sa.ForeignKeyConstraint(["event_id"], ["audit_event.id"], name="fk_audit_seal_event_id"),
        sa.UniqueConstraint("event_id", name="uq_audit_seal_event_id"),
    )
    op.create_table(
        "stranger_refusal",
        text("site_id"),
        integer("minute_us"),
        text("reason"),
        integer("count"),
        sa.PrimaryKeyConstraint("site_id", "minute_us", "reason", name="pk_stranger_refusal"),
    )
    op.execute("INSERT INTO access_epoch (id, epoch) VALUES (1, 1)")
    if op.get_bind().dialect.name == "sqlite":
        _guard_sqlite()
    else:
        _guard_postgresql()


def downgrade() -> None:
    for table in TABLES:
        op.drop_table(table)
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION refuse_change()")


TABLES = (
    "stranger_refusal",
    "audit_seal",
    "audit_pending",
    "audit_personal",
    "audit_event",
    "access_epoch",
    "reading",
    "job",
    "upload",
    "slide_file",
    "slide",
    "case_",
    "session_token",
    "scanner",
    "member",
    "site",
)
"""Each before those it refers to."""


def _guard_sqlite() -> None:
    for table in SEALED:
        for verb in ("UPDATE", "DELETE"):
            _refuse_sqlite(table, verb)
    _refuse_sqlite("audit_personal", "UPDATE")


def _refuse_sqlite(table: str, verb: str) -> None:
    op.execute(
        f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
        f"BEGIN SELECT RAISE(ABORT, '{table} takes no {verb}'); END"
    )


def _guard_postgresql() -> None:
    op.execute(
        "CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION '% takes no %', TG_TABLE_NAME, TG_OP; END $$"
    )
    for table in SEALED:
        _refuse_postgresql(table, "UPDATE OR DELETE OR TRUNCATE")
    _refuse_postgresql("audit_personal", "UPDATE OR TRUNCATE")


def _refuse_postgresql(table: str, verbs: str) -> None:
    op.execute(
        f"CREATE TRIGGER {table}_no_change BEFORE {verbs} ON {table} "
        f"FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )
