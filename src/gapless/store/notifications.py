"""Notifications: whom to tell of what."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

from sqlalchemy import bindparam, delete, insert, select, update
from sqlalchemy.dialects.postgresql import insert as pg_insert

from gapless.core.span import Instant
from gapless.store.database import Tx
from gapless.store.schema import notification
from gapless.store.sql import Statement

_b = bindparam


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """A row of the notification table."""

    id: int
    name: str
    owner: str
    #: `webhook`, or `apprise`.
    kind: str
    #: Both may hold secrets: they are used, never shown.
    url: str = field(repr=False)
    secret: str = field(repr=False)
    #: Separated by commas.
    events: str
    enabled: int
    created_at: Instant


_NAMES = [one.name for one in fields(Notification)]
_COLUMNS = [notification.c[name] for name in _NAMES]
_ALL = Statement(select(*_COLUMNS).order_by(notification.c.name))
_BY_NAME = Statement(select(*_COLUMNS).where(notification.c.name == _b("its_name")))
_BY_ID = Statement(select(*_COLUMNS).where(notification.c.id == _b("its_id")))
_ENABLED = Statement(select(notification.c.id, notification.c.events).where(notification.c.enabled == 1))
_fresh: dict[str, Any] = {name: _b(f"new_{name}") for name in _NAMES if name not in ("id", "enabled")}
_INSERT = Statement(
    insert(notification).values(_fresh).prefix_with("OR IGNORE"),
    postgresql=pg_insert(notification).values(_fresh).on_conflict_do_nothing(),
)
_ENABLE = Statement(update(notification).where(notification.c.name == _b("its_name")).values(enabled=_b("its_enabled")))
_REMOVE = Statement(delete(notification).where(notification.c.name == _b("its_name")))


def _notification(row: tuple[Any, ...]) -> Notification:
    return Notification(**dict(zip(_NAMES, row, strict=True)))


def every(tx: Tx) -> list[Notification]:
    """All notifications by name."""
    return [_notification(row) for row in tx.rows(_ALL)]


def by_name(tx: Tx, name: str) -> Notification | None:
    """The notification of a name."""
    row = tx.one(_BY_NAME, its_name=name)
    return None if row is None else _notification(row)


def get(tx: Tx, notification_id: int) -> Notification | None:
    """A notification by id."""
    row = tx.one(_BY_ID, its_id=notification_id)
    return None if row is None else _notification(row)


def wanting(tx: Tx, event: str) -> list[int]:
    """Ids of the enabled notifications that want to hear of an event."""
    return [int(one) for one, events in tx.rows(_ENABLED) if event in str(events).split(",")]


def add(tx: Tx, name: str, owner: str, kind: str, url: str, secret: str, events: str, now: Instant) -> bool:
    """Add a notification; False when its name is taken."""
    values = {"name": name, "owner": owner, "kind": kind, "url": url, "secret": secret, "events": events}
    return tx.run(_INSERT, new_created_at=now, **{f"new_{key}": value for key, value in values.items()}) == 1


def enable(tx: Tx, name: str, *, enabled: bool) -> bool:
    """Switch a notification on or off; False when there is none of the name."""
    return tx.run(_ENABLE, its_name=name, its_enabled=int(enabled)) == 1


def remove(tx: Tx, name: str) -> bool:
    """Forget a notification; what waits to be delivered to it is dropped when its turn comes."""
    return tx.run(_REMOVE, its_name=name) == 1
