"""Deliveries: one row for each event and each notification that wants it, whoever notices the event, however often."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import bindparam, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as pg_insert

from gapless.core.span import Instant
from gapless.store.database import Tx
from gapless.store.schema import delivery
from gapless.store.sql import Statement, word

_b = bindparam


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A row of the delivery table."""

    id: int
    notification: int
    job: int
    event: str
    occasion: Instant
    #: JSON: what is told, as it was at that moment.
    body: str
    state: str
    attempts: int
    retry_at: Instant
    error: str
    created_at: Instant
    ended_at: Instant | None


_NAMES = [one.name for one in fields(Delivery)]
_COLUMNS = [delivery.c[name] for name in _NAMES]
_WAITING = delivery.c.state == word("waiting")
_recent = select(*_COLUMNS).where(delivery.c.id < _b("below")).order_by(delivery.c.id.desc()).limit(_b("most"))
_RECENT = Statement(_recent)
_RECENT_IN = Statement(_recent.where(delivery.c.state == _b("its_state")))
_LAST = Statement(
    select(*_COLUMNS).where(
        delivery.c.id.in_(select(func.max(delivery.c.id)).where(~_WAITING).group_by(delivery.c.notification))
    )
)
_DUE = Statement(
    select(*_COLUMNS)
    .where(_WAITING, delivery.c.retry_at <= _b("now"))
    .order_by(delivery.c.retry_at, delivery.c.id)
    .limit(_b("most"))
)
_fresh: dict[str, Any] = {
    "notification": _b("its_notification"),
    "job": _b("its_job"),
    "event": _b("its_event"),
    "occasion": _b("its_occasion"),
    "body": _b("its_body"),
    "state": "waiting",
    "retry_at": _b("now"),
    "created_at": _b("now"),
}
_INSERT = Statement(
    insert(delivery).values(_fresh).prefix_with("OR IGNORE"),
    postgresql=pg_insert(delivery).values(_fresh).on_conflict_do_nothing(),
)
_TAKE = Statement(
    update(delivery)
    .where(delivery.c.id == _b("its_id"), delivery.c.attempts == _b("seen"), _WAITING)
    .values(attempts=_b("seen") + 1, retry_at=_b("again"))
)
_END = Statement(
    update(delivery)
    .where(delivery.c.id == _b("its_id"), _WAITING)
    .values(state=_b("its_state"), error=_b("why"), ended_at=_b("now"))
)
_LATER = Statement(
    update(delivery).where(delivery.c.id == _b("its_id"), _WAITING).values(retry_at=_b("again"), error=_b("why"))
)


def _delivery(row: tuple[Any, ...]) -> Delivery:
    return Delivery(**dict(zip(_NAMES, row, strict=True)))


def recent(tx: Tx, most: int = 50, *, below: int = 2**62, state: str = "") -> list[Delivery]:
    """Deliveries with an id below `below`, newest first; those of one state if it is given."""
    if state:
        return [_delivery(row) for row in tx.rows(_RECENT_IN, most=most, below=below, its_state=state)]
    return [_delivery(row) for row in tx.rows(_RECENT, most=most, below=below)]


def last(tx: Tx) -> dict[int, Delivery]:
    """The newest delivery of each notification that has come to an end, arrived or given up."""
    return {one.notification: one for one in map(_delivery, tx.rows(_LAST))}


def due(tx: Tx, now: Instant, most: int = 100) -> list[Delivery]:
    """Deliveries whose turn has come."""
    return [_delivery(row) for row in tx.rows(_DUE, now=now, most=most)]


def add(tx: Tx, notification: int, job: int, event: str, occasion: Instant, body: str, now: Instant) -> bool:
    """Let an event be told; False when it already is."""
    return (
        tx.run(
            _INSERT,
            its_notification=notification,
            its_job=job,
            its_event=event,
            its_occasion=occasion,
            its_body=body,
            now=now,
        )
        == 1
    )


def take(tx: Tx, one: Delivery, again: Instant) -> bool:
    """Count an attempt and keep everybody else away until `again`; False when somebody else was faster."""
    return tx.run(_TAKE, its_id=one.id, seen=one.attempts, again=again) == 1


def sent(tx: Tx, delivery_id: int, now: Instant) -> None:
    """It has arrived."""
    tx.run(_END, its_id=delivery_id, its_state="sent", why="", now=now)


def failed(tx: Tx, delivery_id: int, why: str, now: Instant) -> None:
    """It is given up."""
    tx.run(_END, its_id=delivery_id, its_state="failed", why=why[:500], now=now)


def later(tx: Tx, delivery_id: int, again: Instant, why: str) -> None:
    """It is tried again."""
    tx.run(_LATER, its_id=delivery_id, again=again, why=why[:500])
