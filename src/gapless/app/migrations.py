"""Migrations as people ask for them: what is to be done, what it would change, and the job that does it."""

from __future__ import annotations

import json
from collections.abc import Sequence

from gapless.app.history import Gapless
from gapless.app.parts import owner
from gapless.core.dataset import Dataset
from gapless.core.errors import UsageError
from gapless.core.job import Direction, Kind, Mode, Wish
from gapless.core.span import Span
from gapless.store import payloads
from gapless.store import series as ledger
from gapless.store.database import Tx
from gapless.store.payloads import Kept
from gapless.work.reparse import REPARSE, Changed, Reparse


class _Rehearsed(Exception):
    """What a transaction would have changed: no error, it takes it back."""

    def __init__(self, changed: Changed) -> None:
        super().__init__(changed)
        self.changed = changed


def reparse(history: Gapless) -> Reparse:
    """What reads stored answers again."""
    return Reparse(store=history.store, clock=history.clock, source=history.catalogue.source)


def kept(history: Gapless, dataset: Dataset, names: Sequence[str], report: str = "") -> list[Kept]:
    """Series with stored answers, of all or of those named; raises `UsageError`."""
    reparse(history).reader(dataset)
    asked = history.catalogue.series(dataset, list(names), report) if names else ()
    with history.store.read() as tx:
        found = payloads.held(tx, dataset.name, dataset.parser)
    if not asked:
        return found
    known = {one.series: one for one in found}
    for name in asked:
        if name not in known:
            raise UsageError(
                f"series: no answer of {name} is stored", field="series", hint=f"`gapless fill {dataset.name} {name}`"
            )
    return [known[name] for name in asked]


def reparse_wish(dataset: Dataset, found: Sequence[Kept]) -> Wish:
    """Read the outdated answers of these series (not none) again."""
    return Wish(
        owner=owner(),
        kind=Kind.MIGRATE,
        dataset=dataset.name,
        series=tuple(one.series for one in found),
        span=Span(min(one.span.start for one in found), max(one.span.end for one in found)),
        mode=Mode.ALL,
        direction=Direction.FORWARD,
        # What is fetched meanwhile does not make it another wish.
        said=f"parser {dataset.parser}",
        params=json.dumps({"verb": REPARSE}),
    )


def rehearse(history: Gapless, dataset: Dataset, found: Sequence[Kept]) -> Changed:
    """What a reparse would change: all of it is done, series by series, and taken back."""
    work, total = reparse(history), Changed()
    for one in found:
        if not one.outdated:
            continue
        with history.store.read() as tx:
            series_id = ledger.find(tx, dataset.name, one.series)
        assert series_id is not None, one.series
        read = work.read(dataset, one.series, series_id, one.span)

        def put(tx: Tx, its: int = series_id, read: list = read) -> None:  # type: ignore[type-arg]
            raise _Rehearsed(work.put(tx, dataset, its, read))

        try:
            history.store.write(put, isolated=True)
        except _Rehearsed as done:
            total += done.changed
    return total
