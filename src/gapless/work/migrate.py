"""Migrations of what is stored, by the `verb` that their job names."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from gapless.core.dataset import Dataset
from gapless.core.errors import UsageError
from gapless.core.grid import Steps
from gapless.core.pacing import Limit
from gapless.core.page import Shape
from gapless.core.segment import Lease
from gapless.core.span import Span
from gapless.store.store import Store
from gapless.work.base import OWN
from gapless.work.reparse import STRETCH
from gapless.work.stretches import Effect, Stretches


class Verb(Protocol):
    """One of them."""

    def cells(self, dataset: Dataset) -> int:
        """Most cells that one transaction goes over."""
        ...

    def go(self, dataset: Dataset, lease: Lease, span: Span) -> Effect:
        """Go over a stretch of a series, and say what is to be changed."""
        ...


def periods(dataset: Dataset, number: int) -> int:
    """So many periods of a dataset in cells of its grid: a grid of seconds has many in a day."""
    if not isinstance(dataset.grid, Steps):
        return number
    return max(1, dataset.period // timedelta(microseconds=1) // dataset.grid.step) * number


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
            shape=Shape(rows=verb.cells(dataset), jumps_back=False),
            lease=lease,
            go=lambda its, span: verb.go(dataset, its, span),
        )
