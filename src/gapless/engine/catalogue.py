"""Which dataset comes from which source, and which budget its requests count against."""

from __future__ import annotations

import difflib
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gapless.core.dataset import Dataset
from gapless.core.errors import UsageError
from gapless.core.events import EVENTS
from gapless.core.job import Kind
from gapless.core.pacing import Limit
from gapless.core.page import Shape
from gapless.core.reports import REPORTS
from gapless.sources.base import Source
from gapless.work.base import Chore

#: Datasets that no source tells.
IMPORTED = (EVENTS,)


class Catalogue:
    """The sources of this process. `scopes` names whose limit a source's is: a credential or an egress address."""

    def __init__(
        self,
        sources: Mapping[str, Source],
        *,
        scopes: Mapping[str, str],
        rates: Mapping[str, float | None],
        dailies: Mapping[str, int | None] | None = None,
        chores: Mapping[Kind, Callable[[], Chore]] | None = None,
    ) -> None:
        self.sources = sources
        self._scopes = scopes
        self._rates = rates
        self._dailies = dailies or {}
        #: What makes the work over stored rows, by its kind: once, when it is first wanted.
        self.chores = dict(chores or {})
        self._made: dict[Kind, Chore] = {}
        self._making = threading.Lock()
        self.datasets = {name: one for source in sources.values() for name, one in source.datasets.items()}
        self.datasets |= {one.name: one for one in IMPORTED}

    def dataset(self, name: str) -> Dataset:
        """A dataset by name; raises `UsageError` with the nearest names."""
        # What reports are about is nothing to be read: it is listed nowhere.
        found = REPORTS if name == REPORTS.name else self.datasets.get(str(name))
        if found is None:
            near = difflib.get_close_matches(str(name), self.datasets, n=3, cutoff=0.5)
            hint = f"did you mean {' or '.join(near)}?" if near else "`gapless datasets` lists them"
            raise UsageError(f"dataset: there is no {name}", field="dataset", hint=hint)
        return found

    def series(self, dataset: Dataset, names: list[str], report: str = "") -> tuple[str, ...]:
        """Series ids, each checked for its form and kept once; raises `UsageError`.

        A bare name gets the variant `report`, or the dataset's first one.
        """
        if report and report not in dataset.variants:
            known = ", ".join(f"{code} ({one.doc})" for code, one in dataset.variants.items())
            hint = f"give one of: {known}" if known else f"{dataset.name} has no reports; leave it out"
            raise UsageError(f"report: {report!r} is unknown", field="report", hint=hint)
        given: Sequence[Any] = names
        wrong = [name for name in given if not isinstance(name, str)]
        if wrong:
            hint = f"give names, for example {dataset.example}"
            raise UsageError(f"series: {wrong[0]!r} is no name", field="series", hint=hint)
        if dataset.variants:
            usual = report or next(iter(dataset.variants))
            names = [name if "/" in name else f"{name}/{usual}" for name in names]
        if not names:
            raise UsageError("series: none is given", field="series", hint=f"for example {dataset.example}")
        for name in names:
            if not dataset.is_series(name):
                raise UsageError(
                    f"series: {name!r} cannot be one of {dataset.name}",
                    field="series",
                    hint=f"it looks like {dataset.example}",
                )
        return tuple(dict.fromkeys(names))

    def source(self, dataset: Dataset) -> Source:
        """Where a dataset comes from."""
        found = self.sources.get(dataset.source)
        if found is None:
            raise UsageError(
                f"dataset: {dataset.name} is imported, not fetched",
                field="dataset",
                hint="`gapless enrich import` adds to it, `gapless read --no-fill` shows it",
            )
        return found

    def chore(self, kind: Kind) -> Chore:
        """What does a kind of work over stored rows; raises `UsageError`."""
        maker = self.chores.get(kind)
        if maker is None:
            raise UsageError(f"kind: this version cannot {kind}", field="kind", hint="bring all workers to one version")
        with self._making:
            found = self._made.get(kind)
            if found is None:
                found = self._made[kind] = maker()
        return found

    def shape(self, dataset: Dataset, series: str, kind: Kind) -> Shape:
        """How much of a series one page of a kind of work holds."""
        return (self.chore(kind) if kind.is_chore else self.source(dataset)).shape(dataset, series)

    def check(self, dataset: Dataset, kind: Kind) -> None:
        """Raise `UsageError` when a setting is missing without which work of a kind cannot begin."""
        (self.chore(kind) if kind.is_chore else self.source(dataset)).check()

    def limit(self, dataset: Dataset, kind: Kind = Kind.COLLECT) -> Limit:
        """The budget of work on a dataset: the source's limit under its scope, or the chore's own."""
        if kind.is_chore:
            return self.chore(kind).limit(dataset)
        source = self.source(dataset)
        return self.budget(source.name, source.limit(dataset))

    def budget(self, source: str, said: Limit) -> Limit:
        """The limit that a source says, under its scope and with the settings' rate and quota."""
        scope = self._scopes.get(source, "")
        return Limit(
            key=f"{said.key}@{scope}" if scope else said.key,
            rate=self._rates.get(source, said.rate),
            daily=self._dailies.get(source, said.daily),
            reset_offset=said.reset_offset,
            by_second=said.by_second,
        )
