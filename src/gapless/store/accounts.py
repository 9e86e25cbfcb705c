"""Accounts, the sessions of their people, and their tokens. What is secret is stored as a digest only."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import bindparam, delete, func, insert, select, update

from gapless.core.actor import Role
from gapless.core.span import Instant
from gapless.store.database import Tx
from gapless.store.schema import account, session, token
from gapless.store.sql import Statement

_b = bindparam
_COLUMNS = (
    account.c.id,
    account.c.name,
    account.c.role,
    account.c.password,
    account.c.created_at,
    account.c.closed_at,
)
_TOKEN = (
    token.c.id,
    token.c.name,
    account.c.name,
    token.c.role,
    token.c.created_at,
    token.c.expires_at,
    token.c.used_at,
    token.c.revoked_at,
)
_WITH_ACCOUNT = token.join(account, account.c.id == token.c.account)
_ALL = Statement(select(*_COLUMNS).order_by(account.c.name))
_COUNT = Statement(select(func.count()).select_from(account))
_BY_NAME = Statement(select(*_COLUMNS).where(account.c.name == _b("its_name")))
_ADMINS = Statement(select(func.count()).where(account.c.role == Role.ADMIN.value, account.c.closed_at.is_(None)))
_INSERT = Statement(
    insert(account).values(name=_b("name"), role=_b("role"), password=_b("password"), created_at=_b("at"))
)
_CHANGE = Statement(
    update(account)
    .where(account.c.id == _b("its_id"))
    .values(role=_b("its_role"), password=_b("its_password"), closed_at=_b("its_closed"))
)
_OPEN_SESSION = Statement(
    insert(session).values(id=_b("digest"), account=_b("account"), created_at=_b("at"), expires_at=_b("until"))
)
_OF_SESSION = Statement(
    select(*_COLUMNS)
    .select_from(session.join(account, account.c.id == session.c.account))
    .where(session.c.id == _b("digest"), session.c.expires_at > _b("now"), account.c.closed_at.is_(None))
)
_END_SESSION = Statement(delete(session).where(session.c.id == _b("digest")))
_END_SESSIONS = Statement(delete(session).where(session.c.account == _b("its_account"), session.c.id != _b("kept")))
_PRUNE_SESSIONS = Statement(delete(session).where(session.c.expires_at <= _b("now")))
_ADD_TOKEN = Statement(
    insert(token)
    .values(
        name=_b("name"),
        account=_b("account"),
        role=_b("role"),
        digest=_b("digest"),
        created_at=_b("at"),
        expires_at=_b("until"),
    )
    .returning(token.c.id)
)
_TOKENS = Statement(select(*_TOKEN).select_from(_WITH_ACCOUNT).order_by(token.c.id))
_GET_TOKEN = Statement(select(*_TOKEN).select_from(_WITH_ACCOUNT).where(token.c.id == _b("its_id")))
_OF_TOKEN = Statement(
    select(*_COLUMNS, token.c.id, token.c.name, token.c.role, token.c.used_at, token.c.expires_at)
    .select_from(_WITH_ACCOUNT)
    .where(token.c.digest == _b("digest"), token.c.revoked_at.is_(None), account.c.closed_at.is_(None))
)
_USED = Statement(update(token).where(token.c.id == _b("its_id")).values(used_at=_b("now")))
_REVOKE = Statement(
    update(token).where(token.c.id == _b("its_id"), token.c.revoked_at.is_(None)).values(revoked_at=_b("now"))
)


@dataclass(frozen=True, slots=True)
class Account:
    """Somebody who may sign in."""

    id: int
    name: str
    role: str
    #: An argon2 hash.
    password: str
    created_at: Instant
    closed_at: Instant | None


@dataclass(frozen=True, slots=True)
class Token:
    """A program's way in, without the secret itself."""

    id: int
    name: str
    account: str
    role: str
    created_at: Instant
    expires_at: Instant | None
    used_at: Instant | None
    revoked_at: Instant | None


@dataclass(frozen=True, slots=True)
class Bearer:
    """Whose token it is, and what it may do."""

    account: Account
    id: int
    name: str
    role: str
    used_at: Instant | None
    expires_at: Instant | None


def every(tx: Tx) -> list[Account]:
    """All accounts by name, closed ones included."""
    return [Account(*row) for row in tx.rows(_ALL)]


def is_any(tx: Tx) -> bool:
    """Whether there is an account."""
    return int(tx.value(_COUNT)) > 0


def admins(tx: Tx) -> int:
    """How many open accounts are admins."""
    return int(tx.value(_ADMINS))


def find(tx: Tx, name: str) -> Account | None:
    """An account by name."""
    row = tx.one(_BY_NAME, its_name=name)
    return None if row is None else Account(*row)


def add(tx: Tx, name: str, role: Role, password: str, now: Instant) -> None:
    """Make an account; `password` is its hash."""
    tx.run(_INSERT, name=name, role=role.value, password=password, at=now)


def change(tx: Tx, one: Account, *, role: Role, password: str, closed_at: Instant | None) -> None:
    """Give an account another role or password, close or open it."""
    tx.run(_CHANGE, its_id=one.id, its_role=role.value, its_password=password, its_closed=closed_at)


def open_session(tx: Tx, digest: str, account_id: int, now: Instant, until: Instant) -> None:
    """Let a person in; those whose time is over are cleared away."""
    tx.run(_PRUNE_SESSIONS, now=now)
    tx.run(_OPEN_SESSION, digest=digest, account=account_id, at=now, until=until)


def of_session(tx: Tx, digest: str, now: Instant) -> Account | None:
    """Whose session it is; None when it has ended."""
    row = tx.one(_OF_SESSION, digest=digest, now=now)
    return None if row is None else Account(*row)


def end_session(tx: Tx, digest: str) -> bool:
    """Let a person out; False when nobody was in."""
    return tx.run(_END_SESSION, digest=digest) == 1


def end_sessions(tx: Tx, account_id: int, *, kept: str = "") -> int:
    """Let a person out everywhere but in session `kept`."""
    return tx.run(_END_SESSIONS, its_account=account_id, kept=kept)


def add_token(tx: Tx, name: str, account_id: int, role: Role, digest: str, now: Instant, until: Instant | None) -> int:
    """Make a token; returns its id."""
    return int(tx.value(_ADD_TOKEN, name=name, account=account_id, role=role.value, digest=digest, at=now, until=until))


def tokens(tx: Tx) -> list[Token]:
    """All tokens, revoked ones included, oldest first."""
    return [Token(*row) for row in tx.rows(_TOKENS)]


def token_by_id(tx: Tx, token_id: int) -> Token | None:
    """A token by its number."""
    row = tx.one(_GET_TOKEN, its_id=token_id)
    return None if row is None else Token(*row)


def bearer(tx: Tx, digest: str) -> Bearer | None:
    """Whose token it is, unless it or its account was closed."""
    row = tx.one(_OF_TOKEN, digest=digest)
    return None if row is None else Bearer(Account(*row[: len(_COLUMNS)]), *row[len(_COLUMNS) :])


def note_use(tx: Tx, token_id: int, now: Instant) -> None:
    """Note when a token was last used."""
    tx.run(_USED, its_id=token_id, now=now)


def revoke(tx: Tx, token_id: int, now: Instant) -> bool:
    """Close a token; False when it was closed already."""
    return tx.run(_REVOKE, its_id=token_id, now=now) == 1
