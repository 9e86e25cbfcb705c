"""How dear a company was beside its sector, as far as the values of others at *earlier* events tell.

A ratio at an event is made of closes and statements from before it, so what is made of ratios at earlier events holds
nothing that was published later.
"""

from __future__ import annotations

from datetime import timedelta

import polars as pl

#: How long a ratio of another company counts, and how many companies a median needs.
WINDOW = timedelta(days=120)
PEERS = 5
#: Events compared at once: each meets all ratios of its window.
_TOGETHER = 500
_NO_RATIO = "no price-earnings ratio at the event"
_FEW = f"fewer than {PEERS} other companies of the sector had a ratio in the {WINDOW.days} days before the event"


def to_sector(events: pl.DataFrame) -> pl.DataFrame:
    """By event of one sector (`event`, `company`, `at`, `per`): the distance to the median of the others' last ratios.

    Columns `event`, `per_to_sector`, `sector_from` and `sector_to` (the moments of the ratios), `peers`, `reason`.
    """
    told = events.filter(pl.col("per") > 0).select(peer="company", told="at", theirs="per")
    return pl.concat([_compared(some, told) for some in events.iter_slices(_TOGETHER)])


def _compared(events: pl.DataFrame, told: pl.DataFrame) -> pl.DataFrame:
    found = events.select("event", "company", "at").join_where(
        told,
        pl.col("told") < pl.col("at"),
        pl.col("told") >= pl.col("at") - WINDOW,
        pl.col("peer") != pl.col("company"),
    )
    newest = found.sort("event", "told", "theirs").unique(["event", "peer"], keep="last", maintain_order=True)
    medians = newest.group_by("event").agg(
        median=pl.col("theirs").median(),
        sector_from=pl.col("told").min(),
        sector_to=pl.col("told").max(),
        peers=pl.len().cast(pl.Int64),
    )
    joined = events.join(medians, on="event", how="left", maintain_order="left")
    enough = pl.col("peers").fill_null(0) >= PEERS
    return joined.select(
        "event",
        pl.when(enough).then(pl.col("per") / pl.col("median") - 1).alias("per_to_sector"),
        "sector_from",
        "sector_to",
        "peers",
        reason=pl.when(pl.col("per").is_null()).then(pl.lit(_NO_RATIO)).when(~enough).then(pl.lit(_FEW)),
    )
