"""What the members of a market say together: new highs against new lows, rising volume against falling volume."""

from __future__ import annotations

from gapless.core.lazily import pl

#: Trading days of a year.
YEAR = 252


def together(members: pl.DataFrame) -> pl.DataFrame:
    """`net_highs` and `net_volume` by `time`, from rows of `time`, `code`, `close` and `volume`.

    `net_highs`: members whose close is the highest of their last 252, less those whose close is the lowest, by all that
    have 252; null where none has. `net_volume`: volume of members that rose less that of those that fell, by all of it.
    """
    ordered = members.sort("code", "time", maintain_order=True)
    close, before = pl.col("close"), pl.col("close").shift(1).over("code")
    high = close.rolling_max(YEAR, min_samples=YEAR).over("code")
    low = close.rolling_min(YEAR, min_samples=YEAR).over("code")
    # One that has not moved for a year is at neither end.
    moved = high > low
    marked = ordered.with_columns(
        is_old=high.is_not_null(),
        edge=pl.when(moved & (close == high)).then(1).when(moved & (close == low)).then(-1).otherwise(0),
        flow=pl.when(close > before).then(pl.col("volume")).when(close < before).then(-pl.col("volume")).otherwise(0.0),
    )
    old = pl.col("is_old").sum()
    # Fixed order of summation: by code within a day.
    by_day = marked.sort("time", "code").group_by("time", maintain_order=True)
    return by_day.agg(
        net_highs=pl.when(old > 0).then(pl.col("edge").filter("is_old").sum() / old),
        net_volume=pl.when(pl.col("volume").sum() > 0).then(pl.col("flow").sum() / pl.col("volume").sum()),
    )
