"""Planning decides which requests are sent at all: it must miss nothing, ask nothing twice, and stay cheap."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gapless.core.grid import Grid, Months, Steps, cells
from gapless.core.job import Direction, Mode
from gapless.core.page import Shape
from gapless.core.plan import (
    WORTHWHILE,
    Facts,
    Plan,
    count_pages,
    duration,
    missing,
    plan_series,
    quota_days,
    reach_of,
    split,
    steal_at,
)
from gapless.core.segment import Side
from gapless.core.span import MINUTE, Span, intersect, subtract, union

MINUTES = Steps(MINUTE)
SHAPE = Shape(rows=5)
PAGES_OF_200 = Shape(rows=200)
SIZE = 120

grids = st.sampled_from([MINUTES, Steps(MINUTE, 17), Months(1)])
ranges = st.lists(st.tuples(st.integers(0, SIZE), st.integers(1, 25)), max_size=10)


def spans_of(grid: Grid, parts: list[tuple[int, int]]) -> list[Span]:
    """Ranges of cell numbers as a set of spans on a grid."""
    zero = grid.ceil(0)
    return union(Span(grid.add(zero, at), grid.add(zero, at + size)) for at, size in parts)


def cells_of(grid: Grid, parts: list[Span]) -> set[int]:
    """The numbers of the cells in a set of spans, one by one."""
    zero = grid.ceil(0)
    return {grid.count(zero, part.start) + i for part in parts for i in range(grid.count(part.start, part.end))}


def fewest(numbers: set[int], reach: int) -> int:
    """The fewest stretches of `reach` cells that cover these cells, counted from the oldest, one cell at a time."""
    stretches, covered_to = 0, -1
    for number in sorted(numbers):
        if number >= covered_to:
            stretches += 1
            covered_to = number + reach
    return stretches


def whole(grid: Grid) -> Span:
    """All the cells that a property test may use."""
    return Span(grid.ceil(0), grid.add(grid.ceil(0), SIZE))


def pages_in(grid: Grid, spans: list[Span], start: int, end: int, reach: int) -> int:
    return count_pages(grid, intersect(spans, [Span(start, end)]), reach)


@given(grids, ranges)
def test_missing_and_covered_make_the_wanted_span(grid: Grid, covered):
    """A job is done when nothing is missing: what is missing has to be all that is not covered."""
    wanted = whole(grid)
    coverage = spans_of(grid, covered)
    lacking = missing(wanted, Facts(coverage=coverage), Mode.MISSING)
    assert union(lacking + intersect([wanted], coverage)) == [wanted]
    assert intersect(lacking, coverage) == []


@given(
    ranges,
    ranges,
    ranges,
    st.none() | st.integers(0, SIZE),
    st.none() | st.integers(1, SIZE),
    st.integers(0, SIZE + 10),
)
def test_each_mode_asks_for_exactly_its_cells(covered, proven, given_up, since, forgotten, recheck):
    """Missing, forced and re-checked cells, less what is hopeless: cell by cell the same as a set of numbers."""
    wanted = whole(MINUTES)
    facts = Facts(
        coverage=spans_of(MINUTES, covered),
        proof=spans_of(MINUTES, proven),
        quarantine=spans_of(MINUTES, given_up),
        since=None if since is None else since * MINUTE,
        unavailable=None if forgotten is None else Span(-MINUTE, forgotten * MINUTE),
    )
    every = set(range(SIZE))
    hopeless = cells_of(MINUTES, facts.quarantine) | set(range(since or 0)) | set(range(forgotten or 0))
    fresh = every - hopeless - cells_of(MINUTES, facts.proof)
    again = {number for number in fresh if number >= SIZE - recheck}
    lacking = every - hopeless - cells_of(MINUTES, facts.coverage)
    recheck_from = (SIZE - recheck) * MINUTE if recheck else None

    def asked(mode):
        return cells_of(MINUTES, missing(wanted, facts, mode, recheck_from))

    assert asked(Mode.MISSING) == lacking | again
    assert asked(Mode.MISSING_AND_FAILED) == lacking | again
    assert asked(Mode.ALL) == fresh


@given(grids, ranges, st.integers(1, 30))
def test_requests_are_as_few_as_can_be(grid: Grid, parts, reach):
    """Scattered gaps share a request: the count is the optimum, compared with a cell-by-cell one."""
    spans = spans_of(grid, parts)
    assert count_pages(grid, spans, reach) == fewest(cells_of(grid, spans), reach)


@given(grids, ranges, st.sampled_from([None, 1.0, 0.5, 0.1]))
def test_two_segments_hold_all_that_is_missing_and_do_not_overlap(grid: Grid, parts, density):
    """What lies in no segment is never fetched; what lies in two is fetched twice."""
    spans = spans_of(grid, parts)
    made = split(grid, spans, SHAPE, density, Direction.BOTH)
    hulls = [Span(one.start, one.end) for one in made]
    assert len(made) <= 2
    assert subtract(spans, hulls) == []
    assert all(not one.overlaps(other) for one in hulls for other in hulls if one is not other)
    assert all(intersect([hull], spans)[0].start == hull.start for hull in hulls)
    assert all(intersect([hull], spans)[-1].end == hull.end for hull in hulls)


@given(grids, ranges, st.sampled_from([None, 1.0, 0.5]))
def test_halving_costs_no_request(grid: Grid, parts, density):
    """Two slots at once must not cost more requests than one: the middle lies on a page boundary."""
    spans = spans_of(grid, parts)
    reach = reach_of(SHAPE, density)
    made = split(grid, spans, SHAPE, density, Direction.BOTH)
    halves = [pages_in(grid, spans, one.start, one.end, reach) for one in made]
    assert sum(halves) == count_pages(grid, spans, reach)
    assert len(halves) < 2 or abs(halves[0] - halves[1]) <= 1


def test_the_halves_converge():
    """The newest data comes first, and history grows from the start: the gap closes in the middle."""
    recent, history = split(MINUTES, [Span(0, 1000 * MINUTE)], PAGES_OF_200, None, Direction.BOTH)
    assert (recent.direction, recent.side) == (Direction.BACKWARD, Side.RECENT)
    assert (history.direction, history.side) == (Direction.FORWARD, Side.HISTORY)
    assert (history.start, history.end) == (0, 400 * MINUTE)
    assert (recent.start, recent.end) == (400 * MINUTE, 1000 * MINUTE)


def test_the_history_of_a_thin_series_runs_backward_too():
    """Only backward does the source's count jump over minutes without a trade."""
    made = split(MINUTES, [Span(0, 100_000 * MINUTE)], PAGES_OF_200, 0.1, Direction.BOTH)
    assert [(one.direction, one.side) for one in made] == [
        (Direction.BACKWARD, Side.RECENT),
        (Direction.BACKWARD, Side.HISTORY),
    ]
    steady = replace(PAGES_OF_200, jumps_back=False)
    made = split(MINUTES, [Span(0, 100_000 * MINUTE)], steady, 0.1, Direction.BOTH)
    assert made[1].direction is Direction.FORWARD


