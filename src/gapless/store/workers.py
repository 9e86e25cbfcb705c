"""Worker rows: a random id per process start, a beat that counts up while the process lives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, delete, insert, select, update
from sqlalchemy.dialects.postgresql import insert as pg_insert

from gapless.core.span import Instant
from gapless.store.database import Tx
from gapless.store.schema import worker
from gapless.store.sql import Statement

_b = bindparam
_COLUMNS = (
    worker.c.id,
    worker.c.name,
    worker.c.host,
    worker.c.pid,
    worker.c.queues,
    worker.c.slots,
    worker.c.job,
    worker.c.beat,
    worker.c.started_at,
)
_ALL = Statement(select(*_COLUMNS).order_by(worker.c.started_at, worker.c.id))
_values: dict[str, Any] = {column.name: _b(column.name) for column in _COLUMNS}
_INSERT = Statement(
    insert(worker).prefix_with("OR IGNORE").values(_values),
    postgresql=pg_insert(worker).values(_values).on_conflict_do_nothing(),
)
_BEAT = Statement(
    update(worker).where(worker.c.id == _b("its_id")).values(beat=worker.c.beat + 1, slots=_b("its_slots"))
)
_DELETE = Statement(delete(worker).where(worker.c.id == _b("its_id")))


@dataclass(frozen=True, slots=True)
class Worker:
    """One process that runs segments."""

    id: str
    #: Its own name, unique among the living.
    name: str
    host: str
    pid: int
    #: Queues it serves, separated by commas.
    queues: str
    slots: int
    #: The only job it serves, if it is a foreground command.
    job: int | None
    beat: int
    started_at: Instant


def every(tx: Tx) -> list[Worker]:
    """All workers that have not left, the dead ones that nobody noticed yet included."""
    return [Worker(*row) for row in tx.rows(_ALL)]


def enter(tx: Tx, one: Worker) -> bool:
    """Add a worker; False when its name is taken."""
    return tx.run(_INSERT, **{column.name: getattr(one, column.name) for column in _COLUMNS}) == 1


def beat(tx: Tx, worker_id: str, slots: int) -> bool:
    """Count on; False when the row is gone, because others took this worker for dead."""
    return tx.run(_BEAT, its_id=worker_id, its_slots=slots) == 1


def leave(tx: Tx, worker_id: str) -> None:
    """Remove a worker."""
    tx.run(_DELETE, its_id=worker_id)
