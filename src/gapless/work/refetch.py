"""Let rows be fetched again that have nothing in a new column: the ledger forgets them, stretch by stretch.

The rows stay until they are told anew, so that they can be read meanwhile. What the source has forgotten stays covered:
it could not be had again.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from gapless.core.clock import Clock
from gapless.core.dataset import Dataset
from gapless.core.segment import Lease
from gapless.core.span import Span, subtract
from gapless.store import columns, coverage, pages
from gapless.store.database import Tx
from gapless.store.store import Store
from gapless.work.migrate import periods
from gapless.work.reparse import STRETCH
from gapless.work.stretches import Effect

#: What jobs call it.
REFETCH = "refetch"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refetch:
    """Taking back what a new column is empty in."""

    store: Store
    clock: Clock

    def cells(self, dataset: Dataset) -> int:
        """A thousand periods."""
        return periods(dataset, STRETCH)

    def go(self, dataset: Dataset, lease: Lease, span: Span) -> Effect:
        """Take a stretch back; all of it is done in its transaction."""
        segment, names = lease.segment, list(json.loads(lease.segment.params)["columns"])
        gone = dataset.unavailable(self.clock.now(), segment.name)

        def effect(tx: Tx) -> int:
            taken = 0
            known = [part for one in coverage.spans(tx, segment.series, span) if (part := one.clip(span))]
            for part in subtract(known, [gone] if gone else []):
                ends = columns.unfilled(tx, dataset, segment.series, part, names)
                if ends is None:
                    continue
                grid = dataset.grid
                lost = Span(grid.floor(ends[0]), grid.add(grid.floor(ends[1]), 1))
                pages.withdraw(tx, dataset, segment.series, lost)
                taken += grid.count(lost.start, lost.end)
            return taken

        return effect
