"""Planning: what is missing, in which segments and requests it is fetched, and what that will take.

Pure functions of the ledger: no source is asked. Their cost grows with the number of ranges, never with cells.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from gapless.core.grid import Grid, cells
from gapless.core.job import Direction, Mode
from gapless.core.page import Shape
from gapless.core.segment import Side
from gapless.core.span import DAWN, Instant, Span, intersect, span, subtract, union

#: Below this share of cells with a record a series is thin: forward windows would come back half empty.
THIN = 0.9
#: Stored rows, in pages, from which a density is trusted.
TRUSTED_PAGES = 3
#: Expected pages of a thin series, at least, on either side of a cut: it costs half a page on average.
WORTHWHILE = 12
#: Series and spans of a plan that its text names.
_SHOWN = 10
#: Pages that have come in a row, at least, before as many more are believed to be there.
STEADY = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the store knows of one series, as far as it concerns one job."""

    coverage: list[Span] = field(default_factory=list)
    #: Proven since the job began; what modes `all` and re-check subtract instead of coverage.
    proof: list[Span] = field(default_factory=list)
    #: Given-up spans that this job may not ask again.
    quarantine: list[Span] = field(default_factory=list)
    #: The source has nothing before; None when unknown or not to be believed in this mode.
    since: Instant | None = None
    unavailable: Span | None = None
    #: Stored rows per covered cell; None until three pages are stored.
    density: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentPlan:
    """A segment to be made; `start` and `end` are the hull of what it misses."""

    start: Instant
    end: Instant
    direction: Direction
    side: Side


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesPlan:
    """What one series needs."""

    series: str
    wanted: Span | None
    missing: list[Span]
    #: Cells wanted and available, and cells missing.
    total: int
    lacking: int
    segments: list[SegmentPlan]
    #: Expected requests, and the bounds where density is unknown (equal when it is certain).
    requests: int
    least: int
    most: int
    unavailable: list[Span]
    quarantined: list[Span]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Plan:
    """What a wish needs: exact spans, requests, time."""

    dataset: str
    mode: Mode
    series: list[SeriesPlan]
    #: Seconds at the budget's rate with the latency measured so far.
    seconds: float
    #: Days a daily quota will take; 1 without one.
    days: int = 1
    #: The daily quota, if there is one.
    daily: int | None = None

    @property
    def requests(self) -> int:
        """Expected requests of all series."""
        return sum(one.requests for one in self.series)

    @property
    def missing(self) -> int:
        """Missing cells of all series."""
        return sum(one.lacking for one in self.series)

    def __repr__(self) -> str:
        total = sum(one.total for one in self.series)
        head = f"<plan of {self.dataset} ({self.mode}): {self.missing:,} of {total:,} periods missing, "
        head += f"{self.requests:,} requests, {self.seconds:,.1f} s>"
        told = [head, *[f"  {one.series}: {_spans(one)}" for one in self.series[:_SHOWN]]]
        return "\n".join(told + [f"  … and {len(self.series) - _SHOWN:,} series more"] * (len(self.series) > _SHOWN))


def _spans(one: SeriesPlan) -> str:
    told = [str(part) for part in one.missing[:_SHOWN]]
    return ", ".join(told + [f"… and {len(one.missing) - _SHOWN:,} more"] * (len(one.missing) > _SHOWN)) or "complete"


def missing(wanted: Span, facts: Facts, mode: Mode, recheck_from: Instant | None = None) -> list[Span]:
    """The spans to ask for, from `wanted` on the grid.

    `facts.quarantine` and `facts.since` hold only what this mode has to respect; cells at or after `recheck_from`
    count as missing although covered, until they are proven anew.
    """
    known = list(facts.quarantine)
    if facts.since is not None and facts.since > DAWN:
        known.append(Span(DAWN, facts.since))
    if facts.unavailable:
        known.append(facts.unavailable)
    if mode is Mode.ALL:
        return subtract([wanted], known + facts.proof)
    left = subtract([wanted], known + facts.coverage)
    again = span(max(recheck_from, wanted.start), wanted.end) if recheck_from is not None else None
    return union(left + subtract([again], known + facts.proof)) if again else left


