"""Chains: what runs when a job has ended. Whoever moves a link from `waiting` makes its job, exactly one does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import and_, bindparam, delete, insert, or_, select, update

from gapless.core.job import JobState
from gapless.core.span import Instant
from gapless.store.database import Tx
from gapless.store.schema import chain, job
from gapless.store.sql import Statement, among, word

_b = bindparam
_COLUMNS = [
    chain.c.id,
    chain.c.job,
    chain.c.owner,
    chain.c.after,
    chain.c.steps,
    chain.c.state,
    chain.c.next_job,
    chain.c.error,
    chain.c.created_at,
    chain.c.ended_at,
]
_WAITING = chain.c.state == word("waiting")
_ALL = Statement(select(*_COLUMNS).where(chain.c.id < _b("below")).order_by(chain.c.id.desc()).limit(_b("most")))
_GET = Statement(select(*_COLUMNS).where(chain.c.id == _b("its_id")))
_OF_JOB = Statement(
    select(*_COLUMNS).where(or_(chain.c.job == _b("its_job"), chain.c.next_job == _b("its_job"))).order_by(chain.c.id)
)
#: Ends after which a link of each kind starts; a cancelled job was not wanted any more.
_ENDS = or_(
    job.c.state == word(JobState.DONE.value),
    and_(
        chain.c.after == word("ended"),
        among(job.c.state, [JobState.INCOMPLETE.value, JobState.FAILED.value]),
    ),
)
_DUE = Statement(
    select(*_COLUMNS)
    .join(job, job.c.id == chain.c.job)
    .where(_WAITING, chain.c.retry_at <= _b("now"), _ENDS)
    .order_by(chain.c.id)
    .limit(100)
)
_SAME = Statement(
    select(chain.c.id).where(
        chain.c.job == _b("its_job"), chain.c.after == _b("its_after"), chain.c.steps == _b("its_steps"), _WAITING
    )
)
_INSERT = Statement(
    insert(chain)
    .values(
        job=_b("its_job"),
        owner=_b("its_owner"),
        after=_b("its_after"),
        steps=_b("its_steps"),
        state="waiting",
        created_at=_b("now"),
    )
    .returning(chain.c.id)
)
_TAKE = Statement(update(chain).where(chain.c.id == _b("its_id"), _WAITING).values(state="started", ended_at=_b("now")))
_STARTED = Statement(update(chain).where(chain.c.id == _b("its_id")).values(next_job=_b("its_next"), error=""))
_FAIL = Statement(
    update(chain)
    .where(chain.c.id == _b("its_id"), _WAITING)
    .values(state="failed", error=_b("why"), ended_at=_b("now"))
)
_LATER = Statement(
    update(chain).where(chain.c.id == _b("its_id"), _WAITING).values(retry_at=_b("again"), error=_b("why"))
)
_REMOVE = Statement(delete(chain).where(chain.c.id == _b("its_id"), _WAITING))


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One job of a chain, before it is made."""

    kind: str
    #: The settings of a wish; what names neither series nor span takes those of the job before.
    settings: dict[str, Any]
    #: What people call it.
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """A row of the chain table: what waits for one job."""

    id: int
    job: int
    owner: str
    after: str
    steps: tuple[Step, ...]
    state: str
    #: The job that the first step became; the other steps wait for that one.
    next_job: int | None
    error: str
    created_at: Instant
    ended_at: Instant | None


def _chain(row: tuple[Any, ...]) -> Chain:
    made = dict(zip([column.name for column in _COLUMNS], row, strict=True))
    return Chain(**{**made, "steps": msgspec.json.decode(made["steps"], type=tuple[Step, ...])})


def every(tx: Tx, most: int = 200, *, below: int = 2**62) -> list[Chain]:
    """Links with an id below `below`, newest first."""
    return [_chain(row) for row in tx.rows(_ALL, most=most, below=below)]


def get(tx: Tx, chain_id: int) -> Chain | None:
    """A link by id."""
    row = tx.one(_GET, its_id=chain_id)
    return None if row is None else _chain(row)


def of_job(tx: Tx, job_id: int) -> list[Chain]:
    """The links that lead from a job, or to it."""
    return [_chain(row) for row in tx.rows(_OF_JOB, its_job=job_id)]


def due(tx: Tx, now: Instant) -> list[Chain]:
    """Links whose job has ended as they wait for."""
    return [_chain(row) for row in tx.rows(_DUE, now=now)]


def add(tx: Tx, job_id: int, owner: str, after: str, steps: tuple[Step, ...], now: Instant) -> int:
    """Let steps follow a job; the same ones twice are one link. Returns its id."""
    values = {"its_job": job_id, "its_after": after, "its_steps": msgspec.json.encode(steps).decode()}
    same = tx.value(_SAME, **values)
    return int(same if same is not None else tx.value(_INSERT, its_owner=owner, now=now, **values))


def take(tx: Tx, chain_id: int, now: Instant) -> bool:
    """Take a link, to make its job in the same transaction; False when somebody else has."""
    return tx.run(_TAKE, its_id=chain_id, now=now) == 1


def started(tx: Tx, chain_id: int, next_job: int) -> None:
    """Note the job that a link has become."""
    tx.run(_STARTED, its_id=chain_id, its_next=next_job)


def fail(tx: Tx, chain_id: int, why: str, now: Instant) -> bool:
    """End a link whose step cannot become a job."""
    return tx.run(_FAIL, its_id=chain_id, why=why[:500], now=now) == 1


def later(tx: Tx, chain_id: int, again: Instant, why: str) -> None:
    """Try a link again later."""
    tx.run(_LATER, its_id=chain_id, again=again, why=why[:500])


def remove(tx: Tx, chain_id: int) -> bool:
    """Take a link away; False when it is not waiting."""
    return tx.run(_REMOVE, its_id=chain_id) == 1
