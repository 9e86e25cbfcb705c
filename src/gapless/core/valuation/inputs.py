"""What values are computed from: records with the moment from which they were known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import polars as pl

UTC = pl.Datetime("us", "UTC")
Schema = dict[str, Any]
#: A moment too small to be told apart.
TICK = timedelta(microseconds=1)

#: Sessions of the exchange: `number` counts them.
SESSIONS: Schema = {"number": pl.Int64, "day": pl.Date, "closed": UTC}
#: Closes as they were paid, and splits: one share became `ratio`.
PRICES: Schema = {"day": pl.Date, "close": pl.Float64}
SPLITS: Schema = {"day": pl.Date, "ratio": pl.Float64}
#: Quarters by their last day; `shares` are those of the day of filing.
INCOME: Schema = {
    "end": pl.Date,
    "known": UTC,
    "revenue": pl.Float64,
    "net_income": pl.Float64,
    "ebitda": pl.Float64,
    "shares": pl.Float64,
}
BALANCE: Schema = {"end": pl.Date, "known": UTC, "equity": pl.Float64, "debt": pl.Float64, "cash": pl.Float64}
EARNINGS: Schema = {"known": UTC, "actual": pl.Float64, "estimated": pl.Float64}
TARGETS: Schema = {"known": UTC, "firm": pl.String, "price": pl.Float64}
#: `grade` is a number from 1 (strong buy) to 5 (strong sell); `step` is 1 for an upgrade, -1 for a downgrade, else 0.
GRADES: Schema = {"known": UTC, "firm": pl.String, "grade": pl.Int64, "step": pl.Int64}


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """Frames of the schemas above, one company's each."""

    sessions: pl.DataFrame
    prices: pl.DataFrame
    splits: pl.DataFrame
    income: pl.DataFrame
    balance: pl.DataFrame
    earnings: pl.DataFrame
    targets: pl.DataFrame
    grades: pl.DataFrame
    #: Why an input is not there at all: its name → the reason, which goes to every value that needs it.
    lacking: Mapping[str, str] = field(default_factory=dict)
    #: Of the exchange: a split counts from the beginning of its day there.
    zone: str = "UTC"

    def day_of(self, moment: pl.Expr) -> pl.Expr:
        """The exchange's day of a moment; where only a day is told, that is the end of it."""
        return (moment - TICK).dt.convert_time_zone(self.zone).dt.date()


def factors(splits: pl.DataFrame) -> pl.DataFrame:
    """`day`, `factor`: how many shares of today's dawn of history one share has become by the end of that day."""
    return splits.sort("day").select("day", factor=pl.col("ratio").cum_prod())


def with_factor(frame: pl.DataFrame, splits: pl.DataFrame, on: str, name: str) -> pl.DataFrame:
    """The frame with the split factor of each of its days."""
    if splits.is_empty():
        return frame.with_columns(pl.lit(1.0).alias(name))
    steps = factors(splits).rename({"day": "_split", "factor": name})
    return (
        frame.sort(on, maintain_order=True)
        .join_asof(steps, left_on=on, right_on="_split", strategy="backward", coalesce=True)
        .with_columns(pl.col(name).fill_null(1.0))
        .drop("_split", strict=False)
    )
