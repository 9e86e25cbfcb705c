"""Chains: jobs that follow jobs."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import Field
from starlette.responses import Response

from gapless.app.shown import chain_json
from gapless.core.redact import redacted
from gapless.server.access import History, Operator, Viewer, check_control
from gapless.server.api.documented import problems
from gapless.server.api.templates import check_owner
from gapless.server.shapes import PAGE, Number, Shape, Word, answer, page_of

router = APIRouter(prefix="/api/chains", tags=["workflow"], responses=problems())


class New(Shape):
    """What follows a job."""

    job: Annotated[int, Field(ge=1, le=2**53)]
    #: In this order, each when the job of the one before is done.
    templates: Annotated[list[Annotated[Word, Field(min_length=1)]], Field(min_length=1, max_length=20)]
    #: `ended` goes on after an incomplete or failed job, too.
    after: Literal["done", "ended"] = "done"


@router.get("", summary="Chains", responses=problems(404))
def list_chains(
    caller: Viewer,  # noqa: ARG001
    history: History,
    job: Annotated[int, Query(ge=0, le=2**53)] = 0,
    cursor: Annotated[int, Query(ge=0, le=2**53)] = 0,
    limit: Annotated[int, Query(ge=1, le=PAGE)] = 200,
) -> Response:
    """A page of links, the newest first, or all that lead from or to a job."""
    found = history.chains.every(job or None, most=limit + 1, below=cursor or 2**62)
    shown, is_more = (found, False) if job else page_of(found, limit)
    listed = [chain_json(one) for one in shown]
    return answer(
        {
            "chains": [{**one, "error": redacted(one["error"])} for one in listed],
            "cursor": shown[-1].id if is_more else None,
        }
    )


@router.post("", status_code=201, summary="Let jobs follow a job", responses=problems(404))
def add(caller: Operator, history: History, body: New) -> Response:
    """The templates are taken as they are now; the jobs are the caller's."""
    check_control(caller, history.jobs.get(body.job))
    steps = history.templates.steps(tuple(body.templates), field="templates")
    made = history.chains.add(body.job, steps, after=body.after)
    return answer(chain_json(history.chains.get(made)), 201)


@router.delete("/{chain_id}", status_code=204, summary="Take away what still waits", responses=problems(404, 409))
def remove(caller: Operator, history: History, chain_id: Number) -> Response:
    """What was started is a job of its own."""
    check_owner(caller, f"chain {chain_id}", history.chains.get(chain_id).owner)
    history.chains.remove(chain_id)
    return Response(status_code=204)
