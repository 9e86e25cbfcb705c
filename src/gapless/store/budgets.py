"""Budget rows: loaded under a lock, changed by the arithmetic of `core.pacing`, saved."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, fields
from typing import Any, TypeVar

from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.dialects.postgresql import insert as pg_insert

from gapless.core.pacing import Budget, Limit
from gapless.store.database import Tx
from gapless.store.schema import budget
from gapless.store.sql import Statement

T = TypeVar("T")

_b = bindparam
_NAMES = [one.name for one in fields(Budget)]
_COLUMNS = [budget.c[name] for name in _NAMES]
_VALUES: dict[str, Any] = {name: _b(name) for name in _NAMES}
_ALL = Statement(select(*_COLUMNS).order_by(budget.c.key))
_ONE = Statement(select(*_COLUMNS).where(budget.c.key == _b("key")))
_LOCK = Statement(select(*_COLUMNS).where(budget.c.key == _b("key")).with_for_update())
_INSERT = Statement(
    insert(budget).prefix_with("OR IGNORE").values(**_VALUES),
    postgresql=pg_insert(budget).values(**_VALUES).on_conflict_do_nothing(),
)
_SET_RATE = Statement(update(budget).where(budget.c.key == _b("its_key")).values(rate=_b("its_rate")))
_SET_LIMIT = Statement(
    update(budget)
    .where(budget.c.key == _b("its_key"))
    .values(rate=_b("its_rate"), daily=_b("its_daily"), reset_offset=_b("its_offset"))
)
_SAVE = Statement(
    update(budget).where(budget.c.key == _b("its_key")).values(**{name: _b(name) for name in _NAMES if name != "key"})
)


def ensure(tx: Tx, limit: Limit, rate: float | None) -> None:
    """Make the row of a budget unless it is there; `rate` is the source's limit or the owner's setting."""
    if tx.one(_ONE, key=limit.key) is None:
        made = Budget(key=limit.key, rate=rate, daily=limit.daily, reset_offset=limit.reset_offset)
        tx.run(_INSERT, **asdict(made))


def set_rate(tx: Tx, key: str, rate: float | None) -> None:
    """Change what a budget allows, for everybody at once."""
    if tx.run(_SET_RATE, its_key=key, its_rate=rate) == 0:
        ensure(tx, Limit(key=key, rate=rate), rate)


def set_limit(tx: Tx, limit: Limit) -> None:
    """Let a budget be what its source and the settings say: what was tried once must not stay."""
    ensure(tx, limit, limit.rate)
    tx.run(_SET_LIMIT, its_key=limit.key, its_rate=limit.rate, its_daily=limit.daily, its_offset=limit.reset_offset)


def load(tx: Tx, key: str) -> Budget | None:
    """A budget as it stands."""
    row = tx.one(_ONE, key=key)
    return None if row is None else Budget(**dict(zip(_NAMES, row, strict=True)))


def every(tx: Tx) -> list[Budget]:
    """All budgets by key."""
    return [Budget(**dict(zip(_NAMES, row, strict=True))) for row in tx.rows(_ALL)]


def change(tx: Tx, key: str, by: Callable[[Budget], tuple[Budget, T]]) -> T:
    """Apply one of the pure functions of `core.pacing` under the row's lock."""
    row = tx.one(_LOCK, key=key)
    assert row is not None, f"no budget {key}"
    before = Budget(**dict(zip(_NAMES, row, strict=True)))
    after, result = by(before)
    if after != before:
        tx.run(_SAVE, its_key=key, **{name: getattr(after, name) for name in _NAMES if name != "key"})
    return result
