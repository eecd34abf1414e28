"""What witnesses hold against a log; one person's events, by an index alone.

Revision ID: 0008
"""

import sqlalchemy as sa
from alembic import op

from sharing.db.migrations.columns import integer, text

revision = "0008"
down_revision = "0007"

_OF_AGENT = ("ix_audit_event_agent_id_recorded_us", "audit_event")


def upgrade() -> None:
    op.drop_index(*_OF_AGENT)
    op.create_index(*_OF_AGENT, ["agent_id", "recorded_us", "position", "act", "outcome", "site_id"])
    op.create_table(
        "contradiction",
        text("site_id"),
        text("witness_id"),
        text("what"),
        integer("since_us"),
        sa.PrimaryKeyConstraint("site_id", "witness_id", name="pk_contradiction"),
        sa.ForeignKeyConstraint(["witness_id"], ["witness.id"], name="fk_contradiction_witness_id"),
    )


def downgrade() -> None:
    op.drop_index(*_OF_AGENT)
    op.create_index(*_OF_AGENT, ["agent_id", "recorded_us"])
    op.drop_table("contradiction")
