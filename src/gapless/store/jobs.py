"""Jobs: made once per wish, moved only along the table of `core.job`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from sqlalchemy import bindparam, delete, exists, func, insert, select, update

from gapless.core.job import FINAL, MOVES, UNBOUND, Bounds, Job, JobState, Priority, Wish, check_move, turn
from gapless.core.segment import LIVE
from gapless.core.span import Instant
from gapless.store.database import Tx
from gapless.store.schema import job, job_series, proof, segment, series
from gapless.store.sql import Statement, among, word

_b = bindparam
_NAMES = [one.name for one in fields(Job)]
_COLUMNS = [job.c[name] for name in _NAMES]
_UNFINISHED = [state.value for state in JobState if state not in FINAL]

_GET = Statement(select(*_COLUMNS).where(job.c.id == _b("its_id")))
_LOCK = Statement(select(*_COLUMNS).where(job.c.id == _b("its_id")).with_for_update())
_hold = select(job.c.id).where(job.c.id == _b("its_id"))
_HOLD = Statement(_hold.with_for_update())
_TRY_HOLD = Statement(_hold.with_for_update(skip_locked=True))
_BY_WISH = Statement(select(*_COLUMNS).where(job.c.wish == _b("its_wish"), among(job.c.state, _UNFINISHED)))
_AT_WORK = Statement(
    select(*_COLUMNS)
    .where(
        among(job.c.state, _UNFINISHED),
        exists(
            select(job_series.c.job)
            .join(series, series.c.id == job_series.c.series)
            .where(job_series.c.job == job.c.id, series.c.dataset == _b("its_dataset"), series.c.name == _b("its_name"))
        ),
    )
    .order_by(job.c.id)
)
_LIST = Statement(select(*_COLUMNS).order_by(job.c.id.desc()).limit(_b("most")))
_UNENDED = Statement(
    select(job.c.id).where(among(job.c.state, [JobState.PENDING.value, JobState.RUNNING.value])).order_by(job.c.id)
)
_LONE = Statement(
    select(job.c.id)
    .where(
        among(job.c.state, [JobState.PENDING.value, JobState.RUNNING.value]),
        job.c.kind != word("follow"),
        ~exists(select(segment.c.id).where(segment.c.job == job.c.id, among(segment.c.state, LIVE))),
    )
    .order_by(job.c.id)
)
_INSERT = Statement(
    insert(job).values({name: _b(f"new_{name}") for name in _NAMES if name != "id"}).returning(job.c.id)
)
_STARTS = Statement(select(job_series.c.series, job_series.c.start).where(job_series.c.job == _b("its_job")))
_ADD_SERIES = Statement(insert(job_series).values(job=_b("its_job"), series=_b("its_series"), start=_b("its_start")))
_SERIES = Statement(
    select(series.c.id, series.c.name)
    .join(job_series, job_series.c.series == series.c.id)
    .where(job_series.c.job == _b("its_job"))
    .order_by(series.c.id)
)
#: What a job has run when it is moved on.
_RAN = job.c.ran + func.coalesce(_b("now") - job.c.running_since, 0)
_OVERDUE = Statement(
    select(job.c.id).where(
        job.c.state == word(JobState.RUNNING.value),
        job.c.max_runtime.is_not(None),
        job.c.ran + _b("now") - job.c.running_since >= job.c.max_runtime,
    )
)
_MOVES = {
    verb: Statement(
        update(job)
        .where(job.c.id == _b("its_id"), among(job.c.state, sources))
        .values(
            state=target.value,
            error=_b("its_error"),
            ended_at=_b("now") if target in FINAL else None,
            ran=0 if verb == "retry" else _RAN,
            running_since=_b("now") if target is JobState.RUNNING else None,
        )
    )
    for verb, (sources, target) in MOVES.items()
}
_TOTALS = Statement(
    update(job).where(job.c.id == _b("its_id")).values(rows=_b("all_rows"), requests=_b("all_requests"))
)
_LACKING = Statement(update(job).where(job.c.id == _b("its_id")).values(lacking=_b("cells")))
_PRIORITY = Statement(
    update(job).where(job.c.id == _b("its_id")).values(priority=_b("its_priority"), turn=_b("its_turn"))
)
_RATE = Statement(update(job).where(job.c.id == _b("its_id")).values(rate=_b("its_rate")))
_STATES = Statement(select(job.c.state, func.count()).group_by(job.c.state))
_FORGET_PROOF = Statement(delete(proof).where(proof.c.job == _b("its_job")))


def _job(row: tuple[Any, ...]) -> Job:
    return Job(**dict(zip(_NAMES, row, strict=True)))


def get(tx: Tx, job_id: int) -> Job | None:
    """A job by id."""
    row = tx.one(_GET, its_id=job_id)
    return None if row is None else _job(row)


def lock(tx: Tx, job_id: int) -> Job | None:
    """A job under its row lock."""
    row = tx.one(_LOCK, its_id=job_id)
    return None if row is None else _job(row)


def hold(tx: Tx, job_id: int, *, waits: bool = True) -> bool:
    """Take the row lock of a job without reading it: who ends a segment does so first.

    False where others hold it and nobody waits. A transaction that writes to SQLite is alone anyway.
    """
    if tx.name == "sqlite":
        return True
    return tx.one(_HOLD if waits else _TRY_HOLD, its_id=job_id) is not None


def hold_wish(tx: Tx, wish_key: str) -> None:
    """Let nobody else make a job of the same wish until this transaction ends."""
    if tx.name == "postgresql":
        tx.cursor.execute("SELECT pg_advisory_xact_lock(726710, hashtext(%s))", (wish_key,))


def unfinished(tx: Tx, wish_key: str) -> Job | None:
    """The unfinished job of an identical wish."""
    row = tx.one(_BY_WISH, its_wish=wish_key)
    return None if row is None else _job(row)


def at_work(tx: Tx, dataset: str, name: str) -> list[Job]:
    """Unfinished jobs of a series, whatever they do; oldest first."""
    return [_job(row) for row in tx.rows(_AT_WORK, its_dataset=dataset, its_name=name)]


def recent(tx: Tx, most: int = 200) -> list[Job]:
    """The newest jobs, newest first."""
    return [_job(row) for row in tx.rows(_LIST, most=most)]


def unended(tx: Tx) -> list[int]:
    """Jobs that run or wait to."""
    return [int(row[0]) for row in tx.rows(_UNENDED)]


def lone(tx: Tx) -> list[int]:
    """Jobs that are not over and have no live segment: one statement, however many jobs wait."""
    return [int(row[0]) for row in tx.rows(_LONE)]


def add(
    tx: Tx,
    wish: Wish,
    series_ids: list[int],
    *,
    now: Instant,
    queue: str,
    priority: Priority,
    name: str,
    total: int,
    cached: int,
    found: int = 0,
    rate: float | None = None,
    bounds: Bounds = UNBOUND,
    hold: bool = False,
    starts: Sequence[Instant] | None = None,
) -> Job:
    """Make a job. The unique index on unfinished wishes refuses a second one."""
    values: dict[str, Any] = {
        "wish": wish.key,
        "owner": wish.owner,
        "kind": wish.kind.value,
        "dataset": wish.dataset,
        "series_count": len(series_ids),
        "name": name,
        "start": wish.span.start,
        "end": wish.span.end,
        "mode": wish.mode.value,
        "direction": wish.direction.value,
        "recheck": wish.recheck,
        "queue": queue,
        "priority": int(priority),
        "turn": turn(now, priority),
        "state": (JobState.PAUSED if hold else JobState.PENDING).value,
        "error": "",
        "rate": rate,
        "total": total,
        "cached": cached,
        "found": found,
        "lacking": total - cached,
        "rows": 0,
        "requests": 0,
        "created_at": now,
        "started_at": None,
        "ended_at": None,
        "params": wish.params,
        "max_retries": bounds.max_retries,
        "max_runtime": bounds.max_runtime,
        "ran": 0,
        "running_since": None,
    }
    made = int(tx.value(_INSERT, **{f"new_{key}": value for key, value in values.items()}))
    begun: Sequence[Instant | None] = starts or [None] * len(series_ids)
    each = zip(series_ids, begun, strict=True)
    tx.each(_ADD_SERIES, [{"its_job": made, "its_series": one, "its_start": start} for one, start in each])
    return Job(id=made, **values)


def series_of(tx: Tx, job_id: int) -> list[tuple[int, str]]:
    """(id, name) of the series of a job."""
    return [(int(one), str(name)) for one, name in tx.rows(_SERIES, its_job=job_id)]


def starts_of(tx: Tx, job_id: int) -> dict[int, Instant]:
    """From where a standing job keeps each of its series complete."""
    return {int(one): int(start) for one, start in tx.rows(_STARTS, its_job=job_id) if start is not None}


def move(tx: Tx, job_id: int, verb: str, now: Instant, *, error: str = "") -> bool:
    """Make a move of the table; False when the job's state does not allow it (any more)."""
    told = {} if verb == "retry" else {"now": now}
    return tx.run(_MOVES[verb], its_id=job_id, its_error=error[:500], **told) == 1


