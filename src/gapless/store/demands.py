"""Demands: what a client wants to be done once, however often it asks. Kept for a day."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import bindparam, delete, insert, select, update
from sqlalchemy.dialects.postgresql import insert as pg_insert

from gapless.core.span import DAY, MINUTE, Instant
from gapless.store.database import Tx
from gapless.store.schema import demand
from gapless.store.sql import Statement

#: A demand whose maker has died is taken over after this.
STUCK = MINUTE
_b = bindparam
_values = {"owner": _b("its_owner"), "key": _b("its_key"), "digest": _b("its_digest"), "job": 0, "at": _b("now")}
_mine = (demand.c.owner == _b("its_owner"), demand.c.key == _b("its_key"))
_INSERT = Statement(
    insert(demand).prefix_with("OR IGNORE").values(_values),
    postgresql=pg_insert(demand).values(_values).on_conflict_do_nothing(),
)
_GET = Statement(select(demand.c.digest, demand.c.job, demand.c.at).where(*_mine))
_TAKE = Statement(update(demand).where(*_mine, demand.c.job == 0, demand.c.at < _b("stuck")).values(at=_b("now")))
_SETTLE = Statement(update(demand).where(*_mine).values(job=_b("its_job")))
_FORGET = Statement(delete(demand).where(*_mine))
_PRUNE = Statement(delete(demand).where(demand.c.at < _b("old")))


@dataclass(frozen=True, slots=True)
class Demand:
    """What was asked under a key, and the job it has made; 0 while it is being made."""

    digest: str
    job: int


def claim(tx: Tx, owner: str, key: str, digest: str, now: Instant) -> Demand | None:
    """Take a key: None means that it is ours to do, else what is known of it."""
    tx.run(_PRUNE, old=now - DAY)
    if tx.run(_INSERT, its_owner=owner, its_key=key, its_digest=digest, now=now) == 1:
        return None
    row = tx.one(_GET, its_owner=owner, its_key=key)
    assert row is not None
    if row[0] == digest and tx.run(_TAKE, its_owner=owner, its_key=key, stuck=now - STUCK, now=now) == 1:
        return None
    return Demand(str(row[0]), int(row[1]))


def settle(tx: Tx, owner: str, key: str, job: int) -> None:
    """Note the job that a demand has made."""
    tx.run(_SETTLE, its_owner=owner, its_key=key, its_job=job)


def forget(tx: Tx, owner: str, key: str) -> None:
    """Nothing came of it: the key may be used again."""
    tx.run(_FORGET, its_owner=owner, its_key=key)
