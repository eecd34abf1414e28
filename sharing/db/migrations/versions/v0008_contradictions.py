"""What witnesses hold against a log.

Revision ID: 0008
"""

import sqlalchemy as sa
from alembic import op

from sharing.db.migrations.columns import integer, text

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
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
    op.drop_table("contradiction")
