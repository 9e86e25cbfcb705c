"""A series of one history in another one: rows as they are, covered as far as they were there, with stored answers.

What the receiving history has been told itself stays: only spans that it does not cover are brought. Rows that nobody
vouches for give way to those that somebody does. Each span is read back and its seal compared before it counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gapless.core.dataset import Dataset
from gapless.core.errors import StoreError
from gapless.core.span import DAWN, Instant, Span, subtract
from gapless.store import coverage, pages, parts, payloads, rows
from gapless.store import series as ledger
from gapless.store.database import Tx
from gapless.store.parts import Sealing, Values


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What a stretch of a series holds in another history."""

    #: Covered spans with their rows, the series left out.
    covered: list[tuple[Span, list[Values]]]
    #: Rows that nobody vouches for there.
    loose: list[tuple[Span, list[Values]]]
    answers: list[dict[str, Any]]
    #: Nothing is before the first instant, as was said at the second.
    since: tuple[Instant | None, Instant | None]


EMPTY = Load(covered=[], loose=[], answers=[], since=(None, None))


def load(tx: Tx, dataset: Dataset, name: str, within: Span, known: Sequence[Span]) -> Load:
    """Read a stretch of a series but for the spans that are `known` elsewhere."""
    its = ledger.find(tx, dataset.name, name)
    if its is None:
        return EMPTY
    told = [part for one in coverage.spans(tx, its, within) if (part := one.clip(within))]
    new = subtract(told, known)
    loose = [(part, _read(tx, dataset, its, part)) for part in subtract([within], [*told, *known])]
    return Load(
        covered=[(part, _read(tx, dataset, its, part)) for part in new],
        loose=[(part, listed) for part, listed in loose if listed],
        answers=payloads.whole(tx, its, within) if new else [],
        since=ledger.since(tx, its),
    )


def _read(tx: Tx, dataset: Dataset, its: int, part: Span) -> list[Values]:
    batches = parts.batches(tx, parts.of_series(dataset, its, part))
    return [tuple(row[1:]) for batch in batches for row in batch]


def put(tx: Tx, dataset: Dataset, series: int, brought: Load) -> int:
    """Store what was read elsewhere; how many rows are new. Raises `StoreError` when it does not come out the same."""
    ledger.lock(tx, series)
    stored = 0
    for part, listed in brought.covered:
        # Somebody may have covered a piece of it since it was read.
        for free in subtract([part], coverage.spans(tx, series, part)):
            stored += _covered(tx, dataset, series, free, _inside(listed, free))
    for part, listed in brought.loose:
        for free in subtract([part], coverage.spans(tx, series, part)):
            stored += _loose(tx, dataset, series, free, _inside(listed, free))
    for one in brought.answers:
        payloads.add(tx, series, one)
    _note_start(tx, dataset, series, *brought.since)
    return stored


def _inside(listed: list[Values], part: Span) -> list[Values]:
    return [row for row in listed if row[0] in part]


def _covered(tx: Tx, dataset: Dataset, series: int, free: Span, listed: list[Values]) -> int:
    rows.delete(tx, dataset, series, free)
    part, sealing = parts.of_series(dataset, series, free), Sealing()
    for at in range(0, len(listed), parts.BATCH):
        batch = [(series, *row) for row in listed[at : at + parts.BATCH]]
        parts.write(tx, part, batch)
        sealing.add(batch)
    if parts.seal(tx, part) != sealing.seal():
        raise StoreError(
            f"{dataset.name}: what was read back of {free} is not what was written ({sealing.rows:,} rows)",
            hint="check disk and memory, then run the command again",
        )
    pages.vouch(tx, dataset, series, free)
    return len(listed)


def _loose(tx: Tx, dataset: Dataset, series: int, free: Span, listed: list[Values]) -> int:
    """Rows that nobody vouches for; what is there already stays."""
    width, part = 1 + len(dataset.key), parts.of_series(dataset, series, free)
    have = {tuple(row[1 : 1 + width]) for batch in parts.batches(tx, part) for row in batch}
    new = [(series, *row) for row in listed if tuple(row[:width]) not in have]
    for at in range(0, len(new), parts.BATCH):
        parts.write(tx, part, new[at : at + parts.BATCH])
    return len(new)


def _note_start(tx: Tx, dataset: Dataset, series: int, since: Instant | None, said_at: Instant | None) -> None:
    """That nothing is before the history's start is a fact as long as nothing older is stored."""
    mine, _ = ledger.since(tx, series)
    if since is None or mine is not None or since <= DAWN:
        return
    if rows.newest_in(tx, dataset, series, Span(DAWN, since)) is None:
        ledger.set_since(tx, series, since, said_at)
