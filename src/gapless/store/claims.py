"""Claiming: which segment a slot gets next, and why one is not claimed; the same predicates answer both.

Order: place (`turn`, from class and age), job, segment. Not claimable: segments that wait for their time, for a blocked
or spent budget, or for another segment under a live lease that is fetching the same part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Float,
    Integer,
    Text,
    and_,
    bindparam,
    case,
    cast,
    column,
    exists,
    func,
    literal,
    or_,
    select,
    table,
    update,
)

from gapless.core.actor import ENGINE
from gapless.core.job import Direction, JobState, Queue
from gapless.core.segment import Lease, Segment, SegmentState
from gapless.core.span import DAY, Instant
from gapless.store import audit, queues, segments
from gapless.store import series as store_series
from gapless.store.database import Tx
from gapless.store.schema import budget, job, segment, setting
from gapless.store.schema import queue as queue_table
from gapless.store.segments import COLUMNS, JOINED
from gapless.store.sql import Statement, among, word

#: How often a claim looks again when another slot was faster.
CLAIM_TRIES = 3
_b = bindparam
_WAITING, _RUNNING = SegmentState.WAITING.value, SegmentState.RUNNING.value
_COMPUTE = Queue.COMPUTE.value
_ACTIVE = [JobState.PENDING.value, JobState.RUNNING.value]

_other = segment.alias("other")
_running_job = job.alias("running_job")
#: The setting that holds how many jobs may run at once.
RUNNING_JOBS = "running_jobs"


def _left(table: Any) -> tuple[ColumnElement[int], ColumnElement[int]]:
    """The bounds of what a segment still has to do."""
    ahead = table.c.direction == Direction.FORWARD.value
    return case((ahead, table.c.cursor), else_=table.c.start), case((ahead, table.c.end), else_=table.c.cursor)


_mine, _theirs = _left(segment), _left(_other)
#: Another segment of the series is under a live lease and would ask for the same part. What goes over stored rows has a
#: queue of its own and is in nobody's way.
_overlapped = and_(
    _other.c.series == segment.c.series,
    _other.c.state == word(_RUNNING),
    _other.c.id != segment.c.id,
    or_(
        _other.c.queue == segment.c.queue,
        and_(_other.c.queue != word(_COMPUTE), segment.c.queue != word(_COMPUTE)),
    ),
    _theirs[0] < _mine[1],
    _mine[0] < _theirs[1],
)
_blocked = and_(budget.c.blocked_until.is_not(None), budget.c.blocked_until > _b("now"))
_spent = and_(
    budget.c.daily.is_not(None),
    # As `pacing.of_quota` has it.
    budget.c.used
    >= budget.c.daily
    - case(
        (segment.c.queue == "live", 0),
        (segment.c.queue == "daily", budget.c.daily // 100),
        else_=budget.c.daily // 50,
    ),
    budget.c.day == (_b("now") + budget.c.reset_offset) // literal(DAY),
)
#: The queue as a whole has no place free.
_full = exists(
    select(queue_table.c.name).where(
        queue_table.c.name == _b("queue"),
        queue_table.c.limit
        <= select(func.count())
        .select_from(_other)
        .where(_other.c.queue == queue_table.c.name, _other.c.state == word(_RUNNING))
        .scalar_subquery(),
    )
)
#: As many jobs run as the history allows; those that run go on. Standing jobs do not count: they never end.
_crowded = exists(
    select(setting.c.name).where(
        setting.c.name == word(RUNNING_JOBS),
        cast(setting.c.value, Integer)
        <= select(func.count())
        .select_from(_running_job)
        .where(_running_job.c.state == word(JobState.RUNNING.value), _running_job.c.kind != word("follow"))
        .scalar_subquery(),
    )
)
_claimable = and_(
    segment.c.state == word(_WAITING),
    among(job.c.state, _ACTIVE),
    segment.c.retry_at <= _b("now"),
    func.coalesce(budget.c.blocked_until, 0) <= _b("now"),
    or_(budget.c.key.is_(None), ~_spent),
    ~exists(select(_other.c.id).where(_overlapped)),
    # By the segment's own columns: where ten thousand jobs wait, none of them is joined to be passed over.
    or_(
        ~_crowded,
        segment.c.queue == word("live"),
        segment.c.job.in_(select(_running_job.c.id).where(_running_job.c.state == word(JobState.RUNNING.value))),
    ),
)
_QUEUED = JOINED.outerjoin(budget, budget.c.key == segment.c.budget)


_ORDER = (segment.c.turn, segment.c.job, segment.c.id)


def _next(*narrowed: ColumnElement[bool], order: Sequence[ColumnElement[int]] = _ORDER) -> tuple[Statement, Statement]:
    """The next segment of a queue: to look at whether or not the queue is full, and to take under its row lock.

    `order` is that of SQLite.
    """
    chosen = select(*COLUMNS, job.c.state).select_from(_QUEUED)
    chosen = chosen.where(segment.c.queue == _b("queue"), _claimable, *narrowed).limit(1)
    here, there = chosen.order_by(*order), chosen.order_by(*_ORDER)
    locked = there.where(~_full).with_for_update(of=segment, skip_locked=True)
    return Statement(here, postgresql=there), Statement(here.where(~_full), postgresql=locked)


_PEEK, _NEXT = _next()
#: The segments of one job have one turn. SQLite does not see that, and would sort all that wait for each one taken.
_PEEK_OF_JOB, _NEXT_OF_JOB = _next(segment.c.job == _b("job"), order=(segment.c.id,))
_CLAIM = Statement(
    update(segment)
    .where(
        segment.c.id == _b("its_id"), segment.c.state == word(_WAITING), ~exists(select(_other.c.id).where(_overlapped))
    )
    .values(state=_RUNNING, epoch=segment.c.epoch + 1, worker=_b("its_worker"), claimed_at=_b("now"))
)
_START_JOB = Statement(
    update(job)
    .where(job.c.id == _b("its_id"), job.c.state == JobState.PENDING.value)
    .values(
        state=JobState.RUNNING.value, started_at=func.coalesce(job.c.started_at, _b("now")), running_since=_b("now")
    )
)
_IS_FULL = Statement(select(literal(1)).where(_full))
_IS_CROWDED = Statement(select(literal(1)).where(_crowded))
_LAST_RUNNING = Statement(
    select(segment.c.id)
    .where(segment.c.queue == _b("queue"), segment.c.state == word(_RUNNING))
    .order_by(segment.c.turn.desc(), segment.c.id.desc())
    .limit(1)
)
_LANES = Statement(select(func.count()).where(segment.c.series == _b("series"), segment.c.state == word(_RUNNING)))
_VICTIMS = Statement(
    select(*COLUMNS)
    .select_from(JOINED)
    .where(
        segment.c.state == word(_RUNNING),
        segment.c.queue == _b("queue"),
        job.c.state == JobState.RUNNING.value,
        or_(_b("only") == 0, segment.c.job == _b("only")),
    )
    .order_by((_mine[1] - _mine[0]).desc())
    .limit(4)
)
_WHY = Statement(
    select(
        segment.c.id,
        segment.c.queue,
        segment.c.turn,
        segment.c.retry_at,
        segment.c.error,
        case((_blocked, budget.c.blocked_until), else_=0),
        case((_spent, 1), else_=0),
        func.coalesce(select(func.min(_other.c.job)).where(_overlapped).scalar_subquery(), 0),
    )
    .select_from(_QUEUED)
    .where(segment.c.job == _b("job"), segment.c.state == word(_WAITING))
    .order_by(segment.c.id)
    .limit(1000)
)
_AHEAD = Statement(
    select(func.min(segment.c.job)).where(
        segment.c.queue == _b("queue"),
        segment.c.job != _b("job"),
        or_(segment.c.state == word(_RUNNING), and_(segment.c.state == word(_WAITING), segment.c.turn < _b("turn"))),
    )
)
_depth = table(
    "queue_depth",
    column("queue", Text),
    column("waiting", Integer),
    column("running", Integer),
    column("oldest_seconds", Float),
)
_DEPTH = Statement(
    select(
        _depth.c.queue,
        _depth.c.waiting,
        _depth.c.running,
        cast(_depth.c.oldest_seconds, Float),
    ).order_by(_depth.c.queue)
)


@dataclass(frozen=True, slots=True)
class Depth:
    """What a queue holds: a row of the view `queue_depth`, which autoscalers read, too."""

    queue: str
    #: Segments that could run now; what waits for its time or for a budget is not among them.
    waiting: int
    running: int
    #: Age of the oldest job that has such a segment.
    oldest_seconds: float


@dataclass(frozen=True, slots=True)
class Waiting:
    """Why a waiting segment is not claimed: every predicate of the claim, spelled out."""

    id: int
    queue: str
    turn: int
    retry_at: Instant
    error: str
    blocked_until: Instant
    is_quota_spent: bool
    #: The job that is fetching the same part, or 0.
    overlapped_by: int


def claim(
    tx: Tx, queue: str, worker: str, now: Instant, *, only: int | None = None, waits: bool = True
) -> Lease | None:
    """Give the next claimable segment of a queue (of job `only`) to a worker, in the strict order of claiming.

    With `waits=False` a queue or series that is locked just now counts as nothing claimable.
    """
    narrowed = {} if only is None else {"job": only}
    if not queues.hold(tx, queue, waits=waits):
        return None
    for _ in range(CLAIM_TRIES):
        row = tx.one(_NEXT if only is None else _NEXT_OF_JOB, queue=queue, now=now, **narrowed)
        if row is None:
            return None
        found, job_state = segments.named(row[:-1]), row[-1]
        # Under the lock of the series: two slots that claim at the same moment must see each other.
        if not store_series.lock(tx, found["series"], waits=waits):
            return None
        if tx.run(_CLAIM, its_id=found["id"], its_worker=worker, now=now) == 1:
            if job_state == JobState.PENDING and tx.run(_START_JOB, its_id=found["job"], now=now):
                subject, after = f"job/{found['job']}", JobState.RUNNING.value
                audit.add(tx, now, ENGINE, "job.started", subject, before=job_state, after=after)
            claimed = Segment(**found | {"state": _RUNNING, "epoch": found["epoch"] + 1})
            return Lease(segment=claimed, epoch=claimed.epoch, worker=worker)
    return None


def peek(tx: Tx, queue: str, now: Instant, *, only: int | None = None) -> tuple[int, int] | None:
    """Place and priority of the segment that a claim would take, if the queue had a place free."""
    narrowed = {} if only is None else {"job": only}
    row = tx.one(_PEEK if only is None else _PEEK_OF_JOB, queue=queue, now=now, **narrowed)
    if row is None:
        return None
    found = segments.of_row(row[:-1])
    return found.turn, found.priority


def is_full(tx: Tx, queue: str) -> bool:
    """Whether as many segments of a queue run as its limit allows."""
    return tx.one(_IS_FULL, queue=queue) is not None


def is_crowded(tx: Tx) -> bool:
    """Whether as many jobs run as the history allows: the others wait."""
    return tx.one(_IS_CROWDED) is not None


def last_running(tx: Tx, queue: str) -> int | None:
    """The running segment of a queue that comes last in the order of claiming."""
    found: int | None = tx.value(_LAST_RUNNING, queue=queue)
    return found


def victims(tx: Tx, queue: str, only: int | None) -> list[Lease]:
    """Running segments with the most left, as leases that may be cut."""
    found = [segments.of_row(row) for row in tx.rows(_VICTIMS, queue=queue, only=only or 0)]
    return [Lease(segment=one, epoch=one.epoch, worker="") for one in found]


def lanes(tx: Tx, series_id: int) -> int:
    """How many segments of a series are running."""
    return int(tx.value(_LANES, series=series_id))


def why(tx: Tx, job_id: int, now: Instant) -> list[Waiting]:
    """Why the waiting segments of a job wait."""
    return [
        Waiting(row[0], row[1], row[2], row[3], row[4], row[5], bool(row[6]), row[7])
        for row in tx.rows(_WHY, job=job_id, now=now)
    ]


def ahead(tx: Tx, job_id: int, queue: str, turn: int) -> int | None:
    """A job whose segments run in the queue or come first."""
    found: int | None = tx.value(_AHEAD, job=job_id, queue=queue, turn=turn)
    return found


def depth(tx: Tx) -> list[Depth]:
    """What each queue holds."""
    return [Depth(str(row[0]), int(row[1]), int(row[2]), float(row[3])) for row in tx.rows(_DEPTH)]
