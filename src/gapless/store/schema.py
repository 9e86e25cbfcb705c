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
