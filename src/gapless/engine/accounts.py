"""Accounts and tokens: made, checked, changed, closed; every change leaves an entry in the audit."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from gapless.core.actor import Actor, Role
from gapless.core.clock import Clock
from gapless.core.errors import NotAllowed, NotFound, UsageError
from gapless.core.span import DAY, Instant
from gapless.store import accounts, audit, settings
from gapless.store.accounts import Account, Bearer, Token
from gapless.store.database import Tx
from gapless.store.store import Store

if TYPE_CHECKING:
    from argon2 import PasswordHasher

#: How long a session lasts.
SESSION = 14 * DAY
#: Fewest characters of a password.
LEAST = 8
#: Most characters of a password: hashing a longer one would only cost time.
MOST = 256
#: How old the note of a token's last use may be: not every request writes.
_NOTED = DAY // 24
#: A set-up link opens as long as there is no account.
_SETUP = "setup.digest"
_NAME = re.compile(r"[a-z0-9][a-z0-9._@-]{0,63}")


def digest(secret: str) -> str:
    """What is stored of a random secret."""
    return hashlib.sha256(secret.encode()).hexdigest()


@lru_cache(maxsize=1)
def _hasher() -> PasswordHasher:
    from argon2 import PasswordHasher

    # The library's choice follows RFC 9106 (64 MiB): half of it keeps a server of 250 MB in its bounds.
    return PasswordHasher(memory_cost=32_768, parallelism=2)


def hash_of(password: str) -> str:
    """What is stored of a password; raises `UsageError` for one that is too short."""
    return _hasher().hash(check_password(password))


@lru_cache(maxsize=1)
def _nobody() -> str:
    """A hash that no password has: an unknown name must take as long as a known one."""
    return _hasher().hash(secrets.token_hex(16))


def _is_right(hashed: str, password: str) -> bool:
    from argon2.exceptions import InvalidHashError, VerificationError

    try:
        return _hasher().verify(hashed, password)
    except (VerificationError, InvalidHashError):
        return False


def check_password(password: str) -> str:
    """A password that is long enough; raises `UsageError`, which never repeats it."""
    if not LEAST <= len(password) <= MOST:
        raise UsageError(
            f"password: has {len(password)} characters", field="password", hint=f"give {LEAST} to {MOST} characters"
        )
    return password


def check_name(name: str) -> str:
    """The name of an account; raises `UsageError`."""
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"name: {name[:80]!r} cannot be the name of an account",
            field="name",
            hint="use lower-case letters, digits, dots, dashes; at most 64",
        )
    return name


@dataclass(frozen=True, slots=True)
class Accounts:
    """Verbs on accounts, sessions and tokens, done by `actor`."""

    store: Store
    clock: Clock
    actor: Actor

    # -- accounts

    def every(self) -> list[Account]:
        """All of them."""
        with self.store.read() as tx:
            return accounts.every(tx)

    def is_any(self) -> bool:
        """Whether anybody can sign in."""
        with self.store.read() as tx:
            return accounts.is_any(tx)

    def add(self, name: str, role: Role, password: str) -> Account:
        """Make an account; raises `UsageError` for a bad name or password, `NotAllowed` when the name is taken."""
        hashed = hash_of(password)
        check_name(name)
        now = self.clock.now()

        def write(tx: Tx) -> Account:
            if accounts.find(tx, name) is not None:
                raise NotAllowed(f"there is an account {name} already", hint="give another name, or change that one")
            accounts.add(tx, name, role, hashed, now)
            audit.add(tx, now, self.actor, "account.made", f"account/{name}", after=role.value)
            return self._require(tx, name)

        return self.store.write(write, urgent=True, isolated=True)

    def set_role(self, name: str, role: Role) -> Account:
        """Give an account another role; the last admin stays one."""
        return self._change(name, "account.role", lambda one: (role, one.password, one.closed_at))

    def set_password(self, name: str, password: str, *, kept: str = "") -> Account:
        """Give an account another password; its sessions end, but for `kept` (a digest)."""
        hashed = hash_of(password)
        changed = self._change(name, "account.password", lambda one: (Role(one.role), hashed, one.closed_at))
        self.store.write(lambda tx: accounts.end_sessions(tx, changed.id, kept=kept))
        return changed

    def close(self, name: str) -> Account:
        """Close an account: its sessions and tokens open nothing any more."""
        now = self.clock.now()
        changed = self._change(name, "account.closed", lambda one: (Role(one.role), one.password, now))
        self.store.write(lambda tx: accounts.end_sessions(tx, changed.id))
        return changed

    def reopen(self, name: str) -> Account:
        """Open a closed account again."""
        return self._change(name, "account.opened", lambda one: (Role(one.role), one.password, None))

    def _change(self, name: str, action: str, to: Callable[[Account], tuple[Role, str, Instant | None]]) -> Account:
        now = self.clock.now()

        def write(tx: Tx) -> Account:
            before = self._require(tx, name)
            role, password, closed_at = to(before)
            accounts.change(tx, before, role=role, password=password, closed_at=closed_at)
            if before.role == Role.ADMIN and not accounts.admins(tx):
                raise NotAllowed(f"{name} is the last admin", hint="make another account an admin first")
            after = self._require(tx, name)
            audit.add(tx, now, self.actor, action, f"account/{name}", before=_said(before), after=_said(after))
            return after

        return self.store.write(write, urgent=True, isolated=True)

    def _require(self, tx: Tx, name: str) -> Account:
        found = accounts.find(tx, name)
        if found is None:
            raise NotFound(f"name: there is no account {name}", field="name", hint="`gapless user` lists them")
        return found

    # -- the first account

    def offer_setup(self) -> str:
        """A secret that makes the first admin, once; whatever was offered before opens nothing."""
        secret = secrets.token_urlsafe(24)
        self.store.write(lambda tx: settings.put(tx, _SETUP, digest(secret)), urgent=True)
        return secret

    def setup(self, secret: str, name: str, password: str) -> Account:
        """Make the first admin with the secret of the set-up link."""
        hashed = hash_of(password)
        check_name(name)
        now = self.clock.now()

        def write(tx: Tx) -> Account:
            wanted = settings.get(tx, _SETUP)
            if wanted is None or not secrets.compare_digest(wanted, digest(secret)) or accounts.is_any(tx):
                raise NotAllowed("this set-up link opens nothing", hint="start `gapless serve` again, or sign in")
            settings.drop(tx, _SETUP)
            accounts.add(tx, name, Role.ADMIN, hashed, now)
            audit.add(tx, now, self.actor, "account.made", f"account/{name}", after=Role.ADMIN.value)
            return self._require(tx, name)

        return self.store.write(write, urgent=True, isolated=True)

    def ensure_admin(self, password: str) -> None:
        """Let account `admin` have this password: the one that the settings name."""
        with self.store.read() as tx:
            found = accounts.find(tx, "admin")
        if found is None:
            self.add("admin", Role.ADMIN, password)
        elif not _is_right(found.password, check_password(password)):
            self.set_password("admin", password)

    # -- sessions

    def sign_in(self, name: str, password: str) -> tuple[Account, str] | None:
        """An account and the secret of its new session; None for a wrong name or password, whichever it is."""
        with self.store.read() as tx:
            found = accounts.find(tx, name)
        is_right = _is_right(_nobody() if found is None else found.password, password[: MOST + 1])
        if found is None or found.closed_at is not None or not is_right:
            return None
        return found, self.open_session(found)

    def is_password(self, name: str, password: str) -> bool:
        """Whether an account has this password."""
        with self.store.read() as tx:
            found = accounts.find(tx, name)
        return found is not None and _is_right(found.password, password)

    def open_session(self, one: Account) -> str:
        """Let a person in; returns the secret of the session."""
        secret, now = secrets.token_urlsafe(32), self.clock.now()

        def write(tx: Tx) -> None:
            accounts.open_session(tx, digest(secret), one.id, now, now + SESSION)
            audit.add(tx, now, self.actor, "session.opened", f"account/{one.name}")

        self.store.write(write, urgent=True)
        return secret

    def of_session(self, secret: str) -> Account | None:
        """Whose session it is."""
        with self.store.read() as tx:
            return accounts.of_session(tx, digest(secret), self.clock.now())

    def sign_out(self, secret: str) -> None:
        """End a session."""
        self.store.write(lambda tx: accounts.end_session(tx, digest(secret)), urgent=True)

    # -- tokens

    def add_token(self, account: str, name: str, role: Role, days: float | None = None) -> tuple[Token, str]:
        """Make a token of an account; the secret is told here and never again."""
        secret, now = f"gl_{secrets.token_urlsafe(32)}", self.clock.now()
        until = None if days is None else now + round(days * DAY)

        def write(tx: Tx) -> Token:
            owner = self._require(tx, account)
            if not Role(owner.role).allows(role):
                raise UsageError(
                    f"role: {account} is {owner.role} and cannot give {role.value}",
                    field="role",
                    hint=f"give {owner.role}",
                )
            made = accounts.add_token(tx, name, owner.id, role, digest(secret), now, until)
            audit.add(tx, now, self.actor, "token.made", f"token/{made}", after=f"{account} {role.value}")
            found = accounts.token_by_id(tx, made)
            assert found is not None
            return found

        return self.store.write(write, urgent=True, isolated=True), secret

    def tokens(self) -> list[Token]:
        """All tokens, without their secrets."""
        with self.store.read() as tx:
            return accounts.tokens(tx)

    def token(self, token_id: int) -> Token:
        """A token by its number."""
        with self.store.read() as tx:
            found = accounts.token_by_id(tx, token_id)
        if found is None:
            raise NotFound(f"token: there is no token {token_id}", field="token", hint="`gapless token` lists them")
        return found

    def revoke(self, token_id: int) -> Token:
        """Close a token for ever."""
        self.token(token_id)
        now = self.clock.now()

        def write(tx: Tx) -> None:
            if accounts.revoke(tx, token_id, now):
                audit.add(tx, now, self.actor, "token.revoked", f"token/{token_id}")

        self.store.write(write, urgent=True)
        return self.token(token_id)

    def bearer(self, secret: str) -> Bearer | None:
        """Whose token it is; None for one that opens nothing (any more)."""
        now = self.clock.now()
        with self.store.read() as tx:
            found = accounts.bearer(tx, digest(secret))
        if found is None or (found.expires_at is not None and found.expires_at <= now):
            return None
        if found.used_at is None or now - found.used_at > _NOTED:
            self.store.write(lambda tx: accounts.note_use(tx, found.id, now))
        return found


def _said(one: Account) -> str:
    """An account as the audit names it."""
    return f"{one.role}{' closed' if one.closed_at is not None else ''}"
