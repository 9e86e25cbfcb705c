"""What validations have found: rows of a job, a series and a span."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import bindparam, func, insert, select

from gapless.core.rules.finding import Finding, Severity
from gapless.core.span import Instant, Span
from gapless.store.database import Tx
from gapless.store.schema import finding, segment
from gapless.store.schema import series as series_table
from gapless.store.sql import Statement

_b = bindparam
_NAMES = ("job", "series", "rule", "severity", "start", "end", "rows", "evidence", "at")
_INSERT = Statement(insert(finding).values(**{name: _b(f"its_{name}") for name in _NAMES}))
_OF_JOB = Statement(
    select(
        series_table.c.name,
        finding.c.rule,
        finding.c.severity,
        finding.c.start,
        finding.c.end,
        finding.c.rows,
        finding.c.evidence,
    )
    .join(series_table, series_table.c.id == finding.c.series)
    .where(finding.c.job == _b("job"))
    .order_by(series_table.c.name, finding.c.start, finding.c.rule, finding.c.id)
)
_LOOKED_AT = Statement(
    select(series_table.c.name, func.sum(segment.c.rows))
    .join(series_table, series_table.c.id == segment.c.series)
    .where(segment.c.job == _b("job"))
    .group_by(series_table.c.name)
)
#: Longest evidence that is kept.
LONGEST = 1000


def add(tx: Tx, found: Iterable[Finding], *, job: int, series: int, at: Instant) -> None:
    """Write findings down."""
    tx.each(
        _INSERT,
        [
            {
                "its_job": job,
                "its_series": series,
                "its_rule": one.rule,
                "its_severity": one.severity.value,
                "its_start": one.span.start,
                "its_end": one.span.end,
                "its_rows": one.rows,
                "its_evidence": one.evidence[:LONGEST],
                "its_at": at,
            }
            for one in found
        ],
    )


def of_job(tx: Tx, job: int) -> list[tuple[str, Finding]]:
    """What a job found, by series and span."""
    return [
        (
            str(name),
            Finding(rule=rule, severity=Severity(how), span=Span(start, end), rows=int(count), evidence=evidence),
        )
        for name, rule, how, start, end, count, evidence in tx.rows(_OF_JOB, job=job)
    ]


def looked_at(tx: Tx, job: int) -> dict[str, int]:
    """Rows that a validation has looked at, by series."""
    return {str(name): int(count) for name, count in tx.rows(_LOOKED_AT, job=job)}
