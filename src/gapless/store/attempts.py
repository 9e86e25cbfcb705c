"""Wrong passwords of the last minutes, counted for all servers of a history together."""

from __future__ import annotations

import hashlib

from sqlalchemy import bindparam, delete, insert, select

from gapless.core.span import Instant
from gapless.store.database import Tx
from gapless.store.schema import attempt
from gapless.store.sql import Statement

_b = bindparam
_ADD = Statement(insert(attempt).values(key=_b("its_key"), at=_b("its_at")).returning(attempt.c.id))
_SEEN = Statement(
    select(attempt.c.at).where(attempt.c.key == _b("its_key"), attempt.c.at > _b("since")).order_by(attempt.c.at)
)
_FORGET = Statement(delete(attempt).where(attempt.c.key == _b("its_key")))
_TAKE_BACK = Statement(delete(attempt).where(attempt.c.id == _b("its_id")))
_PRUNE = Statement(delete(attempt).where(attempt.c.at <= _b("since")))


def hold(tx: Tx, key: str) -> None:
    """Let nobody else count attempts of a key until this transaction ends."""
    if tx.name == "postgresql":
        tx.cursor.execute("SELECT pg_advisory_xact_lock(726712, hashtext(%s))", (_digest(key),))


def seen(tx: Tx, key: str, since: Instant) -> list[Instant]:
    """When there were attempts since then, the oldest first."""
    return [int(row[0]) for row in tx.rows(_SEEN, its_key=_digest(key), since=since)]


def add(tx: Tx, key: str, at: Instant) -> int:
    """Count one; returns its number."""
    return int(tx.value(_ADD, its_key=_digest(key), its_at=at))


def forget(tx: Tx, key: str) -> None:
    """Count anew from nothing."""
    tx.run(_FORGET, its_key=_digest(key))


def take_back(tx: Tx, attempt_id: int) -> None:
    """It was none after all."""
    tx.run(_TAKE_BACK, its_id=attempt_id)


def prune(tx: Tx, since: Instant) -> None:
    """Drop what does not count any more."""
    tx.run(_PRUNE, since=since)


def _digest(key: str) -> str:
    """What is stored of a key: people type passwords where names belong."""
    return hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()
