"""Go over a series stretch by stretch: what most chores are.

The ledger is the job's proof: a stretch is done when its effect and its proof are committed, in one transaction under
the segment's fence. So a crash repeats at most the stretch under way, and an effect is never had twice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gapless.core.dataset import Dataset
from gapless.core.errors import LeaseLost
from gapless.core.page import Ask, Page, Shape
from gapless.core.paging import Window, next_ask
from gapless.core.segment import Lease
from gapless.core.span import Instant, Span, subtract
from gapless.store import coverage, segments
from gapless.store.database import Tx
from gapless.store.pages import moved
from gapless.store.segments import Held
from gapless.store.store import Store
from gapless.work.base import Also, Asked, Left, nothing_else

#: What a stretch changes: done in the transaction that proves it. Returns how many rows are new or changed.
Effect = Callable[[Tx], int]


def is_held(store: Store, lease: Lease) -> bool:
    """Whether a lease is good still: cancel, rescue and the end of a job's time take it away."""
    with store.read() as tx:
        return segments.look(tx, lease) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch(Page):
    """A stretch that was gone over, and what is to be done about it."""

    effect: Effect


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretches:
    """One segment, gone over in stretches. `go` reads and computes, in no transaction that writes."""

    store: Store
    dataset: Dataset
    shape: Shape
    lease: Lease
    go: Callable[[Lease, Span], Effect]

    def look(self, tx: Tx, lease: Lease, now: Instant, suspects: Sequence[Span] = ()) -> Left:  # noqa: ARG002
        """What the segment has not gone over; raises `LeaseLost`."""
        held = segments.look(tx, lease)
        if held is None:
            raise LeaseLost(f"segment {lease.segment.id} is in other hands")
        return _left(tx, held)

    def ask(self, left: Left, series: str, window: Window, now: Instant) -> Asked | None:
        """The next stretch."""
        if not left.spans:
            return None
        span, limit = next_ask(self.dataset.grid, left.spans, window, left.is_backward)
        return Asked(ask=Ask(series=series, span=span, limit=limit), now=now, is_backward=left.is_backward)

    def fetch(self, asked: Asked) -> Stretch:
        """Go over a stretch."""
        span = asked.ask.span
        return Stretch(rows=[], proven=span, effect=self.go(self.lease, span))

    def keep(
        self,
        asked: Asked,  # noqa: ARG002
        page: Page,
        lease: Lease,
        now: Instant,  # noqa: ARG002
        *,
        requests: int,
        also: Also = nothing_else,
    ) -> Left:
        """Commit a stretch: its effect, and that it was gone over; raises `LeaseLost`."""
        assert isinstance(page, Stretch)
        assert page.proven is not None
        proven, effect = page.proven, page.effect

        def write(tx: Tx) -> Left:
            held = segments.fence(tx, lease)
            if held is None:
                raise LeaseLost(f"segment {lease.segment.id} is in other hands", hint="its new holder goes on")
            touching = coverage.neighbours(tx, held.series, proven, job=held.job)
            changed = effect(tx)
            cursor = moved(held.span, held.cursor, proven, held.direction)
            with tx.together():
                merged = coverage.extend(tx, held.series, proven, job=held.job, touching=touching)
                segments.advance(tx, lease.segment.id, held.at(cursor), rows=changed, requests=requests)
            if merged.start <= held.start and held.end <= merged.end:
                left = Left(spans=[], is_backward=held.is_backward, given_up=[])
            else:
                left = _left(tx, held)
            also(tx, left)
            return left

        return self.store.write(write)

    def cut(self, page: Page, asked: Asked) -> Page:  # noqa: ARG002  what is stored is behind the frontier
        """The page itself."""
        return page

    def window(self, window: Window, asked: Asked, page: Page) -> Window:  # noqa: ARG002
        """Always the same."""
        return window

    def remaining(self, tx: Tx, lease: Lease, now: Instant) -> list[Span]:  # noqa: ARG002
        """What it has not gone over."""
        held = segments.look(tx, lease)
        return [] if held is None else _left(tx, held).spans


def _left(tx: Tx, held: Held) -> Left:
    done = coverage.spans(tx, held.series, held.span, job=held.job)
    return Left(spans=subtract([held.span], done), is_backward=held.is_backward, given_up=[])
