"""The tables of the ledger and of the work. Instants are integers, microseconds UTC, on both databases.

Data tables are made from datasets (`rows.py`). `migrations/` holds the same schema as steps; a test compares the two.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Float,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    text,
)

from gapless.core.job import JobState
from gapless.core.segment import SegmentState

metadata = MetaData()

Id = BigInteger().with_variant(Integer(), "sqlite")


def _id() -> Column[int]:
    return Column("id", Id, Identity(), primary_key=True)


def _in(column: str, values: type[JobState] | type[SegmentState]) -> CheckConstraint:
    listed = ", ".join(f"'{one.value}'" for one in values)
    return CheckConstraint(f"{column} IN ({listed})", name=f"{column}_is_known")


def _whole(table: str) -> CheckConstraint:
    return CheckConstraint('"start" < "end"', name=f"{table}_is_a_span")


UNFINISHED = "state IN ('pending', 'running', 'paused')"

series = Table(
    "series",
    metadata,
    _id(),
    Column("dataset", Text, nullable=False),
    Column("name", Text, nullable=False),
    # The source has nothing before this instant, and when we learned it.
    Column("since", BigInteger),
    Column("since_at", BigInteger),
    Index("series_name", "dataset", "name", unique=True),
)

job = Table(
    "job",
    metadata,
    _id(),
    Column("wish", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("dataset", Text, nullable=False),
    Column("series_count", Integer, nullable=False),
    Column("name", Text, nullable=False, server_default=""),
    Column("start", BigInteger, nullable=False),
    Column("end", BigInteger, nullable=False),
    Column("mode", Text, nullable=False),
    Column("direction", Text, nullable=False),
    Column("recheck", Integer, nullable=False, server_default="0"),
    Column("queue", Text, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("turn", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("error", Text, nullable=False, server_default=""),
    Column("rate", Float),
    Column("total", BigInteger, nullable=False),
    Column("cached", BigInteger, nullable=False),
    Column("lacking", BigInteger, nullable=False),
    Column("rows", BigInteger, nullable=False, server_default="0"),
    Column("requests", BigInteger, nullable=False, server_default="0"),
    Column("created_at", BigInteger, nullable=False),
    Column("started_at", BigInteger),
    Column("ended_at", BigInteger),
    Column("found", BigInteger, nullable=False, server_default="0"),
    Column("params", Text, nullable=False, server_default="{}"),
    # Instead of the settings' own: attempts after the first one.
    Column("max_retries", Integer),
    # Microseconds that it may run, pauses left out; those that it has run; and since when it does so now.
    Column("max_runtime", BigInteger),
    Column("ran", BigInteger, nullable=False, server_default="0"),
    Column("running_since", BigInteger),
    _in("state", JobState),
    _whole("job"),
    Index(
        "job_wish",
        "wish",
        unique=True,
        sqlite_where=text(UNFINISHED),
        postgresql_where=text(UNFINISHED),
    ),
    Index("job_state", "state"),
    Index("job_ended", "ended_at"),
)

job_series = Table(
    "job_series",
    metadata,
    Column("job", BigInteger, primary_key=True),
    Column("series", BigInteger, primary_key=True),
    # From where a standing job keeps this series complete.
    Column("start", BigInteger),
    sqlite_with_rowid=False,
)

segment = Table(
    "segment",
    metadata,
    _id(),
    Column("job", BigInteger, nullable=False),
    Column("series", BigInteger, nullable=False),
    Column("queue", Text, nullable=False),
    Column("turn", BigInteger, nullable=False),
    Column("budget", Text, nullable=False),
    Column("start", BigInteger, nullable=False),
    Column("end", BigInteger, nullable=False),
    Column("cursor", BigInteger, nullable=False),
    Column("direction", Text, nullable=False),
    Column("side", Text, nullable=False),
    Column("recheck_from", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("epoch", Integer, nullable=False, server_default="0"),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("worker", Text),
    Column("claimed_at", BigInteger),
    Column("retry_at", BigInteger, nullable=False, server_default="0"),
    Column("error", Text, nullable=False, server_default=""),
    Column("rows", BigInteger, nullable=False, server_default="0"),
    Column("requests", BigInteger, nullable=False, server_default="0"),
    Column("ended_at", BigInteger),
    _in("state", SegmentState),
    _whole("segment"),
    CheckConstraint('cursor >= "start" AND cursor <= "end"', name="cursor_is_inside"),
    Index(
        "segment_claim",
        "queue",
        "turn",
        "job",
        "id",
        sqlite_where=text("state = 'waiting'"),
        postgresql_where=text("state = 'waiting'"),
    ),
    Index("segment_job", "job", "state"),
    Index(
        "segment_running",
        "series",
        sqlite_where=text("state = 'running'"),
        postgresql_where=text("state = 'running'"),
    ),
)

coverage = Table(
    "coverage",
    metadata,
    Column("series", BigInteger, primary_key=True),
    Column("start", BigInteger, primary_key=True),
    Column("end", BigInteger, nullable=False),
    _whole("coverage"),
    sqlite_with_rowid=False,
)

# What a job of mode all, or one that re-checks, has proven itself.
proof = Table(
    "proof",
    metadata,
    Column("job", BigInteger, primary_key=True),
    Column("series", BigInteger, primary_key=True),
    Column("start", BigInteger, primary_key=True),
    Column("end", BigInteger, nullable=False),
    _whole("proof"),
    sqlite_with_rowid=False,
)

# Rows inside coverage per stretch of a thousand periods: the count that `verify` compares with the data table.
tally = Table(
    "tally",
    metadata,
    Column("series", BigInteger, primary_key=True),
    Column("bucket", BigInteger, primary_key=True),
    Column("rows", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

quarantine = Table(
    "quarantine",
    metadata,
    _id(),
    Column("series", BigInteger, nullable=False),
    Column("start", BigInteger, nullable=False),
    Column("end", BigInteger, nullable=False),
    Column("job", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    _whole("quarantine"),
    Index("quarantine_series", "series", "start"),
)

budget = Table(
    "budget",
    metadata,
    Column("key", Text, primary_key=True),
    Column("rate", Float),
    Column("tat", BigInteger, nullable=False),
    Column("blocked_until", BigInteger, nullable=False),
    Column("blocks", Integer, nullable=False),
    Column("probing", Integer, nullable=False),
    Column("daily", BigInteger),
    Column("used", BigInteger, nullable=False),
    Column("day", BigInteger, nullable=False),
    Column("reset_offset", BigInteger, nullable=False),
    Column("second", BigInteger, nullable=False),
    Column("sent", Integer, nullable=False),
    Column("sent_before", Integer, nullable=False),
    Column("requests", BigInteger, nullable=False),
    Column("refusals", BigInteger, nullable=False),
)

worker = Table(
    "worker",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("queues", Text, nullable=False),
    Column("slots", Integer, nullable=False),
    # The only job it serves, if it is a foreground command.
    Column("job", BigInteger),
    Column("beat", BigInteger, nullable=False),
    Column("started_at", BigInteger, nullable=False),
)

# What an owner has set for a queue as a whole.
queue = Table(
    "queue",
    metadata,
    Column("name", Text, primary_key=True),
    # Segments of it that may run at once in all processes; null for no limit.
    Column("limit", Integer),
    sqlite_with_rowid=False,
)

# Answers as they came, so that a better parser can read them again without a request.
payload = Table(
    "payload",
    metadata,
    Column("series", BigInteger, primary_key=True),
    # What was asked of the series, such as the year of a report.
    Column("name", Text, primary_key=True),
    # Tells apart what the source answered to the same question after it had corrected itself.
    Column("version", Text, primary_key=True),
    # What it has proven.
    Column("start", BigInteger, nullable=False),
    Column("end", BigInteger, nullable=False),
    # The version of the parser that read it.
    Column("parser", Integer, nullable=False),
    # zstd, and how long it is unpacked.
    Column("body", LargeBinary, nullable=False),
    Column("size", BigInteger, nullable=False),
    # When it was last fetched, and when it was last different from what was stored.
    Column("fetched_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    # An answer that says "nothing yet" is taken back then.
    Column("again_at", BigInteger),
    _whole("payload"),
    Index(
        "payload_again",
        "again_at",
        sqlite_where=text("again_at IS NOT NULL"),
        postgresql_where=text("again_at IS NOT NULL"),
    ),
    sqlite_with_rowid=False,
)

event = Table(
    "event",
    metadata,
    _id(),
    Column("at", BigInteger, nullable=False),
    Column("job", BigInteger),
    Column("segment", BigInteger),
    Column("level", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("message", Text, nullable=False),
    Index("event_job", "job", "id"),
)

# The settings of a wish, as they were said: a run reads them anew, so `days` counts from that day.
template = Table(
    "template",
    metadata,
    _id(),
    Column("name", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("kind", Text, nullable=False),
    # JSON, checked when it was saved; a list of the templates that run when its job is done.
    Column("settings", Text, nullable=False),
    Column("then", Text, nullable=False, server_default="[]"),
    Column("created_at", BigInteger, nullable=False),
    Column("changed_at", BigInteger, nullable=False),
    Index("template_name", "name", unique=True),
)

schedule = Table(
    "schedule",
    metadata,
    _id(),
    Column("name", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("template", BigInteger, nullable=False),
    Column("cron", Text, nullable=False),
    Column("zone", Text, nullable=False),
    Column("enabled", Integer, nullable=False, server_default="1"),
    # Whoever moves it makes the run: one of all processes.
    Column("next_at", BigInteger, nullable=False),
    # After trouble on the way: not before this instant.
    Column("retry_at", BigInteger, nullable=False, server_default="0"),
    # The time that the newest run stood for, and its job.
    Column("last_at", BigInteger),
    Column("last_job", BigInteger),
    Column("runs", Integer, nullable=False, server_default="0"),
    # Times that were caught up by one run, or refused because the run before was not over.
    Column("missed", Integer, nullable=False, server_default="0"),
    Column("refused", Integer, nullable=False, server_default="0"),
    Column("error", Text, nullable=False, server_default=""),
    Column("created_at", BigInteger, nullable=False),
    Index("schedule_name", "name", unique=True),
)

# What is to run when a job has ended: the first step becomes a job, the others wait for that one.
chain = Table(
    "chain",
    metadata,
    _id(),
    Column("job", BigInteger, nullable=False),
    Column("owner", Text, nullable=False),
    # `done`, or `ended`: also when it is incomplete or failed.
    Column("after", Text, nullable=False),
    # JSON: a list of steps, each a kind and the settings of a wish.
    Column("steps", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("next_job", BigInteger),
    Column("retry_at", BigInteger, nullable=False, server_default="0"),
    Column("error", Text, nullable=False, server_default=""),
    Column("created_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
    CheckConstraint("state IN ('waiting', 'started', 'failed')", name="chain_state_is_known"),
    CheckConstraint("after IN ('done', 'ended')", name="chain_after_is_known"),
    Index("chain_job", "job"),
    Index(
        "chain_waiting",
        "id",
        sqlite_where=text("state = 'waiting'"),
        postgresql_where=text("state = 'waiting'"),
    ),
)

# Whom to tell. Address and secret are used, never shown.
notification = Table(
    "notification",
    metadata,
    _id(),
    Column("name", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("secret", Text, nullable=False, server_default=""),
    # Separated by commas: done, incomplete, failed, cancelled, waiting.
    Column("events", Text, nullable=False),
    Column("enabled", Integer, nullable=False, server_default="1"),
    Column("created_at", BigInteger, nullable=False),
    Index("notification_name", "name", unique=True),
)

delivery = Table(
    "delivery",
    metadata,
    _id(),
    Column("notification", BigInteger, nullable=False),
    Column("job", BigInteger, nullable=False),
    Column("event", Text, nullable=False),
    # Tells one event of a job from the next of the same kind: when it ended, or until when it waits.
    Column("occasion", BigInteger, nullable=False),
    # JSON: what is told, as it was at that moment.
    Column("body", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("retry_at", BigInteger, nullable=False),
    Column("error", Text, nullable=False, server_default=""),
    Column("created_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
    CheckConstraint("state IN ('waiting', 'sent', 'failed')", name="delivery_state_is_known"),
    Index("delivery_event", "notification", "job", "event", "occasion", unique=True),
    Index(
        "delivery_waiting",
        "retry_at",
        sqlite_where=text("state = 'waiting'"),
        postgresql_where=text("state = 'waiting'"),
    ),
)

forecast = Table(
    "forecast",
    metadata,
    _id(),
    Column("job", BigInteger, nullable=False),
    Column("budget", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    # Requests that were made, that were left, and that jobs before it had left; its share of the budget.
    Column("requests", BigInteger, nullable=False),
    Column("left", BigInteger, nullable=False),
    Column("ahead", BigInteger, nullable=False),
    Column("share", Float, nullable=False),
    # What the pace was learned from.
    Column("basis", Text, nullable=False),
    # Seconds: of work, of waiting that was certain, and what was said.
    Column("work", Float, nullable=False),
    Column("idle", Float, nullable=False),
    Column("p50", Float, nullable=False),
    Column("p90", Float, nullable=False),
    # How the job ended, empty before that, and the seconds it really took, pauses left out.
    Column("outcome", Text, nullable=False, server_default=""),
    Column("actual", Float),
    Index("forecast_job", "job", "id"),
    Index("forecast_budget", "budget", "id"),
    Index("forecast_open", "job", sqlite_where=text("outcome = ''"), postgresql_where=text("outcome = ''")),
)

# For how many days things are kept that have ended; what is not named here has a default in `engine/retention.py`.
retention = Table(
    "retention",
    metadata,
    Column("what", Text, primary_key=True),
    Column("days", Integer, nullable=False),
    sqlite_with_rowid=False,
)

account = Table(
    "account",
    metadata,
    _id(),
    Column("name", Text, nullable=False, unique=True),
    Column("role", Text, nullable=False),
    # An argon2 hash.
    Column("password", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    # A closed account keeps its name in the audit, and opens nothing.
    Column("closed_at", BigInteger),
    CheckConstraint("role IN ('viewer', 'operator', 'admin')", name="role_is_known"),
)

session = Table(
    "session",
    metadata,
    # SHA-256 of what the cookie holds.
    Column("id", Text, primary_key=True),
    Column("account", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Index("session_account", "account"),
    sqlite_with_rowid=False,
)

token = Table(
    "token",
    metadata,
    _id(),
    Column("name", Text, nullable=False),
    Column("account", BigInteger, nullable=False),
    # At most this role, and at most the account's.
    Column("role", Text, nullable=False),
    # SHA-256 of the token: 256 random bits need no slow hash.
    Column("digest", Text, nullable=False, unique=True),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    Column("used_at", BigInteger),
    Column("revoked_at", BigInteger),
    Index("token_account", "account"),
)

# Every change of a state: who, why, before and after. Entries are sealed a moment later, in the order of their places,
# each digest over the one before it: writers of different jobs need not wait for each other.
audit = Table(
    "audit",
    metadata,
    _id(),
    Column("at", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("via", Text, nullable=False),
    Column("action", Text, nullable=False),
    # Such as `job/12`.
    Column("subject", Text, nullable=False),
    Column("before", Text, nullable=False),
    Column("after", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("place", BigInteger, unique=True),
    Column("digest", Text),
    Index("audit_subject", "subject", "id"),
    Index(
        "audit_unsealed",
        "id",
        sqlite_where=text("place IS NULL"),
        postgresql_where=text("place IS NULL"),
    ),
)

# What a client wanted to be done once, however often it asks.
demand = Table(
    "demand",
    metadata,
    Column("owner", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    # SHA-256 of what was asked.
    Column("digest", Text, nullable=False),
    Column("job", BigInteger, nullable=False),
    Column("at", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

# What all processes of a history share and no other table holds, such as the key that signs sessions.
setting = Table(
    "setting",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
    sqlite_with_rowid=False,
)

# What validations have found.
finding = Table(
    "finding",
    metadata,
    _id(),
    Column("job", BigInteger, nullable=False),
    Column("series", BigInteger, nullable=False),
    Column("rule", Text, nullable=False),
    Column("severity", Text, nullable=False),
    Column("start", BigInteger, nullable=False),
    Column("end", BigInteger, nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("evidence", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    _whole("finding"),
    Index("finding_job", "job", "series", "start"),
)

# Files that report jobs have written, into the folder of their job.
report = Table(
    "report",
    metadata,
    Column("job", BigInteger, primary_key=True),
    Column("name", Text, primary_key=True),
    # The dataset and the series that it tells of.
    Column("dataset", Text, nullable=False),
    Column("series", Text, nullable=False),
    Column("media_type", Text, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

# Wrong passwords of the last minutes: a name or an address that tries too often has to wait, at whichever server.
attempt = Table(
    "attempt",
    metadata,
    _id(),
    # `name/…`, `address/…` or `setup/…`.
    Column("key", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Index("attempt_key", "key", "at"),
)
