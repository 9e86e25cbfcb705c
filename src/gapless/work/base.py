"""What the runner asks of work; one file for each kind beside this one.

Two families. *Collecting*, and whatever else makes the rows of a dataset, has the coverage as its ledger. A *chore*
goes over what is stored; its ledger is the proof of its own job: what it has gone over since the job was made. Both are
done page by page, and all that a page does is one transaction under the segment's fence.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from gapless.core.dataset import Dataset
from gapless.core.pacing import Limit
from gapless.core.page import Ask, Page, Shape
from gapless.core.paging import Window
from gapless.core.segment import Lease
from gapless.core.span import Instant, Span
from gapless.store.database import Tx


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request that is about to leave, and the frontier as it was then."""

    ask: Ask
    now: Instant
    is_backward: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """What a segment still misses, next to where its cursor is; without spans nothing is left at all."""

    spans: list[Span]
    is_backward: bool
    #: Cells that this segment may not ask for.
    given_up: list[Span]


#: What else is done in the transaction of a page, with what is left after it.
Also = Callable[[Tx, Left], None]


def nothing_else(tx: Tx, left: Left) -> None:
    """What is done where nothing was asked for."""


class Work(Protocol):
    """The work of one segment, for as long as one slot runs it."""

    @property
    def dataset(self) -> Dataset:
        """Whose grid the segment lies on."""
        ...

    @property
    def shape(self) -> Shape:
        """How much one page holds."""
        ...

    def look(self, tx: Tx, lease: Lease, now: Instant, suspects: Sequence[Span] = ()) -> Left:
        """What the segment still misses; raises `LeaseLost`. `suspects` are cells that wait to be given up."""
        ...

    def ask(self, left: Left, series: str, window: Window, now: Instant) -> Asked | None:
        """The next page to fetch, or None when nothing is missing that may be asked for."""
        ...

    def fetch(self, asked: Asked) -> Page:
        """Do what takes time, outside any transaction: send the request, compute. Raises a `SourceError`."""
        ...

    def keep(
        self, asked: Asked, page: Page, lease: Lease, now: Instant, *, requests: int, also: Also = nothing_else
    ) -> Left:
        """Commit a page under its lease; raises `LeaseLost`. Returns what the segment misses after it.

        `also` follows in the same transaction; it is not called where nothing is committed.
        """
        ...

    def cut(self, page: Page, asked: Asked) -> Page:
        """A page without what may still change."""
        ...

    def window(self, window: Window, asked: Asked, page: Page) -> Window:
        """The window after a good page."""
        ...

    def remaining(self, tx: Tx, lease: Lease, now: Instant) -> list[Span]:
        """What the running segment still misses: enough to decide where to cut it."""
        ...


class Chore(Protocol):
    """A kind of work over what is stored. One object serves all segments of its kind, from several threads at once."""

    def check(self) -> None:
        """Raise `UsageError` when a setting is missing without which it cannot begin."""
        ...

    def shape(self, dataset: Dataset, series: str) -> Shape:
        """How many cells one page goes over."""
        ...

    def limit(self, dataset: Dataset) -> Limit:
        """The budget that its pages count against; `OWN` where it asks no provider."""
        ...

    def work(self, lease: Lease, dataset: Dataset) -> Work:
        """The work of one segment. The wish's parameters are in the lease."""
        ...


#: The budget of work that asks no provider.
OWN = Limit(key="own/compute", rate=None)
