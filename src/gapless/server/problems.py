"""Errors as problem+json (RFC 9457): what went wrong, which field, and what to do next."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import msgspec
import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from gapless.core.errors import GaplessError, NotAllowed, NotFound, SourceError, StoreError, UsageError
from gapless.core.job import Kind
from gapless.core.redact import redacted

log = structlog.get_logger("gapless.server")

MEDIA = "application/problem+json"
#: What stands before a field where a request may be of several shapes.
KINDS = frozenset(Kind)


class Problem(HTTPException):
    """An answer that is no success; `field` names what to change, `hint` (our own words) the next step."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        field: str = "",
        hint: str = "",
        headers: Mapping[str, str] | None = None,
        errors: list[dict[str, str]] | None = None,
        more: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(status, detail, dict(headers or {}))
        self.status = status
        self.field = field
        self.hint = hint
        self.errors = errors or []
        #: Members of its own.
        self.more = dict(more or {})

    @property
    def body(self) -> dict[str, Any]:
        """The answer as JSON."""
        said: dict[str, Any] = {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": redacted(self.detail),
        }
        said |= {key: text for key, text in (("field", self.field), ("hint", self.hint)) if text}
        return said | ({"errors": self.errors} if self.errors else {}) | self.more

    def answer(self) -> Response:
        """The answer."""
        return Response(msgspec.json.encode(self.body), self.status, self.headers, MEDIA)


def problem_of(error: GaplessError) -> Problem:
    """The answer to an error that we can explain."""
    field = getattr(error, "field", "")
    if isinstance(error, NotFound):
        return Problem(404, error.message, field=field, hint=error.hint)
    if isinstance(error, UsageError):
        return Problem(422, error.message, field=_camel(field), hint=error.hint)
    if isinstance(error, NotAllowed):
        return Problem(409, error.message, hint=error.hint)
    if isinstance(error, StoreError):
        log.warning("server.store_failed", error=redacted(str(error)))
        # Its message may name a path or a host: that is for the log.
        return Problem(503, "the database does not answer", hint="try again", headers={"Retry-After": "2"})
    if isinstance(error, SourceError):
        return Problem(502, error.message, hint=error.hint)
    return Problem(409, error.message, hint=error.hint)


def install(app: FastAPI) -> None:
    """Answer every error of a route with a problem."""
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(GaplessError, _gapless)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(OverflowError, _overflow)
    app.add_exception_handler(Exception, _fault)


async def _problem(_: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return error.answer()


async def _gapless(_: Request, error: Exception) -> Response:
    assert isinstance(error, GaplessError)
    return problem_of(error).answer()


async def _http(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return Problem(error.status_code, str(error.detail), headers=error.headers).answer()


async def _invalid(_: Request, error: Exception) -> Response:
    """What the shape of a request is off by, without repeating values: one could be a password."""
    assert isinstance(error, RequestValidationError)
    errors = [_fault_of(one) for one in error.errors()][:20]
    first = errors[0] if errors else {"field": "body", "message": "is not understood"}
    return Problem(422, f"{first['field']}: {first['message']}", field=first["field"], errors=errors).answer()


async def _overflow(_: Request, __: Exception) -> Response:
    return Problem(422, "a time or a number is out of range", hint="give times from 1900 to 2200").answer()


async def _fault(_: Request, error: Exception) -> Response:
    log.error("server.crashed", error=redacted(f"{type(error).__name__}: {error}"))
    return Problem(500, "a fault in gapless; its log tells more").answer()


def _fault_of(error: Any) -> dict[str, str]:
    """One thing that is off."""
    if error["type"] == "union_tag_invalid":
        return {"field": "kind", "message": f"give one of: {error['ctx']['expected_tags']}"}
    if error["type"] == "json_invalid":
        return {"field": "body", "message": f"is no JSON: {error['ctx']['error']}"}
    return {"field": _place(error["loc"]), "message": str(error["msg"])}


def _place(loc: tuple[Any, ...]) -> str:
    """Where in the request it is: the name of the field, without `body`, `query`, or the kind of job it belongs to."""
    inner = [str(one) for one in loc[1:]] if loc and loc[0] in ("body", "query", "path", "header", "cookie") else loc
    if loc and loc[0] == "body" and inner and inner[0] in KINDS:
        inner = inner[1:]
    return ".".join(str(one) for one in inner) or str(loc[0] if loc else "body")


def _camel(name: str) -> str:
    """The name of a field as JSON has it; names of variables stay as they are."""
    if name.isupper():
        return name
    head, *rest = name.split("_")
    return head + "".join(one.capitalize() for one in rest)
