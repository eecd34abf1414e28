"""Slides of several files: the uploads of their files are told apart from those of whole slides.

Indexes of the older form cannot be read by the newer program, nor the other way round: slides are read anew. So are
those that the older program could not read, as the newer one may.

Revision ID: 0004
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_OPEN = "uq_upload_scanner_id_sha256_open"


def upgrade() -> None:
    op.add_column("upload", sa.Column("of_set", sa.Boolean(), nullable=False, server_default=sa.false()))
    _open_uploads("of_set")
    read_anew("state IN ('ready', 'indexing') OR (state = 'refused' AND refusal_code = 'unsupported')")


def downgrade() -> None:
    op.execute("DELETE FROM upload WHERE of_set")
    _open_uploads()
    # Both engines know it; Alembic would rebuild SQLite's tables.
    op.execute("ALTER TABLE upload DROP COLUMN of_set")
    # The older program would take the first of several files for the slide, and that may be a picture of its label.
    op.execute(
        "UPDATE slide SET state = 'refused', index_digest = NULL, refusal_code = 'unsupported', "
        "refusal_reason = 'The slide could not be read.' "
        "WHERE id IN (SELECT slide_id FROM slide_file WHERE number > 0 AND NOT derived)"
    )
    read_anew("state IN ('ready', 'indexing')")


def read_anew(which: str) -> None:
    """These slides are registered again, from the files that were received; their cases, and what was said about
    them, stay."""
    op.execute("DELETE FROM job WHERE kind = 'build'")
    op.execute("DELETE FROM slide_file WHERE derived")
    for change in (
        "UPDATE job SET state = 'queued', attempts = 0, not_before_us = created_us, lease_until_us = NULL, "
        "finished_us = NULL WHERE kind = 'register' AND key IN (SELECT id FROM slide WHERE {})",
        "UPDATE slide SET state = 'received', index_digest = NULL, refusal_code = NULL, refusal_reason = NULL WHERE {}",
    ):
        op.execute(change.format(which))


def _open_uploads(*more: str) -> None:
    """At most one open upload of the same bytes by a scanner."""
    op.drop_index(_OPEN, "upload")
    op.create_index(
        _OPEN,
        "upload",
        ["scanner_id", "sha256", *more],
        unique=True,
        sqlite_where=sa.text("completed_us IS NULL"),
        postgresql_where=sa.text("completed_us IS NULL"),
    )
