"""What all processes of a history share: the key that signs sessions, limits of the history as a whole."""

from __future__ import annotations

from sqlalchemy import bindparam, delete, insert, select
from sqlalchemy.dialects.postgresql import insert as pg_insert

from gapless.store.database import Tx
from gapless.store.schema import setting
from gapless.store.sql import Statement

_b = bindparam
_GET = Statement(select(setting.c.value).where(setting.c.name == _b("its_name")))
_SET = Statement(
    insert(setting).prefix_with("OR REPLACE").values(name=_b("its_name"), value=_b("its_value")),
    postgresql=pg_insert(setting)
    .values(name=_b("its_name"), value=_b("its_value"))
    .on_conflict_do_update(index_elements=[setting.c.name], set_={"value": _b("its_value")}),
)
_TRY = Statement(
    insert(setting).prefix_with("OR IGNORE").values(name=_b("its_name"), value=_b("its_value")),
    postgresql=pg_insert(setting).values(name=_b("its_name"), value=_b("its_value")).on_conflict_do_nothing(),
)
_DROP = Statement(delete(setting).where(setting.c.name == _b("its_name")))


def get(tx: Tx, name: str) -> str | None:
    """What is set under a name."""
    found: str | None = tx.value(_GET, its_name=name)
    return found


def put(tx: Tx, name: str, value: str) -> None:
    """Set it."""
    tx.run(_SET, its_name=name, its_value=value)


def agree(tx: Tx, name: str, value: str) -> str:
    """Set it unless somebody has; returns what holds now."""
    tx.run(_TRY, its_name=name, its_value=value)
    return get(tx, name) or value


def drop(tx: Tx, name: str) -> bool:
    """Take it away; False when nothing was set."""
    return tx.run(_DROP, its_name=name) == 1
