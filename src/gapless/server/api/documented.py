"""What every route may answer beside its success, for the OpenAPI document."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from gapless.server.problems import MEDIA


class ProblemBody(BaseModel):
    """RFC 9457."""

    type: str
    title: str
    status: int
    detail: str
    field: str | None = None
    hint: str | None = None


_TEXTS = {
    400: "The request is malformed.",
    401: "Nobody is signed in, or the token opens nothing.",
    403: "The role, or the owner of the thing, does not allow it; or the request comes from another site.",
    404: "There is no such thing.",
    409: "The state of the thing does not allow it now.",
    413: "The body is too large.",
    414: "The address is too long.",
    422: "A field is wrong; it is named.",
    429: "Too much at once; `Retry-After` says how long to wait.",
    502: "The source did not give what was asked.",
    503: "The database does not answer just now.",
}


def problems(*codes: int) -> dict[int | str, dict[str, Any]]:
    """The problems of a route, those that every route has included."""
    every = sorted({400, 401, 403, 413, 414, 422, 503, *codes})
    schema = {MEDIA: {"schema": {"$ref": "#/components/schemas/ProblemBody"}}}
    return {code: {"description": _TEXTS[code], "content": schema} for code in every}
