"""Datasets, series, and their rows."""

from __future__ import annotations

import io
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import Field
from starlette.responses import Response

from gapless.app import Gapless
from gapless.core.dataset import Dataset
from gapless.core.errors import NotFound, UsageError
from gapless.core.events import EVENTS
from gapless.core.lazily import pl
from gapless.core.span import Span, iso
from gapless.engine import coverage
from gapless.engine.jobs import MARGIN
from gapless.server.access import Viewer
from gapless.server.api.documented import problems
from gapless.server.context import Server
from gapless.server.problems import Problem
from gapless.server.shapes import PAGE, Shape, Text, Word, answer
from gapless.store import coverage as covered
from gapless.store import joblist, rows
from gapless.store import series as ledger
from gapless.store.database import Tx
from gapless.store.joblist import Filter

router = APIRouter(tags=["series"], responses=problems())

#: Rows of one answer: as JSON, and in a file.
JSON_ROWS, FILE_ROWS = 20_000, 2_000_000
_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
    "arrow": "application/vnd.apache.arrow.stream",
}
_FILES: Any = {media.partition(";")[0]: {"schema": {"type": "string"}} for media in _TYPES.values()}


class Rows(Shape):
    """Which rows: of a span, or the `last` ones of it."""

    start: Word | None = None
    end: Word | None = None
    days: Annotated[float, Field(gt=0, le=40_000, allow_inf_nan=False)] | None = None
    last: Annotated[int, Field(ge=0, le=JSON_ROWS)] = 0
    as_of: Word | None = None
    format: Literal["json", "csv", "parquet", "arrow"] = "json"


@router.get("/api/datasets", summary="What can be fetched")
def datasets(server: Server, caller: Viewer) -> Response:  # noqa: ARG001
    """Datasets with their columns, and whether their source can be asked (`isReady`)."""
    every = server.history.catalogue.datasets.values()
    return answer({"datasets": [_dataset_json(server.history, one) for one in every]})


@router.get("/api/series", summary="What is stored")
def list_series(
    server: Server,
    caller: Viewer,  # noqa: ARG001
    dataset: Annotated[Word, Query()] = "",
    q: Annotated[Text, Query()] = "",
    limit: Annotated[int, Query(ge=1, le=PAGE)] = 60,
    offset: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
) -> Response:
    """Series with the first and last instant of their coverage."""
    with server.history.store.read() as tx:
        found, total = ledger.search(tx, dataset, q.strip(), limit, offset)
        listed = []
        for series_id, name, series in found:
            kept = _kept(tx, server.history, name, series_id)
            ends, count = kept or (covered.ends(tx, series_id), covered.tallied(tx, series_id))
            listed.append(
                {
                    "dataset": name,
                    "series": series,
                    "start": iso(ends.start) if ends else None,
                    "end": iso(ends.end) if ends else None,
                    "rows": count,
                }
            )
    return answer({"series": listed, "total": total})


def _kept(tx: Tx, history: Gapless, name: str, series_id: int) -> tuple[Span, int] | None:
    """What there is of a series without a ledger, and how many rows."""
    if name != EVENTS.name:
        return None
    dataset = history.dataset(name)
    at = rows.bounds(tx, dataset, series_id)
    if at is None:
        return None
    its = Span(at[0], at[1] + 1)
    return its, rows.count(tx, dataset, series_id, its)


@router.get(
    "/api/series/{dataset}/{series:path}/rows",
    summary="Rows",
    responses={**problems(404), 200: {"description": "The rows.", "content": {"application/json": {}, **_FILES}}},
)
def read_rows(
    server: Server,
    caller: Viewer,  # noqa: ARG001
    dataset: str,
    series: str,
    asked: Annotated[Rows, Query()],
) -> Response:
    """Stored rows; nothing is fetched. JSON has `columns`, `rows` and the `gaps` between them."""
    history = server.history
    found, name, series_id = _named(history, dataset, series)
    span = _span(history, found, name, series_id, asked)
    if span is None:
        frame, gaps = rows.empty(found), list[Span]()
    else:
        frame, gaps = _frame(history, found, name, series_id, span, asked)
    if asked.format == "json":
        return answer(_rows_json(found, name, span, frame, gaps))
    file = f"{found.name}-{name.replace('/', '-')}.{asked.format}"
    headers = {"Content-Disposition": f'attachment; filename="{file}"'}
    return Response(_encoded(frame, asked.format), 200, headers, _TYPES[asked.format])


