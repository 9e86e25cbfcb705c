"""Queues: what an owner has set for each as a whole."""

from __future__ import annotations

from sqlalchemy import bindparam, func, insert, select
from sqlalchemy.dialects.postgresql import insert as pg_insert

from gapless.store.database import Tx
from gapless.store.schema import queue
from gapless.store.sql import Statement

_b = bindparam
_ALL = Statement(select(queue.c.name, queue.c.limit).where(queue.c.limit.is_not(None)).order_by(queue.c.name))
_limited = select(queue.c.name).where(queue.c.name == _b("its_name"), queue.c.limit.is_not(None))
_HOLD = Statement(_limited.with_for_update())
_held = _limited.with_for_update(skip_locked=True).cte()
_TRY_HOLD = Statement(
    select(
        select(func.count()).select_from(_limited.subquery()).scalar_subquery()
        - select(func.count()).select_from(_held).scalar_subquery()
    )
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


def hold(tx: Tx, name: str, *, waits: bool = True) -> bool:
    """Take the row lock of a queue with a limit, so that two claims cannot both take the last place.

    False where others hold it and nobody waits. A transaction that writes to SQLite is alone anyway.
    """
    if tx.name == "sqlite":
        return True
    if waits:
        tx.one(_HOLD, its_name=name)
        return True
    return int(tx.value(_TRY_HOLD, its_name=name)) == 0


def set_limit(tx: Tx, name: str, limit: int | None) -> None:
    """Let so many segments of a queue run at once in all processes; None lifts the limit."""
    tx.run(_SET, its_name=name, its_limit=limit)
