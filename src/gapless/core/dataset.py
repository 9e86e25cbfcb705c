"""Datasets: a kind of record with typed fields, a key, a time axis, a conflict policy and a frontier rule."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from functools import lru_cache

from gapless.core.grid import Grid, Steps, Weekdays
from gapless.core.span import DAWN, DAY, Instant, Span, span

#: Microseconds of the only tally of a dataset of months or years: longer than history.
ERA = 10**18


class Type(StrEnum):
    """Column types; `store` gives each its native type on both databases."""

    FLOAT = "float"
    INT = "int"
    TEXT = "text"
    BOOL = "bool"
    #: Exact decimals, for won amounts.
    DECIMAL = "decimal"
    #: A calendar date without time.
    DATE = "date"
    #: An instant, UTC.
    TIME = "time"


class Axis(StrEnum):
    """How records lie in time."""

    STEP = "step"
    DAY = "day"
    MONTH = "month"
    FISCAL_YEAR = "fiscal year"
    EVENT = "event"


class Conflict(StrEnum):
    """What happens when a record with the same key comes again."""

    FIRST = "keep first"
    LAST = "last wins"
    CHANGED = "only if changed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One typed field of a record."""

    name: str
    type: Type
    nullable: bool = False
    doc: str = ""


#: Stands for the source of what is computed here.
COMPUTED = "index"
#: Stands for the source of what users bring.
IMPORTED = "user"


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """What is special about the series whose id ends in `/CODE`: another report of the same thing."""

    #: Instead of the dataset's own; below zero: final before the period has ended, as a report of its first quarter.
    settle: timedelta
    #: The source has never had anything older.
    earliest: Instant | None = None
    #: The first period with a statement of its own; what is older is told by that one alone.
    first_own: Instant | None = None
    doc: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Revisions:
    """A source that tells the same record more than once: all versions are kept, a read shows one of each."""

    #: Column of the key that tells versions apart; the greatest is the latest.
    version: str
    #: Column with the rank of a version: the least counts, among equal ones the latest.
    rank: str
    #: Column with the date from which a version is known.
    known: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Directory:
    """Where the source's own word for a series stands: in the newest rows of another dataset."""

    dataset: str
    series: str
    #: Column with what a series id begins with, and the column with the source's word for it.
    key: str
    value: str
    #: Only words that match this are looked up; others are the source's own. Empty: all of them.
    pattern: str = ""
    #: Ends the word in a series id; empty: the id is the word.
    separator: str = "/"

    def word(self, name: str) -> str:
        """The part of a series id that names the thing."""
        return name.partition(self.separator)[0] if self.separator else name

    def translates(self, name: str) -> bool:
        """Whether a series has to be looked up in it."""
        return not self.pattern or re.fullmatch(self.pattern, self.word(name)) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Grouping:
    """Groups that the things of a directory fall into, as the newest row of another dataset about each of them says."""

    dataset: str
    #: Its column with the thing, and the one with the group.
    key: str
    column: str
    #: What people call a group, and what stands in the column.
    names: Mapping[str, str]
    #: A command that gets such rows.
    fill: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """A kind of record. Its time column is always `time`: the start instant of the record."""

    name: str
    source: str
    grid: Grid
    axis: Axis
    columns: tuple[Column, ...]
    #: Columns beside (series, time) that make a record unique.
    key: tuple[str, ...] = ()
    conflict: Conflict = Conflict.CHANGED
    #: Column with the rank of a value (0 is best): a worse rank never replaces a better one.
    rank: str | None = None
    #: How long after its end a record may still change at the source.
    settle: timedelta = timedelta(seconds=2)
    #: How far back the source goes, if it forgets; older spans are *unavailable*.
    retention: timedelta | None = None
    #: The source has never had anything older.
    earliest: Instant | None = None
    #: Zone of bare dates on the command line and in JSON.
    zone: str = "UTC"
    #: What a series of this dataset looks like, for errors and `gapless datasets`.
    example: str = ""
    #: A series id must match this from start to end.
    pattern: str = r"\S+"
    #: By the end of the series id (`005930/11011`); a bare series gets the first one.
    variants: Mapping[str, Variant] = field(default_factory=dict)
    revisions: Revisions | None = None
    directory: Directory | None = None
    #: A dataset of the same source whose records, put together, are the records of this one.
    parts: str = ""
    #: Market calendar with the days of trading, where its records can be held against one.
    calendar: str = ""
    grouping: Grouping | None = None
    #: Version of what reads its answers, kept beside each raw answer; 0 keeps none.
    parser: int = 0
    #: Width of one period, used for tallies and for following; months count as 30 days.
    period: timedelta = field(default=timedelta(minutes=1))

    def __hash__(self) -> int:
        return hash(self.name)

    @property
    def table(self) -> str:
        """The name of its data table; case matters to candle units (1m, 1M), but not to databases."""
        return "data_" + re.sub(r"[^a-z0-9]+", "_", self.name.replace("1M", "1mo").lower())

    @property
    def is_computed(self) -> bool:
        """Whether its rows are made here from those of other datasets."""
        return self.source == COMPUTED

    @property
    def is_imported(self) -> bool:
        """Whether users bring its rows: nobody can be asked for them."""
        return self.source in ("", IMPORTED)

    @property
    def has_ledger(self) -> bool:
        """Whether it can be said of a span that it is complete: of events nobody knows how many there are."""
        return self.source != ""

    @property
    def has_units(self) -> bool:
        """Whether (series, period) pairs are what people count: years are, minutes are not."""
        return self.axis is Axis.FISCAL_YEAR

    @property
    def tally_width(self) -> int:
        """Microseconds of one tally: a thousand periods, so that a hand-made hole is found to within a few pages."""
        return _tally_width(self)

    @property
    def tally_origin(self) -> Instant:
        """A border between tallies; all of them lie on the grid."""
        match self.grid:
            case Steps(origin=origin):
                return origin
            case Weekdays():
                return self.grid.floor(4 * DAY)
        return 0

    def tally_of(self, bucket: int) -> Span:
        """The stretch of time of a tally."""
        start = self.tally_origin + bucket * self.tally_width
        return Span(start, start + self.tally_width)

    def variant(self, series: str) -> Variant:
        """What holds for a series: its variant's rules, else the dataset's own."""
        return self.variants.get(series.rpartition("/")[2]) or Variant(settle=self.settle)

    def frontier(self, now: Instant, series: str = "") -> Instant:
        """The time from which on records may still change, seen at `now`."""
        settle = self.variant(series).settle if self.variants else self.settle
        return self.grid.floor(now - settle // timedelta(microseconds=1))

    def unavailable(self, now: Instant, series: str = "") -> Span | None:
        """What the source has forgotten at `now`, or never had."""
        if self.variants:
            earliest = self.variant(series).earliest
            return None if earliest is None else Span(DAWN, earliest)
        if self.earliest is not None:
            return Span(DAWN, self.earliest)
        if self.retention is None:
            return None
        return span(DAWN, self.grid.ceil(now - self.retention // timedelta(microseconds=1)))

    def is_series(self, name: str) -> bool:
        """Whether `name` can be a series of this dataset; its variant, if it has some, is one that there is."""
        if self.variants and name.rpartition("/")[2] not in self.variants:
            return False
        return re.fullmatch(self.pattern, name) is not None


@lru_cache(maxsize=1024)
def _tally_width(dataset: Dataset) -> int:
    if isinstance(dataset.grid, Weekdays):
        return 200 * 7 * DAY
    if not isinstance(dataset.grid, Steps):
        return ERA
    return max(1, dataset.period // timedelta(microseconds=1) // dataset.grid.step) * dataset.grid.step * 1000
