"""What stands before every route: limits of size, who calls, foreign pages, and the headers of every answer.

Plain ASGI: one pass, no task of its own, so that streams and sockets go through untouched.
"""

from __future__ import annotations

import secrets
import time
from typing import Any
from urllib.parse import quote, unquote_to_bytes

from anyio import to_thread
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gapless.core.errors import GaplessError
from gapless.server.access import Access, is_same_origin
from gapless.server.problems import Problem, problem_of
from gapless.server.vitals import Vitals

#: Bytes of a request's body, and of its path and query.
BODY, TARGET = 2_000_000, 16_000
SAFE = {"GET", "HEAD", "OPTIONS"}
#: Open to everybody: they show nothing of the history.
OPEN = ("/healthz", "/static/", "/favicon.ico")
#: Pages without a session.
DOORS = ("/login", "/setup")
_POLICY = (
    "default-src 'none'; script-src 'self' 'nonce-{nonce}'; style-src 'self'; img-src 'self' data:;"
    " connect-src 'self'; font-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self';"
    " frame-ancestors 'none'"
)


class Guard:
    """The middleware."""

    def __init__(self, app: ASGIApp, access: Access, vitals: Vitals) -> None:
        self._app = app
        self._access = access
        self._vitals = vitals

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        state: dict[str, Any] = scope.setdefault("state", {})
        state["nonce"], state["user"] = secrets.token_urlsafe(16), None
        if scope["type"] == "http":
            send = self._measured(scope, _with_headers(scope, send, state["nonce"]))
        try:
            _check_target(scope)
            await self._identify(scope, state)
            if scope["type"] == "http":
                self._check(scope, state)
            if _wants_login(scope, state):
                target = scope["path"] + (
                    f"?{scope['query_string'].decode('latin-1')}" if scope["query_string"] else ""
                )
                raise Problem(303, "sign in", headers={"Location": f"/login?next={quote(target, safe='')}"})
            await self._app(scope, _limited(receive) if scope["type"] == "http" else receive, send)
        except Problem as problem:
            await _answer(problem, scope, receive, send)
        except GaplessError as error:
            await _answer(problem_of(error), scope, receive, send)

    def _measured(self, scope: Scope, send: Send) -> Send:
        """Note how long the answer took to begin, under the name of its route."""
        began = time.perf_counter()

        async def wrapped(message: Message) -> None:
            if message["type"] == "http.response.start":
                # Names of routes, not paths: those have no end.
                route = getattr(scope.get("route"), "path", "none")
                self._vitals.answered(scope["method"], route, message["status"], time.perf_counter() - began)
            await send(message)

        return wrapped

    async def _identify(self, scope: Scope, state: dict[str, Any]) -> None:
        if scope["path"].startswith(OPEN):
            return
        connection = HTTPConnection(scope)
        if connection.headers.get("authorization") or connection.cookies:
            state["user"] = await to_thread.run_sync(self._access.caller, connection.headers, connection.cookies)

    def _check(self, scope: Scope, state: dict[str, Any]) -> None:
        headers = Headers(scope=scope)
        length = headers.get("content-length", "0")
        if not length.isdigit():
            raise Problem(400, "Content-Length is no number")
        if int(length) > BODY:
            raise Problem(413, f"the body has more than {BODY:,} bytes", hint="send less at once")
        if scope["method"] in SAFE or headers.get("authorization"):
            return
        # A cookie travels with requests of other sites, too; what a page of ours sends says so.
        has_cookie = state["user"] is not None
        needs = has_cookie or scope["path"] in _DOORS_OF_API
        if needs and not is_same_origin(headers, scope["scheme"], absent=not has_cookie):
            raise Problem(403, "this request comes from another site", hint="programs send a token instead of a cookie")


_DOORS_OF_API = ("/api/session", "/api/setup")


def _check_target(scope: Scope) -> None:
    """Refuse what no database could look for."""
    raw: bytes = scope.get("raw_path") or scope["path"].encode("utf-8", "replace")
    query: bytes = scope.get("query_string", b"")
    if len(raw) + len(query) > TARGET:
        raise Problem(414, "the address is too long", hint="send less at once")
    for part, name in ((raw, "path"), (query, "query")):
        plain = unquote_to_bytes(part)
        if any(one < 32 or one == 127 for one in plain):
            raise Problem(422, f"{name}: has control characters", field=name)
        try:
            plain.decode()
        except UnicodeDecodeError:
            raise Problem(422, f"{name}: is no UTF-8", field=name) from None


def _wants_login(scope: Scope, state: dict[str, Any]) -> bool:
    """Whether it is a page, and nobody is signed in."""
    path: str = scope["path"]
    if scope["type"] != "http" or state["user"] is not None or path.startswith(OPEN) or path in DOORS:
        return False
    return scope["method"] in SAFE and not path.startswith("/api") and path != "/metrics"


def _limited(receive: Receive) -> Receive:
    """Count what really comes: a length may be missing or a lie."""
    seen = 0

    async def counted() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > BODY:
            raise Problem(413, f"the body has more than {BODY:,} bytes", hint="send less at once")
        return message

    return counted


def _with_headers(scope: Scope, send: Send, nonce: str) -> Send:
    async def wrapped(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers["Content-Security-Policy"] = _POLICY.format(nonce=nonce)
            headers["X-Content-Type-Options"] = "nosniff"
            headers["Referrer-Policy"] = "same-origin"
            headers["Cross-Origin-Opener-Policy"] = "same-origin"
            headers["Cross-Origin-Resource-Policy"] = "same-origin"
            if not scope["path"].startswith("/static/"):
                headers.setdefault("Cache-Control", "no-store")
        await send(message)

    return wrapped


async def _answer(problem: Problem, scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        # Accepted first: a browser that was refused before would try again for ever.
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close", "code": 4400, "reason": problem.detail[:100]})
        return
    await problem.answer()(scope, receive, send)
