"""Series of another history, copied into this one: what would come, the job that brings it, and whether it came."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from gapless.core.dataset import Dataset
from gapless.core.errors import UsageError
from gapless.core.grid import cells
from gapless.core.job import Direction, Kind, Mode, Wish
from gapless.core.span import Span, intersect, subtract
from gapless.store import coverage, parts, renames, rows
from gapless.store import series as ledger
from gapless.store.database import Tx
from gapless.store.sqlite import SQLite
from gapless.store.store import Store
from gapless.work.bring import COPY, other

if TYPE_CHECKING:
    from gapless.app.history import Gapless
    from gapless.app.orders import When


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """How a series stands in both histories, in the span of a copy."""

    series: str
    #: Rows of the other history.
    rows: int
    #: Periods that only the other one covers, and that both cover.
    new: int
    both: int
    #: Spans that both cover, and in which they tell something else: ours stays.
    differs: tuple[Span, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bringing:
    """What is to be copied."""

    source: str
    dataset: Dataset
    series: tuple[str, ...]
    span: Span
    said: str = ""


def look(
    history: Gapless,
    source: str,
    dataset: Dataset,
    names: Sequence[str],
    start: When | None = None,
    end: When | None = None,
    days: float | None = None,
) -> Bringing:
    """What the other history holds of a dataset: of all series, of all time, or of those named. Raises `UsageError`."""
    if dataset.is_computed:
        raise UsageError(
            f"dataset: rows of {dataset.name} name the job that computed them",
            field="dataset",
            hint="copy its inputs, then `gapless compute`; `gapless db copy` takes a whole history",
        )
    if "://" in source and urlsplit(source).password:
        raise UsageError(
            "source: the address holds a password, and the job would keep it",
            field="source",
            hint="leave it out; PGPASSFILE (~/.pgpass) or PGPASSWORD gives it",
        )
    with closing(other(source)) as there, there.read() as tx:
        if _is_same(there, history.store):
            raise UsageError("source: is the history itself", field="source", hint="name another")
        known = ledger.names(tx, dataset.name) if dataset.table in parts.tables(tx) else []
        asked = list(history.catalogue.series(dataset, list(names))) if names else known
        lacking = sorted(set(asked) - set(known))
        reaches = {name: one for name in asked if name in known and (one := _reach(tx, dataset, name))}
        url = there.url
    if lacking or not reaches:
        raise UsageError(
            f"series: {there.address} has nothing of {', '.join(lacking) or dataset.name}",
            field="series",
            hint=f"it has: {', '.join(known[:10]) or 'none'}",
        )
    if start is None and days is None and end is None:
        whole = Span(min(one.start for one in reaches.values()), max(one.end for one in reaches.values()))
        return Bringing(source=url, dataset=dataset, series=tuple(reaches), span=whole)
    span, said = history.span(dataset, start, end, days, list(reaches))
    return Bringing(source=url, dataset=dataset, series=tuple(reaches), span=span, said=said)


def _reach(tx: Tx, dataset: Dataset, name: str) -> Span | None:
    its = ledger.find(tx, dataset.name, name)
    return None if its is None else renames.reach(tx, dataset, its)


def _is_same(one: Store, mine: Store) -> bool:
    if isinstance(one.database, SQLite) and isinstance(mine.database, SQLite):
        return one.database.path.resolve() == mine.database.path.resolve()
    return one.url == mine.url or one.address == mine.address


def copy_wish(history: Gapless, found: Bringing) -> Wish:
    """Bring it."""
    return Wish(
        owner=history.actor.name,
        kind=Kind.MIGRATE,
        dataset=found.dataset.name,
        series=found.series,
        span=found.span,
        mode=Mode.ALL,
        direction=Direction.FORWARD,
        said=found.said,
        params=json.dumps({"verb": COPY, "source": found.source}),
    )


def compare(history: Gapless, found: Bringing) -> list[Difference]:
    """Each series in both histories: by count and by a hash over the rows of every span that both cover."""
    with closing(other(found.source)) as there, there.read() as theirs, history.store.read() as ours:
        return [_compared(theirs, ours, found, name) for name in found.series]


def _compared(theirs: Tx, ours: Tx, found: Bringing, name: str) -> Difference:
    dataset, span = found.dataset, found.span
    its, mine = ledger.find(theirs, dataset.name, name), ledger.find(ours, dataset.name, name)
    assert its is not None, name
    told = [part for one in coverage.spans(theirs, its, span) if (part := one.clip(span))]
    known = [] if mine is None else coverage.spans(ours, mine, span)
    both = intersect(told, known)
    return Difference(
        series=name,
        rows=rows.count(theirs, dataset, its, span),
        new=cells(dataset.grid, subtract(told, known)),
        both=cells(dataset.grid, both),
        differs=tuple(
            part
            for part in both
            if mine is not None and rows.content(theirs, dataset, its, part) != rows.content(ours, dataset, mine, part)
        ),
    )
