"""Where an idle slot may cut a running segment: on a page boundary, and where both parts are likely to be worth it.

A source whose count jumps over emptiness answers a part that precedes the history, or that is thin, with a request for
little or nothing. So nothing is cut before the rows beside the cursor tell how dense it is there. Behind what is known
to exist the victim gives half away; into what nobody has seen it keeps no more pages than have come in a row.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from gapless.core.dataset import Dataset
from gapless.core.plan import STEADY, WORTHWHILE, is_thin, reach_of, steal_at
from gapless.core.segment import Lease, Segment
from gapless.core.span import DAWN, Instant, Span
from gapless.engine.planning import Planner
from gapless.store import coverage, rows, series
from gapless.store.database import Tx
from gapless.work.base import Work

#: Seconds that what is left has to take, at least: less is over before a slot has taken its half.
WORTH = 0.2


@dataclass(frozen=True, slots=True)
class Cut:
    """A place to cut at."""

    at: Instant
    #: Whether the part beyond is known to exist: else it may cost a request to hear that it does not.
    is_safe: bool


def find(tx: Tx, planner: Planner, work: Work, victim: Lease, now: Instant, latency: float) -> Cut | None:
    """Where to cut a running segment, or None when it had better stay whole; `latency`: seconds of a request."""
    segment, dataset, shape = victim.segment, work.dataset, work.shape
    spans = work.remaining(tx, victim, now)
    if not spans:
        return None
    density = planner.density_beside(tx, dataset, segment, shape)
    least = math.ceil(WORTH / max(latency, 0.001))
    at = steal_at(dataset.grid, spans, shape, density, segment.is_backward, least=least)
    if at is None:
        return None
    if not shape.jumps_back:
        is_known = not segment.is_backward or _is_answered_before(tx, segment.series, at)
        return Cut(at, is_safe=True) if is_known else None
    known = Span(DAWN, at if segment.is_backward else segment.cursor)
    if rows.newest_in(tx, dataset, segment.series, known) is not None:
        return Cut(at, is_safe=True)
    seen = _seen(tx, dataset, segment, reach_of(shape, density)) if segment.is_backward else 0
    if seen < (WORTHWHILE if is_thin(shape, density) else STEADY):
        return None
    near = steal_at(dataset.grid, spans, shape, density, segment.is_backward, least=least, most=seen)
    return None if near is None else Cut(near, is_safe=False)


def _is_answered_before(tx: Tx, series_id: int, at: Instant) -> bool:
    """Whether the source has answered for what precedes `at`."""
    covered = coverage.spans(tx, series_id)
    return series.since(tx, series_id)[0] is not None or (bool(covered) and covered[0].start < at)


def _seen(tx: Tx, dataset: Dataset, segment: Segment, reach: int) -> int:
    """Pages that are in without a hole, up to where a backward segment stands."""
    here = Span(segment.cursor, dataset.grid.add(segment.cursor, 1))
    beside = [one for one in coverage.neighbours(tx, segment.series, here) if one.start <= segment.cursor < one.end]
    return dataset.grid.count(segment.cursor, beside[0].end) // reach if beside else 0
