"""Queues: what an owner has set for each as a whole."""

from __future__ import annotations

from sqlalchemy import bindparam, insert, select
from sqlalchemy.dialects.postgresql import insert as pg_insert

from gapless.store.database import Tx
from gapless.store.schema import queue
from gapless.store.sql import Statement

_b = bindparam
_ALL = Statement(select(queue.c.name, queue.c.limit).where(queue.c.limit.is_not(None)).order_by(queue.c.name))
_HOLD = Statement(
    select(queue.c.limit).where(queue.c.name == _b("its_name"), queue.c.limit.is_not(None)).with_for_update()
)
_SET = Statement(
    insert(queue).prefix_with("OR REPLACE").values(name=_b("its_name"), limit=_b("its_limit")),
    postgresql=pg_insert(queue)
    .values(name=_b("its_name"), limit=_b("its_limit"))
    .on_conflict_do_update(index_elements=[queue.c.name], set_={"limit": _b("its_limit")}),
)


def limits(tx: Tx) -> dict[str, int]:
    """How many segments of a queue may run at once in all processes, where that is limited."""
    return {str(name): int(limit) for name, limit in tx.rows(_ALL)}


def hold(tx: Tx, name: str) -> int | None:
    """The limit of a queue under its lock, so that two claims cannot both take the last place; None without one."""
    found: int | None = tx.value(_HOLD, its_name=name)
    return found


def set_limit(tx: Tx, name: str, limit: int | None) -> None:
    """Let so many segments of a queue run at once in all processes; None lifts the limit."""
    tx.run(_SET, its_name=name, its_limit=limit)
