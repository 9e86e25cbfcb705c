"""Who is calling, and what they may do: sessions for people, tokens for programs."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, Header
from starlette.requests import HTTPConnection
from starlette.responses import Response

from gapless.app import Gapless
from gapless.core.actor import Actor, Role, Via
from gapless.core.job import Job
from gapless.engine.accounts import SESSION, Accounts
from gapless.engine.attempts import Attempt, Attempts, TooMany
from gapless.server.problems import Problem

COOKIE = "gapless_session"
#: Wrong passwords within five minutes after which a name, or an address, has to wait.
TRIES_OF_NAME, TRIES_OF_ADDRESS = 5, 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Somebody who was let in."""

    name: str
    role: Role
    via: Via
    #: The secret of the session, to end it; empty for tokens.
    session: str = field(default="", repr=False)

    @property
    def actor(self) -> Actor:
        """As the audit names them."""
        return Actor(name=self.name, via=self.via)


class Access:
    """Lets people and programs in."""

    def __init__(self, history: Gapless) -> None:
        self._history = history
        self._key = history.server_key().encode()
        self.attempts = Attempts(history.store, history.clock)

    @property
    def accounts(self) -> Accounts:
        """Accounts in the hands of the server itself."""
        return self._history.accounts

    def caller(self, headers: Mapping[str, str], cookies: Mapping[str, str]) -> Caller | None:
        """Who sends a request; None for nobody. A request with both counts as its token's."""
        said = headers.get("authorization", "")
        if said:
            scheme, _, secret = said.partition(" ")
            return self._bearer(secret.strip()) if scheme.lower() == "bearer" else None
        secret = self._unsigned(cookies.get(COOKIE, ""))
        found = self.accounts.of_session(secret) if secret else None
        if found is None:
            return None
        return Caller(name=found.name, role=Role(found.role), via=Via.SESSION, session=secret)

    def _bearer(self, secret: str) -> Caller | None:
        found = self.accounts.bearer(secret) if secret else None
        if found is None:
            return None
        mine, its = Role(found.account.role), Role(found.role)
        return Caller(name=found.account.name, role=its if mine.allows(its) else mine, via=Via.TOKEN)

    def sign_in(self, name: str, password: str, address: str) -> tuple[Caller, str]:
        """A caller and the value of the cookie. Raises `Problem` 401, or 429 after too many tries."""
        attempt = self.attempt((f"name/{name}", TRIES_OF_NAME), (f"address/{address}", TRIES_OF_ADDRESS))
        actor = Actor(name=name, via=Via.SESSION)
        found = self._history.acting(actor).accounts.sign_in(name, password)
        if found is None:
            raise Problem(401, "name or password is wrong", field="password", hint="try again")
        self.attempts.succeed(attempt)
        account, secret = found
        return Caller(name=account.name, role=Role(account.role), via=Via.SESSION, session=secret), self.signed(secret)

    def check_password(self, caller: Caller, password: str, address: str) -> None:
        """Raise `Problem` 403 unless it is the caller's password; tries count."""
        attempt = self.attempt((f"name/{caller.name}", TRIES_OF_NAME), (f"address/{address}", TRIES_OF_ADDRESS))
        if not self.accounts.is_password(caller.name, password):
            raise Problem(403, "the old password is wrong", field="old", hint="try again")
        self.attempts.succeed(attempt)

    def attempt(self, *keys: tuple[str, int]) -> Attempt:
        """Count an attempt under some keys; raises `Problem` 429 where one of them has had its number of wrong ones."""
        made = self.attempts.begin(keys)
        if isinstance(made, TooMany):
            raise Problem(
                429,
                "too many wrong passwords",
                hint=f"wait {made.seconds} seconds",
                headers={"Retry-After": str(made.seconds)},
            )
        return made

    def signed(self, secret: str) -> str:
        """What the cookie holds."""
        return f"{secret}.{self._signature(secret)}"

    def _unsigned(self, value: str) -> str:
        """The secret of a cookie that we have signed; empty for any other, without a look at the database."""
        secret, _, signature = value.rpartition(".")
        return secret if secret and hmac.compare_digest(signature, self._signature(secret)) else ""

    def _signature(self, secret: str) -> str:
        return hmac.new(self._key, secret.encode("utf-8", "replace"), hashlib.sha256).hexdigest()


def set_cookie(answer: Response, value: str, *, secure: bool) -> None:
    """Give a person their session."""
    answer.set_cookie(
        COOKIE, value, max_age=SESSION // 1_000_000, httponly=True, samesite="lax", secure=secure, path="/"
    )


def is_same_origin(headers: Mapping[str, str], scheme: str, *, absent: bool) -> bool:
    """Whether a browser says that its page is ours; `absent` where nothing is said: that is no browser."""
    site = headers.get("sec-fetch-site", "")
    if site:
        return site in ("same-origin", "none")
    return is_own_origin(headers, scheme, absent=absent)


def is_own_origin(headers: Mapping[str, str], scheme: str, *, absent: bool) -> bool:
    """Whether `Origin` names this server; `absent` is the answer where it is not said."""
    origin = headers.get("origin", "")
    if not origin:
        return absent
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    http = {"ws": "http", "wss": "https"}.get(scheme, scheme)
    # A proxy that ends TLS speaks plain HTTP to us: an https page of the same host is ours.
    return parts.scheme in (http, "https") and parts.netloc == headers.get("host", "")


def caller_of(connection: HTTPConnection) -> Caller:
    """The caller that the guard has found; raises `Problem` 401."""
    found: Caller | None = getattr(connection.state, "user", None)
    if found is None:
        raise Problem(
            401,
            "sign in, or send a token",
            hint="`gapless token add NAME` makes one; send it as `Authorization: Bearer …`",
            headers={"WWW-Authenticate": "Bearer"},
        )
    return found


def _history(connection: HTTPConnection) -> Gapless:
    """The history in the caller's hands."""
    opened: Gapless = connection.app.state.history
    reason = connection.headers.get("x-reason", "")
    # Headers are latin-1; what is not printable has no place in the audit.
    said = "".join(one for one in reason if one.isprintable())[:200]
    return opened.acting(replace(caller_of(connection).actor, reason=said))


Viewer = Annotated[Caller, Depends(caller_of)]
Reason = Annotated[str, Header(alias="X-Reason", max_length=200, description="Why; kept in the audit.")]
History = Annotated[Gapless, Depends(_history)]


def _operator(connection: HTTPConnection) -> Caller:
    return _needs(connection, Role.OPERATOR)


def _admin(connection: HTTPConnection) -> Caller:
    return _needs(connection, Role.ADMIN)


def _needs(connection: HTTPConnection, role: Role) -> Caller:
    found = caller_of(connection)
    if not found.role.allows(role):
        raise Problem(403, f"this takes the role {role.value}; {found.name} is {found.role.value}")
    return found


Operator = Annotated[Caller, Depends(_operator)]
Admin = Annotated[Caller, Depends(_admin)]


def may_control(caller: Caller, job: Job) -> bool:
    """A job obeys its owner and admins."""
    return caller.role is Role.ADMIN or (caller.role.allows(Role.OPERATOR) and job.owner == caller.name)


def check_control(caller: Caller, job: Job) -> None:
    """Raise `Problem` 403 unless the caller may control a job."""
    if not may_control(caller, job):
        raise Problem(403, f"job {job.id} belongs to {job.owner}", hint="its owner and admins may control it")
