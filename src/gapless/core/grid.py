"""Grids: the start instants a record of a dataset can have.

Wanted spans are put on the grid before any set algebra, coverage bounds lie on it, and counting cells is how
requests, progress and emptiness are measured.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from gapless.core.span import DAY, SECOND, Instant, Span, instant, moment, span


class Grid(Protocol):
    """Start instants, in order, without end in both directions."""

    def floor(self, at: Instant) -> Instant:
        """The last start at or before `at`."""
        ...

    def ceil(self, at: Instant) -> Instant:
        """The first start at or after `at`."""
        ...

    def add(self, at: Instant, cells: int) -> Instant:
        """The start `cells` after (or before) the start `at`."""
        ...

    def count(self, start: Instant, end: Instant) -> int:
        """How many starts lie in `[start, end)`, both on the grid; 0 when it is empty."""
        ...


@dataclass(frozen=True, slots=True)
class Steps:
    """A fixed step in microseconds; `origin` is any start (weeks: a Monday; days of Seoul: 15:00 UTC)."""

    step: int
    origin: Instant = 0

    def floor(self, at: Instant) -> Instant:
        return at - (at - self.origin) % self.step

    def ceil(self, at: Instant) -> Instant:
        return at + (self.origin - at) % self.step

    def add(self, at: Instant, cells: int) -> Instant:
        return at + cells * self.step

    def count(self, start: Instant, end: Instant) -> int:
        return max(0, (end - start) // self.step)


@dataclass(frozen=True, slots=True)
class Weekdays:
    """Monday to Friday, from midnight `offset` microseconds east of UTC; a Friday lasts until Monday."""

    offset: int = 0

    def floor(self, at: Instant) -> Instant:
        return self._start(self._index(at))

    def ceil(self, at: Instant) -> Instant:
        below = self.floor(at)
        return below if below == at else self.add(below, 1)

    def add(self, at: Instant, cells: int) -> Instant:
        return self._start(self._index(at) + cells)

    def count(self, start: Instant, end: Instant) -> int:
        return max(0, self._index(end) - self._index(start))

    def _index(self, at: Instant) -> int:
        # 1970-01-05 was a Monday.
        week, day = divmod((at + self.offset) // DAY - 4, 7)
        return week * 5 + min(day, 4)

    def _start(self, index: int) -> Instant:
        week, day = divmod(index, 5)
        return (week * 7 + day + 4) * DAY - self.offset


@dataclass(frozen=True, slots=True)
class Months:
    """Periods of whole months (1: months, 12: years); they start at midnight `offset` microseconds east of UTC."""

    months: int
    offset: int = 0

    def floor(self, at: Instant) -> Instant:
        return self._start(self._index(at))

    def ceil(self, at: Instant) -> Instant:
        below = self.floor(at)
        return below if below == at else self.add(below, 1)

    def add(self, at: Instant, cells: int) -> Instant:
        return self._start(self._index(at) + cells)

    def count(self, start: Instant, end: Instant) -> int:
        return max(0, self._index(end) - self._index(start))

    def _index(self, at: Instant) -> int:
        local = moment(at + self.offset)
        return (local.year * 12 + local.month - 1) // self.months

    def _start(self, index: int) -> Instant:
        year, month = divmod(index * self.months, 12)
        return instant(datetime(min(max(year, 1), 9999), month + 1, 1, tzinfo=UTC)) - self.offset


#: Weeks start on Monday 00:00 UTC; 1970-01-05 was one.
WEEKS = Steps(7 * DAY, 4 * DAY)
#: Irregular events have no step; their coverage is kept to the second.
EVENTS = Steps(SECOND)


def align(grid: Grid, wanted: Span, frontier: Instant) -> Span | None:
    """Put a wanted span on the grid: both ends up, the frontier down."""
    return span(grid.ceil(wanted.start), min(grid.ceil(wanted.end), grid.floor(frontier)))


def cells(grid: Grid, spans: list[Span]) -> int:
    """How many cells a set of spans holds."""
    return sum(grid.count(part.start, part.end) for part in spans)
