"""Segments: one series, one span, one direction, one cursor; held by one worker slot at a time."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from gapless.core.job import Direction
from gapless.core.span import Instant, Span


class SegmentState(StrEnum):
    """waiting ⇄ running → done | failed | held | cancelled; retry makes the last three wait again."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    #: Given up for now: the source did not answer in bounded attempts.
    FAILED = "failed"
    #: Asking again is of no use before the owner has acted.
    HELD = "held"
    CANCELLED = "cancelled"


#: Segments that still want a slot or have one.
LIVE = frozenset({SegmentState.WAITING, SegmentState.RUNNING})


class Side(StrEnum):
    """On which end of the bar a segment is drawn."""

    RECENT = "recent"
    HISTORY = "history"


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A row of the segment table, with the names that its work needs."""

    id: int
    job: int
    series: int
    #: The series' own name, such as `KRW-BTC`.
    name: str
    dataset: str
    start: Instant
    end: Instant
    #: Where the work stands: everything on the side it came from is in the ledger.
    cursor: Instant
    direction: str
    side: str
    state: str
    epoch: int
    attempts: int
    mode: str
    #: Cells at or after this instant are asked again although covered (re-check); `end` when none.
    recheck_from: Instant
    queue: str
    turn: int
    rate: float | None
    #: Whether the owner left the direction open (`both`), so that a historical half may turn round.
    may_turn: bool
    #: When its job was made: facts of the source older than this do not count in mode all.
    wished_at: Instant
    #: The class of its job: 0 high, 1 normal, 2 low.
    priority: int
    #: What kind of work its job is, and that job's own parameters as JSON.
    kind: str
    params: str
    #: Attempts after the first one, where its job says it.
    max_retries: int | None = None

    @property
    def span(self) -> Span:
        """Its bounds."""
        return Span(self.start, self.end)

    @property
    def is_backward(self) -> bool:
        """Whether the newest part comes first."""
        return self.direction == Direction.BACKWARD


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The right of one slot to one segment."""

    segment: Segment
    #: Raised by every claim, rescue and cancel; a commit that names an older one is refused.
    epoch: int
    worker: str
