"""Forecasts of running jobs: made from what the store knows, stored, and scored when the job ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import structlog

from gapless.core import pacing
from gapless.core.clock import Clock
from gapless.core.errors import UsageError
from gapless.core.forecast import Honesty, Outlook, Pace, Quota, forecast, honesty
from gapless.core.job import Job, JobState, Kind
from gapless.core.pacing import Budget
from gapless.core.span import DAY, SECOND, Instant
from gapless.engine.catalogue import Catalogue
from gapless.engine.jobs import Jobs
from gapless.engine.progress import Progress, progress
from gapless.store import budgets, forecasts
from gapless.store.database import Tx
from gapless.store.forecasts import Forecasted
from gapless.store.store import Store

log = structlog.get_logger("gapless.forecasts")

#: Seconds from one forecast to the next: a quarter of the job's age, so that a long job has some dozens of them.
SOONEST, LATEST, SPACING = 2.0, 600.0, 0.25
#: Forecasts of a budget that are learned from, and of the job itself.
LEARNED, OWN = 1000, 8
#: Jobs ahead that are looked at; of more of them the mean stands for the rest.
LOOKED_AT = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a person is told of a job: seconds from now, of the newest stored forecast."""

    p50: float
    p90: float
    basis: str
    #: Seconds that it waits for certain: a block, a spent quota, jobs ahead are part of the work.
    idle: float
    made_at: Instant
    #: The job is paused: so long it will take once it goes on.
    is_paused: bool