def count_pages(grid: Grid, spans: list[Span], reach: int) -> int:
    """Fewest requests that cover `spans` when each covers `reach` cells; scattered gaps share a request.

    Greedy from the newest end, which is optimal for covering points of a line with intervals of one length.
    """
    pages, covered_to = 0, None
    for part in reversed(spans):
        end = part.end if covered_to is None else min(part.end, covered_to)
        if end <= part.start:
            continue
        need = -(-grid.count(part.start, end) // reach)
        pages += need
        covered_to = grid.add(end, -need * reach)
    return pages


def boundary(grid: Grid, spans: list[Span], reach: int, pages: int) -> Instant:
    """Where `pages` requests asked forward from the oldest end have got to: a page boundary for splitting."""
    at = spans[0].start
    for part in spans:
        start = max(part.start, at)
        if start >= part.end:
            continue
        need = -(-grid.count(start, part.end) // reach)
        if need >= pages:
            return grid.add(start, pages * reach)
        pages -= need
        at = grid.add(start, need * reach)
    return spans[-1].end


def boundary_back(grid: Grid, spans: list[Span], reach: int, pages: int) -> Instant:
    """Where `pages` requests asked backward from the newest end have got to."""
    at = spans[-1].end
    for part in reversed(spans):
        end = min(part.end, at)
        if end <= part.start:
            continue
        need = -(-grid.count(part.start, end) // reach)
        if need >= pages:
            return grid.add(end, -pages * reach)
        pages -= need
        at = grid.add(end, -need * reach)
    return spans[0].start


def reach_of(shape: Shape, density: float | None) -> int:
    """Cells that one full page covers: more than its rows where the series is thin."""
    if shape.cap is not None:
        fitting = shape.widest if density == 0 else shape.rows if density is None else int(0.75 * shape.cap / density)
        return max(1, min(fitting, shape.widest))
    if density is None or not is_thin(shape, density):
        return shape.rows
    return max(shape.rows, int(shape.rows / max(density, 1e-6)))


def is_thin(shape: Shape, density: float | None) -> bool:
    """Whether a full page covers more cells than it has rows, for all that is known."""
    return shape.jumps_back and density is not None and density < THIN


def count_listed(shape: Shape, lacking: int, windows: int, density: float) -> int:
    """Expected pages of so many listings: the last page of each is half full."""
    return max(windows, round(lacking * density / shape.listed + windows / 2))


def hull(spans: list[Span], within: Span) -> Span | None:
    """From the first to the last instant of `spans` inside `within`."""
    inside = intersect(spans, [within])
    return Span(inside[0].start, inside[-1].end) if inside else None


def split(
    grid: Grid, spans: list[Span], shape: Shape, density: float | None, direction: Direction
) -> list[SegmentPlan]:
    """Two segments that converge, or one where the owner said so or where one request is enough.

    The middle lies at a whole number of pages from the old end, so that halving costs no request. The historical half
    of a thin series runs backward too: only that way the source's count jumps over emptiness.
    """
    if not spans:
        return []
    whole = Span(spans[0].start, spans[-1].end)
    if direction is not Direction.BOTH:
        side = Side.RECENT if direction is Direction.BACKWARD else Side.HISTORY
        return [SegmentPlan(start=whole.start, end=whole.end, direction=direction, side=side)]
    reach = reach_of(shape, density)
    pages = count_pages(grid, spans, reach)
    recent, history = hull(spans, whole), None
    if pages >= 2:
        middle = boundary(grid, spans, reach, pages // 2)
        recent = hull(spans, Span(middle, whole.end)) if middle < whole.end else None
        history = hull(spans, Span(whole.start, middle))
    made = []
    if recent:
        made.append((recent, Direction.BACKWARD, Side.RECENT))
    if history:
        made.append((history, Direction.BACKWARD if is_thin(shape, density) else Direction.FORWARD, Side.HISTORY))
    return [SegmentPlan(start=s.start, end=s.end, direction=d, side=side) for s, d, side in made]


def plan_series(
    grid: Grid,
    shape: Shape,
    series: str,
    wanted: Span | None,
    facts: Facts,
    *,
    mode: Mode = Mode.MISSING,
    direction: Direction = Direction.BOTH,
    recheck: int = 0,
) -> SeriesPlan:
    """Plan one series; `wanted` is on the grid and ends at the frontier (None: nothing of it exists yet)."""
    spans: list[Span] = []
    gone: list[Span] = []
    total = 0
    if wanted:
        recheck_from = grid.add(wanted.end, -recheck) if recheck else None
        spans = missing(wanted, facts, mode, recheck_from)
        gone = intersect([wanted], [facts.unavailable]) if facts.unavailable else []
        total = cells(grid, [wanted]) - cells(grid, gone)
    expected = count_pages(grid, spans, reach_of(shape, facts.density))
    least, most = _bounds(grid, shape, spans, expected, facts.density)
    if shape.listed:
        density = shape.guess if facts.density is None else facts.density
        expected = count_listed(shape, cells(grid, spans), expected, density)
        least, most = (least, 3 * expected) if facts.density is None else (expected, expected)
    return SeriesPlan(
        series=series,
        wanted=wanted,
        missing=spans,
        total=total,
        lacking=cells(grid, spans),
        segments=split(grid, spans, shape, facts.density, direction),
        requests=expected,
        least=least,
        most=most,
        unavailable=gone,
        quarantined=intersect([wanted], facts.quarantine) if wanted else [],
    )


def _bounds(grid: Grid, shape: Shape, spans: list[Span], expected: int, density: float | None) -> tuple[int, int]:
    """Between how many requests it will be: equal when that is certain."""
    if density is not None or not (shape.jumps_back or shape.cap):
        return expected, expected
    # Over emptiness a request gets as wide as it can; where records are dense, nobody knows how often it is halved.
    widest = count_pages(grid, spans, shape.widest) if shape.cap else 1
    return min(expected, widest), expected + (1 if spans else 0)


def duration(requests: int, step_seconds: float, latency: float, lanes: int) -> float:
    """Seconds for `requests`: bound by the budget's pace or by latency over the lanes that run at once."""
    if requests <= 0:
        return 0.0
    return max((requests - 1) * step_seconds + latency, requests * latency / max(1, lanes))


def quota_days(requests: int, daily: int | None) -> int:
    """Days a daily quota takes."""
    return 1 if not daily else max(1, math.ceil(requests / daily))


def steal_at(
    grid: Grid,
    spans: list[Span],
    shape: Shape,
    density: float | None,
    backward: bool,
    *,
    least: int = 3,
    most: int | None = None,
) -> Instant | None:
    """Where an idle slot may cut what a running segment still misses, or None when it is too little.

    On a page boundary; the victim keeps the page that is under way and at least one more, the thief gets half. Where
    pages end nobody knows in a series that may be thin, or is: it is not cut in the dark, nor into small parts.
    `least`: pages below which nothing is cut. `most`: pages that the victim keeps at most.
    """
    if shape.jumps_back and density is None:
        return None
    reach = reach_of(shape, density)
    pages = count_pages(grid, spans, reach)
    if pages < max(least, 2 * WORTHWHILE if is_thin(shape, density) else 3):
        return None
    keep = max(2, min((pages + 1) // 2, pages if most is None else most))
    return boundary_back(grid, spans, reach, keep) if backward else boundary(grid, spans, reach, keep)
