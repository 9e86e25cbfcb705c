"""The audit: one entry for every change of a state, sealed into a chain of digests.

An entry is written in the transaction of its change, and sealed a moment later (`seal`), under one lock, in the order
of its place: so changes of different jobs do not wait for each other, and a sealed entry vouches for all before it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache

import msgspec
from sqlalchemy import ColumnElement, and_, bindparam, delete, func, insert, select, update

from gapless.core.actor import Actor
from gapless.core.span import Instant
from gapless.store import settings
from gapless.store.database import Tx
from gapless.store.schema import audit
from gapless.store.sql import Statement, escaped

#: Names our lock among the advisory locks of a server.
_SEALING = 726_711
#: Entries sealed or pruned in one transaction.
BATCH = 500
#: The setting that holds place and digest of the last entry that was pruned.
ROOT = "audit.root"
_b = bindparam
_COLUMNS = (
    audit.c.id,
    audit.c.at,
    audit.c.actor,
    audit.c.via,
    audit.c.action,
    audit.c.subject,
    audit.c.before,
    audit.c.after,
    audit.c.reason,
    audit.c.place,
    audit.c.digest,
)
_INSERT = Statement(
    insert(audit).values(
        at=_b("at"),
        actor=_b("actor"),
        via=_b("via"),
        action=_b("action"),
        subject=_b("subject"),
        before=_b("before"),
        after=_b("after"),
        reason=_b("reason"),
    )
)
_UNSEALED = Statement(select(*_COLUMNS).where(audit.c.place.is_(None)).order_by(audit.c.id).limit(BATCH))
_LAST = Statement(
    select(audit.c.place, audit.c.digest).where(audit.c.place.is_not(None)).order_by(audit.c.place.desc()).limit(1)
)
_SEAL = Statement(
    update(audit).where(audit.c.id == _b("its_id")).values(place=_b("its_place"), digest=_b("its_digest"))
)
_FROM = Statement(select(*_COLUMNS).where(audit.c.place > _b("after_place")).order_by(audit.c.place).limit(_b("most")))
_FILTERS: dict[str, ColumnElement[bool]] = {
    "subject": audit.c.subject == _b("its_subject"),
    "actor": audit.c.actor == _b("its_actor"),
    "action": audit.c.action.like(_b("its_action"), escape="\\"),
}
_SINCE = Statement(
    select(audit.c.id, audit.c.subject).where(audit.c.id > _b("after_id")).order_by(audit.c.id).limit(_b("most"))
)
_TOP = Statement(select(func.coalesce(func.max(audit.c.id), 0)))
_OLD = Statement(
    select(audit.c.place, audit.c.digest)
    .where(audit.c.place.is_not(None), audit.c.at < _b("before_at"))
    .order_by(audit.c.place)
    .limit(BATCH)
)
_PRUNE = Statement(delete(audit).where(audit.c.place <= _b("up_to")))


@dataclass(frozen=True, slots=True)
class Entry:
    """One change: who did what to whom, and how it was before and after."""

    id: int
    at: Instant
    actor: str
    via: str
    action: str
    subject: str
    before: str
    after: str
    reason: str
    place: int | None
    digest: str | None


def add(tx: Tx, at: Instant, actor: Actor, action: str, subject: str, *, before: str = "", after: str = "") -> None:
    """Write one entry, in the transaction of the change."""
    tx.run(
        _INSERT,
        at=at,
        actor=actor.name,
        via=actor.via.value,
        action=action,
        subject=subject,
        before=before[:500],
        after=after[:500],
        reason=actor.reason[:500],
    )


def digest_of(one: Entry, place: int, before: str) -> str:
    """What seals an entry: SHA-256 over its fields, its place, and the digest of the entry before it."""
    fields = [before, place, one.at, one.actor, one.via, one.action, one.subject, one.before, one.after, one.reason]
    return hashlib.sha256(msgspec.json.encode(fields)).hexdigest()


def root(tx: Tx) -> tuple[int, str]:
    """Place and digest that the oldest kept entry follows; (0, "") where nothing was pruned."""
    said = settings.get(tx, ROOT)
    place, _, digest = (said or "0 ").partition(" ")
    return int(place), digest


def head(tx: Tx) -> tuple[int, str]:
    """Place and digest of the newest sealed entry."""
    row = tx.one(_LAST)
    return root(tx) if row is None else (int(row[0]), str(row[1]))


def seal(tx: Tx) -> int:
    """Seal what waits for it, at most `BATCH` entries; returns how many."""
    if tx.name == "postgresql":
        tx.cursor.execute("SELECT pg_advisory_xact_lock(%s)", (_SEALING,))
    place, digest = head(tx)
    waiting = [Entry(*row) for row in tx.rows(_UNSEALED)]
    for one in waiting:
        place += 1
        digest = digest_of(one, place, digest)
        tx.run(_SEAL, its_id=one.id, its_place=place, its_digest=digest)
    return len(waiting)


def unsealed(tx: Tx) -> list[Entry]:
    """The next entries to be sealed."""
    return [Entry(*row) for row in tx.rows(_UNSEALED)]


def sealed(tx: Tx, after: int, most: int) -> list[Entry]:
    """Sealed entries after a place, in order."""
    return [Entry(*row) for row in tx.rows(_FROM, after_place=after, most=most)]


@lru_cache(maxsize=16)
def _newest(narrowed: tuple[str, ...]) -> Statement:
    which = and_(audit.c.id < _b("below"), *(_FILTERS[name] for name in narrowed))
    return Statement(select(*_COLUMNS).where(which).order_by(audit.c.id.desc()).limit(_b("most")))


def newest(tx: Tx, most: int, *, below: int, subject: str = "", actor: str = "", action: str = "") -> list[Entry]:
    """Entries with an id below `below`, newest first: of a subject, of an actor, of actions that begin so."""
    said = {"subject": subject, "actor": actor, "action": action and escaped(action) + "%"}
    given = {f"its_{name}": text for name, text in said.items() if text}
    narrowed = tuple(name for name, text in said.items() if text)
    return [Entry(*row) for row in tx.rows(_newest(narrowed), below=below, most=most, **given)]


def since(tx: Tx, after: int, most: int) -> list[tuple[int, str]]:
    """(id, subject) of entries after an id, oldest first."""
    return [(int(one), str(subject)) for one, subject in tx.rows(_SINCE, after_id=after, most=most)]


def top(tx: Tx) -> int:
    """The newest id."""
    return int(tx.value(_TOP))


def prune(tx: Tx, before: Instant) -> int:
    """Drop sealed entries older than `before`, at most `BATCH`, oldest first; the chain goes on from the last one."""
    if tx.name == "postgresql":
        tx.cursor.execute("SELECT pg_advisory_xact_lock(%s)", (_SEALING,))
    old = tx.rows(_OLD, before_at=before)
    last, _ = root(tx)
    run = [row for i, row in enumerate(old) if row[0] == last + 1 + i]
    if not run:
        return 0
    settings.put(tx, ROOT, f"{run[-1][0]} {run[-1][1]}")
    return tx.run(_PRUNE, up_to=run[-1][0])
