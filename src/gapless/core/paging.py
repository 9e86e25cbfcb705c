"""Which request comes next in a segment: a pure function of what the ledger still misses."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, replace

from gapless.core.grid import Grid
from gapless.core.page import Shape, Walk
from gapless.core.plan import THIN
from gapless.core.span import Instant, Span

#: How full a forward page of a thin series is meant to be: 1.8 standard deviations below the limit.
FILLED = 0.88
#: How full the reply of a source is meant to be that cuts off what is too much.
FITTING = 0.7


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """What a slot remembers between pages; losing it costs at most a request, never a row."""

    #: Cells of the next forward request.
    forward: int
    #: Cells at most per request: halved to isolate a record that spoils its page.
    limit: int
    #: Rows per cell as seen by this slot, smoothed; None before its first forward page.
    density: float | None = None
    #: End of the hole that a long forward page left behind it, asked next.
    hole: Instant | None = None
    #: A listing under way; losing it costs the pages of one cell.
    walk: Walk | None = None


def fresh(shape: Shape) -> Window:
    """The window a slot starts with."""
    return Window(forward=shape.rows, limit=shape.rows)


def goes_on(walk: Walk | None, spans: list[Span], is_backward: bool) -> bool:
    """Whether a listing goes on where `spans` (not empty) begin to be missing, so that its next page is of use."""
    if walk is None or walk.is_backward != is_backward:
        return False
    return walk.left.end == spans[-1].end if is_backward else walk.left.start == spans[0].start


def backward(grid: Grid, spans: list[Span], limit: int) -> Span:
    """The newest missing part that one request can answer; scattered gaps in its reach come along."""
    end = spans[-1].end
    reach = grid.add(end, -limit)
    start = end
    for part in reversed(spans):
        if part.end <= reach:
            break
        start = max(part.start, reach)
    return Span(start, end)


def forward(grid: Grid, spans: list[Span], window: Window) -> Span:
    """The oldest missing part, as far as the window reaches, up to its last missing cell."""
    start = spans[0].start
    if window.hole is not None and spans[0].end == window.hole:
        return spans[0]
    reach = grid.add(start, window.forward)
    end = start
    for part in spans:
        if part.start >= reach:
            break
        end = min(part.end, reach)
    return Span(start, end)


def next_ask(grid: Grid, spans: list[Span], window: Window, is_backward: bool) -> tuple[Span, int]:
    """The span and the row limit of the next request for `spans` (not empty)."""
    asked = backward(grid, spans, window.limit) if is_backward else forward(grid, spans, window)
    return asked, min(window.limit, grid.count(asked.start, asked.end))


def open_part(spans: list[Span], barriers: list[Span], is_backward: bool) -> list[Span]:
    """The part of `spans` that can be asked without touching a barrier: a cell whose record spoils every reply."""
    if not barriers or not spans:
        return spans
    if is_backward:
        below = max((one.end for one in barriers if one.end <= spans[-1].end), default=spans[0].start)
        return [part for part in spans if part.start >= below]
    above = min((one.start for one in barriers if one.start >= spans[0].start), default=spans[-1].end)
    return [part for part in spans if part.end <= above]


def widen(window: Window, grid: Grid, shape: Shape, asked: Span, limit: int, times: list[Instant]) -> Window:
    """The window after a good reply with records at `times` (ascending).

    A page that does not touch the cursor leaves a hole, asked next. Otherwise the next forward window holds somewhat
    fewer cells than a full page of the density seen (an overflow costs a request of its own); it doubles after a short
    reply and quadruples over emptiness: one that turns out too long loses nothing, one too short a request.
    """
    limit_next = min(shape.rows, window.limit * 2)
    hole = times[0] if len(times) >= limit and times and times[0] > asked.start else None
    if window.hole is not None:
        return replace(window, limit=limit_next, hole=hole)
    found = bisect_left(times, asked.end) - bisect_left(times, asked.start)
    if not found:
        return replace(window, limit=limit_next, forward=4 * window.forward)
    # The whole page tells the density, the rows before the window too.
    density = _smoothed(window.density, min(1.0, len(times) / max(1, grid.count(times[0], asked.end))))
    sized = shape.rows if density >= THIN else int(FILLED * shape.rows / density)
    is_short = 2 * found < min(limit, grid.count(asked.start, asked.end)) and hole is None
    ahead = max(shape.rows, sized, 2 * window.forward if is_short else 0)
    return Window(forward=ahead, limit=limit_next, hole=hole, density=density)


def _smoothed(before: float | None, now: float) -> float:
    """Follow a density slowly while it only flickers, at once when it has changed."""
    if before is None or not 0.5 * before <= now <= 1.5 * before:
        return now
    return 0.75 * before + 0.25 * now


def relax(window: Window, shape: Shape) -> Window:
    """The window after a good reply where emptiness tells nothing: only what was halved grows again."""
    if window.limit == shape.rows:
        return window
    forward = max(window.forward, min(shape.rows, 2 * window.forward))
    return replace(window, limit=min(shape.rows, window.limit * 2), forward=forward)


def fit(window: Window, shape: Shape, asked: int, found: int) -> Window:
    """The window after a good reply of a source that cuts off what is too much: `found` records in `asked` cells.

    The next one is meant to be `FITTING` full: a span that does not fit is a request for nothing. It doubles at most.
    """
    if asked < window.limit or shape.cap is None:
        return window
    fitting = int(asked * FITTING * shape.cap / found) if found else shape.widest
    cells = max(1, min(fitting, 2 * window.limit, shape.widest))
    return replace(window, limit=cells, forward=cells)


def halved(window: Window, asked: int) -> Window:
    """A window of half the cells that were asked for, to isolate what spoils a reply or to have it fit into one."""
    limit, forward = min(window.limit, asked), min(window.forward, asked)
    return replace(window, limit=max(1, limit // 2), forward=max(1, forward // 2), walk=None)


def is_thin_page(asked: Span, grid: Grid, times: list[Instant]) -> bool:
    """Whether a forward page came back with emptiness, so that the segment had better run backward."""
    found = bisect_left(times, asked.end) - bisect_left(times, asked.start)
    return found < THIN * grid.count(asked.start, asked.end)
