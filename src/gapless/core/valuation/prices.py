"""Closes around an event: the last one before it, what became of it, and how dear the company used to be."""

from __future__ import annotations

from datetime import timedelta

import polars as pl

from gapless.core.valuation.inputs import Inputs, with_factor

#: Sessions after which a close is too old to be "the last one".
STALE = 5
HORIZONS = (1, 5, 20, 60)
MEMORY = timedelta(days=1827)
#: Sessions with a price-earnings ratio that a median needs.
ENOUGH = 250


def closes(inputs: Inputs, sums: pl.DataFrame) -> pl.DataFrame:
    """Sessions with a close: `number`, `day`, `closed`, `close`, `factor`, and the median of the own ratio by then."""
    told = inputs.prices.unique("day", keep="first").join(inputs.sessions, on="day", how="inner").sort("closed")
    told = with_factor(told, inputs.splits, "day", "factor").sort("closed")
    return _with_median(told, sums)


def _with_median(told: pl.DataFrame, sums: pl.DataFrame) -> pl.DataFrame:
    priced = told.join_asof(
        sums.select("told", "net_income", "shares", "shares_factor"),
        left_on="closed",
        right_on="told",
        strategy="backward",
        allow_exact_matches=False,
        coalesce=False,
    )
    worth = pl.col("close") * pl.col("shares") * pl.col("factor") / pl.col("shares_factor")
    ratio = pl.when(pl.col("net_income") > 0).then(worth / pl.col("net_income"))
    priced = priced.with_columns(ratio=ratio)
    medians = (
        priced.filter(pl.col("ratio").is_not_null())
        .select(
            "closed",
            per_median=pl.col("ratio").rolling_median_by("closed", MEMORY, min_samples=ENOUGH),
            median_from=pl.col("closed").rolling_min_by("closed", MEMORY),
        )
        .sort("closed")
    )
    return priced.select("number", "day", "closed", "close", "factor").join_asof(
        medians, on="closed", strategy="backward"
    )


def around(events: pl.DataFrame, inputs: Inputs, sums: pl.DataFrame) -> pl.DataFrame:
    """Events with the last close before them (null when it is too old) and the returns after it; sums of `trailing`."""
    told = closes(inputs, sums)
    last = inputs.sessions.sort("closed").select("closed", latest="number")
    found = events.join_asof(
        last, left_on="at", right_on="closed", strategy="backward", allow_exact_matches=False, coalesce=True
    ).drop("closed", strict=False)
    found = found.join_asof(
        told.rename({"day": "close_day"}),
        left_on="at",
        right_on="closed",
        strategy="backward",
        allow_exact_matches=False,
        coalesce=False,
    )
    fresh = pl.col("latest") - pl.col("number") < STALE
    kept = ("number", "close_day", "closed", "close", "factor", "per_median", "median_from")
    found = found.with_columns([pl.when(fresh).then(pl.col(one)).alias(one) for one in kept])
    found = found.join(_later(inputs, told), on="number", how="left", maintain_order="left")
    paid = pl.col("close") * pl.col("factor")
    return found.with_columns(**{f"return_{ahead}": pl.col(f"_{ahead}") / paid - 1 for ahead in HORIZONS})


def _later(inputs: Inputs, told: pl.DataFrame) -> pl.DataFrame:
    """By `number` of a session: for each horizon the close so many sessions later, and its moment.

    Sessions are numbered without a gap, so that a row further down is a session later.
    """
    after = told.select("number", later=pl.col("close") * pl.col("factor"), at_close="closed")
    line = inputs.sessions.select("number").join(after, on="number", how="left", maintain_order="left")
    then = [pl.col("later").shift(-ahead).alias(f"_{ahead}") for ahead in HORIZONS]
    return line.select(
        "number", *then, *[pl.col("at_close").shift(-ahead).alias(f"return_{ahead}_at") for ahead in HORIZONS]
    )
