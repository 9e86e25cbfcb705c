"""Another name for a series, and two series put together: rows, ledger, answers, and whatever else points at them."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Table, bindparam, delete, exists, select, update

from gapless.core.dataset import Dataset
from gapless.core.span import DAWN, DOOM, Instant, Span, iso, subtract
from gapless.store import coverage, pages, rows
from gapless.store import series as ledger
from gapless.store.database import Tx
from gapless.store.schema import finding, job_series, payload, proof, quarantine, segment, series, tally
from gapless.store.sql import Statement

_b = bindparam
EVER = Span(DAWN, DOOM)
_NAME = Statement(update(series).where(series.c.id == _b("its_series")).values(name=_b("its_name")))


def _moving(table: Table) -> Statement:
    return Statement(update(table).where(table.c.series == _b("old")).values(series=_b("new")))


def _dropping(table: Table, column: str = "series") -> Statement:
    return Statement(delete(table).where(table.c[column] == _b("old")))


_twin_job, _twin_answer = job_series.alias(), payload.alias()
_same_answer = (
    _twin_answer.c.series == _b("new"),
    _twin_answer.c.name == payload.c.name,
    _twin_answer.c.version == payload.c.version,
)
#: In this order: what both have is kept once.
_ABSORB = [
    Statement(
        delete(job_series).where(
            job_series.c.series == _b("old"),
            exists().where(_twin_job.c.series == _b("new"), _twin_job.c.job == job_series.c.job),
        )
    ),
    Statement(delete(payload).where(payload.c.series == _b("old"), exists().where(*_same_answer))),
    *(_moving(one) for one in (job_series, payload, segment, finding, quarantine)),
    *(_dropping(one) for one in (tally, proof)),
    _dropping(series, "id"),
]
_ANSWER_CLASH = Statement(
    select(payload.c.name)
    .where(
        payload.c.series == _b("old"),
        exists().where(*_same_answer, _twin_answer.c.body != payload.c.body),
    )
    .limit(1)
)


@dataclass(frozen=True, slots=True)
class Clash:
    """Where two series say different things, and what."""

    at: Instant
    why: str

    def __str__(self) -> str:
        return f"{self.why} {iso(self.at)}"


def rename(tx: Tx, its: int, name: str) -> None:
    """Give a series another name, which nobody else has."""
    tx.run(_NAME, its_series=its, its_name=name)


def is_empty(tx: Tx, dataset: Dataset, its: int) -> bool:
    """Whether nothing is stored under a series: no row, nothing covered."""
    return rows.bounds(tx, dataset, its) is None and coverage.ends(tx, its) is None


def reach(tx: Tx, dataset: Dataset, its: int) -> Span | None:
    """From the first row or covered instant of a series to the last, on the grid."""
    grid = dataset.grid
    have, known = rows.bounds(tx, dataset, its), coverage.ends(tx, its)
    found = [
        *([Span(grid.floor(have[0]), grid.add(grid.floor(have[1]), 1))] if have else []),
        *([known] if known else []),
    ]
    return Span(min(one.start for one in found), max(one.end for one in found)) if found else None


def clash(tx: Tx, dataset: Dataset, old: int, new: int, within: Span = EVER) -> Clash | None:
    """The first contradiction between two series: rows of one key that differ, or a row where the other has none.

    Only a covered span without a row says that there is none.
    """
    differ = _first(tx, dataset, old, new, within, _differing(tx, dataset))
    if differ is not None:
        return Clash(differ, "their rows differ at")
    for one, other in ((old, new), (new, old)):
        for known in coverage.spans(tx, other, within):
            part = known.clip(within)
            alone = _first(tx, dataset, one, other, part, f"NOT {_twin(dataset)}") if part else None
            if alone is not None:
                return Clash(alone, "one has a row and the other is known to have none at")
    answer = tx.value(_ANSWER_CLASH, old=old, new=new)
    return None if answer is None else Clash(within.start, f"their stored answers {answer!r} differ, seen from")


def move(tx: Tx, dataset: Dataset, old: int, new: int, within: Span) -> int:
    """Bring what two series without a clash have in `within` under the new one; how many rows came over."""
    for one in sorted((old, new)):
        ledger.lock(tx, one)
    known = [part for one in coverage.spans(tx, old, within) if (part := one.clip(within))]
    pages.withdraw(tx, dataset, old, within)
    table, mine = dataset.table, f"a.series = {int(old)} AND {rows.between(tx, within, 'a')}"
    tx.cursor.execute(f"DELETE FROM {table} AS a WHERE {mine} AND {_twin(dataset).format(other=int(new))}")
    tx.cursor.execute(f"UPDATE {table} AS a SET series = {int(new)} WHERE {mine}")
    moved = int(tx.cursor.rowcount)
    for part in subtract(known, coverage.spans(tx, new, within)):
        pages.vouch(tx, dataset, new, part)
    return moved


def absorb(tx: Tx, old: int, new: int) -> None:
    """Let everything that points at an emptied series point at another one, and forget the emptied one."""
    (since, said_at), (mine, _) = ledger.since(tx, old), ledger.since(tx, new)
    if since is not None and (mine is None or since < mine):
        ledger.set_since(tx, new, since, said_at)
    for statement in _ABSORB:
        tx.run(statement, old=old, new=new)


def _twin(dataset: Dataset, more: str = "") -> str:
    """The condition that the series `other` has a row of the same key."""
    same = " AND ".join(f'a."{name}" = b."{name}"' for name in ("time", *dataset.key))
    return f"EXISTS (SELECT 1 FROM {dataset.table} AS b WHERE b.series = {{other}} AND {same}{more})"


def _differing(tx: Tx, dataset: Dataset) -> str:
    """The condition that the series `other` has another row of the same key."""
    rest = [name for name in rows.names(dataset) if name != "time" and name not in dataset.key]
    mine, theirs = (", ".join(f'{side}."{name}"' for name in rest) for side in ("a", "b"))
    differs = "IS NOT" if tx.name == "sqlite" else "IS DISTINCT FROM"
    return _twin(dataset, f" AND ({mine}) {differs} ({theirs})" if rest else " AND 1 = 0")


def _first(tx: Tx, dataset: Dataset, one: int, other: int, within: Span, condition: str) -> Instant | None:
    """The time of the first row of `one` in `within` that meets a condition about the series `other`."""
    tx.cursor.execute(
        f"SELECT {rows.micros(tx, 'a.time')} FROM {dataset.table} AS a WHERE a.series = {int(one)}"
        f" AND {rows.between(tx, within, 'a')} AND {condition.format(other=int(other))} ORDER BY a.time LIMIT 1"
    )
    row = tx.cursor.fetchone()
    return None if row is None else int(row[0])
