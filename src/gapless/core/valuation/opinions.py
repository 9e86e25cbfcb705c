"""What analysts had said before an event: price targets, grades, and how the last earnings compared with estimates."""

from __future__ import annotations

from datetime import timedelta

import polars as pl

from gapless.core.valuation.inputs import Inputs, with_factor

#: How long a target, a grade and a change of grade count.
TARGET_WINDOW = timedelta(days=180)
GRADE_WINDOW = timedelta(days=365)
STEP_WINDOW = timedelta(days=90)
COUNTS = ("strong_buy", "buy", "hold", "sell", "strong_sell")


def consensus(events: pl.DataFrame, inputs: Inputs) -> pl.DataFrame:
    """By event: high, low, mean, median and number of the newest target of each firm, in shares of the last close.

    `events` are those of `around`: where there is no close, the day of the last session counts.
    """
    told = _named(inputs.targets.drop_nulls("price")).with_columns(day=inputs.day_of(pl.col("known")))
    told = with_factor(told, inputs.splits, "day", "told_factor")
    last = inputs.sessions.sort("closed").select("closed", session="day")
    asked = events.select("event", "at", "factor").join_asof(
        last, left_on="at", right_on="closed", strategy="backward", allow_exact_matches=False
    )
    asked = with_factor(asked, inputs.splits, "session", "session_factor").select(
        "event", "at", event_factor=pl.coalesce("factor", "session_factor")
    )
    newest = _newest(asked, told.drop("day"), TARGET_WINDOW)
    price = pl.col("price") * pl.col("told_factor") / pl.col("event_factor")
    return newest.group_by("event").agg(
        target_high=price.max(),
        target_low=price.min(),
        target_mean=price.mean(),
        target_median=price.median(),
        target_count=pl.len().cast(pl.Int64),
        target_from=pl.col("known").min(),
        target_to=pl.col("known").max(),
    )


def ratings(events: pl.DataFrame, inputs: Inputs) -> pl.DataFrame:
    """By event: how many firms held which grade, and upgrades less downgrades of the last 90 days."""
    told = _named(inputs.grades)
    newest = _newest(events.select("event", "at"), told, GRADE_WINDOW)
    counts = newest.group_by("event").agg(
        *[(pl.col("grade") == place).sum().cast(pl.Int64).alias(name) for place, name in enumerate(COUNTS, 1)],
        grade_from=pl.col("known").min(),
        grade_to=pl.col("known").max(),
    )
    steps = _within(events.select("event", "at"), told, STEP_WINDOW)
    balance = steps.group_by("event").agg(grade_balance=pl.col("step").sum())
    return counts.join(balance, on="event", how="left").with_columns(pl.col("grade_balance").fill_null(0))


def surprises(events: pl.DataFrame, inputs: Inputs) -> pl.DataFrame:
    """Events with the last earnings report before them and by how much it beat its estimate."""
    told = inputs.earnings.drop_nulls("actual").sort("known").rename({"known": "reported"})
    found = events.select("event", "at").join_asof(
        told, left_on="at", right_on="reported", strategy="backward", allow_exact_matches=False, coalesce=False
    )
    base = pl.col("estimated").abs()
    return found.select(
        "event",
        "reported",
        surprise=pl.when(base > 0).then((pl.col("actual") - pl.col("estimated")) / base),
    )


def _named(told: pl.DataFrame) -> pl.DataFrame:
    """Who gives no name is somebody else each time."""
    nobody = pl.format("#{}", pl.int_range(pl.len()))
    named = pl.when(pl.col("firm").str.len_chars() > 0).then(pl.col("firm")).otherwise(nobody)
    return told.sort("known").with_columns(firm=named)


def _within(events: pl.DataFrame, told: pl.DataFrame, window: timedelta) -> pl.DataFrame:
    """Every event with everything that was told in the time before it."""
    return events.join_where(told, pl.col("known") < pl.col("at"), pl.col("known") >= pl.col("at") - window)


def _newest(events: pl.DataFrame, told: pl.DataFrame, window: timedelta) -> pl.DataFrame:
    """The last word of each firm."""
    found = _within(events, told, window).sort("event", "known")
    return found.unique(["event", "firm"], keep="last", maintain_order=True)
