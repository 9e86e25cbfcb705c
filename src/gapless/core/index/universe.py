"""What the members of a market say together: new highs against new lows, rising volume against falling volume."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gapless.core.index.sliding import highest
from gapless.core.index.windows import before
from gapless.core.lazily import np, pl

if TYPE_CHECKING:
    from gapless.core.index.sliding import Values

#: Trading days of a year.
YEAR = 252


def together(days: pl.Series, members: pl.DataFrame) -> pl.DataFrame:
    """`net_highs` and `net_volume` for each of `days`, from rows of `time`, `code`, `close` and `volume`.

    `net_highs`: members whose close is the highest of the last 252 days, less those whose close is the lowest, by all
    that have a close on each of them; null where none has. `net_volume`: volume of members that rose since the day
    before less that of those that fell, by all of it. `members`: a number of the rows of that day. Each looks at a
    fixed number of days: what lies before has no part in it.
    """
    placed = _placed(days, members)
    close, volume = _table(days, placed, "close"), _table(days, placed, "volume")
    high, low = highest(close, YEAR), -highest(-close, YEAR)
    old = np.isfinite(high).sum(axis=1)
    # One that has not moved for a year is at neither end.
    moved = high > low
    edge = (moved & (close == high)).sum(axis=1) - (moved & (close == low)).sum(axis=1)
    yesterday = before(close)
    way = (close > yesterday).astype(np.float64) - (close < yesterday)
    traded = np.nan_to_num(volume)
    whole = _summed(traded)
    net_highs = np.where(old > 0, edge / np.maximum(old, 1), np.nan)
    net_volume = np.where(whole > 0, _summed(way * traded) / np.where(whole > 0, whole, 1.0), np.nan)
    return pl.DataFrame(
        [
            pl.Series("net_highs", net_highs, nan_to_null=True),
            pl.Series("net_volume", net_volume, nan_to_null=True),
            _digest(days, placed),
        ]
    )


def _placed(days: pl.Series, members: pl.DataFrame) -> pl.DataFrame:
    """The members' rows of these days, with the number of their day and of their code, by their order."""
    numbered = pl.DataFrame({"time": days, "day": pl.int_range(len(days), dtype=pl.Int64, eager=True)})
    return members.join(numbered, on="time").with_columns(
        member=pl.col("code").rank("dense").cast(pl.Int64) - 1,
        mark=pl.struct("code", "close", "volume").hash(seed=7),
    )


def _table(days: pl.Series, placed: pl.DataFrame, name: str) -> Values:
    """One column as a table of days by members; NaN where there is no row."""
    made = np.full((len(days), placed["member"].n_unique()), np.nan)
    made[placed["day"].to_numpy(), placed["member"].to_numpy()] = placed[name].cast(pl.Float64).to_numpy()
    return made


def _summed(table: Values) -> Values:
    """The sum of each day, from the first member to the last: one without a row has no part in the order."""
    return np.add.accumulate(table, axis=1)[:, -1] if table.shape[1] else np.zeros(len(table))


def _digest(days: pl.Series, placed: pl.DataFrame) -> pl.Series:
    """A number of all the members' rows of a day."""
    made = np.zeros(len(days), dtype=np.uint64)
    np.add.at(made, placed["day"].to_numpy(), placed["mark"].to_numpy())
    return pl.Series("members", made)
