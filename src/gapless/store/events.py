"""Log lines of jobs. The list of names is in docs/reference/events.md."""

from __future__ import annotations

from dataclasses import dataclass

import structlog
from sqlalchemy import bindparam, func, insert, select

from gapless.core.span import Instant
from gapless.store.database import Tx
from gapless.store.schema import event
from gapless.store.sql import Statement, word

_log = structlog.get_logger("gapless.job")
_b = bindparam
_INSERT = Statement(
    insert(event).values(
        at=_b("at"),
        job=_b("job"),
        segment=_b("segment"),
        level=_b("level"),
        name=_b("name"),
        message=_b("message"),
    )
)
_COLUMNS = (
    event.c.id,
    event.c.at,
    event.c.job,
    event.c.segment,
    event.c.level,
    event.c.name,
    event.c.message,
)
_OF_JOB = Statement(
    select(*_COLUMNS).where(event.c.job == _b("job"), event.c.id > _b("after")).order_by(event.c.id).limit(_b("most"))
)
_TOP = Statement(select(func.coalesce(func.max(event.c.id), 0)).where(event.c.job == _b("its_job")))
_TAIL = Statement(
    select(*_COLUMNS)
    .where(event.c.job == _b("its_job"), event.c.id < _b("below"))
    .order_by(event.c.id.desc())
    .limit(_b("most"))
)
_TROUBLE = Statement(
    select(event.c.name, event.c.message, func.count(), func.max(event.c.at))
    .where(event.c.job == _b("its_job"), event.c.level.in_([word("warning"), word("error")]))
    .group_by(event.c.name, event.c.message)
    .order_by(func.max(event.c.at).desc())
    .limit(_b("most"))
)


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened to a job."""

    id: int
    at: Instant
    job: int | None
    segment: int | None
    level: str
    name: str
    message: str


def add(
    tx: Tx,
    at: Instant,
    name: str,
    message: str,
    *,
    job: int | None,
    segment: int | None = None,
    level: str = "info",
) -> None:
    """Write one line, to the process's log as well: there it stands a second time if its transaction is repeated."""
    getattr(_log, level)(name, job=job, segment=segment, message=message[:2000])
    tx.run(_INSERT, at=at, job=job, segment=segment, level=level, name=name, message=message[:2000])


def of_job(tx: Tx, job: int, *, after: int = 0, most: int = 1000) -> list[Event]:
    """Lines of a job with an id above `after`, oldest first."""
    return [Event(*row) for row in tx.rows(_OF_JOB, job=job, after=after, most=most)]


def top(tx: Tx, job: int) -> int:
    """The newest id of a job's lines."""
    return int(tx.value(_TOP, its_job=job))


def tail(tx: Tx, job: int, most: int, *, below: int = 2**62) -> list[Event]:
    """The last lines of a job, with an id below `below`, oldest first."""
    return [Event(*row) for row in reversed(tx.rows(_TAIL, its_job=job, below=below, most=most))]


def trouble(tx: Tx, job: int, most: int) -> list[tuple[str, str, int, Instant]]:
    """Warnings and errors of a job, alike ones together: (name, message, how often, when last), the newest first."""
    return [(row[0], row[1], int(row[2]), int(row[3])) for row in tx.rows(_TROUBLE, its_job=job, most=most)]
