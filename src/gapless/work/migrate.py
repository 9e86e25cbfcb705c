"""Migrations of what is stored, by the `verb` that their job names."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gapless.core.dataset import Dataset
from gapless.core.errors import UsageError
from gapless.core.pacing import Limit
from gapless.core.page import Shape
from gapless.core.segment import Lease
from gapless.core.span import Span
from gapless.store.store import Store
from gapless.work.base import OWN
from gapless.work.reparse import STRETCH
from gapless.work.stretches import Effect, Stretches

#: Goes over a stretch of a series, and says what is to be changed.
Verb = Callable[[Dataset, Lease, Span], Effect]


@dataclass(frozen=True, slots=True, kw_only=True)
class Migrate:
    """All of them: each goes over series stretch by stretch and asks no provider."""

    store: Store
    verbs: Mapping[str, Verb]

    def check(self) -> None:
        """Nothing is needed."""

    def shape(self, dataset: Dataset, series: str) -> Shape:  # noqa: ARG002
        """A thousand periods at a time."""
        return Shape(rows=STRETCH, jumps_back=False)

    def limit(self, dataset: Dataset) -> Limit:  # noqa: ARG002
        """It has a budget of its own, without a limit."""
        return OWN

    def work(self, lease: Lease, dataset: Dataset) -> Stretches:
        """The work of one segment; raises `UsageError` for a verb of another version."""
        word = json.loads(lease.segment.params).get("verb")
        verb = self.verbs.get(word)
        if verb is None:
            raise UsageError(f"verb: this version cannot {word}", field="verb", hint="bring all workers to one version")
        return Stretches(
            store=self.store,
            dataset=dataset,
            shape=self.shape(dataset, lease.segment.name),
            lease=lease,
            go=lambda its, span: verb(dataset, its, span),
        )
