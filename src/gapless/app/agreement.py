"""How far two daily series agree: two versions of an index, or a published one and ours."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from gapless.core.dataset import Dataset
from gapless.core.errors import UsageError
from gapless.core.index.fear_greed import banded
from gapless.core.lazily import pl
from gapless.core.period import wanted
from gapless.core.span import DAWN, DOOM, Span
from gapless.store import rows
from gapless.store import series as ledger

if TYPE_CHECKING:
    from gapless.app.history import Gapless

#: What is compared: the first of these that a dataset has.
VALUES = ("score", "value", "close")
#: Fewer days have no correlation worth the name.
LEAST = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """Two series on the days on which both have a value."""

    mine: str
    theirs: str
    days: int
    first: date
    last: date
    #: Pearson's, from -1 to 1; None where one of them does not move, or for fewer than three days.
    correlation: float | None
    #: Mean of the absolute differences, in the unit of the values.
    difference: float
    #: Part of the days on which both name the same band; None where there are no bands.
    same_band: float | None


def agreement(
    history: Gapless, mine: str, theirs: str, start: str | None, end: str | None, days: float | None
) -> Agreement:
    """Compare two stored series, each named DATASET:SERIES; raises `UsageError` where no day has both."""
    one, other = _read(history, mine, start, end, days), _read(history, theirs, start, end, days)
    both = one.join(other, on="day", suffix="_").sort("day")
    if both.is_empty():
        raise UsageError(
            f"series: no day has both {mine} ({_days(one)}) and {theirs} ({_days(other)})",
            field="series",
            hint="compute or import the days of the other one, or give another --from and --to",
        )
    ours, its = pl.col("value"), pl.col("value_")
    told = both.select(
        difference=(ours - its).abs().mean(),
        correlation=pl.corr(ours, its),
        band=(pl.col("band") == pl.col("band_")).mean(),
    ).row(0, named=True)
    correlation = told["correlation"]
    has_one = both.height >= LEAST and correlation is not None and abs(correlation) <= 1.0 + 1e-9
    return Agreement(
        mine=mine,
        theirs=theirs,
        days=both.height,
        first=both["day"][0],
        last=both["day"][-1],
        correlation=correlation if has_one else None,
        difference=told["difference"],
        same_band=told["band"],
    )


def _read(history: Gapless, name: str, start: str | None, end: str | None, days: float | None) -> pl.DataFrame:
    """Days of a stored series with a value: `day` (of its own zone), `value`, `band`."""
    given, is_there, series = name.partition(":")
    if not is_there or not series:
        raise UsageError(f"series: {name!r} names no series", field="series", hint="write index.fear_greed:KOSPI")
    dataset = history.dataset(given)
    column = next((one for one in VALUES if one in {each.name for each in dataset.columns}), "")
    if not column or set(dataset.key) or dataset.revisions is not None:
        listed = ", ".join(VALUES)
        raise UsageError(
            f"series: {given} has no one value a day", field="series", hint=f"give a dataset with one of: {listed}"
        )
    (series,) = history.catalogue.series(dataset, [series])
    span = _span(history, dataset, start, end, days)
    with history.store.read() as tx:
        its = ledger.find(tx, given, series)
        frame = rows.empty(dataset) if its is None else rows.frame(tx, dataset, its, span)
    if frame.is_empty():
        raise UsageError(
            f"series: nothing of {name} is stored there",
            field="series",
            hint="`gapless compute`, `gapless migrate import`",
        )
    value = pl.col(column).cast(pl.Float64)
    told = pl.col("band") if "band" in frame.columns else pl.lit(None, pl.String)
    band = pl.coalesce(told, banded(value)) if column == "score" else told
    day = pl.col("time").dt.convert_time_zone(dataset.zone).dt.date()
    return frame.select(day=day, value=value, band=band).drop_nulls("value")


def _span(history: Gapless, dataset: Dataset, start: str | None, end: str | None, days: float | None) -> Span:
    if start is None and end is None and days is None:
        return Span(DAWN, DOOM)
    begin = start if start is not None or days is not None else "1900"
    return wanted(begin, end, days, now=history.clock.now(), zone=dataset.zone)[0]


def _days(frame: pl.DataFrame) -> str:
    return f"{frame['day'].min()!s} to {frame['day'].max()!s}"
