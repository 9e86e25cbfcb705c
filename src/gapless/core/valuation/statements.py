"""Sums of four quarters, and the moment from which each was known."""

from __future__ import annotations

import polars as pl

from gapless.core.valuation.inputs import Inputs, with_factor

#: Days between the ends of the first and the last of four quarters, and of eight: nothing is missing between them.
YEAR_DAYS = (240, 310)
TWO_YEARS_DAYS = (600, 680)
SUMS = ("revenue", "net_income", "ebitda")
GROWING = ("revenue", "net_income")


def trailing(inputs: Inputs) -> pl.DataFrame:
    """By `told`, whenever a quarter became known: sums of the newest four quarters known then, and of the four before.

    A sum whose quarters do not follow each other, or of which one tells nothing, is null. `filed` is when the last of
    its quarters was filed, `before_filed` the same of all eight; `shares` are those of the newest one.
    """
    quarters = inputs.income.sort("end", "known").unique("end", keep="first", maintain_order=True)
    moments = quarters.select(told="known").unique()
    known = moments.join_where(quarters, pl.col("known") <= pl.col("told")).sort("told", "end")
    made = known.group_by("told", maintain_order=True).agg(
        shares=pl.col("shares").last(),
        shares_day=inputs.day_of(pl.col("known").last()),
        filed=pl.col("known").tail(4).max(),
        before_filed=pl.col("known").tail(8).max(),
        follows=_is_between(4, YEAR_DAYS),
        follows_two=_is_between(8, TWO_YEARS_DAYS),
        **{one: _sum(pl.col(one).tail(4)) for one in SUMS},
        **{f"{one}_before": _sum(pl.col(one).tail(8).head(4)) for one in GROWING},
    )
    checked = made.with_columns(
        [pl.when("follows").then(pl.col(one)).alias(one) for one in SUMS]
        + [pl.when("follows_two").then(pl.col(f"{one}_before")).alias(f"{one}_before") for one in GROWING]
    )
    return with_factor(checked, inputs.splits, "shares_day", "shares_factor").sort("told")


def _is_between(count: int, days: tuple[int, int]) -> pl.Expr:
    """Whether the newest `count` quarters are as many, and end so many days apart as if none were missing."""
    ends = pl.col("end").tail(count)
    return (ends.len() == count) & (ends.last() - ends.first()).dt.total_days().is_between(*days)


def _sum(amounts: pl.Expr) -> pl.Expr:
    return pl.when(amounts.null_count() == 0).then(amounts.sum())


def balances(inputs: Inputs) -> pl.DataFrame:
    """By `balance_filed`: the newest balance known by then."""
    told = inputs.balance.sort("end", "known").unique("end", keep="first", maintain_order=True)
    newest = told.sort("known", "end").filter(pl.col("end") == pl.col("end").cum_max())
    return newest.unique("known", keep="last", maintain_order=True).select(
        "equity", "debt", "cash", balance_filed="known", balance_end="end"
    )
