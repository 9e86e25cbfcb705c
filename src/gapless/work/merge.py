"""Bring one series under the name of another, stretch by stretch: rows and their ledger move together.

At every instant each row is under one name, and covered there as it was before. When nothing is left under the old name
the stretch that took the last of it forgets the name. What contradicts itself is not moved.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from gapless.core.clock import Clock
from gapless.core.dataset import Dataset
from gapless.core.errors import HoldJob
from gapless.core.job import Kind
from gapless.core.segment import Lease
from gapless.core.span import Span
from gapless.store import events, jobs, renames
from gapless.store import series as ledger
from gapless.store.database import Tx
from gapless.store.store import Store
from gapless.work.migrate import periods
from gapless.work.reparse import STRETCH
from gapless.work.stretches import Effect

#: What jobs call it.
MERGE = "merge"


@dataclass(frozen=True, slots=True, kw_only=True)
class Merge:
    """Moving the rows of one series under another."""

    store: Store
    clock: Clock

    def cells(self, dataset: Dataset) -> int:
        """A thousand periods."""
        return periods(dataset, STRETCH)

    def go(self, dataset: Dataset, lease: Lease, span: Span) -> Effect:
        """Look whether a stretch can be moved; raises `HoldJob` where both would not be true under one name."""
        segment = lease.segment
        name = str(json.loads(segment.params)["from"])
        with self.store.read() as tx:
            old = ledger.find(tx, dataset.name, name)
            self._check(tx, dataset, name, segment.job)
            found = None if old is None else renames.clash(tx, dataset, old, segment.series, span)
        if found is not None:
            raise HoldJob(
                f"{name} and {segment.name} cannot be one series: {found}",
                source=dataset.source,
                hint="what was moved stays; mend one of them, then `gapless jobs retry`",
            )

        def effect(tx: Tx) -> int:
            old = ledger.find(tx, dataset.name, name)
            if old is None:
                return 0
            for one in sorted((old, segment.series)):
                ledger.lock(tx, one)
            found = renames.clash(tx, dataset, old, segment.series, span)
            if found is not None:
                # Somebody wrote in between: what is not moved stays where it is, and the command tells so.
                events.add(tx, self.clock.now(), "series.unmoved", str(found), job=segment.job, level="error")
                return 0
            moved = renames.move(tx, dataset, old, segment.series, span)
            if renames.is_empty(tx, dataset, old) and not jobs.at_work(tx, dataset.name, name):
                renames.absorb(tx, old, segment.series)
                events.add(tx, self.clock.now(), "series.merged", f"{name} is {segment.name} now", job=segment.job)
            return moved

        return effect

    def _check(self, tx: Tx, dataset: Dataset, name: str, job: int) -> None:
        """Nobody else may be writing under the old name."""
        others = [one.id for one in jobs.at_work(tx, dataset.name, name) if one.id != job and one.kind != Kind.MIGRATE]
        if others:
            raise HoldJob(
                f"job {others[0]} works on {name}", source=dataset.source, hint="let it end, then `gapless jobs retry`"
            )
