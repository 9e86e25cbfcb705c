"""Templates: the settings of a wish under a name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import bindparam, delete, insert, select
from sqlalchemy.dialects.postgresql import insert as pg_insert

from gapless.core.span import Instant
from gapless.store.database import Tx
from gapless.store.schema import schedule, template
from gapless.store.sql import Statement

_b = bindparam
_COLUMNS = [
    template.c.id,
    template.c.name,
    template.c.owner,
    template.c.kind,
    template.c.settings,
    template.c.then,
    template.c.created_at,
    template.c.changed_at,
]
_ALL = Statement(select(*_COLUMNS).order_by(template.c.name))
_BY_NAME = Statement(select(*_COLUMNS).where(template.c.name == _b("its_name")))
_BY_ID = Statement(select(*_COLUMNS).where(template.c.id == _b("its_id")))
_values: dict[str, Any] = {column.name: _b(f"new_{column.name}") for column in _COLUMNS if column.name != "id"}
_changed = {name: _values[name] for name in ("owner", "kind", "settings", "then", "changed_at")}
_INSERT = Statement(
    insert(template).values(_values).prefix_with("OR IGNORE"),
    postgresql=pg_insert(template).values(_values).on_conflict_do_nothing(),
)
_REPLACE = Statement(
    template.update().where(template.c.name == _values["name"]).values(_changed),
)
_REMOVE = Statement(delete(template).where(template.c.id == _b("its_id")))
_SCHEDULES = Statement(
    select(schedule.c.name).where(schedule.c.template == _b("its_template")).order_by(schedule.c.name)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """A row of the template table."""

    id: int
    name: str
    owner: str
    kind: str
    #: As they were said: names of `engine.wishes` with plain values.
    settings: dict[str, Any]
    #: Names of the templates that run one after the other when its job is done.
    then: tuple[str, ...]
    created_at: Instant
    changed_at: Instant


def _template(row: tuple[Any, ...]) -> Template:
    made = dict(zip([column.name for column in _COLUMNS], row, strict=True))
    settings, then = msgspec.json.decode(made["settings"]), tuple(msgspec.json.decode(made["then"]))
    return Template(**{**made, "settings": settings, "then": then})


def every(tx: Tx) -> list[Template]:
    """All templates by name."""
    return [_template(row) for row in tx.rows(_ALL)]


def by_name(tx: Tx, name: str) -> Template | None:
    """The template of a name."""
    row = tx.one(_BY_NAME, its_name=name)
    return None if row is None else _template(row)


def get(tx: Tx, template_id: int) -> Template | None:
    """A template by id."""
    row = tx.one(_BY_ID, its_id=template_id)
    return None if row is None else _template(row)


def save(
    tx: Tx,
    name: str,
    owner: str,
    kind: str,
    settings: dict[str, Any],
    then: tuple[str, ...],
    now: Instant,
    *,
    replace: bool,
) -> bool:
    """Save a template; False when the name is taken and `replace` does not say that it may be."""
    values: dict[str, Any] = {
        "new_name": name,
        "new_owner": owner,
        "new_kind": kind,
        "new_settings": msgspec.json.encode(settings).decode(),
        "new_then": msgspec.json.encode(then).decode(),
        "new_created_at": now,
        "new_changed_at": now,
    }
    if tx.run(_INSERT, **values) == 1:
        return True
    if not replace:
        return False
    del values["new_created_at"]
    return tx.run(_REPLACE, **values) == 1


def schedules_of(tx: Tx, template_id: int) -> list[str]:
    """Names of the schedules that run a template."""
    return [str(name) for (name,) in tx.rows(_SCHEDULES, its_template=template_id)]


def remove(tx: Tx, template_id: int) -> None:
    """Forget a template."""
    tx.run(_REMOVE, its_id=template_id)