def overdue(tx: Tx, now: Instant) -> list[int]:
    """Jobs that have run for longer than their owners allow."""
    return [int(row[0]) for row in tx.rows(_OVERDUE, now=now)]


def order(tx: Tx, job_id: int, verb: str, now: Instant) -> Job:
    """A person's verb: moves the job or raises `NotAllowed`; returns the job as it was."""
    before = lock(tx, job_id)
    assert before is not None
    check_move(before.state, verb, job_id)
    move(tx, job_id, verb, now)
    return before


def set_totals(tx: Tx, job_id: int, rows: int, requests: int) -> None:
    """Note the sums of a job's segments when it ends."""
    tx.run(_TOTALS, its_id=job_id, all_rows=rows, all_requests=requests)


def set_lacking(tx: Tx, job_id: int, cells: int) -> None:
    """Note how many cells a new round of segments is to fetch."""
    tx.run(_LACKING, its_id=job_id, cells=cells)


def set_priority(tx: Tx, one: Job, priority: Priority) -> int:
    """Change a job's class; returns its new place in the order."""
    place = turn(one.created_at, priority)
    tx.run(_PRIORITY, its_id=one.id, its_priority=int(priority), its_turn=place)
    return place


def set_rate(tx: Tx, job_id: int, rate: float | None) -> None:
    """Change how many requests a second a job may send."""
    tx.run(_RATE, its_id=job_id, its_rate=rate)


def states(tx: Tx) -> dict[str, int]:
    """Number of jobs by state."""
    return {row[0]: int(row[1]) for row in tx.rows(_STATES)}


def forget_proof(tx: Tx, job_id: int) -> None:
    """Drop what a job of mode all has proven: it has ended."""
    tx.run(_FORGET_PROOF, its_job=job_id)
