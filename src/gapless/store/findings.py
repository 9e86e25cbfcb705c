"""What validations have found: rows of a job, a series and a span."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import bindparam, func, insert, select

from gapless.core.job import JobState, Kind
from gapless.core.rules.finding import Finding, Severity
from gapless.core.span import Instant, Span
from gapless.store.database import Tx
from gapless.store.schema import finding, job, job_series, segment
from gapless.store.schema import series as series_table
from gapless.store.sql import Statement, word

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
_OF_SERIES = Statement(
    select(finding.c.rule, finding.c.severity, finding.c.start, finding.c.end, finding.c.rows, finding.c.evidence)
    .where(
        finding.c.job == _b("job"),
        finding.c.series == _b("series"),
        finding.c.start < _b("hi"),
        finding.c.end > _b("lo"),
    )
    .order_by(finding.c.severity, finding.c.start, finding.c.rule)
)
_NEWEST = Statement(
    select(func.max(job.c.id))
    .join(job_series, job_series.c.job == job.c.id)
    .where(
        job_series.c.series == _b("series"),
        job.c.kind == word(Kind.VALIDATE.value),
        job.c.state == word(JobState.DONE.value),
        job.c.start <= _b("lo"),
        job.c.end >= _b("hi"),
    )
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


def newest(tx: Tx, series: int, within: Span) -> tuple[list[Finding], bool]:
    """What the newest finished validation that holds a span found in it, and whether there was one."""
    job_id = tx.value(_NEWEST, series=series, lo=within.start, hi=within.end)
    if job_id is None:
        return [], False
    told = tx.rows(_OF_SERIES, job=job_id, series=series, lo=within.start, hi=within.end)
    return [
        Finding(rule=rule, severity=Severity(how), span=Span(start, end), rows=int(count), evidence=evidence)
        for rule, how, start, end, count, evidence in told
    ], True


def looked_at(tx: Tx, job: int) -> dict[str, int]:
    """Rows that a validation has looked at, by series."""
    return {str(name): int(count) for name, count in tx.rows(_LOOKED_AT, job=job)}
