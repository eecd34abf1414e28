"""Scanners have several keys, tell how they are, and are not the only ones who send; the same bytes may be claimed for
two cases; blobs are looked at again.

Revision ID: 0005
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_OF_SCANNER, _OF_SENDER = "uq_upload_scanner_id_sha256_open", "uq_upload_sender_sha256_open"
_OPEN = sa.text("completed_us IS NULL")


def upgrade() -> None:
    op.create_table(
        "scanner_key",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("scanner_id", sa.Text(), nullable=False),
        sa.Column("key_hash", sa.Text(), nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.Column("ends_us", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["scanner_id"], ["scanner.id"], name="fk_scanner_key_scanner_id"),
        sa.PrimaryKeyConstraint("id", name="pk_scanner_key"),
    )
    op.create_index("ix_scanner_key_scanner_id", "scanner_key", ["scanner_id"])
    # The first key of a scanner has the scanner's id.
    op.execute("INSERT INTO scanner_key SELECT id, id, key_hash, created_us, NULL FROM scanner")
    op.execute("ALTER TABLE scanner DROP COLUMN key_hash")
    op.create_table(
        "heartbeat",
        sa.Column("scanner_id", sa.Text(), nullable=False),
        sa.Column("minute_us", sa.BigInteger(), nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.Column("sent_bytes", sa.BigInteger(), nullable=False),
        sa.Column("report", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["scanner_id"], ["scanner.id"], name="fk_heartbeat_scanner_id"),
        sa.PrimaryKeyConstraint("scanner_id", "minute_us", name="pk_heartbeat"),
    )
    op.create_table(
        "claim",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("site_id", sa.Text(), nullable=False),
        sa.Column("slide_id", sa.Text(), nullable=False),
        sa.Column("accession", sa.Text(), nullable=False),
        sa.Column("stain", sa.Text(), nullable=True),
        sa.Column("block", sa.Text(), nullable=True),
        sa.Column("file_name", sa.Text(), nullable=False),
        sa.Column("sender", sa.Text(), nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.Column("resolved_us", sa.BigInteger(), nullable=True),
        sa.Column("resolved_by", sa.Text(), nullable=True),
        sa.Column("verdict", sa.Text(), nullable=True),
        sa.CheckConstraint("verdict IN ('kept', 'moved')", name=op.f("ck_claim_verdict")),
        sa.ForeignKeyConstraint(["site_id"], ["site.id"], name="fk_claim_site_id"),
        sa.ForeignKeyConstraint(["slide_id"], ["slide.id"], name="fk_claim_slide_id"),
        sa.ForeignKeyConstraint(["resolved_by"], ["member.id"], name="fk_claim_resolved_by"),
        sa.PrimaryKeyConstraint("id", name="pk_claim"),
        sa.UniqueConstraint("slide_id", "accession", name="uq_claim_slide_id_accession"),
    )
    op.create_index("ix_claim_site_id_resolved_us", "claim", ["site_id", "resolved_us"])
    op.create_table(
        "blob_check",
        sa.Column("site_id", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("checked_us", sa.BigInteger(), nullable=False),
        sa.Column("damage", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["site_id"], ["site.id"], name="fk_blob_check_site_id"),
        sa.PrimaryKeyConstraint("site_id", "sha256", name="pk_blob_check"),
    )
    op.add_column("site", sa.Column("quota_bytes", sa.BigInteger(), nullable=True))
    op.drop_index(_OF_SCANNER, "upload")
    # Whoever sends: a scanner, or a member with a disk in hand.
    with op.batch_alter_table("upload") as upload:
        upload.drop_constraint("fk_upload_scanner_id", type_="foreignkey")
        upload.alter_column("scanner_id", new_column_name="sender")
    op.create_index(
        _OF_SENDER, "upload", ["sender", "sha256", "of_set"], unique=True, sqlite_where=_OPEN, postgresql_where=_OPEN
    )


def downgrade() -> None:
    op.execute("DELETE FROM upload WHERE sender NOT IN (SELECT id FROM scanner)")
    op.drop_index(_OF_SENDER, "upload")
    with op.batch_alter_table("upload") as upload:
        upload.alter_column("sender", new_column_name="scanner_id")
    with op.batch_alter_table("upload") as upload:
        upload.create_foreign_key("fk_upload_scanner_id", "scanner", ["scanner_id"], ["id"])
    op.create_index(
        _OF_SCANNER,
        "upload",
        ["scanner_id", "sha256", "of_set"],
        unique=True,
        sqlite_where=_OPEN,
        postgresql_where=_OPEN,
    )
    op.execute("ALTER TABLE site DROP COLUMN quota_bytes")
    op.drop_table("blob_check")
    op.drop_table("claim")
    op.drop_table("heartbeat")
    op.add_column("scanner", sa.Column("key_hash", sa.Text(), nullable=False, server_default=""))
    # The newest key; those that overlap with it are lost.
    op.execute(
        "UPDATE scanner SET key_hash = COALESCE((SELECT key_hash FROM scanner_key WHERE scanner_id = scanner.id "
        "ORDER BY created_us DESC, id LIMIT 1), '')"
    )
    op.drop_table("scanner_key")
