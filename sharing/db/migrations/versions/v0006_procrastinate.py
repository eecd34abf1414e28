"""On PostgreSQL the jobs are procrastinate's; the view `job` shows them in the form that the table had. On SQLite they
stay where they are. On both they are found by their key.

Revision ID: 0006
"""

import hashlib
from importlib import resources

import sqlalchemy as sa
from alembic import op

from sharing.db.migrations.columns import integer, text
from sharing.errors import SchemaError

revision = "0006"
down_revision = "0005"

# Of procrastinate 3.10. A later version's tables come by a migration of ours, not by installing it.
_SCHEMA_SHA256 = "c70ec4b400a60ad9592787653aae5ae77ae41bf801d56b5bd2712751a07f2009"

_JOB = """
CREATE VIEW job AS
SELECT r.id, r.kind, r.key, j.args::text AS payload,
       CASE j.status WHEN 'todo' THEN 'queued' WHEN 'doing' THEN 'running' WHEN 'succeeded' THEN 'done' ELSE 'dead'
       END AS state,
       j.attempts + CASE j.status WHEN 'doing' THEN 1 ELSE 0 END AS attempts,
       coalesce((extract(epoch FROM j.scheduled_at) * 1000000)::bigint, r.created_us) AS not_before_us,
       (extract(epoch FROM w.last_heartbeat + make_interval(secs => r.lease_s)) * 1000000)::bigint AS lease_until_us,
       coalesce(j.worker_id, 0) AS fence,
       r.worker, r.last_error, r.created_us, r.finished_us, r.done_units, r.units
  FROM job_record r
  JOIN procrastinate_jobs j ON j.id = r.job_id
  LEFT JOIN procrastinate_workers w ON w.id = j.worker_id AND j.status = 'doing'
"""
_CARRY = """
WITH carried AS (
    INSERT INTO procrastinate_jobs (queue_name, task_name, queueing_lock, args, status, scheduled_at, attempts)
    SELECT kind, kind, id, payload::jsonb,
           CASE state WHEN 'done' THEN 'succeeded' WHEN 'dead' THEN 'failed' ELSE 'todo'
           END::procrastinate_job_status,
           to_timestamp(not_before_us / 1000000.0), attempts
      FROM job ORDER BY not_before_us, id
    RETURNING id, queueing_lock
)
INSERT INTO job_record (id, kind, key, job_id, worker, created_us, finished_us, done_units, units, last_error)
SELECT job.id, kind, key, carried.id, worker, created_us, finished_us, done_units, units, last_error
  FROM job JOIN carried ON carried.queueing_lock = job.id
"""
# Jobs in hand are due again: the program that had them has ended, or is too old to go on.
_CARRY_BACK = """
INSERT INTO job (id, kind, key, payload, state, attempts, not_before_us, fence, worker, last_error, created_us,
                 finished_us, done_units, units)
SELECT id, kind, key, payload, CASE state WHEN 'running' THEN 'queued' ELSE state END, attempts, not_before_us, fence,
       worker, last_error, created_us, finished_us, done_units, units
  FROM job_shown
"""
_WITHOUT = r"""
DO $$
DECLARE
    it record;
BEGIN
    FOR it IN SELECT oid::regprocedure AS name FROM pg_proc
               WHERE proname LIKE 'procrastinate\_%' AND pronamespace = current_schema()::regnamespace LOOP
        EXECUTE format('DROP FUNCTION %s CASCADE', it.name);
    END LOOP;
END;
$$;
DROP TABLE procrastinate_events, procrastinate_periodic_defers, procrastinate_jobs, procrastinate_workers;
DROP TYPE procrastinate_job_to_defer_v1;
DROP TYPE procrastinate_job_event_type;
DROP TYPE procrastinate_job_status;
"""


def upgrade() -> None:
    if op.get_bind().dialect.name != "postgresql":
        op.create_index("ix_job_key", "job", ["key"])
        return
    _run(_procrastinate())
    op.create_table(
        "job_record",
        text("id"),
        text("kind"),
        text("key"),
        integer("job_id", null=True),
        sa.Column("lease_s", sa.Double(), nullable=False, server_default="0"),
        text("worker", null=True),
        text("last_error", null=True),
        integer("created_us"),
        integer("finished_us", null=True),
        integer("done_units", null=True),
        integer("units", null=True),
        sa.ForeignKeyConstraint(["job_id"], ["procrastinate_jobs.id"], name="fk_job_record_job_id"),
        sa.PrimaryKeyConstraint("id", name="pk_job_record"),
        sa.UniqueConstraint("kind", "key", name="uq_job_record_kind_key"),
        sa.UniqueConstraint("job_id", name="uq_job_record_job_id"),
    )
    op.create_index("ix_job_record_key", "job_record", ["key"])
    op.create_index("ix_job_record_open", "job_record", ["created_us"], postgresql_where=sa.text("finished_us IS NULL"))
    _run(_CARRY)
    op.drop_table("job")
    _run(_JOB)


def downgrade() -> None:
    if op.get_bind().dialect.name != "postgresql":
        op.drop_index("ix_job_key", "job")
        return
    _run("ALTER VIEW job RENAME TO job_shown")
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
        integer("done_units", null=True),
        integer("units", null=True),
        sa.CheckConstraint("state IN ('queued', 'running', 'done', 'dead')", name=op.f("ck_job_state")),
        sa.PrimaryKeyConstraint("id", name="pk_job"),
        sa.UniqueConstraint("kind", "key", name="uq_job_kind_key"),
    )
    op.create_index("ix_job_state_not_before_us", "job", ["state", "not_before_us"])
    _run(_CARRY_BACK)
    _run("DROP VIEW job_shown")
    op.drop_table("job_record")
    _run(_WITHOUT)


def _procrastinate() -> str:
    """Its tables and functions. Raises SchemaError when they are not those that this migration knows."""
    try:
        schema = (resources.files("procrastinate.sql") / "schema.sql").read_text(encoding="utf-8")
    except ModuleNotFoundError as error:
        raise SchemaError("The package procrastinate is missing. Install iain with its postgres extra.") from error
    if hashlib.sha256(schema.encode()).hexdigest() != _SCHEMA_SHA256:
        raise SchemaError("The package procrastinate has other tables than 3.10. Install the locked requirements.")
    return schema


def _run(statements: str) -> None:
    # Without parameters, or the driver would read their percent signs, and take one statement only.
    op.get_bind().execution_options(no_parameters=True).exec_driver_sql(statements)
