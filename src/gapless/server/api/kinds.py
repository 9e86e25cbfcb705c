"""Jobs that go over what is stored: values of events, answers read again. Each route is here since its work is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import Field
from starlette.responses import Response

from gapless.app import Gapless, enriching, migrations
from gapless.core.job import Priority, Wish
from gapless.server.access import History, Operator
from gapless.server.api.create import check_room
from gapless.server.api.documented import problems
from gapless.server.context import Context, Server
from gapless.server.problems import Problem
from gapless.server.shapes import Names, Shape, Text, Word, answer

router = APIRouter(tags=["jobs"], responses=problems(409, 429, 502))


class Work(Shape):
    """What all jobs have."""

    name: Text = ""
    priority: Literal["high", "normal", "low"] = "normal"
    #: False makes the job paused.
    auto_start: bool = True


class WriteBack(Shape):
    """Where values are written to in the database of `GAPLESS_EVENTS_URL`: value → column."""

    table: Annotated[Word, Field(min_length=1)]
    key: Annotated[Word, Field(min_length=1)] = "id"
    columns: Annotated[dict[Word, Word], Field(min_length=1, max_length=100)]


class Valuation(Work):
    """Value the events of these companies, or of all that have events without values."""

    tickers: Names = Field(default_factory=list)
    overwrite: bool = False
    write_back: WriteBack | None = None


class Reparse(Work):
    """Read stored answers again that an older parser has read; of all series, or of these."""

    dataset: Word
    series: Names = Field(default_factory=list)
    report: Word = ""


@router.post("/api/batch/event-valuation", status_code=202, summary="Value events")
@router.post("/backfillEventsTable", status_code=202, summary="Value events")
def value_events(server: Server, caller: Operator, history: History, body: Valuation) -> Response:
    """Every question once a company, all its events in one update. Writing back takes the role admin."""
    where = None if body.write_back is None else body.write_back.model_dump()
    if where is not None:
        _check_admin(caller)

    def wish() -> Wish:
        return enriching.wish(history, history.actor.name, body.tickers, overwrite=body.overwrite, write_back=where)

    return _made(server, history, body, wish)


@router.post("/api/batch/data-migration", status_code=202, summary="Read stored answers again")
def migrate_data(server: Server, caller: Operator, history: History, body: Reparse) -> Response:  # noqa: ARG001
    """Asks no provider; the same request again goes on where it was."""

    def wish() -> Wish:
        dataset = history.dataset(body.dataset)
        kept = migrations.kept(history, dataset, body.series, body.report)
        if not any(one.outdated for one in kept):
            raise Problem(409, f"parser {dataset.parser} has read every answer of {dataset.name}", hint="nothing to do")
        return replace(migrations.reparse_wish(dataset, kept), owner=history.actor.name)

    return _made(server, history, body, wish)


def _made(server: Context, history: Gapless, body: Work, wish: Callable[[], Wish]) -> Response:
    check_room(history)
    priority = Priority[body.priority.upper()]
    made = history.create(wish(), priority=priority, name=body.name, hold=not body.auto_start)
    server.live.nudge()
    return answer(server.board.row(history.jobs.get(made.job.id)), 202)


def _check_admin(caller: Any) -> None:
    """Other people's tables are not every operator's to write to."""
    if caller.role != "admin":
        raise Problem(403, f"writing back takes the role admin; {caller.name} is {caller.role.value}")
