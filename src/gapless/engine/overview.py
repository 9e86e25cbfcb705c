"""How the whole is: jobs by state, today, workers, queues, budgets. Indexed queries, however many jobs there are."""

from __future__ import annotations

from dataclasses import dataclass

from gapless.core.job import JobState
from gapless.core.pacing import Budget
from gapless.core.span import DAY, HOUR, SECOND, Instant
from gapless.store import budgets, claims, joblist, jobs, queues, segments, workers
from gapless.store.claims import Depth
from gapless.store.database import Tx
from gapless.store.workers import Worker

#: Shares of jobs of the last hour that went wrong, from which on a history is degraded, and unhealthy.
DEGRADED, UNHEALTHY = 0.1, 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """One look at everything."""

    states: dict[str, int]
    completed_today: int
    failed_today: int
    #: Milliseconds that a job which ended today took.
    average_ms: float
    #: Share of jobs that ended in the last hour without being done.
    error_rate: float
    workers: list[Worker]
    #: Segments that each worker runs.
    busy: dict[str, int]
    queues: list[Depth]
    limits: dict[str, int]
    budgets: list[Budget]

    def status(self, now: Instant) -> str:
        """HEALTHY, DEGRADED or UNHEALTHY."""
        waits = any(one.waiting for one in self.queues)
        if self.error_rate >= UNHEALTHY:
            return "UNHEALTHY"
        is_blocked = any(one.blocked_until > now for one in self.budgets)
        if self.error_rate >= DEGRADED or (waits and not self.workers) or (waits and is_blocked):
            return "DEGRADED"
        return "HEALTHY"


def overview(tx: Tx, now: Instant) -> Overview:
    """Look; days begin at midnight UTC."""
    today = joblist.ended(tx, now - now % DAY)
    hour = joblist.ended(tx, now - HOUR)
    bad = (JobState.FAILED, JobState.INCOMPLETE)
    finished = sum(today.get(one, (0, 0))[0] for one in (JobState.DONE, *bad))
    took = sum(today.get(one, (0, 0))[1] for one in (JobState.DONE, *bad))
    lately = sum(hour.get(one, (0, 0))[0] for one in (JobState.DONE, *bad))
    every = workers.every(tx)
    return Overview(
        states=jobs.states(tx),
        completed_today=today.get(JobState.DONE, (0, 0))[0],
        failed_today=sum(today.get(one, (0, 0))[0] for one in bad),
        average_ms=took / finished * 1000 / SECOND if finished else 0.0,
        error_rate=sum(hour.get(one, (0, 0))[0] for one in bad) / lately if lately else 0.0,
        workers=every,
        busy={one.id: len(segments.of_worker(tx, one.id)) for one in every},
        queues=claims.depth(tx),
        limits=queues.limits(tx),
        budgets=[one for one in budgets.every(tx) if not one.key.startswith("job/")],
    )
