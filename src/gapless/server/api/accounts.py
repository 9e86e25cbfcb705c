"""Tokens and users."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path
from pydantic import Field
from starlette.responses import Response

from gapless.core.actor import Role, Via
from gapless.core.span import SECOND, Instant, iso
from gapless.engine.accounts import LEAST, MOST
from gapless.server.access import Admin, Caller, History, Operator, Viewer
from gapless.server.api.documented import problems
from gapless.server.api.session import Password
from gapless.server.problems import Problem
from gapless.server.shapes import Number, Shape, Word, answer
from gapless.store.accounts import Account, Token

router = APIRouter(prefix="/api", tags=["accounts"], responses=problems())

Secret = Annotated[Password, Field(min_length=LEAST, max_length=MOST)]
Name = Annotated[str, Path(max_length=64, pattern=r"^[a-z0-9][a-z0-9._@-]*$")]


class NewToken(Shape):
    """A token of one's own account; at most the own role."""

    name: Annotated[Word, Field(min_length=1)]
    role: Role = Role.VIEWER
    days: Annotated[float, Field(gt=0, le=3650, allow_inf_nan=False)] | None = None


class NewUser(Shape):
    """An account."""

    name: Annotated[Word, Field(min_length=1)]
    role: Role
    password: Secret


class UserChange(Shape):
    """What of an account can be changed; `closed` accounts open nothing."""

    role: Role | None = None
    password: Secret | None = None
    closed: bool | None = None


@router.get("/tokens", summary="Tokens")
def list_tokens(caller: Viewer, history: History) -> Response:
    """One's own; an admin sees all. Their secrets were shown once, when they were made."""
    every = history.accounts.tokens()
    shown = [one for one in every if caller.role is Role.ADMIN or one.account == caller.name]
    return answer({"tokens": [_token_json(one) for one in shown]})


@router.post("/tokens", status_code=201, summary="Make a token")
def add_token(caller: Operator, history: History, body: NewToken) -> Response:
    """The answer is the only time that `token` is shown."""
    if not caller.role.allows(body.role):
        raise Problem(422, f"role: {caller.role.value} is the most you can give", field="role")
    made, secret = history.accounts.add_token(caller.name, body.name, body.role, body.days)
    return answer({**_token_json(made), "token": secret}, 201)


@router.delete("/tokens/{token_id}", status_code=204, summary="Revoke a token", responses=problems(404))
def revoke(caller: Viewer, history: History, token_id: Number) -> Response:
    """At once and for ever."""
    its = history.accounts.token(token_id)
    if its.account != caller.name and caller.role is not Role.ADMIN:
        raise Problem(403, f"token {token_id} belongs to somebody else")
    if caller.via is Via.TOKEN and not caller.role.allows(Role(its.role)):
        raise Problem(403, "a token cannot revoke one that may do more than itself")
    history.accounts.revoke(token_id)
    return Response(status_code=204)


@router.get("/users", summary="Accounts")
def list_users(caller: Admin, history: History) -> Response:  # noqa: ARG001
    """All of them, closed ones included."""
    return answer({"users": [_user_json(one) for one in history.accounts.every()]})


@router.post("/users", status_code=201, summary="Make an account", responses=problems(409))
def add_user(caller: Admin, history: History, body: NewUser) -> Response:  # noqa: ARG001
    """Viewers read; operators make jobs and control their own; admins do everything."""
    return answer(_user_json(history.accounts.add(body.name, body.role, body.password)), 201)


@router.patch("/users/{name}", summary="Change an account", responses=problems(404, 409))
def change_user(caller: Admin, history: History, name: Name, body: UserChange) -> Response:
    """Another password ends the account's sessions; the last admin stays one."""
    if body.role is None and body.password is None and body.closed is None:
        raise Problem(422, "role: nothing to change", field="role", hint="give role, password or closed")
    _check_person(caller)
    changed = None
    if body.role is not None:
        changed = history.accounts.set_role(name, body.role)
    if body.password is not None:
        changed = history.accounts.set_password(name, body.password)
    if body.closed is not None:
        changed = history.accounts.close(name) if body.closed else history.accounts.reopen(name)
    assert changed is not None
    return answer(_user_json(changed))


def _check_person(caller: Caller) -> None:
    """Accounts are changed by people: a stolen token must not become one."""
    if caller.via is not Via.SESSION:
        raise Problem(403, "a token cannot change accounts", hint="sign in, or use `gapless user`")


def _token_json(one: Token) -> dict[str, Any]:
    return {
        "id": one.id,
        "name": one.name,
        "account": one.account,
        "role": one.role,
        "createdAt": _when(one.created_at),
        "expiresAt": _when(one.expires_at),
        "usedAt": _when(one.used_at),
        "revokedAt": _when(one.revoked_at),
    }


def _user_json(one: Account) -> dict[str, Any]:
    return {
        "name": one.name,
        "role": one.role,
        "createdAt": _when(one.created_at),
        "closedAt": _when(one.closed_at),
    }


def _when(at: Instant | None) -> str | None:
    return None if at is None else iso(at - at % SECOND)
