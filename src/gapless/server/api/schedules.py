"""Schedules: templates that run by the clock."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import Field
from starlette.responses import Response

from gapless.app.shown import schedule_json
from gapless.core.redact import redacted
from gapless.server.access import History, Operator, Viewer
from gapless.server.api.create import check_room
from gapless.server.api.documented import problems
from gapless.server.api.templates import Named, check_owner
from gapless.server.context import Server
from gapless.server.shapes import Shape, Word, answer

router = APIRouter(prefix="/api/schedules", tags=["workflow"], responses=problems())


class New(Shape):
    """A schedule."""

    name: Annotated[Word, Field(min_length=1)]
    template: Annotated[Word, Field(min_length=1)]
    #: Five fields: minute, hour, day of month, month, day of week.
    cron: Annotated[Word, Field(min_length=1)]
    #: Whose clock; left out, that of the template's dataset.
    zone: Word = ""


@router.get("", summary="Schedules")
def list_schedules(caller: Viewer, history: History) -> Response:  # noqa: ARG001
    """All of them by name, with what became of their runs."""
    listed = [schedule_json(history, one) for one in history.schedules.every()]
    return answer({"schedules": [{**one, "error": redacted(one["error"])} for one in listed]})


@router.post("", status_code=201, summary="Run a template by the clock", responses=problems(404))
def add(caller: Operator, history: History, body: New) -> Response:
    """Its jobs are the caller's, on queue `daily`."""
    template = history.templates.get(body.template)
    check_owner(caller, f"template {template.name}", template.owner)
    made = history.schedules.add(body.name, body.template, body.cron, body.zone or history.zone_of(template))
    return answer(schedule_json(history, made), 201)


@router.delete("/{name}", status_code=204, summary="Forget a schedule", responses=problems(404))
def remove(caller: Operator, history: History, name: Named) -> Response:
    """Its jobs stay."""
    check_owner(caller, f"schedule {name}", history.schedules.get(name).owner)
    history.schedules.remove(name)
    return Response(status_code=204)


@router.post("/{name}/run", status_code=202, summary="Make a run out of turn", responses=problems(404, 409, 429, 502))
def run(server: Server, caller: Operator, history: History, name: Named) -> Response:
    """Its next time stays; refused while the job of the run before is not over."""
    check_owner(caller, f"schedule {name}", history.schedules.get(name).owner)
    check_room(history)
    made = history.schedules.run_now(name)
    server.live.nudge()
    return answer(server.board.row(history.jobs.get(made.job.id)), 202)


@router.post("/{name}/{verb}", summary="Switch a schedule on or off", responses=problems(404))
def switch(caller: Operator, history: History, name: Named, verb: Literal["enable", "disable"]) -> Response:
    """What would have run while it was off is not caught up."""
    check_owner(caller, f"schedule {name}", history.schedules.get(name).owner)
    return answer(schedule_json(history, history.schedules.enable(name, enabled=verb == "enable")))
