"""Segments: made, claimed, split, released, ended. The same predicates claim work and explain why it waits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    and_,
    bindparam,
    case,
    delete,
    exists,
    func,
    insert,
    literal,
    or_,
    select,
    update,
)

from gapless.core.job import Direction, JobState
from gapless.core.plan import SegmentPlan
from gapless.core.segment import LIVE, Lease, Segment, SegmentState
from gapless.core.span import DAY, Instant, Span
from gapless.store import series as store_series
from gapless.store.database import Tx
from gapless.store.schema import budget, job, segment, series
from gapless.store.sql import Statement, among

#: How often a claim looks again when another slot was faster.
CLAIM_TRIES = 3
_b = bindparam
_WAITING, _RUNNING = SegmentState.WAITING.value, SegmentState.RUNNING.value
_ACTIVE = [JobState.PENDING.value, JobState.RUNNING.value]

_COLUMNS = (
    segment.c.id,
    segment.c.job,
    segment.c.series,
    series.c.name,
    series.c.dataset,
    segment.c.start,
    segment.c.end,
    segment.c.cursor,
    segment.c.direction,
    segment.c.side,
    segment.c.state,
    segment.c.epoch,
    segment.c.attempts,
    job.c.mode,
    segment.c.recheck_from,
    segment.c.queue,
    segment.c.turn,
    job.c.rate,
    case((job.c.direction == Direction.BOTH.value, 1), else_=0).label("may_turn"),
    job.c.created_at.label("wished_at"),
    job.c.priority,
)
_JOINED = segment.join(job, job.c.id == segment.c.job).join(series, series.c.id == segment.c.series)

_other = segment.alias("other")


def _left(table: Any) -> tuple[ColumnElement[int], ColumnElement[int]]:
    """The bounds of what a segment still has to do."""
    ahead = table.c.direction == Direction.FORWARD.value
    return case((ahead, table.c.cursor), else_=table.c.start), case((ahead, table.c.end), else_=table.c.cursor)


_mine, _theirs = _left(segment), _left(_other)
#: Another segment of the series is under a live lease and would ask for the same part.
_overlapped = and_(
    _other.c.series == segment.c.series,
    _other.c.state == _RUNNING,
    _other.c.id != segment.c.id,
    _theirs[0] < _mine[1],
    _mine[0] < _theirs[1],
)
_blocked = and_(budget.c.blocked_until.is_not(None), budget.c.blocked_until > _b("now"))
_spent = and_(
    budget.c.daily.is_not(None),
    budget.c.used >= budget.c.daily - case((segment.c.queue == "live", 0), else_=budget.c.daily // 50),
    budget.c.day == (_b("now") + budget.c.reset_offset) // literal(DAY),
)
_claimable = and_(
    segment.c.state == _WAITING,
    among(job.c.state, _ACTIVE),
    segment.c.retry_at <= _b("now"),
    func.coalesce(budget.c.blocked_until, 0) <= _b("now"),
    or_(budget.c.key.is_(None), ~_spent),
    ~exists(select(_other.c.id).where(_overlapped)),
)
_QUEUED = segment.join(job, job.c.id == segment.c.job).outerjoin(budget, budget.c.key == segment.c.budget)


def _next(*narrowed: ColumnElement[bool]) -> tuple[Statement, Statement]:
    """The next claimable segment of a queue: to look at, and to take under its row lock."""
    chosen = (
        select(segment.c.id, segment.c.job, segment.c.turn, job.c.priority, segment.c.series)
        .select_from(_QUEUED)
        .where(segment.c.queue == _b("queue"), _claimable, *narrowed)
        .order_by(segment.c.turn, segment.c.job, segment.c.id)
        .limit(1)
    )
    locked = chosen.with_for_update(of=segment, skip_locked=True)
    return Statement(chosen), Statement(chosen, postgresql=locked)


_PEEK, _NEXT = _next()
_PEEK_OF_JOB, _NEXT_OF_JOB = _next(segment.c.job == _b("job"))
_CLAIM = Statement(
    update(segment)
    .where(segment.c.id == _b("its_id"), segment.c.state == _WAITING, ~exists(select(_other.c.id).where(_overlapped)))
    .values(state=_RUNNING, epoch=segment.c.epoch + 1, worker=_b("its_worker"), claimed_at=_b("now"))
)
_START_JOB = Statement(
    update(job)
    .where(job.c.id == _b("its_id"), job.c.state == JobState.PENDING.value)
    .values(state=JobState.RUNNING.value, started_at=func.coalesce(job.c.started_at, _b("now")))
)
_GET = Statement(select(*_COLUMNS).select_from(_JOINED).where(segment.c.id == _b("its_id")))
_OF_JOB = Statement(
    select(*_COLUMNS, segment.c.rows, segment.c.requests, segment.c.error, segment.c.worker, segment.c.retry_at)
    .select_from(_JOINED)
    .where(segment.c.job == _b("job"))
    .order_by(segment.c.id)
)
_INSERT = Statement(
    insert(segment).values(
        job=_b("job"),
        series=_b("series"),
        queue=_b("queue"),
        turn=_b("turn"),
        budget=_b("budget"),
        start=_b("start"),
        end=_b("end"),
        cursor=_b("cursor"),
        direction=_b("direction"),
        side=_b("side"),
        recheck_from=_b("recheck_from"),
        state=_b("state"),
    )
)
_FENCE = Statement(
    select(segment.c.start, segment.c.end, segment.c.cursor, segment.c.direction, segment.c.job, segment.c.series)
    .where(segment.c.id == _b("its_id"), segment.c.epoch == _b("its_epoch"), segment.c.state == _RUNNING)
    .with_for_update()
)
_LOOK = Statement(
    select(segment.c.start, segment.c.end, segment.c.direction).where(
        segment.c.id == _b("its_id"), segment.c.epoch == _b("its_epoch"), segment.c.state == _RUNNING
    )
)
_ADVANCE = Statement(
    update(segment)
    .where(segment.c.id == _b("its_id"))
    .values(
        cursor=_b("to"),
        direction=_b("its_direction"),
        attempts=0,
        error="",
        rows=segment.c.rows + _b("more_rows"),
        requests=segment.c.requests + _b("more_requests"),
    )
)
_RELEASE = Statement(
    update(segment)
    .where(segment.c.id == _b("its_id"), segment.c.epoch == _b("its_epoch"), segment.c.state == _RUNNING)
    .values(
        state=_WAITING,
        worker=None,
        retry_at=_b("at"),
        attempts=_b("its_attempts"),
        error=_b("its_error"),
        requests=segment.c.requests + _b("more_requests"),
    )
)
_ABANDON = Statement(
    update(segment)
    .where(segment.c.id == _b("its_id"), segment.c.epoch == _b("its_epoch"), segment.c.state == _RUNNING)
    .values(state=_WAITING, worker=None)
)
_END = Statement(
    update(segment)
    .where(segment.c.id == _b("its_id"), segment.c.epoch == _b("its_epoch"), segment.c.state == _RUNNING)
    .values(
        state=_b("its_state"),
        worker=None,
        error=_b("its_error"),
        ended_at=_b("now"),
        requests=segment.c.requests + _b("more_requests"),
    )
)
_BOUND = Statement(update(segment).where(segment.c.id == _b("its_id")).values(start=_b("its_start"), end=_b("its_end")))
_RESCUE = Statement(
    update(segment)
    .where(segment.c.worker == _b("dead"), segment.c.state == _RUNNING)
    .values(state=_WAITING, worker=None, epoch=segment.c.epoch + 1)
    .returning(segment.c.id, segment.c.job)
)
_CANCEL = Statement(
    update(segment)
    .where(segment.c.job == _b("its_job"), among(segment.c.state, LIVE))
    .values(state=SegmentState.CANCELLED.value, worker=None, epoch=segment.c.epoch + 1, ended_at=_b("now"))
)
_HOLD = Statement(
    update(segment)
    .where(segment.c.id == _b("its_id"), among(segment.c.state, LIVE))
    .values(
        state=SegmentState.HELD.value,
        worker=None,
        epoch=segment.c.epoch + 1,
        error=_b("its_error"),
        ended_at=_b("now"),
    )
)
_REVIVE = Statement(
    update(segment)
    .where(
        segment.c.job == _b("its_job"),
        among(
            segment.c.state,
            [SegmentState.FAILED.value, SegmentState.HELD.value, SegmentState.CANCELLED.value],
        ),
    )
    .values(state=_WAITING, attempts=0, retry_at=0, error="", epoch=segment.c.epoch + 1, ended_at=None)
)
_HURRY = Statement(
    update(segment).where(segment.c.job == _b("its_job"), segment.c.state == _WAITING).values(turn=_b("its_turn"))
)
_COUNT = Statement(
    select(segment.c.state, func.count(), func.sum(segment.c.rows), func.sum(segment.c.requests))
    .where(segment.c.job == _b("job"))
    .group_by(segment.c.state)
)
_LANES = Statement(select(func.count()).where(segment.c.series == _b("series"), segment.c.state == _RUNNING))
_VICTIMS = Statement(
    select(*_COLUMNS)
    .select_from(_JOINED)
    .where(
        segment.c.state == _RUNNING,
        segment.c.queue == _b("queue"),
        job.c.state == JobState.RUNNING.value,
        or_(_b("only") == 0, segment.c.job == _b("only")),
    )
    .order_by((_mine[1] - _mine[0]).desc())
    .limit(4)
)
_HELD_BY = Statement(
    select(segment.c.id, segment.c.epoch, job.c.state, job.c.rate)
    .select_from(segment.join(job, job.c.id == segment.c.job))
    .where(segment.c.worker == _b("its_worker"))
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
    .where(segment.c.job == _b("job"), segment.c.state == _WAITING)
    .order_by(segment.c.id)
    .limit(1000)
)
_AHEAD = Statement(
    select(func.min(segment.c.job)).where(
        segment.c.queue == _b("queue"),
        segment.c.job != _b("job"),
        or_(segment.c.state == _RUNNING, and_(segment.c.state == _WAITING, segment.c.turn < _b("turn"))),
    )
)
_DEPTH = Statement(
    select(segment.c.queue, func.count(), func.min(job.c.created_at))
    .select_from(segment.join(job, job.c.id == segment.c.job))
    .where(segment.c.state == _WAITING, among(job.c.state, _ACTIVE))
    .group_by(segment.c.queue)
)
_HELD = SegmentState.HELD.value
_DONE_SUMS = Statement(
    select(func.coalesce(func.sum(segment.c.rows), 0), func.coalesce(func.sum(segment.c.requests), 0)).where(
        segment.c.job == _b("job"), segment.c.state == SegmentState.DONE.value
    )
)
_SWEEP = Statement(delete(segment).where(segment.c.job == _b("its_job"), segment.c.state == SegmentState.DONE.value))
_TAKEN = Statement(
    select(func.count()).where(
        segment.c.job == _b("job"), segment.c.series == _b("series"), among(segment.c.state, [*LIVE, _HELD])
    )
)


@dataclass(frozen=True, slots=True)
class Detail:
    """A segment with its counters, for people."""

    segment: Segment
    rows: int
    requests: int
    error: str
    worker: str | None
    retry_at: Instant


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


def _segment(row: tuple[Any, ...]) -> Segment:
    return Segment(**{column.name: value for column, value in zip(_COLUMNS, row, strict=True)})


def add(
    tx: Tx,
    job_id: int,
    series_id: int,
    planned: SegmentPlan,
    *,
    queue: str,
    turn: int,
    budget_key: str,
    recheck_from: Instant,
) -> None:
    """Make a waiting segment with its cursor at the end where it begins."""
    cursor = planned.start if planned.direction is Direction.FORWARD else planned.end
    tx.run(
        _INSERT,
        job=job_id,
        series=series_id,
        queue=queue,
        turn=turn,
        budget=budget_key,
        start=planned.start,
        end=planned.end,
        cursor=cursor,
        direction=planned.direction.value,
        side=planned.side.value,
        recheck_from=recheck_from,
        state=_WAITING,
    )


def claim(tx: Tx, queue: str, worker: str, now: Instant, *, only: int | None = None) -> Lease | None:
    """Give the next claimable segment of a queue (of job `only`) to a worker, in the strict order of claiming."""
    narrowed = {} if only is None else {"job": only}
    for _ in range(CLAIM_TRIES):
        found = tx.one(_NEXT if only is None else _NEXT_OF_JOB, queue=queue, now=now, **narrowed)
        if found is None:
            return None
        segment_id, job_id, series_id = found[0], found[1], found[4]
        # Under the lock of the series: two slots that claim at the same moment must see each other.
        store_series.lock(tx, series_id)
        if tx.run(_CLAIM, its_id=segment_id, its_worker=worker, now=now) == 1:
            tx.run(_START_JOB, its_id=job_id, now=now)
            row = tx.one(_GET, its_id=segment_id)
            assert row is not None
            claimed = _segment(row)
            return Lease(segment=claimed, epoch=claimed.epoch, worker=worker)
    return None


def peek(tx: Tx, queue: str, now: Instant, *, only: int | None = None) -> tuple[int, int] | None:
    """Place and priority of the segment that a claim would take."""
    narrowed = {} if only is None else {"job": only}
    row = tx.one(_PEEK if only is None else _PEEK_OF_JOB, queue=queue, now=now, **narrowed)
    return None if row is None else (row[2], row[3])


def fence(tx: Tx, lease: Lease) -> tuple[int, int, int, str, int, int] | None:
    """Lock the segment if the lease still holds: its start, end, cursor, direction, job and series; else None."""
    return tx.one(_FENCE, its_id=lease.segment.id, its_epoch=lease.epoch)


def bounds(tx: Tx, lease: Lease) -> tuple[Span, bool] | None:
    """Its bounds and whether it runs backward, both of which others may change; None when the lease is lost."""
    row = tx.one(_LOOK, its_id=lease.segment.id, its_epoch=lease.epoch)
    return None if row is None else (Span(row[0], row[1]), row[2] == Direction.BACKWARD.value)


def advance(tx: Tx, segment_id: int, cursor: Instant, direction: str, *, rows: int, requests: int) -> None:
    """Move the cursor of a segment whose fence is held, and count."""
    tx.run(
        _ADVANCE,
        its_id=segment_id,
        to=cursor,
        its_direction=direction,
        more_rows=rows,
        more_requests=requests,
    )


def release(
    tx: Tx, lease: Lease, *, retry_at: Instant = 0, attempts: int = 0, error: str = "", requests: int = 0
) -> bool:
    """Give a segment back with its cursor; False means somebody else holds it now."""
    changed = tx.run(
        _RELEASE,
        its_id=lease.segment.id,
        its_epoch=lease.epoch,
        at=retry_at,
        its_attempts=attempts,
        its_error=error[:500],
        more_requests=requests,
    )
    return changed == 1


def abandon(tx: Tx, segment_id: int, epoch: int) -> None:
    """Give back a segment that nobody works on although its lease says so."""
    tx.run(_ABANDON, its_id=segment_id, its_epoch=epoch)


def end(tx: Tx, lease: Lease, state: SegmentState, now: Instant, *, error: str = "", requests: int = 0) -> bool:
    """Bring a segment to a final state; False means somebody else holds it now."""
    changed = tx.run(
        _END,
        its_id=lease.segment.id,
        its_epoch=lease.epoch,
        its_state=state.value,
        its_error=error[:500],
        now=now,
        more_requests=requests,
    )
    return changed == 1


def steal(tx: Tx, victim: Lease, at: Instant, budget_key: str) -> bool:
    """Cut a running segment at `at`: the victim keeps the part it is working on, the rest becomes a waiting segment."""
    held = fence(tx, victim)
    if held is None:
        return False
    start, stop, cursor, direction, job_id, series_id = held
    backward = direction == Direction.BACKWARD.value
    if not (start < at < cursor if backward else cursor < at < stop):
        return False
    kept, taken = (Span(at, stop), Span(start, at)) if backward else (Span(start, at), Span(at, stop))
    tx.run(_BOUND, its_id=victim.segment.id, its_start=kept.start, its_end=kept.end)
    tx.run(
        _INSERT,
        job=job_id,
        series=series_id,
        queue=victim.segment.queue,
        turn=victim.segment.turn,
        budget=budget_key,
        start=taken.start,
        end=taken.end,
        cursor=taken.end if backward else taken.start,
        direction=direction,
        side=victim.segment.side,
        recheck_from=victim.segment.recheck_from,
        state=_WAITING,
    )
    return True


def victims(tx: Tx, queue: str, only: int | None) -> list[Lease]:
    """Running segments with the most left, as leases that may be cut."""
    found = [_segment(row) for row in tx.rows(_VICTIMS, queue=queue, only=only or 0)]
    return [Lease(segment=one, epoch=one.epoch, worker="") for one in found]


def lanes(tx: Tx, series_id: int) -> int:
    """How many segments of a series are running."""
    return int(tx.value(_LANES, series=series_id))


def rescue(tx: Tx, worker: str) -> list[tuple[int, int]]:
    """Take the segments of a dead worker back; attempts are not charged. Returns (segment, job) pairs."""
    return [(int(one), int(its_job)) for one, its_job in tx.rows(_RESCUE, dead=worker)]


def cancel(tx: Tx, job_id: int, now: Instant) -> None:
    """End the live segments of a job; whoever works on one is fenced off."""
    tx.run(_CANCEL, its_job=job_id, now=now)


def hold(tx: Tx, ids: list[int], error: str, now: Instant) -> None:
    """Hold those of the segments that are live; whoever works on one is fenced off."""
    tx.each(_HOLD, [{"its_id": one, "its_error": error[:500], "now": now} for one in ids])


def revive(tx: Tx, job_id: int) -> int:
    """Let failed, held and cancelled segments of a job wait again."""
    return tx.run(_REVIVE, its_job=job_id)


def hurry(tx: Tx, job_id: int, turn: int) -> None:
    """Give the waiting segments of a job a new place in the order of claiming."""
    tx.run(_HURRY, its_job=job_id, its_turn=turn)


def counts(tx: Tx, job_id: int) -> tuple[dict[str, int], int, int]:
    """Segments by state, rows and requests of a job."""
    found = tx.rows(_COUNT, job=job_id)
    rows, requests = sum(int(row[2]) for row in found), sum(int(row[3]) for row in found)
    return {row[0]: int(row[1]) for row in found}, rows, requests


def of_job(tx: Tx, job_id: int) -> list[Detail]:
    """All segments of a job, oldest first."""
    wide = len(_COLUMNS)
    return [Detail(_segment(row[:wide]), *row[wide:]) for row in tx.rows(_OF_JOB, job=job_id)]


def held_by(tx: Tx, worker: str) -> dict[int, tuple[int, str, float | None]]:
    """Epoch, job state and job rate of every segment a worker holds."""
    return {row[0]: (row[1], row[2], row[3]) for row in tx.rows(_HELD_BY, its_worker=worker)}


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


def depth(tx: Tx) -> dict[str, tuple[int, Instant]]:
    """Waiting segments of each queue, and when the oldest of their jobs was made."""
    return {row[0]: (int(row[1]), int(row[2])) for row in tx.rows(_DEPTH)}


def is_taken(tx: Tx, job_id: int, series_id: int) -> bool:
    """Whether a job has a segment of this series that waits, runs, or is held until the owner acts."""
    return int(tx.value(_TAKEN, job=job_id, series=series_id)) > 0


def sweep(tx: Tx, job_id: int) -> tuple[int, int]:
    """Remove the finished segments of a standing job; returns their rows and requests."""
    sums = tx.one(_DONE_SUMS, job=job_id)
    assert sums is not None
    if sums[1]:
        tx.run(_SWEEP, its_job=job_id)
    return int(sums[0]), int(sums[1])
