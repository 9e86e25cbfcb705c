"""Bring series of another history here, stretch by stretch: rows and their ledger in one transaction.

The other history is only read, in one consistent view a stretch, and may go on being written to. Where it is stands in
the job without a password: PostgreSQL's own ways (PGPASSFILE, PGPASSWORD) give one to whichever worker does the work.
"""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import dataclass

from gapless.core.dataset import Dataset
from gapless.core.errors import HoldJob, StoreError, StoreLost, TryAgain, UsageError
from gapless.core.segment import Lease
from gapless.core.span import Span
from gapless.store import copies, coverage, transfers
from gapless.store.database import Tx
from gapless.store.store import Store
from gapless.store.transfers import Load
from gapless.work.migrate import periods
from gapless.work.stretches import Effect

#: What jobs call it.
COPY = "copy"
#: Periods of a stretch; of fewer, where a period has many records.
MANY, FEW = 20_000, 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Bring:
    """Copying series of another history."""

    store: Store

    def cells(self, dataset: Dataset) -> int:
        """As many as fit well into memory."""
        return periods(dataset, FEW if dataset.key else MANY)

    def go(self, dataset: Dataset, lease: Lease, span: Span) -> Effect:
        """Read what the other history covers of a stretch and this one does not; it is stored later."""
        segment = lease.segment
        with self.store.read() as tx:
            known = coverage.spans(tx, segment.series, span)
        brought = self._load(str(json.loads(segment.params)["source"]), dataset, segment.name, span, known)

        def effect(tx: Tx) -> int:
            return transfers.put(tx, dataset, segment.series, brought)

        return effect

    def _load(self, url: str, dataset: Dataset, name: str, span: Span, known: list[Span]) -> Load:
        try:
            with closing(other(url)) as source, source.read() as tx:
                return transfers.load(tx, dataset, name, span, known)
        except StoreLost as error:
            raise TryAgain(error.message, source="copy", hint="check that database") from None
        except (StoreError, UsageError) as error:
            raise HoldJob(error.message, source="copy", hint=f"{error.hint}, then `gapless jobs retry`") from None


def other(url: str) -> Store:
    """The history that is copied from; raises `UsageError` and `StoreError`."""
    return copies.existing(copies.place(url, "source"), "source")
