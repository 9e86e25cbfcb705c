"""Coverage of many series: the heatmap, and its twin in words."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import Field
from starlette.responses import Response

from gapless.app import Gapless
from gapless.core.dataset import Dataset
from gapless.core.errors import UsageError
from gapless.core.events import EVENTS
from gapless.core.period import wanted
from gapless.core.redact import redacted
from gapless.core.span import DAY, Instant, Span, iso
from gapless.engine import coverage
from gapless.engine.jobs import MARGIN
from gapless.server.access import Viewer
from gapless.server.api.documented import problems
from gapless.server.context import Server
from gapless.server.problems import Problem
from gapless.server.shapes import Shape, Text, Word, answer
from gapless.store import series as ledger
from gapless.store.database import Tx

router = APIRouter(prefix="/api/coverage", tags=["coverage"], responses=problems())

#: Series that one list of gaps looks through, and the days that are shown where no span is given.
SERIES, SHOWN = 5_000, 365


class Seen(Shape):
    """Which series, and the window; without one the last year up to the newest frontier."""

    dataset: Word = ""
    q: Text = ""
    start: Annotated[Word | None, Field(alias="from")] = None
    end: Annotated[Word | None, Field(alias="to")] = None
    offset: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    limit: Annotated[int, Field(ge=1, le=1000)] = 50


class Drawn(Seen):
    """A heatmap of `width` columns; `only=gaps` leaves out what has none."""

    only: Literal["", "gaps"] = ""
    limit: Annotated[int, Field(ge=1, le=200)] = 50
    width: Annotated[int, Field(ge=1, le=4096)] = 900


@router.get("", summary="The heatmap")
def heatmap(server: Server, caller: Viewer, asked: Annotated[Drawn, Query()]) -> Response:  # noqa: ARG001
    """Runs of [columns, state] that sum up to `width` for each series.

    States: 0 missing, 1 present, 2 empty (the source has none), 3 quarantined, 4 being fetched, 5 unavailable.
    """
    history, now = server.history, server.history.clock.now()
    with history.store.read() as tx:
        if asked.only:
            found, total = _with_gaps(tx, history, asked, now)
        else:
            found, total = ledger.search(
                tx, asked.dataset, asked.q.strip(), asked.limit, asked.offset, but_not=EVENTS.name
            )
        window = _window(history, asked, {name for _, name, _ in found}, now)
        rows = []
        for series_id, name, series in found:
            dataset = _dataset(history, name)
            if dataset is None:
                continue
            drawn = coverage.picture(tx, dataset, series_id, series, window, asked.width, now)
            rows.append({"dataset": name, "series": series, "percent": round(drawn.percent, 3), "runs": drawn.runs})
    return answer(
        {"from": iso(window.start), "to": iso(window.end), "width": asked.width, "total": total, "series": rows}
    )


@router.get("/gaps", summary="The gaps, the longest first")
def gaps(server: Server, caller: Viewer, asked: Annotated[Seen, Query()]) -> Response:  # noqa: ARG001
    """Missing and quarantined spans of the series that match; of the first 5,000 of them."""
    history, now = server.history, server.history.clock.now()
    found: list[tuple[int, str, str, Span, str, str]] = []
    with history.store.read() as tx:
        listed, total = ledger.search(tx, asked.dataset, asked.q.strip(), SERIES, but_not=EVENTS.name)
        window = _window(history, asked, {name for _, name, _ in listed}, now)
        for series_id, name, series in listed:
            dataset = _dataset(history, name)
            facts = None if dataset is None else coverage.facts(tx, dataset, series_id, series, window, now)
            if dataset is None or facts is None:
                continue
            for state, parts, why in (
                ("missing", facts.missing, ""),
                ("quarantined", facts.quarantined, "; ".join(facts.reasons)),
            ):
                found += [(dataset.grid.count(one.start, one.end), name, series, one, state, why) for one in parts]
    found.sort(key=lambda one: (one[3].start - one[3].end, one[1], one[2], one[3].start))
    shown = [
        {
            "dataset": name,
            "series": series,
            "start": iso(part.start),
            "end": iso(part.end),
            "cells": cells,
            "state": state,
            "reason": redacted(why),
        }
        for cells, name, series, part, state, why in found[asked.offset : asked.offset + asked.limit]
    ]
    return answer(
        {
            "from": iso(window.start),
            "to": iso(window.end),
            "gaps": shown,
            "total": len(found),
            "isPartial": total > SERIES,
        }
    )


def _with_gaps(tx: Tx, history: Gapless, asked: Seen, now: Instant) -> tuple[list[tuple[int, str, str]], int]:
    """A page of the series that miss something in the window, and how many there are."""
    listed, _ = ledger.search(tx, asked.dataset, asked.q.strip(), SERIES, but_not=EVENTS.name)
    window = _window(history, asked, {name for _, name, _ in listed}, now)
    found = []
    for one in listed:
        dataset = _dataset(history, one[1])
        facts = None if dataset is None else coverage.facts(tx, dataset, one[0], one[2], window, now)
        if facts is not None and (facts.missing or facts.quarantined):
            found.append(one)
    return found[asked.offset : asked.offset + asked.limit], len(found)


def _dataset(history: Gapless, name: str) -> Dataset | None:
    """A dataset that this program still has."""
    return history.dataset(name) if name in history.catalogue.datasets else None


def _window(history: Gapless, asked: Seen, names: set[str], now: Instant) -> Span:
    """The window that was asked for; open ends are the newest frontier, and a year before it."""
    known = [found for one in sorted(names) if (found := _dataset(history, one))]
    frontier = max((one.frontier(now - MARGIN) for one in known), default=now)
    zone = known[0].zone if len({one.zone for one in known}) == 1 else "UTC"
    try:
        days = None if asked.start else float(SHOWN)
        window, _ = wanted(asked.start, asked.end, days, now=max(now, frontier), zone=zone)
    except UsageError as error:
        raise Problem(422, error.message, field=error.field, hint=error.hint) from None
    if asked.end is None:
        window = Span(window.start if asked.start else frontier - SHOWN * DAY, max(frontier, window.start + 1))
    return window
