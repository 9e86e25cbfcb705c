"""Rolling expressions. Each value is a function of a fixed number of rows that end at its own: nothing looks ahead.

Averages with an endless memory are cut off, so that a value does not depend on where its history begins.
"""

from __future__ import annotations

from gapless.core.lazily import pl

#: Rows that a smoothed average remembers; what lies before would weigh less than 3 in a million.
MEMORY = 250
#: Rows that an RSI remembers.
RSI_MEMORY = 250


def change(value: pl.Expr, rows: int) -> pl.Expr:
    """How much it has grown in so many rows, as a fraction."""
    return value / value.shift(rows) - 1


def smoothed(value: pl.Expr, rows: int) -> pl.Expr:
    """The exponential average of span `rows` (alpha 2 / (rows + 1)) over the last `MEMORY` rows."""
    return _faded(value, 2 / (rows + 1), MEMORY)


def _faded(value: pl.Expr, alpha: float, memory: int) -> pl.Expr:
    # The difference of two endless averages, one of them older: what came before has the same part in both.
    endless = value.ewm_mean(alpha=alpha, adjust=False, ignore_nulls=True)
    lost = (1 - alpha) ** memory
    return (endless - lost * endless.shift(memory)) / (1 - lost)


def realised(close: pl.Expr, rows: int) -> pl.Expr:
    """The standard deviation of the last `rows` daily log returns."""
    returns = (close / close.shift(1)).log()
    return returns.rolling_std(rows, min_samples=rows)


def mean(value: pl.Expr, rows: int) -> pl.Expr:
    """The plain average of the last `rows` rows, none of them missing."""
    return value.rolling_mean(rows, min_samples=rows)


def standard(value: pl.Expr, rows: int, least: int) -> pl.Expr:
    """How many standard deviations it is above its average over the last `rows` rows, `least` of which have a value.

    0 where it has not changed at all.
    """
    spread = value.rolling_std(rows, min_samples=least)
    distance = value - value.rolling_mean(rows, min_samples=least)
    return pl.when(spread > 1e-12 * value.abs()).then(distance / spread).when(spread.is_not_null()).then(0.0)


def moving_average(close: pl.Expr, rows: int) -> pl.Expr:
    """A simple moving average."""
    return mean(close, rows)


def relative_strength(close: pl.Expr, rows: int) -> pl.Expr:
    """Wilder's RSI: 100 × average gain / (average gain + average loss), both fading by 1 / rows; 50 without moves.

    The averages remember `RSI_MEMORY` moves; the first value needs that many.
    """
    move = close.diff()
    gain = _faded(move.clip(lower_bound=0), 1 / rows, RSI_MEMORY)
    loss = _faded((-move).clip(lower_bound=0), 1 / rows, RSI_MEMORY)
    total = gain + loss
    return pl.when(total > 0).then(100 * gain / total).when(total.is_not_null()).then(50.0)
