"""Paging against a source that counts rows as Upbit does: everything is fetched, in no more requests than it takes.

The source here answers `(before, count)` with the newest `count` minutes that were traded before an instant. Nothing
else is simulated: what is missing comes from the ledger's own algebra, the next request from `next_ask`.
"""

from __future__ import annotations

import random
from bisect import bisect_left
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gapless.core.grid import Steps, cells
from gapless.core.job import Mode
from gapless.core.page import Shape
from gapless.core.paging import Window, fresh, is_thin_page, next_ask, open_part, widen
from gapless.core.plan import Facts, count_pages, missing
from gapless.core.span import MINUTE, Span, intersect, span, subtract, union

GRID = Steps(MINUTE)
FIVE = Shape(rows=5)
UPBIT = Shape(rows=200)


def minutes(start: int, end: int) -> Span:
    return Span(start * MINUTE, end * MINUTE)


@dataclass
class Run:
    """One segment's work against a source, from some coverage until nothing is missing."""

    #: The minutes in which there was a trade, in order.
    traded: list[int]
    wanted: Span
    backward: bool
    shape: Shape = UPBIT
    covered: list[Span] = field(default_factory=list)
    since: int | None = None
    requests: int = 0
    fetched: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.times = [at * MINUTE for at in self.traded]
        self.window = fresh(self.shape)

    def lacking(self) -> list[Span]:
        return missing(self.wanted, Facts(coverage=self.covered, since=self.since), Mode.MISSING)

    def reply(self, before: int, count: int) -> list[int]:
        """The source: the newest `count` existing rows before an instant, wherever they are."""
        end = bisect_left(self.times, before)
        return self.times[max(0, end - count) : end]

    def step(self, spans: list[Span]) -> None:
        """One request, and what its reply proves."""
        asked, limit = next_ask(GRID, spans, self.window, self.backward)
        assert 1 <= limit <= self.shape.rows
        assert asked.start in spans[0] or self.backward
        assert GRID.add(asked.end, -1) in spans[-1] or not self.backward
        ends = [Span(asked.start, GRID.add(asked.start, 1)), Span(GRID.add(asked.end, -1), asked.end)]
        assert subtract(ends, spans) == [], "a request that begins or ends with what is known"
        times = self.reply(asked.end, limit)
        self.requests += 1
        self.fetched.update(at // MINUTE for at in times)
        if times:
            self.covered = union([*self.covered, Span(times[0], asked.end)])
        else:
            self.since = max(asked.end, self.since or asked.end)
        self.window = widen(self.window, GRID, self.shape, asked, limit, times)

    def finish(self, most: int = 100_000) -> Run:
        """Go on until nothing is missing; every reply must have proven something that was missing."""
        spans = self.lacking()
        while spans:
            assert self.requests < most, "this does not end"
            self.step(spans)
            before, spans = spans, self.lacking()
            assert cells(GRID, spans) < cells(GRID, before), "a reply that proved nothing new"
        return self

    def check(self, covered_before: list[Span]) -> None:
        """Whatever was traded in the wanted span was covered before or has been fetched."""
        for at in self.traded:
            when = at * MINUTE
            if when in self.wanted and not any(when in part for part in covered_before):
                assert at in self.fetched


@st.composite
def markets(draw: st.DrawFn) -> tuple[list[int], list[Span]]:
    """Traded minutes of a market (dense, thin, with halts, young), and what is covered of it already."""
    size = 150
    first = draw(st.integers(0, size))
    share = draw(st.sampled_from([1.0, 0.9, 0.5, 0.1, 0.02]))
    chance = random.Random(draw(st.integers(0, 10_000)))
    traded = {at for at in range(first, size) if chance.random() < share}
    for start, length in draw(st.lists(st.tuples(st.integers(0, size), st.integers(1, 60)), max_size=3)):
        traded -= set(range(start, start + length))
    parts = draw(st.lists(st.tuples(st.integers(-10, size), st.integers(1, 30)), max_size=6))
    return sorted(traded), union(minutes(start, start + length) for start, length in parts)


@given(markets(), st.integers(0, 100), st.integers(1, 120), st.booleans())
def test_every_traded_minute_is_fetched_and_every_run_ends(market, start, length, backward):
    """From any state of the ledger, whichever way it runs: the one promise of this product."""
    traded, covered = market
    run = Run(traded, minutes(start, start + length), backward, FIVE, list(covered))
    run.finish(most=500).check(covered)


@given(markets(), st.integers(1, 40), st.booleans(), st.data())
def test_a_lost_window_costs_requests_never_rows(market, length, backward, data):
    """The window lives in a slot's memory: after a crash the next slot starts with a fresh one."""
    traded, covered = market
    run = Run(traded, minutes(10, 10 + 3 * length), backward, FIVE, list(covered))
    while spans := run.lacking():
        assert run.requests < 500
        if data.draw(st.booleans()):
            run.window = fresh(FIVE)
        run.step(spans)
    run.check(covered)


@given(st.integers(1, 1500), st.booleans())
def test_a_dense_series_costs_what_it_must(length, backward):
    """200 minutes a request: not one more, in either direction."""
    run = Run(list(range(-300, 1500)), minutes(0, length), backward).finish()
    assert run.requests == -(-length // 200)


@given(
    st.lists(st.tuples(st.integers(0, 140), st.integers(1, 12)), max_size=8),
    st.booleans(),
)
def test_scattered_gaps_of_a_dense_series_share_requests(parts, backward):
    """Many small holes close to each other cost as many requests as the plan said, and the plan is the optimum."""
    covered = union(minutes(start, start + length) for start, length in parts)
    run = Run(list(range(-20, 150)), minutes(0, 150), backward, FIVE, covered)
    planned = count_pages(GRID, run.lacking(), FIVE.rows)
    assert run.finish().requests == planned


def test_the_start_of_history_costs_one_request_more():
    """Only an empty reply proves that nothing precedes; a short page is a hint."""
    run = Run(list(range(600, 2000)), minutes(0, 2000), backward=True).finish()
    assert run.requests == 7 + 1
    assert run.since == 600 * MINUTE


@pytest.mark.parametrize("seed", [1, 2, 7])
def test_a_thin_series_is_fetched_forward_in_windows_of_its_density(seed):
    """One minute in ten traded: 50 full pages hold all rows; windows as wide as a page would take 500 requests."""
    chance = random.Random(seed)
    traded = [at for at in range(-3000, 100_000) if chance.random() < 0.1]
    rows = sum(1 for at in traded if at >= 0)
    run = Run(traded, minutes(0, 100_000), backward=False).finish()
    run.check([])
    assert run.requests <= 1.2 * rows / 200 + 5


def test_a_thin_series_is_fetched_backward_in_full_pages():
    """Backward the count jumps over emptiness by itself."""
    chance = random.Random(8)
    traded = [at for at in range(-3000, 100_000) if chance.random() < 0.1]
    rows = sum(1 for at in traded if at >= 0)
    run = Run(traded, minutes(0, 100_000), backward=True).finish()
    assert run.requests == -(-rows // 200)


@pytest.mark.parametrize("start", [5_000, 5_001, 5_100, 5_199])
def test_a_halt_of_three_days_costs_few_requests(start):
    """A market may stand still: windows double over the emptiness instead of asking for each page of it."""
    halt = 3 * 24 * 60
    traded = [at for at in range(-500, 20_000) if not start <= at < start + halt]
    least = -(-(20_000 - halt) // 200)
    forward = Run(traded, minutes(0, 20_000), backward=False).finish()
    backward = Run(traded, minutes(0, 20_000), backward=True).finish()
    assert forward.requests <= least + 4
    assert backward.requests == least


def test_a_wide_window_that_met_density_closes_its_hole_first():
    """A page that does not touch the cursor proves only its own end; what lies between is asked next, not forgotten."""
    window = Window(forward=1000, limit=200)
    asked, limit = next_ask(GRID, [minutes(0, 5000)], window, is_backward=False)
    assert (asked, limit) == (minutes(0, 1000), 200)
    times = [at * MINUTE for at in range(800, 1000)]
    window = widen(window, GRID, UPBIT, asked, limit, times)
    assert window.hole == 800 * MINUTE
    asked, limit = next_ask(GRID, [minutes(0, 800), minutes(1000, 5000)], window, is_backward=False)
    assert (asked, limit) == (minutes(0, 800), 200)


def test_a_page_that_touches_the_cursor_leaves_no_hole():
    """A full page may be just as long as what was asked."""
    times = [at * MINUTE for at in range(200)]
    assert widen(fresh(UPBIT), GRID, UPBIT, minutes(0, 200), 200, times).hole is None
    assert widen(fresh(UPBIT), GRID, UPBIT, minutes(-1, 200), 200, times).hole == 0


def test_a_window_grows_over_emptiness_and_comes_back():
    """Four times as far after each empty page; back to a page's width where there is trade again."""
    window = fresh(UPBIT)
    for width in (200, 800, 3200):
        asked, limit = next_ask(GRID, [minutes(0, 10_000)], window, is_backward=False)
        assert cells(GRID, [asked]) == width
        window = widen(window, GRID, UPBIT, asked, limit, [-MINUTE])
    asked = minutes(0, 12_800)
    window = widen(window, GRID, UPBIT, asked, 200, [at * MINUTE for at in range(12_800)])
    assert window.forward == 200


@given(st.integers(1, 199), st.integers(1, 12))
def test_a_halved_window_grows_back_with_good_pages(limit, pages):
    """Halving isolates a record that spoils its page; the pages after it are whole again."""
    window = replace(fresh(UPBIT), limit=limit)
    for _ in range(pages):
        asked, rows = next_ask(GRID, [minutes(0, 10_000)], window, is_backward=True)
        assert rows == min(200, window.limit)
        times = list(range(asked.start, asked.end, MINUTE))
        window = widen(window, GRID, UPBIT, asked, rows, times)
    assert window.limit == min(200, limit * 2**pages)


@given(markets(), st.lists(st.integers(0, 149), max_size=4), st.booleans())
def test_a_spoilt_cell_is_never_asked_across(market, cells_given_up, backward):
    """A record that spoils every reply stands like a wall: what lies before it is asked first, without it."""
    _, covered = market
    barriers = union(minutes(at, at + 1) for at in cells_given_up)
    spans = subtract([minutes(0, 150)], covered + barriers)
    near = open_part(spans, barriers, backward)
    assert subtract(near, spans) == []
    assert bool(near) == bool(spans)
    if near:
        hull = span(near[0].start, near[-1].end)
        assert hull is not None
        assert intersect([hull], barriers) == []
        assert near[-1].end == spans[-1].end if backward else near[0].start == spans[0].start


def test_a_page_with_holes_is_thin():
    """Nine tenths is the border: below it a historical half had better turn round."""
    times = [at * MINUTE for at in range(200)]
    assert not is_thin_page(minutes(0, 200), GRID, times[:180])
    assert is_thin_page(minutes(0, 200), GRID, times[:179])
    assert is_thin_page(minutes(0, 200), GRID, [-MINUTE])