class Forecasts:
    """Verbs on forecasts."""

    def __init__(self, store: Store, catalogue: Catalogue, jobs: Jobs, clock: Clock) -> None:
        self._store = store
        self._catalogue = catalogue
        self._jobs = jobs
        self._clock = clock

    def told(self, job_id: int) -> Told | None:
        """What to say of a job now; None when it has ended or has no end. What is said was stored."""
        job = self._jobs.get(job_id)
        if job.is_final or job.kind == Kind.FOLLOW:
            return None
        with self._store.read() as tx:
            newest = next(iter(forecasts.of_job(tx, job_id)), None)
        now = self._clock.now()
        if newest is None or newest.outcome or now - newest.at >= _spacing(job, now):
            newest = self.take(job_id)
        passed = 0.0 if job.state == JobState.PAUSED else (now - newest.at) / SECOND
        return Told(
            p50=max(0.0, newest.p50 - passed),
            p90=max(0.0, newest.p90 - passed),
            basis=newest.basis,
            idle=max(0.0, newest.idle - passed),
            made_at=newest.at,
            is_paused=job.state == JobState.PAUSED,
        )

    def take(self, job_id: int) -> Forecasted:
        """Make a forecast of a job, and store it."""
        made = progress(self._store, self._catalogue, self._jobs, job_id, width=1)
        now = self._clock.now()
        with self._store.read() as tx:
            key, outlook = self._outlook(tx, made, now)
        said = forecast(outlook)
        row = Forecasted(
            id=0,
            job=job_id,
            budget=key,
            at=now,
            requests=made.requests,
            left=round(outlook.left),
            ahead=round(outlook.ahead),
            share=outlook.share,
            basis=said.basis,
            work=said.work,
            idle=said.idle,
            p50=said.p50,
            p90=said.p90,
        )
        self._store.write(lambda tx: forecasts.add(tx, row))
        return row

    def tick(self) -> None:
        """Forecast the running jobs whose turn it is, and score those that have ended."""
        now = self._clock.now()
        with self._store.read() as tx:
            running = forecasts.running(tx)
            over = forecasts.ended(tx)
        for job_id, begun, newest in running:
            if newest is None or now - newest >= _spaced(now - (begun or now)):
                self._try(job_id)
        for job_id, state, at in over:
            self._store.write(lambda tx, its=(job_id, state, at): forecasts.score(tx, *its))  # type: ignore[misc]

    def _try(self, job_id: int) -> None:
        """Forecast a job, unless it is gone, or of a kind that only another version knows: the others go on."""
        try:
            self.take(job_id)
        except UsageError as error:
            log.debug("forecast.skipped", job=job_id, error=str(error))

    def honesty(self, days: float = 30) -> dict[str, Honesty]:
        """How the forecasts of the last days did, by budget and basis, and `all` of them."""
        if days <= 0:
            raise UsageError("days: must be positive", field="days", hint="give the number of days to look back")
        self.tick()
        with self._store.read() as tx:
            found = forecasts.scored(tx, self._clock.now() - round(days * DAY))
        groups: dict[str, list[tuple[int, float, float, float]]] = {}
        for budget, basis, job, p50, p90, actual in found:
            for name in (f"{budget}, by {basis}", "all"):
                groups.setdefault(name, []).append((job, p50, p90, actual))
        judged = {name: honesty(listed) for name, listed in sorted(groups.items())}
        return {name: one for name, one in judged.items() if one is not None}

    def _outlook(self, tx: Tx, made: Progress, now: Instant) -> tuple[str, Outlook]:
        """What is known of a job: its budget's key, and the rest."""
        job = made.job
        key = self._catalogue.limit(self._catalogue.dataset(job.dataset), Kind(job.kind)).key
        budget = budgets.load(tx, key) or Budget(key=key, rate=None)
        left = pacing.quota(budget, now)
        share, ahead = self._place(tx, job, key)
        return key, Outlook(
            at=now,
            left=float(made.requests_left),
            ahead=ahead,
            rate=_rate(budget, job),
            share=share,
            blocked_until=budget.blocked_until,
            quota=None
            if left is None
            else Quota(left=left[0], daily=pacing.of_quota(budget.daily or 0), resets_at=left[1]),
            own=_own(forecasts.of_job(tx, job.id, OWN), made.requests, now, forecasts.pauses(tx, job.id, now)),
            past=forecasts.past(tx, key, LEARNED),
        )

    def _place(self, tx: Tx, job: Job, key: str) -> tuple[float, float]:
        """The share of a budget that a job has, and the requests of jobs that go first while it has none."""
        beside = forecasts.beside(tx, key)
        mine = beside.get(job.id, 0)
        if mine:
            return mine / sum(beside.values()), 0.0
        first = forecasts.ahead(tx, job.id, job.queue, job.turn, key, LOOKED_AT + 1)
        looked = [self._left(tx, one) for one in first[:LOOKED_AT]]
        more = max(0, len(forecasts.ahead(tx, job.id, job.queue, job.turn, key, 1_000_000)) - len(looked))
        return 1.0, sum(looked) * (1 + more / max(1, len(looked)))

    def _left(self, tx: Tx, job_id: int) -> float:
        """Requests that a job ahead still has to make: by its newest forecast, else by the ledger."""
        newest = next(iter(forecasts.of_job(tx, job_id)), None)
        if newest is not None and not newest.outcome:
            return float(newest.left)
        return float(progress(self._store, self._catalogue, self._jobs, job_id, width=1).requests_left)


def _rate(budget: Budget, job: Job) -> float | None:
    """Requests a second that a job may send: the budget's, or fewer where its owner says so."""
    allowed = None if budget.rate is None else budget.rate * pacing.SAFETY
    return min((one for one in (allowed, job.rate) if one), default=None)


def _own(newest: Sequence[Forecasted], requests: int, now: Instant, stops: list[tuple[Instant, Instant]]) -> list[Pace]:
    """Stretches between a job's own forecasts, the newest last; without those in which it was told to wait."""
    marks = [(one.at, one.requests, one.idle, one.outcome) for one in reversed(newest)]
    stretches = []
    for (start, before, idle, outcome), (end, after, _, _) in pairwise([*marks, (now, requests, 0.0, "")]):
        seconds = forecasts.awake(start, end, stops)
        if after > before and seconds > 0 and idle < 1.0 and not outcome:
            stretches.append(Pace(float(after - before), seconds))
    return stretches


def _spacing(job: Job, now: Instant) -> int:
    return _spaced(now - (job.started_at or job.created_at))


def _spaced(age: int) -> int:
    """Microseconds until the next forecast of a job of such an age."""
    return round(min(LATEST, max(SOONEST, SPACING * age / SECOND)) * SECOND)
