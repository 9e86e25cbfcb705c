"""Segments: made, moved on under their lease, split, released, ended. `claims` says who gets which."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    and_,
    bindparam,
    case,
    delete,
    exists,
    func,
    insert,
    select,
    update,
)

from gapless.core.job import Direction, JobState
from gapless.core.plan import SegmentPlan
from gapless.core.segment import LIVE, Lease, Segment, SegmentState
from gapless.core.span import Instant, Span
from gapless.store.database import Tx
from gapless.store.schema import coverage, job, quarantine, segment, series, worker
from gapless.store.sql import Statement, among, word

_b = bindparam
_WAITING, _RUNNING = SegmentState.WAITING.value, SegmentState.RUNNING.value
_ACTIVE = [JobState.PENDING.value, JobState.RUNNING.value]

COLUMNS = (
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
    job.c.kind,
    job.c.params,
    job.c.max_retries,
)
_NAMES = [column.name for column in COLUMNS]
JOINED = segment.join(job, job.c.id == segment.c.job).join(series, series.c.id == segment.c.series)

_GET = Statement(select(*COLUMNS).select_from(JOINED).where(segment.c.id == _b("its_id")))
_OF_JOB = Statement(
    select(*COLUMNS, segment.c.rows, segment.c.requests, segment.c.error, segment.c.worker, segment.c.retry_at)
    .select_from(JOINED)
    .where(segment.c.job == _b("job"))
    .order_by(segment.c.id)
)
_PAGE_OF_JOB = Statement(
    select(*COLUMNS, segment.c.rows, segment.c.requests, segment.c.error, segment.c.worker, segment.c.retry_at)
    .select_from(JOINED)
    .where(segment.c.job == _b("job"))
    .order_by(
        case((segment.c.state == word(_RUNNING), 0), (segment.c.state == word(_WAITING), 1), else_=2),
        segment.c.id.desc(),
    )
    .limit(_b("most"))
    .offset(_b("skipped"))
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
_held = (
    select(
        segment.c.start,
        segment.c.end,
        segment.c.cursor,
        segment.c.direction,
        segment.c.job,
        segment.c.series,
        series.c.since,
        series.c.since_at,
        exists(select(quarantine.c.id).where(quarantine.c.series == segment.c.series)),
    )
    .select_from(segment.join(series, series.c.id == segment.c.series))
    .where(segment.c.id == _b("its_id"), segment.c.epoch == _b("its_epoch"), segment.c.state == word(_RUNNING))
)
_LOOK = Statement(_held)
_FENCE = Statement(_held.with_for_update(of=[segment, series]))
_ADVANCE = Statement(
    update(segment)
    .where(segment.c.id == _b("its_id"))
    .values(
        start=_b("its_start"),
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
    .where(segment.c.id == _b("its_id"), segment.c.epoch == _b("its_epoch"), segment.c.state == word(_RUNNING))
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
    .where(segment.c.id == _b("its_id"), segment.c.epoch == _b("its_epoch"), segment.c.state == word(_RUNNING))
    .values(state=_WAITING, worker=None)
)
_END = Statement(
    update(segment)
    .where(segment.c.id == _b("its_id"), segment.c.epoch == _b("its_epoch"), segment.c.state == word(_RUNNING))
    .values(
        state=_b("its_state"),
        worker=None,
        error=_b("its_error"),
        ended_at=_b("now"),
        requests=segment.c.requests + _b("more_requests"),
    )
)
_last = select(func.max(coverage.c.start)).where(coverage.c.series == segment.c.series)
_covered = exists(
    select(coverage.c.series).where(
        coverage.c.series == segment.c.series,
        coverage.c.start == _last.where(coverage.c.start <= segment.c.start).correlate(segment).scalar_subquery(),
        coverage.c.end >= segment.c.end,
    )
)
_PASS: dict[str, Any] = {"state": SegmentState.DONE.value, "ended_at": _b("now")}
_complete = and_(
    segment.c.job == _b("its_job"),
    segment.c.state == word(_WAITING),
    segment.c.recheck_from >= segment.c.end,
    _covered,
)
_PASS_COVERED = Statement(
    update(segment).where(_complete).values(_PASS),
    # Without those that somebody is claiming just now: whoever waited for them could be waited for.
    postgresql=update(segment)
    .where(segment.c.id.in_(select(segment.c.id).where(_complete).with_for_update(skip_locked=True)))
    .values(_PASS),
)
_BOUND = Statement(update(segment).where(segment.c.id == _b("its_id")).values(start=_b("its_start"), end=_b("its_end")))
_RESCUE = Statement(
    update(segment)
    .where(segment.c.worker == _b("dead"), segment.c.state == word(_RUNNING))
    .values(state=_WAITING, worker=None, epoch=segment.c.epoch + 1)
    .returning(segment.c.id, segment.c.job)
)
_unknown = ~exists(select(worker.c.id).where(worker.c.id == segment.c.worker))
_HAS_ORPHANS = Statement(select(segment.c.id).where(segment.c.state == word(_RUNNING), _unknown).limit(1))
_RESCUE_ORPHANS = Statement(
    update(segment)
    .where(segment.c.state == word(_RUNNING), _unknown)
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
    update(segment).where(segment.c.job == _b("its_job"), among(segment.c.state, LIVE)).values(turn=_b("its_turn"))
)
_COUNT = Statement(
    select(segment.c.state, func.count(), func.sum(segment.c.rows), func.sum(segment.c.requests))
    .where(segment.c.job == _b("job"))
    .group_by(segment.c.state)
)
_ANY_LIVE = Statement(select(segment.c.id).where(segment.c.job == _b("job"), among(segment.c.state, LIVE)).limit(1))
#: Names our lock among the advisory locks of a server.
_KEEPING = 726_711
#: Waiting segments that the others find to claim, while one more is kept from them.
_SPARE = 32
_KEEP_ONE = Statement(
    select(segment.c.id)
    .where(
        segment.c.id
        == select(segment.c.id)
        .where(segment.c.job == _b("its_job"), segment.c.state == word(_WAITING))
        .limit(1)
        .offset(_SPARE)
        .scalar_subquery(),
        segment.c.state == word(_WAITING),
    )
    .with_for_update(read=True, skip_locked=True)
)
_UNDER_WAY = Statement(
    select(segment.c.start, segment.c.end, segment.c.cursor, segment.c.direction).where(
        segment.c.series == _b("its_series"), segment.c.state == word(_RUNNING)
    )
)
_HELD_BY = Statement(
    select(segment.c.id, segment.c.epoch, job.c.state, job.c.rate, segment.c.turn)
    .select_from(segment.join(job, job.c.id == segment.c.job))
    .where(segment.c.worker == _b("its_worker"))
)
_OF_WORKER = Statement(
    select(segment.c.id, segment.c.job, series.c.name, segment.c.claimed_at)
    .select_from(segment.join(series, series.c.id == segment.c.series))
    .where(segment.c.worker == _b("its_worker"), segment.c.state == word(_RUNNING))
    .order_by(segment.c.claimed_at)
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
_beside = segment.alias("beside")
_STOPPED_BY = Statement(
    select(segment.c.job)
    .distinct()
    .join(job, job.c.id == segment.c.job)
    .where(
        job.c.state == word(JobState.RUNNING.value),
        segment.c.state == word(_WAITING),
        segment.c.budget == _b("its_budget"),
        ~exists().where(_beside.c.job == segment.c.job, _beside.c.state == word(_RUNNING)),
    )
    .order_by(segment.c.job)
)


@dataclass(frozen=True, slots=True)
class HeldBy:
    """A segment that a worker holds, as its slot has to obey."""

    epoch: int
    job_state: str
    job_rate: float | None
    turn: int


@dataclass(frozen=True, slots=True)
class Detail:
    """A segment with its counters, for people."""

    segment: Segment
    rows: int
    requests: int
    error: str
    worker: str | None
    retry_at: Instant


def named(row: tuple[Any, ...]) -> dict[str, Any]:
    """The fields of a segment from a row of `COLUMNS`."""
    values = dict(zip(_NAMES, row, strict=True))
    values["may_turn"] = bool(values["may_turn"])
    return values


def of_row(row: tuple[Any, ...]) -> Segment:
    """A segment from a row of `COLUMNS`."""
    return Segment(**named(row))


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


def get(tx: Tx, segment_id: int) -> Segment:
    """A segment by id."""
    row = tx.one(_GET, its_id=segment_id)
    assert row is not None, f"no segment {segment_id}"
    return of_row(row)


@dataclass(frozen=True, slots=True)
class Held:
    """A segment whose lease holds, as it stands now, and what its work needs to know of its series."""

    start: Instant
    end: Instant
    cursor: Instant
    direction: str
    job: int
    series: int
    #: The source has nothing before this instant, as far as known.
    since: Instant | None
    #: When it said so.
    since_at: Instant | None
    #: Whether anything of the series was given up.
    has_quarantine: bool

    @property
    def span(self) -> Span:
        """Its bounds."""
        return Span(self.start, self.end)

    @property
    def is_backward(self) -> bool:
        """Whether the newest part comes first."""
        return self.direction == Direction.BACKWARD.value

    def at(self, cursor: Instant) -> Held:
        """The same segment with its cursor elsewhere. Spelled out, for `replace` takes ten times as long."""
        its = self.start, self.end, cursor, self.direction, self.job, self.series
        return Held(*its, self.since, self.since_at, self.has_quarantine)


def fence(tx: Tx, lease: Lease) -> Held | None:
    """Lock the segment, then its series, if the lease still holds; else None."""
    row = tx.one(_FENCE, its_id=lease.segment.id, its_epoch=lease.epoch)
    return None if row is None else Held(*row)


def look(tx: Tx, lease: Lease) -> Held | None:
    """A segment as it stands, which others may have changed; None when the lease is lost."""
    row = tx.one(_LOOK, its_id=lease.segment.id, its_epoch=lease.epoch)
    return None if row is None else Held(*row)


def advance(tx: Tx, segment_id: int, moved: Held, *, rows: int, requests: int) -> None:
    """Bring a segment whose fence is held to where a page has moved it, and count."""
    tx.run(
        _ADVANCE,
        its_id=segment_id,
        its_start=moved.start,
        to=moved.cursor,
        its_direction=moved.direction,
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


def pass_covered(tx: Tx, job_id: int, now: Instant) -> int:
    """End all waiting segments of a job in mode missing that lie inside coverage; returns how many."""
    return tx.run(_PASS_COVERED, its_job=job_id, now=now)


def steal(tx: Tx, victim: Lease, at: Instant, budget_key: str) -> bool:
    """Cut a running segment at `at`: the victim keeps the part it is working on, the rest becomes a waiting segment."""
    held = fence(tx, victim)
    if held is None:
        return False
    backward = held.is_backward
    if not (held.start < at < held.cursor if backward else held.cursor < at < held.end):
        return False
    kept, taken = Span(held.start, at), Span(at, held.end)
    if backward:
        kept, taken = taken, kept
    tx.run(_BOUND, its_id=victim.segment.id, its_start=kept.start, its_end=kept.end)
    tx.run(
        _INSERT,
        job=held.job,
        series=held.series,
        queue=victim.segment.queue,
        turn=victim.segment.turn,
        budget=budget_key,
        start=taken.start,
        end=taken.end,
        cursor=taken.end if backward else taken.start,
        direction=held.direction,
        side=victim.segment.side,
        recheck_from=victim.segment.recheck_from,
        state=_WAITING,
    )
    return True


def rescue(tx: Tx, dead: str) -> list[tuple[int, int]]:
    """Take the segments of a dead worker back; attempts are not charged. Returns (segment, job) pairs."""
    return [(int(one), int(its_job)) for one, its_job in tx.rows(_RESCUE, dead=dead)]


def has_orphans(tx: Tx) -> bool:
    """Whether a segment is held by somebody who is no worker (any more)."""
    return tx.one(_HAS_ORPHANS) is not None


def rescue_orphans(tx: Tx) -> list[tuple[int, int]]:
    """Take back what nobody holds who is a worker; returns (segment, job) pairs."""
    return [(int(one), int(its_job)) for one, its_job in tx.rows(_RESCUE_ORPHANS)]


def cancel(tx: Tx, job_id: int, now: Instant) -> None:
    """End the live segments of a job; whoever works on one is fenced off."""
    tx.run(_CANCEL, its_job=job_id, now=now)
    # On PostgreSQL the first one may have waited for a slot that cut its victim: it does not see the new part.
    tx.run(_CANCEL, its_job=job_id, now=now)


def hold(tx: Tx, ids: list[int], error: str, now: Instant) -> None:
    """Hold those of the segments that are live; whoever works on one is fenced off."""
    tx.each(_HOLD, [{"its_id": one, "its_error": error[:500], "now": now} for one in ids])


def revive(tx: Tx, job_id: int) -> int:
    """Let failed, held and cancelled segments of a job wait again."""
    return tx.run(_REVIVE, its_job=job_id)


def hurry(tx: Tx, job_id: int, turn: int) -> None:
    """Give the live segments of a job a new place in the order of claiming; whoever runs one gives it back."""
    tx.run(_HURRY, its_job=job_id, its_turn=turn)


def under_way(tx: Tx, series_id: int) -> list[tuple[Instant, Instant]]:
    """What the running segments of a series still have before them, as (start, end)."""
    return [
        (cursor, end) if direction == Direction.FORWARD else (start, cursor)
        for start, end, cursor, direction in tx.rows(_UNDER_WAY, its_series=series_id)
    ]


def has_live(tx: Tx, job_id: int) -> bool:
    """Whether a job has a segment that waits or runs; a look at an index, however many it has."""
    return tx.one(_ANY_LIVE, job=job_id) is not None


def keep_waiting(tx: Tx, job_id: int) -> bool:
    """Keep one of many waiting segments of a job as it is until this transaction ends: the job is not over before.

    So whoever ends another one need not lock the job. False where few wait, where somebody is to `take_all`, and on
    SQLite, which has no such locks. Whoever calls it may wait for no lock after it, also when it is False: a segment
    that was claimed just now may be held all the same.
    """
    if tx.name == "sqlite":
        return False
    # Row locks that are shared are given past those who wait for the row alone: they would wait until the job is over.
    tx.cursor.execute(f"SELECT pg_try_advisory_xact_lock_shared({_KEEPING}, hashint8(%s))", (job_id,))
    return bool(tx.cursor.fetchone()[0]) and tx.one(_KEEP_ONE, its_job=job_id) is not None


def take_all(tx: Tx, job_id: int) -> None:
    """Wait for those who keep a segment waiting, and let nobody else: first of all for who changes many of a job."""
    if tx.name != "sqlite":
        tx.cursor.execute(f"SELECT pg_advisory_xact_lock({_KEEPING}, hashint8(%s))", (job_id,))


def counts(tx: Tx, job_id: int) -> tuple[dict[str, int], int, int]:
    """Segments by state, rows and requests of a job."""
    found = tx.rows(_COUNT, job=job_id)
    rows, requests = sum(int(row[2]) for row in found), sum(int(row[3]) for row in found)
    return {row[0]: int(row[1]) for row in found}, rows, requests


def of_job(tx: Tx, job_id: int) -> list[Detail]:
    """All segments of a job, oldest first."""
    wide = len(COLUMNS)
    return [Detail(of_row(row[:wide]), *row[wide:]) for row in tx.rows(_OF_JOB, job=job_id)]


def page_of_job(tx: Tx, job_id: int, most: int, skipped: int = 0) -> list[Detail]:
    """Some segments of a job: those that run first, then those that wait, then the others, the newest first."""
    wide = len(COLUMNS)
    found = tx.rows(_PAGE_OF_JOB, job=job_id, most=most, skipped=skipped)
    return [Detail(of_row(row[:wide]), *row[wide:]) for row in found]


def held_by(tx: Tx, worker: str) -> dict[int, HeldBy]:
    """What a worker holds, by segment."""
    return {row[0]: HeldBy(*row[1:]) for row in tx.rows(_HELD_BY, its_worker=worker)}


def of_worker(tx: Tx, worker: str) -> list[tuple[int, int, str, Instant]]:
    """(id, job, series, claimed at) of the segments that a worker runs, the longest first."""
    return [(row[0], row[1], row[2], row[3]) for row in tx.rows(_OF_WORKER, its_worker=worker)]


def is_taken(tx: Tx, job_id: int, series_id: int) -> bool:
    """Whether a job has a segment of this series that waits, runs, or is held until the owner acts."""
    return int(tx.value(_TAKEN, job=job_id, series=series_id)) > 0


def stopped_by(tx: Tx, budget: str) -> list[int]:
    """Jobs that have begun, and of which nothing runs while something waits for a budget."""
    return [int(one) for (one,) in tx.rows(_STOPPED_BY, its_budget=budget)]


def sweep(tx: Tx, job_id: int) -> tuple[int, int]:
    """Remove the finished segments of a standing job; returns their rows and requests."""
    sums = tx.one(_DONE_SUMS, job=job_id)
    assert sums is not None
    if sums[1]:
        tx.run(_SWEEP, its_job=job_id)
    return int(sums[0]), int(sums[1])
