"""Grids decide which instants a record can have; counting cells wrong means false gaps or false completeness."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gapless.core.grid import EVENTS, WEEKS, Grid, Months, Steps, Weekdays, align, cells
from gapless.core.span import DAY, HOUR, MINUTE, SECOND, Span, instant, moment, span

SEOUL = 9 * HOUR
GRIDS = {
    "seconds": Steps(SECOND),
    "minutes": Steps(MINUTE),
    "four hours": Steps(4 * HOUR),
    "days": Steps(DAY),
    "days of Seoul": Steps(DAY, -SEOUL),
    "weeks": WEEKS,
    "months": Months(1),
    "quarters": Months(3),
    "years": Months(12),
    "months of Seoul": Months(1, SEOUL),
    "years of Seoul": Months(12, SEOUL),
    "events": EVENTS,
}
grids = st.sampled_from(list(GRIDS.values()))
#: Four centuries around now, with leap years and years that look like leap years.
instants = st.integers(instant(datetime(1790, 1, 1, tzinfo=UTC)), instant(datetime(2190, 1, 1, tzinfo=UTC)))


def at(*when: int) -> int:
    return instant(datetime(*when, tzinfo=UTC))


@given(grids, instants)
def test_every_instant_lies_in_exactly_one_cell(grid: Grid, when):
    """A record belongs to one cell: a second one would be a duplicate, none a loss."""
    start = grid.floor(when)
    assert start <= when < grid.add(start, 1)
    assert grid.floor(start) == start
    assert grid.add(grid.add(start, 1), -1) == start


@given(grids, instants)
def test_ceil_is_the_next_start_or_the_instant_itself(grid: Grid, when):
    """Both ends of a wish are rounded up: a cell that began before the wish is not part of it."""
    start = grid.floor(when)
    assert grid.ceil(when) == (when if start == when else grid.add(start, 1))
    assert grid.ceil(start) == start


@given(grids, instants, st.integers(-400, 400))
def test_counting_undoes_adding(grid: Grid, when, number):
    """Requests, progress and splits are sums of cells: they must not drift over month ends or leap days."""
    start = grid.floor(when)
    moved = grid.add(start, number)
    assert grid.count(start, moved) == max(0, number)
    assert grid.add(moved, -number) == start


@given(grids, instants, st.integers(0, 300), st.integers(0, 300))
def test_counts_of_neighbours_add_up(grid: Grid, when, one, other):
    """A span cut in two holds as many cells as before."""
    start = grid.floor(when)
    middle = grid.add(start, one)
    end = grid.add(middle, other)
    assert grid.count(start, middle) + grid.count(middle, end) == grid.count(start, end)
    parts = [part for part in (span(start, middle), span(middle, end)) if part]
    assert cells(grid, parts) == one + other


@given(instants, st.sampled_from([1, 3, 12]), st.sampled_from([0, SEOUL]))
def test_months_start_on_the_first_at_midnight_of_their_zone(when, months, offset):
    """A month is not thirty days; the calendar decides, in the dataset's own zone."""
    local = moment(Months(months, offset).floor(when) + offset)
    assert (local.day, local.hour, local.minute, local.second, local.microsecond) == (1, 0, 0, 0, 0)
    assert (local.month - 1) % months == 0


@given(instants)
def test_weeks_start_on_monday(when):
    """Upbit's weekly candles do."""
    monday = moment(WEEKS.floor(when))
    assert monday.weekday() == 0
    assert (monday.hour, monday.minute) == (0, 0)


@pytest.mark.parametrize(("year", "days"), [(1900, 28), (2000, 29), (2023, 28), (2024, 29), (2026, 28), (2100, 28)])
def test_february_is_as_long_as_the_calendar_says(year, days):
    """1900 and 2100 are no leap years, 2000 is one."""
    months = Months(1)
    assert months.add(at(year, 2, 1), 1) - at(year, 2, 1) == days * DAY
    assert Months(12).add(at(year, 1, 1), 1) - at(year, 1, 1) == (337 + days) * DAY


def test_a_year_has_twelve_months_and_a_century_a_hundred_years():
    """Counts across centuries come from the calendar, not from a mean length."""
    assert Months(1).count(at(1899, 12, 1), at(1900, 12, 1)) == 12
    assert Months(12).count(at(1900, 1, 1), at(2000, 1, 1)) == 100
    assert Months(1).count(at(2024, 1, 1), at(2023, 1, 1)) == 0


def test_a_day_of_seoul_starts_at_three_in_the_afternoon_utc():
    """The trading day of a Korean stock is not UTC's."""
    days = Steps(DAY, 15 * HOUR)
    assert days.floor(at(2026, 3, 2, 14, 59)) == at(2026, 3, 1, 15)
    assert days.floor(at(2026, 3, 2, 15)) == at(2026, 3, 2, 15)
    assert Months(1, SEOUL).floor(at(2026, 2, 28, 15)) == at(2026, 2, 28, 15)
    assert Months(12, SEOUL).floor(at(2025, 12, 31, 14)) == at(2024, 12, 31, 15)


def test_a_wish_is_put_on_the_grid_before_it_is_planned():
    """Both ends go up and the frontier down, so the unfinished candle is never wanted."""
    minutes = Steps(MINUTE)
    start, end = at(2026, 3, 2, 9, 0, 30), at(2026, 3, 2, 9, 10, 30)
    later, soon = at(2026, 3, 3), at(2026, 3, 2, 9, 5, 59)
    assert align(minutes, Span(start, end), later) == Span(at(2026, 3, 2, 9, 1), at(2026, 3, 2, 9, 11))
    assert align(minutes, Span(start, end), soon) == Span(at(2026, 3, 2, 9, 1), at(2026, 3, 2, 9, 5))
    assert align(minutes, Span(start, end), start) is None


@given(grids, instants, st.integers(0, 40), instants)
def test_an_aligned_wish_holds_the_cells_that_start_inside_it(grid: Grid, when, length, frontier):
    """Exactly the cells that begin inside the wish and have ended by the frontier are asked for."""
    wish = Span(when, grid.add(grid.floor(when), length) + 1) if length else Span(when, when + 1)
    aligned = align(grid, wish, frontier)
    starts = [grid.add(grid.floor(when), step) for step in range(length + 2)]
    expected = [start for start in starts if start in wish and grid.add(start, 1) <= frontier]
    found = [] if aligned is None else [start for start in starts if start in aligned]
    assert found == expected
    assert aligned is None or cells(grid, [aligned]) == len(expected)


def test_the_length_of_a_minute_grid_is_time_divided_by_a_minute():
    """A plain number to hold on to: a week has 10,080 minutes."""
    week = Span(at(2026, 3, 2), at(2026, 3, 9))
    assert cells(Steps(MINUTE), [week]) == timedelta(days=7) // timedelta(minutes=1) == 10_080


def test_weekdays_skip_the_weekend_and_a_friday_lasts_until_monday():
    """A provider that tells days of trading is never asked for a Saturday."""
    grid = Weekdays(9 * HOUR)
    friday = instant(datetime(2024, 5, 31, tzinfo=UTC)) - 9 * HOUR
    monday = friday + 3 * DAY
    assert grid.add(friday, 1) == monday
    assert grid.add(monday, -1) == friday
    assert grid.floor(friday + 2 * DAY) == friday
    assert grid.ceil(friday + DAY) == monday
    assert grid.count(friday, monday + 7 * DAY) == 6
    for days in range(-800, 800):
        at = friday + days * DAY
        assert grid.floor(at) <= at < grid.add(grid.floor(at), 1)
        assert grid.count(grid.floor(at), grid.add(grid.floor(at), 11)) == 11
