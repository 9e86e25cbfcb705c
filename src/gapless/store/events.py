"""Log lines of jobs. The list of names is in docs/reference/events.md."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import bindparam, insert, select

from gapless.core.span import Instant
from gapless.store.database import Tx
from gapless.store.schema import event
from gapless.store.sql import Statement

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
    """Write one line."""
    tx.run(_INSERT, at=at, job=job, segment=segment, level=level, name=name, message=message[:2000])


def of_job(tx: Tx, job: int, *, after: int = 0, most: int = 1000) -> list[Event]:
    """Lines of a job with an id above `after`, oldest first."""
    return [Event(*row) for row in tx.rows(_OF_JOB, job=job, after=after, most=most)]
