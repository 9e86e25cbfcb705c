"""What validations have found: rows of a job, a series and a span."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, case, cast, func, insert, or_, select
from sqlalchemy.types import BigInteger

from gapless.core.job import JobState, Kind
from gapless.core.rules.finding import Finding, Severity
from gapless.core.span import Instant, Span
from gapless.store.database import Tx
from gapless.store.schema import finding, job, job_series, segment
from gapless.store.schema import series as series_table
from gapless.store.sql import Statement, escaped, word

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
#: Quarters of a row: what a warning costs (`DOUBT`) is one of them.
_QUARTERS = 4
#: The part of doubt is compared in millionths: whole numbers are the same on both databases.
_WHOLE = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Which:
    """Which findings; what is empty does not narrow."""

    job: int = 0
    dataset: str = ""
    #: A part of the name of a series, in any case.
    series: str = ""
    rule: str = ""
    severity: str = ""

    @property
    def shape(self) -> tuple[str, ...]:
        """What of it is part of the statement."""
        return tuple(name for name in self.__slots__ if getattr(self, name))

    @property
    def params(self) -> dict[str, Any]:
        """The parameters."""
        said = {f"its_{name}": getattr(self, name) for name in self.shape}
        if self.series:
            said["its_series"] = f"%{escaped(self.series.lower())}%"
        return said


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A finding as it is stored."""

    id: int
    job: int
    dataset: str
    series: str
    at: Instant
    finding: Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a validation has to say of one series."""

    id: int
    series: str
    #: Rows that were looked at, and those that findings cast doubt on; a warning counts a quarter.
    rows: int
    lost: float
    errors: int
    warnings: int
    #: The part of doubt in millionths, by which verdicts are sorted.
    share: int


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


_CONDITIONS: dict[str, ColumnElement[bool]] = {
    "job": finding.c.job == _b("its_job"),
    "dataset": series_table.c.dataset == _b("its_dataset"),
    "series": func.lower(series_table.c.name).like(_b("its_series"), escape="\\"),
    "rule": finding.c.rule == _b("its_rule"),
    "severity": finding.c.severity == _b("its_severity"),
}


def _conditions(shape: tuple[str, ...]) -> ColumnElement[bool]:
    return and_(True, *(_CONDITIONS[name] for name in shape))


@lru_cache(maxsize=64)
def _page(shape: tuple[str, ...]) -> Statement:
    columns = [finding.c[name] for name in ("id", "job", "at", "rule", "severity", "start", "end", "rows", "evidence")]
    return Statement(
        select(*columns, series_table.c.dataset, series_table.c.name)
        .join(series_table, series_table.c.id == finding.c.series)
        .where(finding.c.id < _b("below"), _conditions(shape))
        .order_by(finding.c.id.desc())
        .limit(_b("most"))
    )


@lru_cache(maxsize=64)
def _counts(shape: tuple[str, ...]) -> Statement:
    return Statement(
        select(finding.c.rule, finding.c.severity, func.count())
        .join(series_table, series_table.c.id == finding.c.series)
        .where(_conditions(shape))
        .group_by(finding.c.rule, finding.c.severity)
        .order_by(finding.c.rule, finding.c.severity)
    )


def page(tx: Tx, which: Which, most: int, *, below: int) -> list[Told]:
    """Findings with an id below `below`, the newest first."""
    return [
        Told(
            id=int(one),
            job=int(job_id),
            dataset=dataset,
            series=name,
            at=int(at),
            finding=Finding(
                rule=rule, severity=Severity(how), span=Span(start, end), rows=int(count), evidence=evidence
            ),
        )
        for one, job_id, at, rule, how, start, end, count, evidence, dataset, name in tx.rows(
            _page(which.shape), most=most, below=below, **which.params
        )
    ]


def counts(tx: Tx, which: Which) -> list[tuple[str, Severity, int]]:
    """How many there are, by rule and severity."""
    return [(rule, Severity(how), int(n)) for rule, how, n in tx.rows(_counts(which.shape), **which.params)]


def _verdicts() -> Statement:
    is_error = finding.c.severity == word(Severity.ERROR.value)
    found = (
        select(
            finding.c.series,
            cast(func.sum(case((is_error, _QUARTERS * finding.c.rows), else_=finding.c.rows)), BigInteger).label(
                "lost"
            ),
            func.sum(case((is_error, 1), else_=0)).label("errors"),
            func.count().label("number"),
        )
        .where(finding.c.job == _b("its_job"))
        .group_by(finding.c.series)
        .subquery()
    )
    seen = (
        select(segment.c.series, cast(func.sum(segment.c.rows), BigInteger).label("rows"))
        .where(segment.c.job == _b("its_job"))
        .group_by(segment.c.series)
        .subquery()
    )
    lost = func.coalesce(found.c.lost, 0)
    quarters = _QUARTERS * func.coalesce(seen.c.rows, 0)
    base = case((lost > quarters, lost), (quarters > 0, quarters), else_=_QUARTERS)
    each = (
        select(
            series_table.c.id,
            series_table.c.name,
            func.coalesce(seen.c.rows, 0).label("rows"),
            lost.label("lost"),
            func.coalesce(found.c.errors, 0).label("errors"),
            func.coalesce(found.c.number, 0).label("number"),
            (_WHOLE * lost // base).label("share"),
        )
        .join(job_series, job_series.c.series == series_table.c.id)
        .outerjoin(found, found.c.series == series_table.c.id)
        .outerjoin(seen, seen.c.series == series_table.c.id)
        .where(job_series.c.job == _b("its_job"))
        .subquery()
    )
    follows = or_(each.c.share < _b("last_share"), and_(each.c.share == _b("last_share"), each.c.id > _b("last_id")))
    return Statement(select(*each.c).where(follows).order_by(each.c.share.desc(), each.c.id).limit(_b("most")))


_VERDICTS = _verdicts()


def verdicts(tx: Tx, job: int, most: int, *, after: tuple[int, int] = (2 * _WHOLE, 0)) -> list[Verdict]:
    """Series of a validation, the worst first: those that follow `after` = (share, id) of the last one seen."""
    told = tx.rows(_VERDICTS, its_job=job, last_share=after[0], last_id=after[1], most=most)
    return [
        Verdict(
            id=int(its),
            series=str(name),
            rows=int(count),
            lost=int(lost) / _QUARTERS,
            errors=int(errors),
            warnings=int(number) - int(errors),
            share=int(share),
        )
        for its, name, count, lost, errors, number, share in told
    ]
