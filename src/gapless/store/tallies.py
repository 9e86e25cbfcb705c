"""Tallies: rows inside coverage per stretch of a thousand periods, as the ledger expects them and as they are."""

from __future__ import annotations

from sqlalchemy import bindparam, delete, select

from gapless.core.dataset import Dataset
from gapless.core.span import Span
from gapless.store import coverage, rows
from gapless.store.database import Tx
from gapless.store.schema import tally
from gapless.store.sql import Statement

_b = bindparam
_OF_SERIES = Statement(select(tally.c.bucket, tally.c.rows).where(tally.c.series == _b("series")))
_DROP = Statement(delete(tally).where(tally.c.series == _b("series"), tally.c.bucket == _b("bucket")))


def expected(tx: Tx, series: int) -> dict[int, int]:
    """What the ledger expects, by bucket."""
    return {int(bucket): int(number) for bucket, number in tx.rows(_OF_SERIES, series=series)}


def found(tx: Tx, dataset: Dataset, series: int, within: Span | None = None) -> dict[int, int]:
    """Rows inside coverage, by bucket."""
    counted: dict[int, int] = {}
    for one in coverage.spans(tx, series, within):
        part = one if within is None else one.clip(within)
        for bucket, number in rows.tally(tx, dataset, series, part).items() if part else ():
            counted[bucket] = counted.get(bucket, 0) + number
    return counted


def drop(tx: Tx, series: int, bucket: int) -> None:
    """Forget a bucket, whose stretch is taken back as a whole."""
    tx.run(_DROP, series=series, bucket=bucket)
