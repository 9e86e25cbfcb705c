"""Sums of the last so many rows, each added up in an order that depends on nothing but its own rows.

A running sum depends in its last bits on where it began. Here the last 125 rows are the last 64, before them 32, then
16, 8, 4 and 1; and 64 rows are 32 and 32 before them. So a row has the same bits wherever the rows begin or end: alone,
in a chunk or among all, in whichever process. It costs a dozen additions of whole columns, and no error adds up.

A value that is not there is NaN, and so is what would need it. Arrays may have further axes; rows are the first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gapless.core.lazily import np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Values = NDArray[np.float64]
    #: What is known of windows of one width: some arrays, of which the first entry is that of the first whole window.
    State = tuple[Values, ...]
    #: Windows of (newer, older) rows, their widths -> windows of both together.
    Join = Callable[[State, State, int, int], State]


def total(value: Values, rows: int) -> Values:
    """The sum of the last `rows` rows."""

    def join(newer: State, older: State, _: int, __: int) -> State:
        return (newer[0] + older[0],)

    return _aligned(_last((value,), rows, join), value)[0]


def faded(value: Values, rows: int, keep: float) -> Values:
    """The sum of the last `rows` rows, each older one weighing `keep` times the next."""

    def join(newer: State, older: State, width: int, _: int) -> State:
        return (newer[0] + keep**width * older[0],)

    return _aligned(_last((value,), rows, join), value)[0]


def highest(value: Values, rows: int) -> Values:
    """The largest of the last `rows` rows."""

    def join(newer: State, older: State, _: int, __: int) -> State:
        return (np.maximum(newer[0], older[0]),)

    return _aligned(_last((value,), rows, join), value)[0]


def spread(value: Values, rows: int, least: int) -> tuple[Values, Values]:
    """Mean and standard deviation of those of the last `rows` rows that are there, if they are `least` or more."""
    is_there = np.isfinite(value)
    if not is_there.any():
        return np.full_like(value, np.nan), np.full_like(value, np.nan)
    begin = int(is_there.argmax())
    whole = begin + rows - 1
    if len(value) > whole and is_there[begin:].all():
        # Windows without a hole have the same bits either way, and are done in a third of the time.
        parts = zip(_pooled(value[:whole], rows), _pooled_whole(value[begin:], rows), strict=True)
        number, sums, squares = (np.concatenate(both) for both in parts)
    else:
        number, sums, squares = _pooled(value, rows)
    number = np.where(number >= least, number, np.nan)
    return sums / number, np.sqrt(squares / (number - 1))


def _pooled(value: Values, rows: int) -> State:
    """Number, sum and squares of the distances from their mean, of what is there of the last `rows` rows.

    Those of two windows as those of one: Chan, Golub, LeVeque, 1979.
    """

    def join(newer: State, older: State, _: int, __: int) -> State:
        (count, summed, squares), (others, their_sum, their_squares) = newer, older
        both = count + others
        # Where one window is empty, nothing is apart.
        weight = np.divide(others, count * both, out=np.zeros_like(both), where=count > 0)
        ratio = np.divide(count, others, out=np.zeros_like(both), where=others > 0)
        apart = their_sum * ratio
        apart -= summed
        apart *= apart
        apart *= weight
        apart += squares
        apart += their_squares
        return both, summed + their_sum, apart

    is_there = np.isfinite(value)
    # Rows before the first one are rows that are not there.
    before = np.zeros(rows - 1)
    count = np.concatenate([before, is_there.astype(np.float64)])
    summed = np.concatenate([before, np.where(is_there, value, 0.0)])
    return _last((count, summed, np.zeros_like(count)), rows, join)


def _pooled_whole(value: Values, rows: int) -> State:
    """The same for windows in which every row is there: from the first such window on."""

    def join(newer: State, older: State, width: int, other: int) -> State:
        (summed, squares), (their_sum, their_squares) = newer, older
        # Of two windows of one width the ratio is 1, and leaves the bits as they are.
        apart = their_sum - summed if width == other else their_sum * (width / other) - summed
        apart *= apart
        apart *= other / (width * (width + other))
        apart += squares
        apart += their_squares
        return summed + their_sum, apart

    sums, squares = _last((value, np.zeros_like(value)), rows, join)
    return np.full_like(sums, rows), sums, squares


def _last(one: State, rows: int, join: Join) -> State:
    """Windows of `rows` rows, put together from windows of 1, 2, 4, 8 … rows; empty where there are fewer rows."""
    if len(one[0]) < rows:
        return tuple(part[:0] for part in one)
    made, taken = one, 0
    part, width = one, 1
    while True:
        if rows & width:
            made = _joined(made, part, taken, width, join) if taken else part
            taken += width
        if 2 * width > rows:
            return made
        part = _joined(part, part, width, width, join)
        width *= 2


def _joined(newer: State, older: State, width: int, other: int, join: Join) -> State:
    """Each window of `width` rows with the one of `other` rows that ends where it begins."""
    return join(
        tuple(part[other:] for part in newer),
        tuple(part[: len(part) - width] for part in older),
        width,
        other,
    )


def _aligned(made: State, like: Values) -> State:
    """With NaN in the rows before the first whole window."""
    return tuple(np.concatenate([np.full((len(like) - len(part), *like.shape[1:]), np.nan), part]) for part in made)
