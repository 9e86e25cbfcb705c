"""Names of workers, limits of queues, and on PostgreSQL the doorbell: PgQueuer's tables and the triggers that ring."""
# ruff: noqa: E501  what PgQueuer renders stands here as it renders it

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make them; workers of the former version must have stopped."""
    op.drop_table("worker")
    op.create_table(
        "worker",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("queues", sa.Text(), nullable=False),
        sa.Column("slots", sa.Integer(), nullable=False),
        sa.Column("job", sa.BigInteger(), nullable=True),
        sa.Column("beat", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name"),
    )
    op.create_table(
        "queue",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("limit", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("name"),
        sqlite_with_rowid=False,
    )
    dialect = op.get_bind().dialect.name
    _run(_DEPTH.replace("NOW", _NOW[dialect]))
    if dialect == "postgresql":
        for text in (*_PGQUEUER, *_DOORBELL):
            _run(text)


def downgrade() -> None:
    """Take the queue's tables away."""
    if op.get_bind().dialect.name == "postgresql":
        for text in _GONE:
            _run(text)
    _run("DROP VIEW queue_depth")
    op.drop_table("queue")
    op.drop_table("worker")
    op.create_table(
        "worker",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("queues", sa.Text(), nullable=False),
        sa.Column("slots", sa.Integer(), nullable=False),
        sa.Column("job", sa.BigInteger(), nullable=True),
        sa.Column("beat", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )


def _run(text: str) -> None:
    """Straight to the driver: a colon in a function's text is no parameter."""
    op.get_bind().exec_driver_sql(text.replace("%", "%%") if op.get_bind().dialect.name == "postgresql" else text)


#: Now in microseconds; SQLite before 3.42 has no finer clock that is an integer.
_NOW = {
    "sqlite": "CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER)",
    "postgresql": "(extract(epoch FROM now()) * 1000000)::bigint",
}
#: For autoscalers and people, a row for each queue: segments that could run now, those that run, and the age in seconds of
#: the oldest job that could. What waits for its time, or for a budget, is no reason to start a worker.
_DEPTH = """
CREATE VIEW queue_depth AS
SELECT names.queue AS queue,
       coalesce(sum(CASE WHEN ready.state = 'waiting' THEN 1 ELSE 0 END), 0) AS waiting,
       coalesce(sum(CASE WHEN ready.state = 'running' THEN 1 ELSE 0 END), 0) AS running,
       coalesce((NOW - min(CASE WHEN ready.state = 'waiting' THEN ready.created_at END)) / 1000000.0, 0) AS oldest_seconds
FROM (SELECT 'live' AS queue UNION ALL SELECT 'daily' UNION ALL SELECT 'backfill' UNION ALL SELECT 'compute') AS names
LEFT JOIN (
    SELECT segment.queue AS queue, segment.state AS state, job.created_at AS created_at
    FROM segment JOIN job ON job.id = segment.job LEFT JOIN budget ON budget.key = segment.budget
    WHERE segment.state = 'running' OR (
        segment.state = 'waiting' AND job.state IN ('pending', 'running') AND segment.retry_at <= NOW
        AND coalesce(budget.blocked_until, 0) <= NOW
        AND NOT coalesce(budget.used >= budget.daily - budget.daily / 50
                         AND budget.day = (NOW + budget.reset_offset) / 86400000000, false)
    )
) AS ready ON ready.queue = names.queue
GROUP BY names.queue
"""

#: A ring in the transaction in which a segment begins to wait, whoever lets it wait: made, cut off, given back, rescued,
#: retried, or its job resumed. The key names segment and epoch (`store/doorbell.py`).
_DOORBELL = (
    """
CREATE TABLE gapless_doorbell (id int PRIMARY KEY CHECK (id = 1), next_at timestamptz NOT NULL)
""",
    "INSERT INTO gapless_doorbell VALUES (1, now())",
    """
CREATE FUNCTION gapless_ring_made() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO gapless_pgqueuer (priority, entrypoint, payload, dedupe_key, status, execute_after)
    SELECT (2 - job.priority) * 700000000 + 699999999 - (fresh.id % 700000000)::int, fresh.queue,
           convert_to(fresh.id::text, 'UTF8'), 's' || fresh.id || '.' || fresh.epoch, 'queued',
           greatest(now(), to_timestamp(fresh.retry_at / 1e6))
    FROM fresh JOIN job ON job.id = fresh.job WHERE fresh.state = 'waiting'
    ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$
""",
    """
CREATE TRIGGER gapless_ring_made AFTER INSERT ON segment
REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION gapless_ring_made()
""",
    """
CREATE FUNCTION gapless_ring_waits() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO gapless_pgqueuer (priority, entrypoint, payload, dedupe_key, status, execute_after)
    SELECT (2 - job.priority) * 700000000 + 699999999 - (NEW.id % 700000000)::int, NEW.queue,
           convert_to(NEW.id::text, 'UTF8'), 's' || NEW.id || '.' || NEW.epoch, 'queued',
           greatest(now(), to_timestamp(NEW.retry_at / 1e6))
    FROM job WHERE job.id = NEW.job
    ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$
""",
    """
CREATE TRIGGER gapless_ring_waits AFTER UPDATE ON segment FOR EACH ROW
WHEN (NEW.state = 'waiting' AND OLD.state IS DISTINCT FROM NEW.state) EXECUTE FUNCTION gapless_ring_waits()
""",
    """
CREATE FUNCTION gapless_ring_resumed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO gapless_pgqueuer (priority, entrypoint, payload, dedupe_key, status, execute_after)
    SELECT (2 - NEW.priority) * 700000000 + 699999999 - (segment.id % 700000000)::int, segment.queue,
           convert_to(segment.id::text, 'UTF8'), 's' || segment.id || '.' || segment.epoch, 'queued',
           greatest(now(), to_timestamp(segment.retry_at / 1e6))
    FROM segment WHERE segment.job = NEW.id AND segment.state = 'waiting'
    ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$
""",
    """
CREATE TRIGGER gapless_ring_resumed AFTER UPDATE ON job FOR EACH ROW
WHEN (OLD.state = 'paused' AND NEW.state IN ('pending', 'running')) EXECUTE FUNCTION gapless_ring_resumed()
""",
)

_GONE = (
    "DROP TRIGGER gapless_ring_resumed ON job",
    "DROP TRIGGER gapless_ring_waits ON segment",
    "DROP TRIGGER gapless_ring_made ON segment",
    "DROP FUNCTION gapless_ring_resumed, gapless_ring_waits, gapless_ring_made",
    "DROP TABLE gapless_doorbell, gapless_pgqueuer, gapless_pgqueuer_log",
    "DROP TABLE gapless_pgqueuer_schedules, gapless_pgqueuer_statistics",
    "DROP FUNCTION gapless_fn_pgqueuer_changed",
    "DROP TYPE gapless_pgqueuer_status",
)

#: What PgQueuer 1.6 installs with the prefix `gapless_` and unlogged tables (a test compares it with the library).
_PGQUEUER = (
    """
CREATE TYPE gapless_pgqueuer_status AS ENUM ('queued', 'picked', 'successful', 'exception', 'canceled', 'deleted', 'failed')
""",
    """
CREATE UNLOGGED TABLE gapless_pgqueuer (
    id bigserial NOT NULL PRIMARY KEY,
    priority integer NOT NULL,
    queue_manager_id uuid,
    created timestamp with time zone NOT NULL DEFAULT now(),
    updated timestamp with time zone NOT NULL DEFAULT now(),
    heartbeat timestamp with time zone NOT NULL DEFAULT now(),
    execute_after timestamp with time zone NOT NULL DEFAULT now(),
    status gapless_pgqueuer_status NOT NULL,
    entrypoint text NOT NULL,
    dedupe_key text,
    payload bytea,
    headers jsonb,
    attempts integer NOT NULL DEFAULT 0,
    slot bigint
)
""",
    """
CREATE UNLOGGED TABLE gapless_pgqueuer_log (
    id bigint GENERATED BY DEFAULT AS IDENTITY NOT NULL PRIMARY KEY,
    created timestamp with time zone NOT NULL DEFAULT now(),
    job_id bigint NOT NULL,
    status gapless_pgqueuer_status NOT NULL,
    priority integer NOT NULL,
    entrypoint text NOT NULL,
    traceback jsonb,
    aggregated boolean DEFAULT false
)
""",
    """
CREATE UNLOGGED TABLE gapless_pgqueuer_schedules (
    id bigserial NOT NULL PRIMARY KEY,
    expression text NOT NULL,
    entrypoint text NOT NULL,
    heartbeat timestamp with time zone NOT NULL DEFAULT now(),
    created timestamp with time zone NOT NULL DEFAULT now(),
    updated timestamp with time zone NOT NULL DEFAULT now(),
    next_run timestamp with time zone NOT NULL DEFAULT now(),
    last_run timestamp with time zone,
    status gapless_pgqueuer_status DEFAULT 'queued'::gapless_pgqueuer_status,
    UNIQUE (expression, entrypoint)
)
""",
    """
CREATE UNLOGGED TABLE gapless_pgqueuer_statistics (
    id bigserial NOT NULL PRIMARY KEY,
    created timestamp with time zone NOT NULL DEFAULT date_trunc('sec'::text, now()),
    count bigint NOT NULL,
    priority integer NOT NULL,
    status gapless_pgqueuer_status NOT NULL,
    entrypoint text NOT NULL
)
""",
    """
CREATE INDEX gapless_pgqueuer_ep_ea_idx ON gapless_pgqueuer USING btree (entrypoint, execute_after) WHERE (status = 'queued'::gapless_pgqueuer_status)
""",
    """
CREATE INDEX gapless_pgqueuer_ep_prio_id_idx ON gapless_pgqueuer USING btree (entrypoint, priority DESC, id) WHERE (status = 'queued'::gapless_pgqueuer_status)
""",
    """
CREATE INDEX gapless_pgqueuer_log_created ON gapless_pgqueuer_log USING btree (created)
""",
    """
CREATE INDEX gapless_pgqueuer_log_job_id_status ON gapless_pgqueuer_log USING btree (job_id, created DESC)
""",
    """
CREATE INDEX gapless_pgqueuer_log_not_aggregated ON gapless_pgqueuer_log USING btree ((1)) WHERE (NOT aggregated)
""",
    """
CREATE INDEX gapless_pgqueuer_log_status ON gapless_pgqueuer_log USING btree (status)
""",
    """
CREATE INDEX gapless_pgqueuer_picked_heartbeat_idx ON gapless_pgqueuer USING btree (heartbeat) WHERE (status = 'picked'::gapless_pgqueuer_status)
""",
    """
CREATE UNIQUE INDEX gapless_pgqueuer_picked_slot_idx ON gapless_pgqueuer USING btree (entrypoint, slot) WHERE ((status = 'picked'::gapless_pgqueuer_status) AND (slot IS NOT NULL))
""",
    """
CREATE INDEX gapless_pgqueuer_priority_id_id1_idx ON gapless_pgqueuer USING btree (priority, id DESC) INCLUDE (id) WHERE (status = 'queued'::gapless_pgqueuer_status)
""",
    """
CREATE INDEX gapless_pgqueuer_queue_manager_id_idx ON gapless_pgqueuer USING btree (queue_manager_id) WHERE (queue_manager_id IS NOT NULL)
""",
    """
CREATE UNIQUE INDEX gapless_pgqueuer_statistics_unique_count ON gapless_pgqueuer_statistics USING btree (priority, date_trunc('sec'::text, timezone('UTC'::text, created)), status, entrypoint)
""",
    """
CREATE UNIQUE INDEX gapless_pgqueuer_unique_dedupe_key ON gapless_pgqueuer USING btree (dedupe_key) WHERE ((status = ANY (ARRAY['queued'::gapless_pgqueuer_status, 'picked'::gapless_pgqueuer_status])) AND (dedupe_key IS NOT NULL))
""",
    """
CREATE INDEX gapless_pgqueuer_updated_id_id1_idx ON gapless_pgqueuer USING btree (updated, id DESC) INCLUDE (id) WHERE (status = 'picked'::gapless_pgqueuer_status)
""",
    """
CREATE FUNCTION gapless_fn_pgqueuer_changed() RETURNS TRIGGER AS $$
DECLARE
    to_emit BOOLEAN := false;  -- Flag to decide whether to emit a notification
BEGIN
    -- Check operation type and set the emit flag accordingly
    IF TG_OP = 'UPDATE' AND OLD IS DISTINCT FROM NEW THEN
        to_emit := true;
    ELSIF TG_OP = 'DELETE' THEN
        to_emit := true;
    ELSIF TG_OP = 'INSERT' THEN
        to_emit := true;
    ELSIF TG_OP = 'TRUNCATE' THEN
        to_emit := true;
    END IF;

    -- Perform notification if the emit flag is set
    IF to_emit THEN
        PERFORM pg_notify(
            'gapless_ch_pgqueuer',
            json_build_object(
                'channel', 'gapless_ch_pgqueuer',
                'operation', lower(TG_OP),
                'sent_at', NOW(),
                'table', TG_TABLE_NAME,
                'type', 'table_changed_event'
            )::text
        );
    END IF;

    -- Return appropriate value based on the operation
    IF TG_OP IN ('INSERT', 'UPDATE') THEN
        RETURN NEW;
    ELSIF TG_OP = 'DELETE' THEN
        RETURN OLD;
    ELSE
        RETURN NULL; -- For TRUNCATE and other non-row-specific contexts
    END IF;

END;
$$ LANGUAGE plpgsql
""",
    """
CREATE TRIGGER gapless_tg_pgqueuer_changed
AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON gapless_pgqueuer
EXECUTE FUNCTION gapless_fn_pgqueuer_changed()
""",
)
