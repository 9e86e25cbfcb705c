"""What is covered, of many series at once: for the heatmap, and its twin, the list of gaps."""

from __future__ import annotations

from dataclasses import dataclass

from gapless.core.dataset import Dataset
from gapless.core.grid import align, cells
from gapless.core.runs import Cover, edge, paint
from gapless.core.span import DAWN, Instant, Span, intersect, span, subtract, union
from gapless.store import coverage, quarantine, rows, segments, series
from gapless.store.database import Tx


@dataclass(frozen=True, slots=True)
class Facts:
    """One series inside a window, by word; the spans of different words do not overlap."""

    window: Span
    covered: list[Span]
    #: Before the history starts.
    before: list[Span]
    missing: list[Span]
    #: Of the missing ones, what slots are fetching.
    fetching: list[Span]
    quarantined: list[Span]
    unavailable: list[Span]
    #: Why spans were given up.
    reasons: list[str]


@dataclass(frozen=True, slots=True)
class Picture:
    """One series as a row of the heatmap."""

    #: Share of what the source can have that it has answered for, 0–100.
    percent: float
    #: (columns, state) from left to right.
    runs: list[tuple[int, int]]


def facts(tx: Tx, dataset: Dataset, series_id: int, name: str, window: Span, now: Instant) -> Facts | None:
    """What the ledger knows of a series in a window; None where nothing of the window is final yet."""
    aligned = align(dataset.grid, window, dataset.frontier(now, name))
    if aligned is None:
        return None
    covered = intersect(coverage.spans(tx, series_id, aligned), [aligned])
    since, _ = series.since(tx, series_id)
    gone = dataset.unavailable(now, name)
    unavailable = subtract(intersect([aligned], [gone]), covered) if gone else []
    start = intersect([aligned], [Span(DAWN, since)]) if since is not None and since > DAWN else []
    before = subtract(start, covered + unavailable)
    given_up = quarantine.of_series(tx, series_id, aligned)
    quarantined = subtract(intersect([aligned], [one.span for one in given_up]), covered + before + unavailable)
    missing = subtract([aligned], covered + before + quarantined + unavailable)
    at_work = [part for first, last in segments.under_way(tx, series_id) if (part := span(first, last))]
    return Facts(
        window=aligned,
        covered=covered,
        before=before,
        missing=missing,
        fetching=intersect(missing, union(at_work)) if missing and at_work else [],
        quarantined=quarantined,
        unavailable=unavailable,
        reasons=sorted({one.reason for one in given_up}),
    )


def picture(tx: Tx, dataset: Dataset, series_id: int, name: str, window: Span, width: int, now: Instant) -> Picture:
    """One row of the heatmap: `width` columns of the window."""
    found = facts(tx, dataset, series_id, name, window, now)
    if found is None:
        return Picture(100.0, [(width, int(Cover.UNAVAILABLE))])
    present: list[Span] = []
    if found.covered:
        edges = [edge(window, width, i) for i in range(width + 1)]
        hull = Span(found.covered[0].start, found.covered[-1].end)
        times = rows.samples(tx, dataset, series_id, hull, edges)
        present = intersect([Span(at, dataset.grid.add(at, 1)) for at in times], found.covered)
    runs = paint(
        window,
        width,
        [
            (Cover.EMPTY, found.covered + found.before),
            (Cover.PRESENT, present),
            (Cover.MISSING, found.missing),
            (Cover.IN_PROGRESS, found.fetching),
            (Cover.FAILED, found.quarantined),
        ],
    )
    grid = dataset.grid
    can = cells(grid, [found.window]) - cells(grid, found.unavailable)
    known = cells(grid, found.covered) + cells(grid, found.before)
    return Picture(100.0 if can <= 0 else 100.0 * known / can, runs)
