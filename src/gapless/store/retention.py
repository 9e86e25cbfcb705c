"""For how long things are kept, and taking away what is older: a few rows at a time, so that nobody waits."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Table, bindparam, delete, insert, literal, select
from sqlalchemy.dialects.postgresql import insert as pg_insert

from gapless.core.job import FINAL
from gapless.core.span import Instant
from gapless.store.database import Tx
from gapless.store.schema import chain, delivery, event, forecast, job, job_series, proof, report, retention, segment
from gapless.store.sql import Statement, among

_b = bindparam
_ALL = Statement(select(retention.c.what, retention.c.days))
_SET = Statement(
    insert(retention).prefix_with("OR REPLACE").values(what=_b("its_what"), days=_b("its_days")),
    postgresql=pg_insert(retention)
    .values(what=_b("its_what"), days=_b("its_days"))
    .on_conflict_do_update(index_elements=[retention.c.what], set_={"days": _b("its_days")}),
)
_OLD_JOBS = Statement(
    select(job.c.id)
    .where(among(job.c.state, [state.value for state in FINAL]), job.c.ended_at < _b("before"))
    .order_by(job.c.id)
    .limit(_b("most"))
    .with_for_update(skip_locked=True)
)
#: What goes with a job. Rows, coverage and quarantine are facts about series and stay.
_OF_JOB = (event, forecast, chain, delivery, proof, report, job_series, segment)
_DROP = [Statement(delete(table).where(table.c.job == _b("its_job"))) for table in _OF_JOB]
_DROP_JOB = Statement(delete(job).where(job.c.id == _b("its_job")))


def _oldest(table: Table) -> Statement:
    """The oldest rows of a table, by id: they came in the order of time, and that needs no index of its own."""
    first = select(table.c.id).order_by(table.c.id).limit(_b("most")).subquery()
    at = table.c.at if "at" in table.c else table.c.created_at
    ended = literal(1) == 1 if table is event else table.c.state != "waiting"
    return Statement(delete(table).where(table.c.id.in_(select(first.c.id)), at < _b("before"), ended))


_LOGS = _oldest(event)
_DELIVERIES = _oldest(delivery)


def settings(tx: Tx) -> dict[str, int]:
    """Days by what is kept, where an owner has said so."""
    return {str(what): int(days) for what, days in tx.rows(_ALL)}


def set_days(tx: Tx, what: str, days: int) -> None:
    """Keep something for so many days."""
    tx.run(_SET, its_what=what, its_days=days)


def drop_jobs(tx: Tx, before: Instant, most: int) -> int:
    """Take away the oldest jobs that ended before then, with all that belongs to them; returns how many."""
    found = [int(one) for (one,) in tx.rows(_OLD_JOBS, before=before, most=most)]
    for statement in _DROP:
        tx.each(statement, _each(found))
    tx.each(_DROP_JOB, _each(found))
    return len(found)


def _each(ids: Iterable[int]) -> list[dict[str, int]]:
    return [{"its_job": one} for one in ids]


def drop_logs(tx: Tx, before: Instant, most: int) -> int:
    """Take away log lines from before then, the oldest first; returns how many."""
    return tx.run(_LOGS, before=before, most=most)


def drop_deliveries(tx: Tx, before: Instant, most: int) -> int:
    """Take away deliveries that are over and older than that; returns how many."""
    return tx.run(_DELIVERIES, before=before, most=most)
