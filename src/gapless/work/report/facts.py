"""What a report tells of one series: gathered elsewhere, the same for every format and language."""

from __future__ import annotations

from dataclasses import dataclass, field

from gapless.core.lazily import pl
from gapless.core.rules import Finding
from gapless.core.span import Span


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """One row of the table: a month, a year, or the whole."""

    label: str
    #: Cells by word: present, empty, missing, quarantined, unavailable.
    cells: dict[str, int]
    #: First and last value, extremes and mean of what is drawn; None without rows.
    first: float | None = None
    last: float | None = None
    low: float | None = None
    high: float | None = None
    mean: float | None = None
    volume: float | None = None

    @property
    def completeness(self) -> float | None:
        """Part of the cells that is answered for, in percent; None where nothing could be."""
        total = sum(count for word, count in self.cells.items() if word != "unavailable")
        known = self.cells.get("present", 0) + self.cells.get("empty", 0)
        return 100 * known / total if total else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Everything about one series."""

    dataset: str
    series: str
    span: Span
    #: The zone of bare dates, and the local dates of the span's first and last cell.
    zone: str
    first_day: str
    last_day: str
    made_at: str
    periods: list[Period]
    whole: Period
    #: Count, mean, deviation, least and greatest of each number.
    statistics: list[tuple[str, int, float, float, float, float]]
    #: Word, span, cells, note: the longest first.
    gaps: list[tuple[str, Span, int, str]]
    gap_count: int
    findings: list[Finding]
    #: Whether anybody has validated this span.
    is_validated: bool
    #: `time` and what is drawn: `value`, and the components of an index.
    path: pl.DataFrame
    #: Which column is drawn.
    drawn: str
    components: list[str] = field(default_factory=list)
