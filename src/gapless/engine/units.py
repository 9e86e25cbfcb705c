"""What people count in a prefetch: (series, period) pairs, also when one call answers three of them."""

from __future__ import annotations

from dataclasses import dataclass

from gapless.core.job import Job, JobState, Kind
from gapless.core.plan import SeriesPlan
from gapless.core.reports import periods_of, starts_of, told_of, unit_at
from gapless.core.segment import SegmentState
from gapless.core.span import Instant, Span
from gapless.engine.catalogue import Catalogue
from gapless.engine.jobs import Jobs
from gapless.store import jobs, rows, segments
from gapless.store.store import Store

_BROKEN = {SegmentState.FAILED.value, SegmentState.HELD.value}


@dataclass(frozen=True, slots=True, kw_only=True)
class Units:
    """The units of a job: processed = ok + cached + skip + fail."""

    total: int
    #: With a record that this job has fetched.
    ok: int
    #: Answered for before the job was made.
    cached: int
    #: The source has none.
    skip: int
    #: Given up, or of a series that is held.
    fail: int
    #: The series that is being fetched, and the start of its next period.
    series: str
    period: Instant | None
    error: str

    @property
    def processed(self) -> int:
        """How many need no further work of this job."""
        return self.ok + self.cached + self.skip + self.fail


def units(store: Store, catalogue: Catalogue, verbs: Jobs, job_id: int) -> Units | None:
    """Count them; None for datasets whose periods nobody counts, and for chores other than reports."""
    job = verbs.get(job_id)
    if job.kind == Kind.REPORT:
        return _reports(store, verbs, job)
    dataset = catalogue.dataset(job.dataset)
    if not dataset.has_units or Kind(job.kind).is_chore:
        return None
    with store.read() as tx:
        listed = jobs.series_of(tx, job_id)
        plans = verbs.left(tx, job)
        details = segments.of_job(tx, job_id)
        present = rows.cells(tx, dataset, [one for one, _ in listed], job.span)
    broken = {one.segment.name for one in details if one.segment.state in _BROKEN}
    if job.state == JobState.DONE:
        plans = []
    lacking = sum(one.lacking for one in plans)
    lost = sum(one.lacking for one in plans if one.series in broken)
    given_up = sum(dataset.grid.count(part.start, part.end) for one in plans for part in one.quarantined)
    answered = job.total - lacking - given_up
    ok = max(0, min(present - job.found, answered - job.cached))
    running = [one for one in details if one.segment.state == SegmentState.RUNNING.value]
    errors = [one.error for one in details if one.error]
    at = running[0].segment if running else None
    return Units(
        total=job.total,
        ok=ok,
        cached=job.cached,
        skip=max(0, answered - job.cached - ok),
        fail=lost + given_up,
        series=at.name if at else "",
        period=None if at is None else dataset.grid.add(at.cursor, -1 if at.is_backward else 0),
        error=errors[-1] if errors else job.error,
    )


def _reports(store: Store, verbs: Jobs, job: Job) -> Units:
    """The reports of a job: a unit is one period of one series, in all its formats and languages."""
    with store.read() as tx:
        names = [name for _, name in jobs.series_of(tx, job.id)]
        details = segments.of_job(tx, job.id)
        plans = [] if job.state == JobState.DONE else verbs.left(tx, job)
    broken = {one.segment.name for one in details if one.segment.state in _BROKEN}
    left = {one.series: _lacking(job, one) for one in plans}
    total = sum(len(periods_of(job.params, told_of(name)[0])) for name in names)
    fail = sum(count for name, count in left.items() if name in broken)
    running = [one.segment for one in details if one.segment.state == SegmentState.RUNNING.value]
    errors = [one.error for one in details if one.error]
    return Units(
        total=total,
        ok=total - sum(left.values()),
        cached=0,
        skip=0,
        fail=fail,
        series=running[0].name if running else "",
        period=_period_of(job, running[0].name, running[0].cursor).start if running else None,
        error=errors[-1] if errors else job.error,
    )


def _lacking(job: Job, one: SeriesPlan) -> int:
    """How many of its reports are not written."""
    starts = starts_of(periods_of(job.params, told_of(one.series)[0]))
    return len(
        {
            number
            for part in one.missing
            for number in range(unit_at(starts, part.start), unit_at(starts, part.end - 1) + 1)
        }
    )


def _period_of(job: Job, name: str, at: Instant) -> Span:
    periods = periods_of(job.params, told_of(name)[0])
    return periods[unit_at(starts_of(periods), at)]
