"""How far a job is: read from the ledger, never summed, so it can neither pass 100 % nor run ahead of the data."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import pairwise

from gapless.core.grid import cells
from gapless.core.job import Job, JobState, Kind
from gapless.core.plan import SeriesPlan
from gapless.core.segment import SegmentState
from gapless.core.span import Span, intersect
from gapless.engine.catalogue import Catalogue
from gapless.engine.jobs import Jobs
from gapless.store import claims, jobs, segments
from gapless.store.store import Store

#: Columns of a bar.
BAR = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """A job at one moment; cells are (series, period) pairs that it asked for."""

    job: Job
    #: ok + cached + skip + fail.
    processed: int
    total: int
    cached: int
    #: Cells given up.
    failed: int
    rows: int
    requests: int
    #: Requests still to be made, as far as can be told.
    requests_left: int
    #: Segments by state.
    segments: dict[str, int]
    #: Share of each stretch of the span that is done, from its start to its end, averaged over the series.
    bar: list[float]
    #: The last error a segment met, if it has not been answered since.
    trouble: str
    #: Share of the span, averaged over the series, without a hole from its start on, and back from its end.
    ends: tuple[float, float] = (0.0, 0.0)

    @property
    def percent(self) -> float:
        """0–100."""
        return 100.0 if self.total <= 0 else 100.0 * self.processed / self.total


def progress(store: Store, catalogue: Catalogue, verbs: Jobs, job_id: int, *, width: int = BAR) -> Progress:
    """Read a job's progress."""
    job = verbs.get(job_id)
    dataset = catalogue.dataset(job.dataset)
    with store.read() as tx:
        counted, rows, requests = segments.counts(tx, job_id)
        names = [name for _, name in jobs.series_of(tx, job_id)]
        plans = [] if job.kind == Kind.FOLLOW else verbs.left(tx, job)
        waiting = claims.why(tx, job_id, 0) if counted.get(SegmentState.WAITING) else []
    if job.kind == Kind.FOLLOW:
        # Finished segments of a standing job are folded into its totals.
        rows, requests = rows + job.rows, requests + job.requests
    lacking = sum(one.lacking for one in plans)
    if job.state == JobState.DONE:
        lacking = 0
    return Progress(
        job=job,
        processed=job.total - lacking,
        total=job.total,
        cached=job.cached,
        failed=sum(cells(dataset.grid, one.quarantined) for one in plans),
        rows=rows,
        requests=requests,
        requests_left=sum(one.requests for one in plans) if lacking else 0,
        segments=counted,
        bar=_bar(job, plans, len(names), width),
        trouble=next((one.error for one in waiting if one.error), ""),
        ends=_ends(job, plans, len(names)),
    )


def _ends(job: Job, plans: list[SeriesPlan], series: int) -> tuple[float, float]:
    """How far the work has come from either end; a series in which nothing is missing counts half for each."""
    if job.kind == Kind.FOLLOW or not series or job.end <= job.start:
        return (0.0, 0.0)
    if job.state == JobState.DONE:
        return (0.5, 0.5)
    length, counted = job.end - job.start, _alike(plans)
    forward = sum(n * ((left[0].start - job.start) / length if left else 0.5) for left, n in counted.items())
    backward = sum(n * ((job.end - left[-1].end) / length if left else 0.5) for left, n in counted.items())
    return (max(0.0, forward / series), max(0.0, backward / series))


def _bar(job: Job, plans: list[SeriesPlan], series: int, width: int) -> list[float]:
    """Shares of `width` stretches of the job's span that nothing is missing in."""
    if job.kind == Kind.FOLLOW or not series:
        return []
    if job.state == JobState.DONE:
        # What a chore has gone over is forgotten when it has ended.
        return [1.0] * width
    edges = [job.start + (job.end - job.start) * i // width for i in range(width + 1)]
    stretches = [Span(a, b) for a, b in pairwise(edges) if a < b]
    left = [0.0] * len(stretches)
    for missing, times in _alike(plans).items():
        for i, stretch in enumerate(stretches):
            lost = sum(part.end - part.start for part in intersect(missing, [stretch]))
            left[i] += times * lost / (stretch.end - stretch.start)
    return [1.0 - share / series for share in left]


def _alike(plans: list[SeriesPlan]) -> Counter[tuple[Span, ...]]:
    """How many series miss the same: of thousands most are either complete or not begun."""
    return Counter(tuple(one.missing) for one in plans)
