"""Generations of a slide's tile index: a version that stays, files of derived tiles, how far a long job has come.

Indexes of the older form cannot be read by the newer program, nor the other way round: slides are read anew.

Revision ID: 0003
"""

import sqlalchemy as sa
from alembic import op

from sharing.db.migrations.columns import integer, text

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("slide", text("version", null=True))
    op.add_column("slide_file", sa.Column("derived", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("job", integer("done_units", null=True))
    op.add_column("job", integer("units", null=True))
    read_anew()


def downgrade() -> None:
    op.execute("DELETE FROM slide_file WHERE derived")
    op.execute("DELETE FROM job WHERE kind = 'build'")
    read_anew()
    # Both engines know it; Alembic would rebuild SQLite's tables.
    for table, column in (("slide", "version"), ("slide_file", "derived"), ("job", "done_units"), ("job", "units")):
        op.execute(f"ALTER TABLE {table} DROP COLUMN {column}")


def read_anew() -> None:
    """Every slide that is ready is registered again, from the file that was received; its case, and what was said
    about it, stay."""
    op.execute(
        "UPDATE job SET state = 'queued', attempts = 0, not_before_us = created_us, lease_until_us = NULL, "
        "finished_us = NULL WHERE kind = 'register' AND key IN (SELECT id FROM slide WHERE state = 'ready')"
    )
    op.execute("UPDATE slide SET state = 'received', index_digest = NULL WHERE state = 'ready'")
