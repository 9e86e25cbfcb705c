"""What a rule is shown: rows of one series with their past, and what is known around them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date

from gapless.core.dataset import Dataset
from gapless.core.lazily import pl
from gapless.core.span import Instant, Span


@dataclass(frozen=True, slots=True)
class Flaw:
    """Which rows are wrong, and in which words."""

    mask: pl.Series | pl.Expr
    evidence: pl.Expr


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """One stretch of a series as a rule sees it."""

    dataset: Dataset
    #: Ascending by time and key; begins before `span`, so that rules can look back.
    rows: pl.DataFrame
    #: Findings count inside it only.
    span: Span
    #: What the ledger vouches for.
    covered: list[Span] = field(default_factory=list)
    #: Records from it on may still change.
    frontier: Instant
    #: Days of trading by the exchange's calendar, in the dataset's zone; None where there is none.
    sessions: frozenset[date] | None = None

    @property
    def keys(self) -> list[str]:
        """Columns that tell records of one time apart."""
        return [name for name in self.dataset.key if name in self.rows.columns]

    def before(self, column: str, rows: int = 1) -> pl.Expr:
        """The value so many records before, of the same key."""
        value = pl.col(column).shift(rows)
        return value.over(self.keys) if self.keys else value

    def within(self, value: pl.Expr) -> pl.Expr:
        """A statistic of all records of the same key."""
        return value.over(self.keys) if self.keys else value

    def has(self, *columns: str) -> bool:
        """Whether the records have these columns."""
        return set(columns) <= set(self.rows.columns)
