"""A finding: which rule, which span of a series, how bad, and what was seen."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from gapless.core.span import Span


class Level(StrEnum):
    """How closely one looks; each holds the one before."""

    BASIC = "basic"
    STANDARD = "standard"
    COMPREHENSIVE = "comprehensive"

    @property
    def includes(self) -> tuple[Level, ...]:
        """The levels whose rules apply."""
        levels = tuple(Level)
        return levels[: levels.index(self) + 1]


class Severity(StrEnum):
    """An error cannot be true; a warning is so unlikely that somebody should look."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a rule has to say about a span of a series."""

    rule: str
    span: Span
    severity: Severity
    #: What was seen, with the numbers.
    evidence: str
    #: Rows concerned.
    rows: int = 1


#: Findings of one rule in one stretch that are told one by one; what is more becomes one finding.
MOST = 200


def gathered(told: Sequence[Finding]) -> list[Finding]:
    """Findings of one rule, in order: those beyond `MOST` as one."""
    if len(told) <= MOST:
        return list(told)
    rest = told[MOST - 1 :]
    more = Finding(
        rule=rest[0].rule,
        span=Span(min(one.span.start for one in rest), max(one.span.end for one in rest)),
        severity=rest[0].severity,
        evidence=f"{len(rest):,} more, beginning with: {rest[0].evidence}",
        rows=sum(one.rows for one in rest),
    )
    return [*told[: MOST - 1], more]


#: What a row with a warning costs, next to one with an error.
DOUBT = 0.25


def score(findings: Iterable[Finding], rows: int) -> float:
    """From 100 (nothing found) down to 0: the part of the rows nobody has to doubt. 100 for no rows and no findings."""
    return score_of(sum(one.rows * (1.0 if one.severity is Severity.ERROR else DOUBT) for one in findings), rows)


def score_of(lost: float, rows: int) -> float:
    """The same of the sum of rows that findings cast doubt on."""
    return round(100 * max(0.0, 1 - lost / max(rows, 1, lost)), 4)
