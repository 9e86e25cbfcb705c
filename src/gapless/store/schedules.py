"""Schedules: when templates run. Whoever moves `next_at` on makes the run, one of all processes."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import bindparam, delete, insert, select, update
from sqlalchemy.dialects.postgresql import insert as pg_insert

from gapless.core.span import Instant
from gapless.store.database import Tx
from gapless.store.schema import schedule
from gapless.store.sql import Statement

_b = bindparam


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """A row of the schedule table; times are microseconds UTC."""

    id: int
    name: str
    owner: str
    template: int
    cron: str
    zone: str
    enabled: int
    next_at: Instant
    #: After trouble on the way to a run: not before this instant.
    retry_at: Instant
    #: The time that the newest run stood for, and its job.
    last_at: Instant | None
    last_job: int | None
    runs: int
    #: Times that were caught up together with another one; runs refused because the one before was not over.
    missed: int
    refused: int
    error: str
    created_at: Instant


_NAMES = [one.name for one in fields(Schedule)]
_COLUMNS = [schedule.c[name] for name in _NAMES]
_ALL = Statement(select(*_COLUMNS).order_by(schedule.c.name))
_BY_NAME = Statement(select(*_COLUMNS).where(schedule.c.name == _b("its_name")))
_DUE = Statement(
    select(*_COLUMNS)
    .where(schedule.c.enabled == 1, schedule.c.next_at <= _b("now"), schedule.c.retry_at <= _b("now"))
    .order_by(schedule.c.next_at, schedule.c.id)
)
_fresh: dict[str, Any] = {
    name: _b(f"new_{name}") for name in ("name", "owner", "template", "cron", "zone", "next_at", "created_at")
}
_INSERT = Statement(
    insert(schedule).values(_fresh).prefix_with("OR IGNORE"),
    postgresql=pg_insert(schedule).values(_fresh).on_conflict_do_nothing(),
)
_PASS = Statement(
    update(schedule)
    .where(schedule.c.id == _b("its_id"), schedule.c.next_at == _b("was"), schedule.c.enabled == 1)
    .values(next_at=_b("its_next"), last_at=_b("was"), missed=schedule.c.missed + _b("more_missed"), retry_at=0)
)
_RAN = Statement(
    update(schedule)
    .where(schedule.c.id == _b("its_id"))
    .values(last_job=_b("its_job"), runs=schedule.c.runs + 1, error="")
)
_REFUSED = Statement(
    update(schedule).where(schedule.c.id == _b("its_id")).values(refused=schedule.c.refused + 1, error=_b("why"))
)
_LATER = Statement(
    update(schedule)
    .where(schedule.c.id == _b("its_id"), schedule.c.next_at == _b("was"))
    .values(retry_at=_b("again"), error=_b("why"))
)
_ENABLE = Statement(
    update(schedule)
    .where(schedule.c.name == _b("its_name"))
    .values(enabled=_b("its_enabled"), next_at=_b("its_next"), retry_at=0)
)
_REMOVE = Statement(delete(schedule).where(schedule.c.name == _b("its_name")))


def _schedule(row: tuple[Any, ...]) -> Schedule:
    return Schedule(**dict(zip(_NAMES, row, strict=True)))


def every(tx: Tx) -> list[Schedule]:
    """All schedules by name."""
    return [_schedule(row) for row in tx.rows(_ALL)]


def by_name(tx: Tx, name: str) -> Schedule | None:
    """The schedule of a name."""
    row = tx.one(_BY_NAME, its_name=name)
    return None if row is None else _schedule(row)


def due(tx: Tx, now: Instant) -> list[Schedule]:
    """Enabled schedules whose time has come, the longest waiting first."""
    return [_schedule(row) for row in tx.rows(_DUE, now=now)]


def add(tx: Tx, name: str, owner: str, template: int, cron: str, zone: str, next_at: Instant, now: Instant) -> bool:
    """Add a schedule; False when its name is taken."""
    return (
        tx.run(
            _INSERT,
            new_name=name,
            new_owner=owner,
            new_template=template,
            new_cron=cron,
            new_zone=zone,
            new_next_at=next_at,
            new_created_at=now,
        )
        == 1
    )


def pass_on(tx: Tx, one: Schedule, next_at: Instant, missed: int) -> bool:
    """Take a run: move the schedule on from where it was seen. False when somebody else has, or it was disabled.

    On PostgreSQL the row stays locked until the transaction ends, so a run that is not made is not taken either.
    """
    return tx.run(_PASS, its_id=one.id, was=one.next_at, its_next=next_at, more_missed=missed) == 1


def ran(tx: Tx, schedule_id: int, job: int) -> None:
    """Note the job of a run."""
    tx.run(_RAN, its_id=schedule_id, its_job=job)


def refused(tx: Tx, schedule_id: int, why: str) -> None:
    """Note that a run was not made."""
    tx.run(_REFUSED, its_id=schedule_id, why=why[:500])


def later(tx: Tx, one: Schedule, again: Instant, why: str) -> None:
    """Try a run again later, unless somebody else has made it meanwhile."""
    tx.run(_LATER, its_id=one.id, was=one.next_at, again=again, why=why[:500])


def enable(tx: Tx, name: str, *, enabled: bool, next_at: Instant) -> None:
    """Switch a schedule on or off; what would have run while it was off is not caught up."""
    tx.run(_ENABLE, its_name=name, its_enabled=int(enabled), its_next=next_at)


def remove(tx: Tx, name: str) -> bool:
    """Forget a schedule; its jobs stay."""
    return tx.run(_REMOVE, its_name=name) == 1
