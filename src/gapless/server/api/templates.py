"""Templates: wishes under names."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path
from pydantic import Field
from starlette.responses import Response

from gapless.app import Gapless
from gapless.app.shown import template_json
from gapless.core.actor import Role
from gapless.core.errors import NotFound
from gapless.core.grid import cells
from gapless.server.access import Caller, History, Operator, Viewer
from gapless.server.api.create import CELLS, check_room
from gapless.server.api.documented import problems
from gapless.server.context import Server
from gapless.server.problems import Problem
from gapless.server.shapes import Names, Shape, Word, answer

router = APIRouter(prefix="/api/templates", tags=["workflow"], responses=problems())

Named = Annotated[str, Path(min_length=1, max_length=100)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Param = bool | Annotated[int, Field(ge=-(2**53), le=2**53)] | Finite | Word | None


class Settings(Shape):
    """A wish as it is said. A step of a chain may leave out dataset, series or span: those of the job before."""

    dataset: Word = ""
    series: Names = Field(default_factory=list)
    start: Word | None = None
    end: Word | None = None
    #: Counts back from each run.
    days: Annotated[float, Field(gt=0, le=40_000, allow_inf_nan=False)] | None = None
    mode: Literal["missing", "missing+failed", "all"] = "missing"
    direction: Literal["both", "backward", "forward"] = "both"
    recheck: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    report: Word = ""
    priority: Literal["high", "normal", "low"] = "normal"
    rate: Annotated[float, Field(gt=0, le=1_000_000, allow_inf_nan=False)] | None = None
    #: Attempts after the first one; such as "2h": it fails when it has run for so long.
    max_retries: Annotated[int, Field(ge=0, le=100)] | None = None
    max_runtime: Word | None = None
    name: Word = ""
    #: What a kind of work wants to know for itself.
    params: Annotated[dict[Word, Param], Field(max_length=50)] = Field(default_factory=dict)

    def said(self) -> dict[str, Any]:
        """Only what was said."""
        return self.model_dump(exclude_defaults=True)


class Body(Shape):
    """What a template holds."""

    kind: Word = "collect"
    settings: Settings
    #: Templates whose jobs follow its job, in this order.
    then: Annotated[list[Annotated[Word, Field(min_length=1)]], Field(max_length=20)] = Field(default_factory=list)


class New(Body):
    """A template under a new name."""

    name: Annotated[Word, Field(min_length=1)]


@router.get("", summary="Templates")
def list_templates(caller: Viewer, history: History) -> Response:  # noqa: ARG001
    """All of them by name."""
    return answer({"templates": [template_json(one) for one in history.templates.every()]})


@router.post("", status_code=201, summary="Save a template", responses=problems(404))
def add(caller: Operator, history: History, body: New) -> Response:  # noqa: ARG001
    """A relative span (`days`) counts from each run."""
    return answer(_save(history, body.name, body, replace=False), 201)


@router.get("/{name}", summary="One template", responses=problems(404))
def show(caller: Viewer, history: History, name: Named) -> Response:  # noqa: ARG001
    """As it was saved."""
    return answer(template_json(history.templates.get(name)))


@router.put("/{name}", summary="Change a template, or save it", responses=problems(404))
def change(caller: Operator, history: History, name: Named, body: Body) -> Response:
    """Schedules run the changed one from now on."""
    try:
        check_owner(caller, f"template {name}", history.templates.get(name).owner)
    except NotFound:
        pass
    return answer(_save(history, name, body, replace=True))


@router.delete("/{name}", status_code=204, summary="Forget a template", responses=problems(404, 409))
def remove(caller: Operator, history: History, name: Named) -> Response:
    """Its jobs stay; refused while a schedule runs it."""
    check_owner(caller, f"template {name}", history.templates.get(name).owner)
    history.templates.remove(name)
    return Response(status_code=204)


@router.post("/{name}/run", status_code=202, summary="Make its job", responses=problems(404, 409, 429, 502))
def run(server: Server, caller: Operator, history: History, name: Named) -> Response:  # noqa: ARG001
    """The caller's job; an identical unfinished one is taken up instead."""
    check_room(history)
    made = history.templates.run(name)
    server.live.nudge()
    return answer(server.board.row(history.jobs.get(made.job.id)), 202)


def _save(history: Gapless, name: str, body: Body, *, replace: bool) -> dict[str, Any]:
    settings = body.settings
    if settings.dataset and settings.series and (settings.start is not None or settings.days is not None):
        dataset = history.dataset(settings.dataset)
        wish = history.wish(
            dataset, settings.series, settings.start, settings.end, days=settings.days, report=settings.report
        )
        if cells(dataset.grid, [wish.span]) * len(wish.series) > CELLS:
            raise Problem(422, "start: the span is too long for so many series", field="start", hint="ask for less")
    return template_json(
        history.templates.save(name, body.kind, settings.said(), then=tuple(body.then), replace=replace)
    )


def check_owner(caller: Caller, what: str, owner: str) -> None:
    """Raise `Problem` 403 unless something is the caller's own, or the caller an admin."""
    if caller.role is not Role.ADMIN and owner != caller.name:
        raise Problem(403, f"{what} belongs to {owner}", hint="its owner and admins may change it")
