"""What one centre shows another: consultations, opinions, links, guests, drafts, mail; and members' mail addresses.

Revision ID: 0002
"""

import sqlalchemy as sa
from alembic import op

from sharing.db.migrations.columns import integer, text

revision = "0002"
down_revision = "0001"

PURPOSES = "purpose IN ('care', 'tumour_board', 'teaching', 'research', 'ai')"
SIGNED = ("consultation_move", "opinion")
"""What is never changed once it is there."""
TABLES = (
    "outbox",
    "draft",
    "guest",
    "link_slide",
    "link",
    "opinion",
    "consultation_seen",
    "consultation_move",
    "consultation_slide",
    "consultation",
)
"""Each before those it refers to."""


def upgrade() -> None:
    op.add_column("member", text("email", null=True))
    op.create_table(
        "consultation",
        text("id"),
        text("reference"),
        text("site_id"),
        text("case_id"),
        text("requester_id"),
        text("to_site_id"),
        text("to_member_id", null=True),
        text("taken_by", null=True),
        text("question"),
        text("urgency"),
        text("purpose"),
        text("slide_id"),
        text("view"),
        text("state"),
        integer("moves"),
        text("moved_by"),
        integer("moved_us"),
        integer("created_us"),
        integer("opened_us", null=True),
        integer("answered_us", null=True),
        integer("ended_us", null=True),
        sa.PrimaryKeyConstraint("id", name="pk_consultation"),
        sa.UniqueConstraint("reference", name="uq_consultation_reference"),
        foreign("consultation", "site_id", "site"),
        foreign("consultation", "case_id", "case_"),
        foreign("consultation", "requester_id", "member"),
        foreign("consultation", "to_site_id", "site"),
        foreign("consultation", "to_member_id", "member"),
        foreign("consultation", "taken_by", "member"),
        foreign("consultation", "slide_id", "slide"),
        foreign("consultation", "moved_by", "member"),
        sa.CheckConstraint("urgency IN ('routine', 'urgent')", name=op.f("ck_consultation_urgency")),
        sa.CheckConstraint(PURPOSES, name=op.f("ck_consultation_purpose")),
        sa.CheckConstraint(
            "state IN ('requested', 'opened', 'accepted', 'declined', 'more_information', 'answered', 'closed', "
            "'cancelled')",
            name=op.f("ck_consultation_state"),
        ),
    )
    op.create_index("ix_consultation_case_id", "consultation", ["case_id"])
    op.create_index("ix_consultation_requester_id", "consultation", ["requester_id"])
    op.create_index("ix_consultation_site_id_moved_us", "consultation", ["site_id", "moved_us"])
    op.create_index("ix_consultation_to_site_id_moved_us", "consultation", ["to_site_id", "moved_us"])
    op.create_table(
        "consultation_slide",
        text("consultation_id"),
        text("slide_id"),
        integer("number"),
        sa.PrimaryKeyConstraint("consultation_id", "slide_id", name="pk_consultation_slide"),
        foreign("consultation_slide", "consultation_id", "consultation"),
        foreign("consultation_slide", "slide_id", "slide"),
    )
    op.create_index("ix_consultation_slide_slide_id", "consultation_slide", ["slide_id"])
    op.create_table(
        "consultation_move",
        text("consultation_id"),
        integer("number"),
        text("move"),
        text("state"),
        text("member_id"),
        text("note"),
        integer("made_us"),
        sa.PrimaryKeyConstraint("consultation_id", "number", name="pk_consultation_move"),
        foreign("consultation_move", "consultation_id", "consultation"),
        foreign("consultation_move", "member_id", "member"),
    )
    op.create_table(
        "consultation_seen",
        text("member_id"),
        text("consultation_id"),
        integer("moves"),
        sa.PrimaryKeyConstraint("member_id", "consultation_id", name="pk_consultation_seen"),
        foreign("consultation_seen", "member_id", "member"),
        foreign("consultation_seen", "consultation_id", "consultation"),
    )
    op.create_table(
        "opinion",
        text("id"),
        text("consultation_id"),
        integer("number"),
        text("author_id"),
        text("author_name"),
        text("agreement"),
        text("text"),
        text("status"),
        text("amends", null=True),
        integer("signed_us"),
        sa.PrimaryKeyConstraint("id", name="pk_opinion"),
        sa.UniqueConstraint("consultation_id", "number", name="uq_opinion_consultation_id_number"),
        foreign("opinion", "consultation_id", "consultation"),
        foreign("opinion", "author_id", "member"),
        foreign("opinion", "amends", "opinion"),
        sa.CheckConstraint("agreement IN ('agree', 'minor', 'major', 'undecided')", name=op.f("ck_opinion_agreement")),
        sa.CheckConstraint("status IN ('final', 'amended')", name=op.f("ck_opinion_status")),
    )
    op.create_table(
        "link",
        text("id"),
        text("reference"),
        text("site_id"),
        text("case_id"),
        text("maker_id"),
        text("secret_hash"),
        text("purpose"),
        text("reason"),
        text("slide_id"),
        text("view"),
        integer("max_uses"),
        integer("uses"),
        integer("created_us"),
        integer("expires_us"),
        integer("opened_us", null=True),
        integer("revoked_us", null=True),
        text("revoked_by", null=True),
        sa.PrimaryKeyConstraint("id", name="pk_link"),
        sa.UniqueConstraint("reference", name="uq_link_reference"),
        foreign("link", "site_id", "site"),
        foreign("link", "case_id", "case_"),
        foreign("link", "maker_id", "member"),
        foreign("link", "slide_id", "slide"),
        foreign("link", "revoked_by", "member"),
        sa.CheckConstraint(PURPOSES, name=op.f("ck_link_purpose")),
        sa.CheckConstraint("uses >= 0 AND uses <= max_uses", name=op.f("ck_link_uses")),
    )
    op.create_index("ix_link_case_id", "link", ["case_id"])
    op.create_index("ix_link_maker_id", "link", ["maker_id"])
    op.create_index("ix_link_site_id_created_us", "link", ["site_id", "created_us"])
    op.create_table(
        "link_slide",
        text("link_id"),
        text("slide_id"),
        integer("number"),
        sa.PrimaryKeyConstraint("link_id", "slide_id", name="pk_link_slide"),
        foreign("link_slide", "link_id", "link"),
        foreign("link_slide", "slide_id", "slide"),
    )
    op.create_index("ix_link_slide_slide_id", "link_slide", ["slide_id"])
    op.create_table(
        "guest",
        text("id"),
        text("token_hash"),
        text("link_id"),
        integer("created_us"),
        integer("expires_us"),
        sa.PrimaryKeyConstraint("id", name="pk_guest"),
        sa.UniqueConstraint("token_hash", name="uq_guest_token_hash"),
        foreign("guest", "link_id", "link"),
    )
    op.create_index("ix_guest_link_id", "guest", ["link_id"])
    op.create_table(
        "draft",
        text("member_id"),
        text("key"),
        text("body"),
        integer("saved_us"),
        sa.PrimaryKeyConstraint("member_id", "key", name="pk_draft"),
        foreign("draft", "member_id", "member"),
    )
    op.create_table(
        "outbox",
        text("id"),
        text("consultation_id"),
        text("member_id"),
        text("move"),
        text("state"),
        integer("not_before_us"),
        integer("attempts"),
        text("last_error", null=True),
        integer("created_us"),
        integer("sent_us", null=True),
        sa.PrimaryKeyConstraint("id", name="pk_outbox"),
        foreign("outbox", "consultation_id", "consultation"),
        foreign("outbox", "member_id", "member"),
        sa.CheckConstraint("state IN ('waiting', 'sent', 'dropped')", name=op.f("ck_outbox_state")),
    )
    op.create_index("ix_outbox_consultation_id", "outbox", ["consultation_id"])
    op.create_index("ix_outbox_state_not_before_us", "outbox", ["state", "not_before_us"])
    for table in SIGNED:
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


def downgrade() -> None:
    for table in TABLES:
        op.drop_table(table)
    op.execute("ALTER TABLE member DROP COLUMN email")  # both engines know it; Alembic would rebuild SQLite's table


def foreign(table: str, column: str, target: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{target}.id"], name=f"fk_{table}_{column}")
