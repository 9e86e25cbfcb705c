"""Columns of data tables against those that their dataset declares: told, added, dropped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gapless.core.dataset import Column, Dataset, Type
from gapless.core.errors import StoreError
from gapless.core.span import Instant, Span
from gapless.store import rows
from gapless.store.database import Tx


@dataclass(frozen=True, slots=True)
class Misfit:
    """How a data table differs from its dataset."""

    #: Declared, and not there.
    lacking: tuple[Column, ...]
    #: There, and no longer declared; those of them that must have a value.
    surplus: tuple[str, ...]
    needed: tuple[str, ...]


def misfit(tx: Tx, dataset: Dataset) -> Misfit:
    """Compare a table, which is there, with its dataset."""
    if tx.name == "sqlite":
        tx.cursor.execute(f"SELECT name, \"notnull\" FROM pragma_table_info('{dataset.table}')")
    else:
        tx.cursor.execute(
            "SELECT attname, attnotnull FROM pg_attribute"
            " WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped",
            (dataset.table,),
        )
    have = {str(name): bool(is_needed) for name, is_needed in tx.cursor.fetchall()}
    declared = {"series", *rows.names(dataset)}
    surplus = tuple(sorted(have.keys() - declared))
    return Misfit(
        lacking=tuple(one for one in dataset.columns if one.name not in have),
        surplus=surplus,
        needed=tuple(name for name in surplus if have[name]),
    )


def check(tx: Tx, dataset: Dataset, *, writes: bool = True) -> None:
    """Raise `StoreError` where rows of a dataset as it is declared are not in its table, or could not be written."""
    found = misfit(tx, dataset)
    names, needed = [one.name for one in found.lacking], found.needed if writes else ()
    if names or needed:
        lacks = f"lacks {', '.join(names)}" if names else ""
        has = f"has {', '.join(needed)}, which nobody fills any more" if needed else ""
        raise StoreError(
            f"{dataset.table} is of another version of {dataset.name}: it {' and '.join(filter(None, (lacks, has)))}",
            hint=f"`gapless migrate columns {dataset.name} --dry-run` says what would change",
        )


def add(tx: Tx, dataset: Dataset, lacking: Sequence[Column]) -> None:
    """Add columns, empty in the rows that are there: what a source told of them is not known yet."""
    for one in lacking:
        order = ' COLLATE "C"' if tx.name == "postgresql" and one.type is Type.TEXT else ""
        kind = rows.NATIVE[tx.name][one.type]
        tx.cursor.execute(f'ALTER TABLE {dataset.table} ADD COLUMN "{one.name}" {kind}{order}')


def drop(tx: Tx, dataset: Dataset, surplus: Sequence[str]) -> None:
    """Take columns away, with what is in them."""
    for name in surplus:
        tx.cursor.execute(f'ALTER TABLE {dataset.table} DROP COLUMN "{name}"')


def unfilled(
    tx: Tx, dataset: Dataset, series: int, within: Span, names: Sequence[str]
) -> tuple[Instant, Instant] | None:
    """First and last time of rows in `within` without a value in one of these columns; None where there are none."""
    empty = " OR ".join(f'"{name}" IS NULL' for name in names)
    tx.cursor.execute(
        f"SELECT {rows.micros(tx, 'min(time)')}, {rows.micros(tx, 'max(time)')} FROM {dataset.table}"
        f" WHERE series = {int(series)} AND {rows.between(tx, within, dataset.table)} AND ({empty})"
    )
    first, last = tx.cursor.fetchone()
    return None if first is None else (int(first), int(last))


def count(tx: Tx, dataset: Dataset) -> int:
    """All rows of a table."""
    tx.cursor.execute(f"SELECT count(*) FROM {dataset.table}")
    return int(tx.cursor.fetchone()[0])
