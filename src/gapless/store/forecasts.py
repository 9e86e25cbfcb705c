"""Forecasts: every one that was made, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import and_, bindparam, exists, func, insert, or_, select, update

from gapless.core.forecast import Past
from gapless.core.job import FINAL, JobState
from gapless.core.segment import SegmentState
from gapless.core.span import SECOND, Instant
from gapless.store.database import Tx
from gapless.store.schema import event, forecast, job, segment
from gapless.store.sql import Statement, among, word

_b = bindparam
#: Ends that say something about a forecast; a cancelled or failed job did not run to its end.
TELLING = [JobState.DONE.value, JobState.INCOMPLETE.value]


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecasted:
    """A row of the forecast table."""

    id: int
    job: int
    budget: str
    at: Instant
    #: Requests that the job had made, had left, and that others had to make before it.
    requests: int
    left: int
    ahead: int
    share: float
    basis: str
    #: Seconds: of work, of waiting that was certain, and what was said.
    work: float
    idle: float
    p50: float
    p90: float
    #: How the job ended; empty before that.
    outcome: str = ""
    #: Seconds that it really took, pauses left out.
    actual: float | None = None


_NAMES = [one.name for one in fields(Forecasted)]
_COLUMNS = [forecast.c[name] for name in _NAMES]
_INSERT = Statement(
    insert(forecast).values({name: _b(f"new_{name}") for name in _NAMES if name != "id"}).returning(forecast.c.id)
)
_NEWEST = Statement(
    select(*_COLUMNS).where(forecast.c.job == _b("its_job")).order_by(forecast.c.id.desc()).limit(_b("most"))
)
_PAST = Statement(
    select(
        forecast.c.job,
        forecast.c.at,
        forecast.c.basis,
        forecast.c.left,
        forecast.c.ahead,
        forecast.c.share,
        forecast.c.work,
        forecast.c.idle,
        forecast.c.actual,
    )
    .where(forecast.c.budget == _b("its_budget"), among(forecast.c.outcome, TELLING))
    .order_by(forecast.c.id.desc())
    .limit(_b("most"))
)
_SCORED = Statement(
    select(forecast.c.budget, forecast.c.basis, forecast.c.job, forecast.c.p50, forecast.c.p90, forecast.c.actual)
    .where(among(forecast.c.outcome, TELLING), forecast.c.at >= _b("since"))
    .order_by(forecast.c.id)
)
_ENDED = Statement(
    select(job.c.id, job.c.state, job.c.ended_at)
    .where(
        among(job.c.state, [state.value for state in FINAL]),
        exists().where(forecast.c.job == job.c.id, forecast.c.outcome == ""),
    )
    .order_by(job.c.id)
    .limit(200)
)
_OPEN = Statement(select(forecast.c.id, forecast.c.at).where(forecast.c.job == _b("its_job"), forecast.c.outcome == ""))
_SCORE = Statement(
    update(forecast)
    .where(forecast.c.id == _b("its_id"), forecast.c.outcome == "")
    .values(outcome=_b("its_outcome"), actual=_b("its_actual"))
)
_STOPS = Statement(
    select(event.c.at, event.c.name)
    .where(event.c.job == _b("its_job"), among(event.c.name, ["job.paused", "job.resumed"]))
    .order_by(event.c.id)
)
_newest_at = select(func.max(forecast.c.at)).where(forecast.c.job == job.c.id).scalar_subquery()
_RUNNING = Statement(
    select(job.c.id, job.c.started_at, _newest_at)
    .where(job.c.state == word(JobState.RUNNING.value), job.c.kind != "follow")
    .order_by(job.c.id)
)
_BESIDE = Statement(
    select(segment.c.job, func.count())
    .where(segment.c.state == word(SegmentState.RUNNING.value), segment.c.budget == _b("its_budget"))
    .group_by(segment.c.job)
)
_AHEAD = Statement(
    select(job.c.id)
    .where(
        among(job.c.state, [JobState.PENDING.value, JobState.RUNNING.value]),
        job.c.queue == _b("its_queue"),
        job.c.kind != "follow",
        or_(job.c.turn < _b("its_turn"), and_(job.c.turn == _b("its_turn"), job.c.id < _b("its_job"))),
        exists().where(
            and_(
                segment.c.job == job.c.id,
                among(segment.c.state, [SegmentState.WAITING.value, SegmentState.RUNNING.value]),
                segment.c.budget == _b("its_budget"),
            )
        ),
    )
    .order_by(job.c.turn, job.c.id)
    .limit(_b("most"))
)


def _row(found: tuple[Any, ...]) -> Forecasted:
    return Forecasted(**dict(zip(_NAMES, found, strict=True)))


def add(tx: Tx, one: Forecasted) -> int:
    """Store a forecast; returns its id."""
    return int(tx.value(_INSERT, **{f"new_{name}": getattr(one, name) for name in _NAMES if name != "id"}))


def of_job(tx: Tx, job_id: int, most: int = 1) -> list[Forecasted]:
    """The newest forecasts of a job, newest first."""
    return [_row(found) for found in tx.rows(_NEWEST, its_job=job_id, most=most)]


def past(tx: Tx, budget: str, most: int) -> list[Past]:
    """What became of the newest forecasts on a budget."""
    return [
        Past(
            job=int(its),
            at=int(at),
            basis=str(basis),
            work=float(left + ahead),
            share=float(share),
            expected=float(work),
            took=max(0.0, float(actual) - float(idle)),
        )
        for its, at, basis, left, ahead, share, work, idle, actual in tx.rows(_PAST, its_budget=budget, most=most)
    ]


def scored(tx: Tx, since: Instant) -> list[tuple[str, str, int, float, float, float]]:
    """(budget, basis, job, p50, p90, actual seconds) of the forecasts since then whose jobs ran to their end."""
    return [
        (str(budget), str(basis), int(its), float(p50), float(p90), float(actual))
        for budget, basis, its, p50, p90, actual in tx.rows(_SCORED, since=since)
    ]


def ended(tx: Tx) -> list[tuple[int, str, Instant]]:
    """(job, state, end) of jobs that have ended and have forecasts that nobody has scored."""
    return [(int(its), str(state), int(at)) for its, state, at in tx.rows(_ENDED)]


def score(tx: Tx, job_id: int, outcome: str, ended_at: Instant) -> None:
    """Note what became of the open forecasts of a job; time in which its owner had paused it does not count."""
    stops = pauses(tx, job_id, ended_at)
    tx.each(
        _SCORE,
        [
            {"its_id": int(one), "its_outcome": outcome, "its_actual": awake(int(at), ended_at, stops)}
            for one, at in tx.rows(_OPEN, its_job=job_id)
        ],
    )


def awake(start: Instant, end: Instant, stops: list[tuple[Instant, Instant]]) -> float:
    """Seconds from `start` to `end` that lie in no pause."""
    paused = sum(max(0, min(last, end) - max(first, start)) for first, last in stops)
    return max(0.0, (end - start - paused) / SECOND)


def pauses(tx: Tx, job_id: int, until: Instant) -> list[tuple[Instant, Instant]]:
    """From when to when a job was paused; `until` where it still is."""
    found: list[tuple[Instant, Instant]] = []
    since: Instant | None = None
    for at, name in tx.rows(_STOPS, its_job=job_id):
        if name == "job.paused":
            since = int(at)
        elif since is not None:
            found.append((since, int(at)))
            since = None
    return found if since is None else [*found, (since, until)]


def running(tx: Tx) -> list[tuple[int, Instant | None, Instant | None]]:
    """(job, when it began, its newest forecast) of jobs that run."""
    return [(int(its), begun, newest) for its, begun, newest in tx.rows(_RUNNING)]


def beside(tx: Tx, budget: str) -> dict[int, int]:
    """Running segments on a budget by job."""
    return {int(its): int(count) for its, count in tx.rows(_BESIDE, its_budget=budget)}


def ahead(tx: Tx, job_id: int, queue: str, turn: int, budget: str, most: int) -> list[int]:
    """Jobs of a queue that have work on a budget and go first."""
    found = tx.rows(_AHEAD, its_job=job_id, its_queue=queue, its_turn=turn, its_budget=budget, most=most)
    return [int(one) for (one,) in found]
