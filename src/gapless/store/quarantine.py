"""Spans given up after bounded attempts, with the reason; never counted as covered."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import bindparam, delete, insert, select

from gapless.core.span import DAWN, DOOM, Instant, Span
from gapless.store.database import Tx
from gapless.store.schema import quarantine
from gapless.store.sql import Statement

_b = bindparam
_COLUMNS = (quarantine.c.start, quarantine.c.end, quarantine.c.job, quarantine.c.reason, quarantine.c.at)
_INSERT = Statement(
    insert(quarantine).values(
        series=_b("series"), start=_b("start"), end=_b("end"), job=_b("job"), reason=_b("reason"), at=_b("at")
    )
)
_OF_SERIES = Statement(
    select(*_COLUMNS)
    .where(quarantine.c.series == _b("series"), quarantine.c.start < _b("hi"), quarantine.c.end > _b("lo"))
    .order_by(quarantine.c.start)
)
_OF_JOB = Statement(
    select(quarantine.c.series, *_COLUMNS).where(quarantine.c.job == _b("job")).order_by(quarantine.c.start)
)
_RELEASE = Statement(
    delete(quarantine).where(
        quarantine.c.series == _b("series"), quarantine.c.start < _b("hi"), quarantine.c.end > _b("lo")
    )
)
_COVERED = Statement(
    delete(quarantine).where(
        quarantine.c.series == _b("series"), quarantine.c.start >= _b("lo"), quarantine.c.end <= _b("hi")
    )
)


@dataclass(frozen=True, slots=True)
class Quarantined:
    """One span given up."""

    start: Instant
    end: Instant
    job: int
    reason: str
    at: Instant

    @property
    def span(self) -> Span:
        """What was given up."""
        return Span(self.start, self.end)


def add(tx: Tx, series: int, lost: Span, *, job: int, reason: str, at: Instant) -> None:
    """Give a span up."""
    tx.run(_INSERT, series=series, start=lost.start, end=lost.end, job=job, reason=reason, at=at)


def of_series(tx: Tx, series: int, within: Span | None = None) -> list[Quarantined]:
    """What was given up of a series."""
    lo, hi = (within.start, within.end) if within else (DAWN, DOOM)
    return [Quarantined(*row) for row in tx.rows(_OF_SERIES, series=series, lo=lo, hi=hi)]


def of_job(tx: Tx, job: int) -> list[tuple[int, Quarantined]]:
    """(series, span) pairs that a job gave up."""
    return [(row[0], Quarantined(*row[1:])) for row in tx.rows(_OF_JOB, job=job)]


def release(tx: Tx, series: int, within: Span) -> None:
    """Forget what was given up in a span, so that a retry takes exactly that."""
    tx.run(_RELEASE, series=series, lo=within.start, hi=within.end)


def covered(tx: Tx, series: int, proven: Span) -> None:
    """A span that was proven after all is no longer given up."""
    tx.run(_COVERED, series=series, lo=proven.start, hi=proven.end)
