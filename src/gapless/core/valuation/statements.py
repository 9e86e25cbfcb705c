"""Sums of four quarters, and the moment from which each was known."""

from __future__ import annotations

import polars as pl

from gapless.core.valuation.inputs import Inputs, with_factor

#: Days between the ends of the first and the last of four quarters, and of eight: nothing is missing between them.
YEAR_DAYS = (240, 310)
TWO_YEARS_DAYS = (600, 680)
SUMS = ("revenue", "net_income", "ebitda")


def trailing(inputs: Inputs) -> pl.DataFrame:
    """By `filed`, when the last of four quarters was known: their sums, those of the year before, shares of the last.

    A sum whose quarters do not follow each other, or of which one tells nothing, is null. A quarter that was filed after
    a later one brings nothing new.
    """
    told = inputs.income.sort("end", "known").unique("end", keep="first", maintain_order=True)
    end = pl.col("end")
    follows = (end - end.shift(3)).dt.total_days().is_between(*YEAR_DAYS)
    follows_two = (end - end.shift(7)).dt.total_days().is_between(*TWO_YEARS_DAYS)
    sums = [pl.when(follows).then(pl.col(one).rolling_sum(4)).alias(one) for one in SUMS]
    made = told.select(
        "end",
        "shares",
        pl.col("known").dt.date().alias("shares_day"),
        filed=pl.col("known").rolling_max(4, min_samples=1),
        before_filed=pl.when(follows_two).then(pl.col("known").rolling_max(8, min_samples=1)),
        quarters=pl.int_range(1, pl.len() + 1),
        follows=follows.fill_null(value=False),
        follows_two=follows_two.fill_null(value=False),
        *sums,
    ).with_columns(
        [pl.when("follows_two").then(pl.col(one).shift(4)).alias(f"{one}_before") for one in ("revenue", "net_income")]
    )
    newest = made.sort("filed", "end").filter(pl.col("end") == pl.col("end").cum_max())
    newest = newest.unique("filed", keep="last", maintain_order=True)
    return with_factor(newest, inputs.splits, "shares_day", "shares_factor").sort("filed")


def balances(inputs: Inputs) -> pl.DataFrame:
    """By `balance_filed`: the newest balance known by then."""
    told = inputs.balance.sort("end", "known").unique("end", keep="first", maintain_order=True)
    newest = told.sort("known", "end").filter(pl.col("end") == pl.col("end").cum_max())
    return newest.unique("known", keep="last", maintain_order=True).select(
        "equity", "debt", "cash", balance_filed="known", balance_end="end"
    )
