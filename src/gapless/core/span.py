"""Spans `[start, end)` and exact set algebra on lists of them.

An instant is an `int`: microseconds since 1970-01-01T00:00:00Z. Integers keep the algebra exact and cheap, and are
what both databases store in the ledger; people see aware `datetime` values at the faces (`Span.start_time`).
A *set of spans* is a sorted list of disjoint spans that do not touch.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

#: Microseconds since the epoch, UTC.
Instant = int

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: The ends of representable time, used where a span is open.
DAWN: Instant = -62_135_596_800 * SECOND
DOOM: Instant = 253_370_764_800 * SECOND


def instant(moment: datetime) -> Instant:
    """Convert an aware datetime; a naive one is a programming error."""
    if moment.tzinfo is None:
        raise ValueError(f"a time without offset: {moment}")
    return (moment - EPOCH) // timedelta(microseconds=1)


def moment(at: Instant) -> datetime:
    """The aware UTC datetime of an instant."""
    return EPOCH + timedelta(microseconds=at)


def iso(at: Instant) -> str:
    """ISO 8601 with a `Z`, without a fraction that says nothing."""
    text = moment(at).isoformat(timespec="seconds" if at % SECOND == 0 else "microseconds")
    return text.removesuffix("+00:00") + "Z"


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """`[start, end)` in UTC microseconds; never empty."""

    start: Instant
    end: Instant

    def __post_init__(self) -> None:
        if self.start >= self.end:
            raise ValueError(f"a span must end after it starts: {self.start} .. {self.end}")

    @property
    def start_time(self) -> datetime:
        """First moment inside, aware UTC."""
        return moment(self.start)

    @property
    def end_time(self) -> datetime:
        """First moment after it, aware UTC."""
        return moment(self.end)

    @property
    def length(self) -> timedelta:
        """How long it lasts."""
        return timedelta(microseconds=self.end - self.start)

    def __contains__(self, at: Instant) -> bool:
        return self.start <= at < self.end

    def overlaps(self, other: Span) -> bool:
        """Whether they share at least one instant."""
        return self.start < other.end and other.start < self.end

    def clip(self, other: Span) -> Span | None:
        """The shared part, if any."""
        return span(max(self.start, other.start), min(self.end, other.end))

    def __str__(self) -> str:
        return f"[{iso(self.start)}, {iso(self.end)})"


def span(start: Instant, end: Instant) -> Span | None:
    """A span, or None where it would be empty."""
    return Span(start, end) if start < end else None


def union(spans: Iterable[Span]) -> list[Span]:
    """Sort and merge; spans that touch become one."""
    merged: list[Span] = []
    for part in sorted(spans):
        if merged and part.start <= merged[-1].end:
            if part.end > merged[-1].end:
                merged[-1] = Span(merged[-1].start, part.end)
        else:
            merged.append(part)
    return merged


def subtract(wanted: Iterable[Span], taken: Iterable[Span]) -> list[Span]:
    """What of `wanted` is not in `taken`: sorting, then one pass over both."""
    left: list[Span] = []
    holes = union(taken)
    i = 0
    for part in union(wanted):
        start = part.start
        while i < len(holes) and holes[i].start < part.end:
            if holes[i].start > start:
                left.append(Span(start, holes[i].start))
            start = max(start, holes[i].end)
            if holes[i].end > part.end:
                break
            i += 1
        if start < part.end:
            left.append(Span(start, part.end))
    return left


def intersect(one: Iterable[Span], other: Iterable[Span]) -> list[Span]:
    """What both hold."""
    a, b = union(one), union(other)
    shared: list[Span] = []
    i = j = 0
    while i < len(a) and j < len(b):
        part = a[i].clip(b[j])
        if part:
            shared.append(part)
        if a[i].end <= b[j].end:
            i += 1
        else:
            j += 1
    return shared
