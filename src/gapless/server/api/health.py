"""`/healthz`: whether this server answers, and its database too."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from gapless.core.errors import GaplessError
from gapless.server.context import Server
from gapless.server.shapes import answer
from gapless.store import settings

router = APIRouter(tags=["health"])


@router.get("/healthz", summary="Whether the server and its database answer", responses={503: {"description": "No."}})
def healthz(server: Server) -> Response:
    """Open to everybody, so that probes need no token; it says no more than yes or no."""
    said: dict[str, Any] = {"status": "ok", "boot": server.live.boot}
    try:
        with server.history.store.read() as tx:
            settings.get(tx, "session.key")
    except GaplessError:
        return answer({**said, "status": "no database"}, 503)
    return answer(said)