@router.get("/api/series/{dataset}/{series:path}", summary="One series", responses=problems(404))
def show(server: Server, caller: Viewer, dataset: str, series: str) -> Response:  # noqa: ARG001
    """One series: its coverage as spans, and its last jobs."""
    history = server.history
    found, name, series_id = _named(history, dataset, series)
    with history.store.read() as tx:
        ends = covered.ends(tx, series_id)
        since, _ = ledger.since(tx, series_id)
        last = joblist.page(tx, Filter(dataset=dataset, series=name), most=20)
        jobs = server.board.page([job for job, _ in last])
        stored = covered.tallied(tx, series_id)
    return answer(
        {
            **_dataset_json(history, found),
            "dataset": found.name,
            "series": name,
            "start": iso(ends.start) if ends else None,
            "end": iso(ends.end) if ends else None,
            "historyStart": iso(since) if since is not None else None,
            "frontier": iso(found.frontier(history.clock.now() - MARGIN, name)),
            "rows": stored,
            "jobs": jobs,
        }
    )


def _dataset_json(history: Gapless, one: Dataset) -> dict[str, Any]:
    try:
        history.catalogue.source(one).check()
        hint = ""
    except UsageError as error:
        hint = str(error)
    return {
        "name": one.name,
        "source": one.source,
        "axis": one.axis.value,
        "period": one.period.total_seconds(),
        "zone": one.zone,
        "example": one.example,
        "hasUnits": one.has_units,
        "hasRevisions": one.revisions is not None,
        "variants": [{"code": code, "doc": its.doc} for code, its in one.variants.items()],
        "columns": [{"name": its.name, "type": its.type.value, "doc": its.doc} for its in one.columns],
        "isReady": not hint,
        "ready": not hint,
        "hint": hint,
    }


def _named(history: Gapless, dataset: str, series: str) -> tuple[Dataset, str, int]:
    """A series that is stored; raises `NotFound`."""
    if dataset not in history.catalogue.datasets:
        raise NotFound(f"dataset: there is no {dataset[:80]}", field="dataset", hint="GET /api/datasets lists them")
    found = history.dataset(dataset)
    try:
        (name,) = history.catalogue.series(found, [series])
    except UsageError as error:
        raise NotFound(error.message, field="series", hint=error.hint) from None
    with history.store.read() as tx:
        series_id = ledger.find(tx, dataset, name)
    if series_id is None:
        raise NotFound(f"series: nothing is stored of {name}", field="series", hint="fill it first")
    return found, name, series_id


def _span(history: Gapless, dataset: Dataset, name: str, series_id: int, asked: Rows) -> Span | None:
    """The span that was asked for; without one, all that is covered. None where there is nothing."""
    with history.store.read() as tx:
        ends = covered.ends(tx, series_id)
        if asked.start is None and asked.days is None:
            if ends is None:
                return None
            span = ends
            if asked.end is not None:
                span, _ = history.span(dataset, iso(ends.start), asked.end, names=[name])
        else:
            span, _ = history.span(dataset, asked.start, asked.end, asked.days, [name])
        if asked.last:
            first = rows.nth_newest(tx, dataset, series_id, span, asked.last)
            span = span if first is None else Span(first, span.end)
    return span


def _frame(
    history: Gapless, dataset: Dataset, name: str, series_id: int, span: Span, asked: Rows
) -> tuple[pl.DataFrame, list[Span]]:
    most = JSON_ROWS if asked.format == "json" else FILE_ROWS
    day = None if asked.as_of is None else history.day(dataset, asked.as_of)
    with history.store.read() as tx:
        many = rows.count(tx, dataset, series_id, span)
        if many > most:
            raise Problem(
                422,
                f"start: {many:,} rows are more than {most:,}",
                field="start",
                hint="ask for a shorter span, for the last rows, or for a file (format=parquet)",
            )
        facts = coverage.facts(tx, dataset, series_id, name, span, history.clock.now())
        frame = rows.frame(tx, dataset, series_id, span, day=day)
    return frame, [] if facts is None else sorted(facts.missing + facts.quarantined)


def _rows_json(dataset: Dataset, name: str, span: Span | None, frame: pl.DataFrame, gaps: list[Span]) -> dict[str, Any]:
    shown = frame.with_columns(
        pl.col(pl.Datetime).dt.strftime("%Y-%m-%dT%H:%M:%S%.fZ"),
        pl.col(pl.Decimal).cast(pl.String),
        pl.col(pl.Date).cast(pl.String),
    )
    return {
        "dataset": dataset.name,
        "series": name,
        "start": iso(span.start) if span else None,
        "end": iso(span.end) if span else None,
        "columns": shown.columns,
        "rows": shown.rows(),
        "gaps": [[iso(one.start), iso(one.end)] for one in gaps[:5000]],
    }


def _encoded(frame: pl.DataFrame, kind: str) -> bytes:
    into = io.BytesIO()
    if kind == "csv":
        frame.write_csv(into, datetime_format="%Y-%m-%dT%H:%M:%S%.fZ")
    elif kind == "parquet":
        frame.write_parquet(into)
    else:
        frame.write_ipc_stream(into)
    return into.getvalue()