def test_what_one_request_answers_is_not_cut():
    """A second slot for one page would only cost a claim."""
    (only,) = split(MINUTES, [Span(0, 200 * MINUTE)], PAGES_OF_200, None, Direction.BOTH)
    assert only.direction is Direction.BACKWARD
    assert split(MINUTES, [], PAGES_OF_200, None, Direction.BOTH) == []


@pytest.mark.parametrize(("direction", "side"), [(Direction.FORWARD, Side.HISTORY), (Direction.BACKWARD, Side.RECENT)])
def test_an_owner_who_names_a_direction_gets_one_segment(direction, side):
    """A direction is a wish, never a hint."""
    (only,) = split(MINUTES, [Span(0, 9000 * MINUTE)], PAGES_OF_200, 0.1, direction)
    assert (only.direction, only.side, only.start, only.end) == (direction, side, 0, 9000 * MINUTE)


def test_ten_million_minutes_are_a_handful_of_ranges():
    """The cost of a plan grows with ranges, not with cells: nobody waits for a list of ten million."""
    size = 10_000_000
    coverage = [Span(at * MINUTE, (at + 100) * MINUTE) for at in range(0, size, size // 1000)]
    wanted = Span(0, size * MINUTE)
    plan = plan_series(MINUTES, PAGES_OF_200, "KRW-BTC", wanted, Facts())
    assert (plan.requests, plan.lacking, len(plan.missing), len(plan.segments)) == (50_000, size, 1, 2)
    plan = plan_series(MINUTES, PAGES_OF_200, "KRW-BTC", wanted, Facts(coverage=coverage))
    assert (plan.lacking, len(plan.missing), len(plan.segments)) == (size - 100_000, 1000, 2)


@given(grids, ranges, st.booleans(), st.sampled_from([1.0, 0.8]), st.sampled_from([SHAPE, Shape(rows=1)]))
def test_stealing_cuts_on_a_page_boundary(grid: Grid, parts, backward, density, shape):
    """A thief must not cost a request, and the victim keeps the page under way and one more.

    In a thin series every cut costs half a page: both parts are worth it.
    """
    spans = spans_of(grid, parts)
    reach = reach_of(shape, density)
    pages = count_pages(grid, spans, reach)
    cut = steal_at(grid, spans, shape, density, backward)
    if pages < (3 if density == 1.0 else 2 * WORTHWHILE):
        assert cut is None
        return
    assert cut is not None
    start, end = spans[0].start, spans[-1].end
    assert start < cut < end
    older, newer = pages_in(grid, spans, start, cut, reach), pages_in(grid, spans, cut, end, reach)
    kept, taken = (newer, older) if backward else (older, newer)
    assert kept + taken == pages
    assert kept >= 2
    assert kept - taken in (0, 1)


def test_a_stolen_part_begins_whole_pages_away():
    """In plain numbers: of ten pages under way from the new end, the older five are given away."""
    spans = [Span(0, 2000 * MINUTE)]
    assert steal_at(MINUTES, spans, PAGES_OF_200, 1.0, backward=True) == 1000 * MINUTE
    assert steal_at(MINUTES, spans, PAGES_OF_200, 1.0, backward=False) == 1000 * MINUTE
    assert steal_at(MINUTES, [Span(0, 400 * MINUTE)], PAGES_OF_200, 1.0, backward=True) is None


def test_nothing_is_cut_in_the_dark():
    """Where the source's count jumps over emptiness, pages of a series that nobody has seen may end anywhere."""
    spans = [Span(0, 20_000 * MINUTE)]
    assert steal_at(MINUTES, spans, PAGES_OF_200, None, backward=True) is None
    assert steal_at(MINUTES, spans, Shape(rows=200, jumps_back=False), None, backward=True) == 10_000 * MINUTE


def test_a_plan_tells_what_cannot_be_had():
    """Spans the source has forgotten or that were given up are shown, not silently left out."""
    wanted = Span(0, 1000 * MINUTE)
    facts = Facts(
        coverage=[Span(900 * MINUTE, 1000 * MINUTE)],
        quarantine=[Span(500 * MINUTE, 510 * MINUTE)],
        unavailable=Span(-MINUTE, 200 * MINUTE),
    )
    plan = plan_series(MINUTES, PAGES_OF_200, "KRW-BTC", wanted, facts)
    assert plan.unavailable == [Span(0, 200 * MINUTE)]
    assert plan.quarantined == [Span(500 * MINUTE, 510 * MINUTE)]
    assert (plan.total, plan.lacking) == (800, 690)
    assert cells(MINUTES, plan.missing) == plan.lacking


def test_a_dry_run_is_a_range_until_the_density_is_known():
    """Nobody knows how thin a new series is: the plan says so, and is exact once three pages are stored."""
    wanted = Span(0, 2000 * MINUTE)
    unknown = plan_series(MINUTES, PAGES_OF_200, "KRW-BTC", wanted, Facts())
    thin = plan_series(MINUTES, PAGES_OF_200, "KRW-BTC", wanted, Facts(density=0.1))
    assert (unknown.least, unknown.requests, unknown.most) == (1, 10, 11)
    assert (thin.least, thin.requests, thin.most) == (1, 1, 1)


def test_nothing_wanted_is_a_plan_too():
    """A wish beyond the frontier needs nothing, and is not an error."""
    plan = plan_series(MINUTES, PAGES_OF_200, "KRW-BTC", None, Facts())
    assert (plan.missing, plan.segments, plan.requests, plan.total) == ([], [], 0, 0)
    assert Plan(dataset="d", mode=Mode.MISSING, series=[plan, plan], seconds=0.0).requests == 0


def test_the_time_of_a_plan_is_bound_by_pace_or_by_latency():
    """Ten requests a second are of no use to one lane that waits 300 ms for each reply."""
    assert duration(0, 0.1, 0.3, 4) == 0.0
    assert duration(101, 0.1, 0.0, 4) == pytest.approx(10.0)
    assert duration(100, 0.1, 0.3, 1) == pytest.approx(30.0)
    assert duration(100, 0.1, 0.3, 4) == pytest.approx(0.1 * 99 + 0.3)
    assert (quota_days(100, None), quota_days(100, 100), quota_days(101, 100), quota_days(0, 100)) == (1, 1, 2, 1)
