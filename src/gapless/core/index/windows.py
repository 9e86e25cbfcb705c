"""Rolling measures. Each value is a function of a fixed number of rows that end at its own: nothing looks ahead.

Averages with an endless memory are cut off, so that a value does not depend on where its history begins. What is not
there is NaN; what needs a value that is not there is NaN, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gapless.core.index.sliding import faded, highest, spread, total
from gapless.core.lazily import np

if TYPE_CHECKING:
    from gapless.core.index.sliding import Values

#: Rows that a smoothed average remembers; what lies before would weigh less than 3 in a million.
MEMORY = 250
#: Moves that an RSI remembers.
RSI_MEMORY = 250


def before(value: Values, rows: int = 1) -> Values:
    """The value so many rows before."""
    lost = np.full((min(rows, len(value)), *value.shape[1:]), np.nan)
    return np.concatenate([lost, value[: len(value) - len(lost)]])


def change(value: Values, rows: int) -> Values:
    """How much it has grown in so many rows, as a fraction."""
    return value / before(value, rows) - 1


def smoothed(value: Values, rows: int) -> Values:
    """The exponential average of span `rows` (alpha 2 / (rows + 1)) over the last `MEMORY` rows."""
    return _faded(value, 2 / (rows + 1), MEMORY)


def _faded(value: Values, alpha: float, memory: int) -> Values:
    keep = 1 - alpha
    return faded(value, memory, keep) * (alpha / (1 - keep**memory))


def realised(close: Values, rows: int) -> Values:
    """The standard deviation of the last `rows` daily log returns."""
    return spread(np.log(close / before(close)), rows, rows)[1]


def mean(value: Values, rows: int) -> Values:
    """The plain average of the last `rows` rows, none of them missing."""
    return total(value, rows) / rows


def fall(value: Values, rows: int) -> Values:
    """How far it is below the highest of the last `rows` rows, as a fraction (negative)."""
    return value / highest(value, rows) - 1


def standard(value: Values, rows: int, least: int) -> Values:
    """How many standard deviations it is above its average over the last `rows` rows, `least` of which have a value.

    0 where it has not changed at all.
    """
    average, width = spread(value, rows, least)
    distance = value - average
    has_moved = width > 1e-12 * np.abs(value)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(has_moved | np.isnan(distance), distance / width, 0.0)


def moving_average(close: Values, rows: int) -> Values:
    """A simple moving average."""
    return mean(close, rows)


def relative_strength(close: Values, rows: int) -> Values:
    """Wilder's RSI: 100 × average gain / (average gain + average loss), both fading by 1 / rows; 50 without moves.

    The averages remember `RSI_MEMORY` moves; the first value needs that many.
    """
    move, keep = close - before(close), 1 - 1 / rows
    gain = faded(np.maximum(move, 0.0), RSI_MEMORY, keep)
    both = faded(np.abs(move), RSI_MEMORY, keep)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(both == 0, 50.0, 100 * gain / both)
