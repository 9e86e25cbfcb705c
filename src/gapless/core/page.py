"""What is asked of a source, and what a reply is worth."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from gapless.core.span import Instant, Span, span

#: A record as the store writes it: time, further key columns, then the dataset's columns in their order. Times are
#: instants (integers); decimals and dates are text, which both databases take exactly.
Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """How a source pages through a dataset."""

    #: Most rows in one reply.
    rows: int
    #: Whether a reply is cut by a count of existing rows, so that asking backward jumps over emptiness.
    jumps_back: bool = True
    #: Records in one reply where more are cut off without a way to the rest: a span that holds as many proves nothing
    #: and is halved. `rows` is then the cells of a first request, `widest` those of one that goes over emptiness.
    cap: int | None = None
    widest: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One request: the newest `limit` records of `series` before `span.end`, wanted down to `span.start`."""

    series: str
    span: Span
    limit: int
    #: The source's own word for the series, where its dataset has a directory.
    alias: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Raw:
    """An answer as it came, kept so that a better parser can read it again without a request."""

    #: What was asked of the series, such as the year of a report.
    name: str
    #: Tells apart what the source answers to the same question after it has corrected itself.
    version: str
    body: bytes
    #: Until then the source may still get what it has not got now: the answer counts, but is asked for again after it.
    again_at: Instant | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One reply: rows in ascending key order, and exactly what it proves."""

    rows: list[Row]
    #: The span for which the rows are everything the source has; None when the reply proves nothing.
    proven: Span | None
    #: The source has no record before this instant: a dated fact of the series, not coverage.
    nothing_before: Instant | None = None
    #: The source's clock when the request left (never later than the truth), where it tells one.
    source_time: Instant | None = None
    #: Requests the source says are left in the current second, where it tells.
    remaining: int | None = None
    raw: Raw | None = None

    def before(self, frontier: Instant) -> Page:
        """The same page cut at the frontier: what may still change is neither stored nor covered."""
        fact = None if self.nothing_before is None else min(self.nothing_before, frontier)
        if self.proven is None or self.proven.end <= frontier:
            return self if fact == self.nothing_before else replace(self, nothing_before=fact)
        kept = [row for row in self.rows if row[0] < frontier]
        return replace(self, rows=kept, proven=span(self.proven.start, frontier), nothing_before=fact)
