"""The audit: who did what, when and why; and whether it is what it was."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.responses import Response

from gapless.core.redact import redacted
from gapless.core.span import iso
from gapless.engine.audit import verify
from gapless.server.access import Admin
from gapless.server.api.documented import problems
from gapless.server.context import Server
from gapless.server.shapes import PAGE, Word, answer, page_of
from gapless.store import audit
from gapless.store.audit import Entry

router = APIRouter(prefix="/api/audit", tags=["audit"], responses=problems())


@router.get("", summary="Entries, the newest first")
def entries(
    server: Server,
    caller: Admin,  # noqa: ARG001
    subject: Annotated[Word, Query(description="Such as job/12.")] = "",
    actor: Annotated[Word, Query(description="Who did it.")] = "",
    action: Annotated[Word, Query(description="What was done; `job.` finds all that was done to jobs.")] = "",
    cursor: Annotated[int, Query(ge=0, le=2**53)] = 0,
    limit: Annotated[int, Query(ge=1, le=PAGE)] = 100,
) -> Response:
    """Every change of a state: actor, reason, before, after. An entry without a place is sealed in a moment."""
    with server.history.store.read() as tx:
        found = audit.newest(tx, limit + 1, below=cursor or 2**62, subject=subject, actor=actor, action=action)
    shown, is_more = page_of(found, limit)
    return answer({"entries": [_entry_json(one) for one in shown], "cursor": shown[-1].id if is_more else None})


@router.get("/verify", summary="Walk the chain")
def walk(server: Server, caller: Admin, head: Annotated[Word, Query()] = "") -> Response:  # noqa: ARG001
    """`head` is a digest that was noted before and must still be in the chain."""
    found = verify(server.history.store, head=head)
    return answer(
        {
            "holds": not found.trouble,
            "entries": found.entries,
            "place": found.place,
            "digest": found.digest,
            "trouble": found.trouble,
        }
    )


def _entry_json(one: Entry) -> dict[str, Any]:
    return {
        "id": one.id,
        "at": iso(one.at),
        "actor": one.actor,
        "via": one.via,
        "action": one.action,
        "subject": one.subject,
        "before": one.before,
        "after": one.after,
        "reason": redacted(one.reason),
        "place": one.place,
        "digest": one.digest,
    }
