"""Signing in and out, and the first account."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import AfterValidator, Field
from starlette.responses import Response

from gapless.core.actor import Actor, Role, Via
from gapless.engine.accounts import digest
from gapless.server.access import COOKIE, Caller, Viewer, set_cookie
from gapless.server.api.documented import problems
from gapless.server.context import Server
from gapless.server.problems import Problem
from gapless.server.shapes import Shape, Word, answer, plain

router = APIRouter(tags=["session"], responses=problems())
Password = Annotated[str, Field(max_length=256), AfterValidator(plain)]


class SignIn(Shape):
    """A name and its password."""

    user: Word = "admin"
    password: Password


class SetUp(Shape):
    """What the one-time link carries, and the first admin's password."""

    token: Word
    password: Password
    user: Word = "admin"


class NewPassword(Shape):
    """The password until now, and from now on."""

    old: Password
    new: Password


@router.post("/api/session", responses=problems(429))
def sign_in(request: Request, server: Server, body: SignIn) -> Response:
    """Sign in: the answer sets the session's cookie."""
    caller, value = server.access.sign_in(body.user, body.password, _address(request))
    return _let_in(request, caller, value)


@router.get("/api/session")
def who_am_i(caller: Viewer) -> Response:
    """Who is signed in."""
    return answer(_caller_json(caller))


@router.delete("/api/session", status_code=204)
def sign_out(request: Request, server: Server, caller: Viewer) -> Response:
    """Sign out: the session opens nothing any more."""
    if caller.session:
        server.access.accounts.sign_out(caller.session)
    gone = Response(status_code=204)
    gone.delete_cookie(COOKIE, path="/", httponly=True, samesite="lax", secure=_is_secure(request))
    return gone


@router.put("/api/session/password", status_code=204, responses=problems(409, 429))
def set_password(request: Request, server: Server, caller: Viewer, body: NewPassword) -> Response:
    """Change one's own password; all other sessions of the account end."""
    if caller.via is not Via.SESSION:
        raise Problem(403, "a token cannot change a password", hint="sign in")
    server.access.check_password(caller, body.old, _address(request))
    hands = server.history.acting(caller.actor)
    hands.accounts.set_password(caller.name, body.new, kept=digest(caller.session))
    return Response(status_code=204)


@router.post("/api/setup", responses=problems(409, 429))
def set_up(request: Request, server: Server, body: SetUp) -> Response:
    """Make the first admin with the link that `gapless serve` has printed; it opens once."""
    attempt = server.access.attempt((f"setup/{_address(request)}", 10))
    hands = server.history.acting(Actor(name=body.user, via=Via.SESSION))
    made = hands.accounts.setup(body.token, body.user, body.password)
    server.access.attempts.succeed(attempt)
    secret = hands.accounts.open_session(made)
    caller = Caller(name=made.name, role=Role(made.role), via=Via.SESSION, session=secret)
    return _let_in(request, caller, server.access.signed(secret))


def _let_in(request: Request, caller: Caller, value: str) -> Response:
    said = answer(_caller_json(caller))
    set_cookie(said, value, secure=_is_secure(request))
    return said


def _caller_json(caller: Caller) -> dict[str, Any]:
    return {"name": caller.name, "role": caller.role.value, "via": caller.via.value}


def _address(request: Request) -> str:
    return request.client.host if request.client else ""


def _is_secure(request: Request) -> bool:
    """Whether the browser speaks TLS, to us or to a proxy before us."""
    return request.url.scheme == "https" or request.headers.get("origin", "").startswith("https://")
