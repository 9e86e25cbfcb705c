"""The ledger: spans that the source has answered for, kept merged, and what jobs of mode all have proven.

Every change happens under the lock of the series (`series.lock`).
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Table, bindparam, delete, exists, func, insert, select, update

from gapless.core.span import DAWN, DOOM, Instant, Span, subtract
from gapless.store.database import Tx
from gapless.store.schema import coverage, proof, quarantine, tally
from gapless.store.schema import series as series_table
from gapless.store.sql import Statement

_b = bindparam
#: Most ranges looked at to choose one request: a page of 200 cells can touch no more.
NEAR = 256


class _Ledger:
    """The statements of one table of spans, addressed by `job` too where it has that column."""

    def __init__(self, table: Table) -> None:
        self.keys = [name for name in ("job", "series") if name in table.c]
        mine = [table.c[name] == _b(name) for name in self.keys]
        # Spans never overlap: of all that start before `lo` only the last can reach it. So the index bounds the look.
        before = table.alias("before")
        last = (
            select(func.max(before.c.start))
            .where(*[before.c[name] == _b(name) for name in self.keys], before.c.start <= _b("lo"))
            .scalar_subquery()
        )
        mine_from = [*mine, table.c.start >= func.coalesce(last, _b("lo"))]
        touching = [*mine_from, table.c.start <= _b("hi"), table.c.end >= _b("lo")]
        inside = [*mine_from, table.c.start < _b("hi"), table.c.end > _b("lo")]
        columns: Any = [table.c.start, table.c.end]
        self.touching = Statement(select(*columns).where(*touching).order_by(table.c.start))
        self.inside = Statement(select(*columns).where(*inside).order_by(table.c.start))
        self.newest = Statement(select(*columns).where(*inside).order_by(table.c.start.desc()).limit(NEAR))
        self.oldest = Statement(select(*columns).where(*inside).order_by(table.c.start).limit(NEAR))
        self.delete = Statement(delete(table).where(*mine, table.c.start >= _b("first"), table.c.start <= _b("last")))
        values: dict[str, Any] = {name: _b(name) for name in [*self.keys, "start", "end"]}
        self.move = Statement(
            update(table).where(*mine, table.c.start == _b("first")).values(start=_b("new_start"), end=_b("new_end"))
        )
        self.insert = Statement(insert(table).values(**values))
        self.forget = Statement(delete(table).where(*mine))

    def key(self, series: int, job: int | None) -> dict[str, int]:
        return {"series": series} if job is None else {"series": series, "job": job}


_FIRST = Statement(
    select(coverage.c.start).where(coverage.c.series == _b("series")).order_by(coverage.c.start).limit(1)
)
_LAST = Statement(
    select(coverage.c.end).where(coverage.c.series == _b("series")).order_by(coverage.c.start.desc()).limit(1)
)
_TALLIED = Statement(select(func.coalesce(func.sum(tally.c.rows), 0)).where(tally.c.series == _b("series")))
_COVERAGE = _Ledger(coverage)
_PROOF = _Ledger(proof)
_PROVEN = Statement(
    select(series_table.c.name, proof.c.start, proof.c.end)
    .join(series_table, series_table.c.id == proof.c.series)
    .where(proof.c.job == _b("job"))
    .order_by(proof.c.series, proof.c.start)
)
_WHOLE = Statement(
    select(series_table.c.name)
    .join(coverage, coverage.c.series == series_table.c.id)
    .where(
        series_table.c.dataset == _b("its_dataset"),
        coverage.c.start <= _b("lo"),
        coverage.c.end >= _b("hi"),
        ~exists().where(
            quarantine.c.series == series_table.c.id, quarantine.c.start < _b("hi"), quarantine.c.end > _b("lo")
        ),
    )
)


def _ledger(job: int | None) -> _Ledger:
    return _COVERAGE if job is None else _PROOF


def spans(tx: Tx, series: int, within: Span | None = None, *, job: int | None = None) -> list[Span]:
    """Covered spans that overlap `within`, whole and in order; with `job` what that job has proven."""
    ledger = _ledger(job)
    lo, hi = (within.start, within.end) if within else (DAWN, DOOM)
    return [Span(*row) for row in tx.rows(ledger.inside, **ledger.key(series, job), lo=lo, hi=hi)]


def proven(tx: Tx, job: int) -> dict[str, list[Span]]:
    """What a job has proven, in order, by the names of those of its series of which it has proven something."""
    found: dict[str, list[Span]] = {}
    for name, start, end in tx.rows(_PROVEN, job=job):
        found.setdefault(str(name), []).append(Span(start, end))
    return found


def whole(tx: Tx, dataset: str, span: Span) -> set[str]:
    """Names of the series of a dataset that are covered from end to end of a span, with nothing in it given up."""
    return {str(name) for (name,) in tx.rows(_WHOLE, its_dataset=dataset, lo=span.start, hi=span.end)}


def ends(tx: Tx, series: int) -> Span | None:
    """From the first to the last covered instant, whatever lies between; None where nothing is covered."""
    first, last = tx.value(_FIRST, series=series), tx.value(_LAST, series=series)
    return None if first is None else Span(first, last)


def tallied(tx: Tx, series: int) -> int:
    """Rows inside coverage, as counted when they were stored."""
    return int(tx.value(_TALLIED, series=series))


def near(
    tx: Tx, series: int, within: Span, *, backward: bool, job: int | None = None
) -> tuple[list[Span], Instant | None]:
    """Covered spans of `within` next to its newest (or oldest) end.

    Returns them in order, and the instant beyond which no look was taken (None: all are there).
    """
    ledger = _ledger(job)
    statement = ledger.newest if backward else ledger.oldest
    found = [Span(*row) for row in tx.rows(statement, **ledger.key(series, job), lo=within.start, hi=within.end)]
    if backward:
        found.reverse()
    if len(found) < NEAR:
        return found, None
    return found, found[0].start if backward else found[-1].end


def neighbours(tx: Tx, series: int, proven: Span, *, job: int | None = None) -> list[Span]:
    """Covered spans that overlap or touch a span, in order."""
    ledger = _ledger(job)
    found = tx.rows(ledger.touching, **ledger.key(series, job), lo=proven.start, hi=proven.end)
    return [Span(*row) for row in found]


def extend(tx: Tx, series: int, proven: Span, *, job: int | None = None, touching: list[Span] | None = None) -> Span:
    """Add a proven span, merging with its neighbours (read unless given); returns the span that holds it now."""
    ledger = _ledger(job)
    key = ledger.key(series, job)
    if touching is None:
        touching = neighbours(tx, series, proven, job=job)
    if len(touching) == 1 and touching[0].start <= proven.start and proven.end <= touching[0].end:
        return touching[0]
    start, end = proven.start, proven.end
    if touching:
        start, end = min(start, touching[0].start), max(end, touching[-1].end)
    if len(touching) == 1:
        tx.run(ledger.move, **key, first=touching[0].start, new_start=start, new_end=end)
        return Span(start, end)
    if touching:
        tx.run(ledger.delete, **key, first=touching[0].start, last=touching[-1].start)
    tx.run(ledger.insert, **key, start=start, end=end)
    return Span(start, end)


def withdraw(tx: Tx, series: int, lost: Span) -> None:
    """Take a span back: it counts as missing again."""
    ledger = _COVERAGE
    touched = spans(tx, series, lost)
    if not touched:
        return
    tx.run(ledger.delete, series=series, first=touched[0].start, last=touched[-1].start)
    for part in subtract(touched, [lost]):
        tx.run(ledger.insert, series=series, start=part.start, end=part.end)
