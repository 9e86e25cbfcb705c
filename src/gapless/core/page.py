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
    #: Rows of one reply where a request lists a whole span, `rows` cells at most, in pages; 0: a reply is all there is.
    listed: int = 0
    #: Rows per cell that a listing is thought to have before any are stored.
    guess: float = 0.0
    #: Records in one reply where more are cut off without a way to the rest: a span that holds as many proves nothing
    #: and is halved. `rows` is then the cells of a first request, `widest` those of one that goes over emptiness.
    cap: int | None = None
    widest: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Walk:
    """A listing under way: which page comes next, and what was read of the cell that it may go on with."""

    #: What the first page was asked for; the listing is only the same as long as this is.
    asked: Span
    is_backward: bool
    #: What of it is not proven yet.
    left: Span
    page: int
    #: Rows of the whole listing; another number means that it has changed under our feet.
    total: int
    #: Rows of the cell that the last page ended in.
    held: tuple[Row, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One request: the newest `limit` records of `series` before `span.end`, wanted down to `span.start`."""

    series: str
    span: Span
    limit: int
    #: The source's own word for the series, where its dataset has a directory.
    alias: str = ""
    #: Which end a listing begins with.
    is_backward: bool = True
    #: The listing that goes on.
    walk: Walk | None = None
    #: Whether what comes after the span is final, too, and has not been asked for: it may tell of the span as well.
    is_last: bool = False


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
    #: How a listing goes on; a page that ends in the cell it began in proves nothing yet.
    walk: Walk | None = None
    #: Times of the records that the series itself leaves out (`title:`): not stored, but counted.
    left_out: tuple[Instant, ...] = ()

    def before(self, frontier: Instant) -> Page:
        """The same page cut at the frontier: what may still change is neither stored nor covered."""
        fact = None if self.nothing_before is None else min(self.nothing_before, frontier)
        if self.proven is None or self.proven.end <= frontier:
            return self if fact == self.nothing_before else replace(self, nothing_before=fact)
        kept = [row for row in self.rows if row[0] < frontier]
        return replace(self, rows=kept, proven=span(self.proven.start, frontier), nothing_before=fact)
