"""Fear & Greed from daily inputs: the index of a day is a function of the days up to it, and of nothing later.

A component's score is 50 + 25 × its distance from its own mean of the last `window` days in standard deviations,
turned so that greed is high, and cut to 0 … 100. The index is the weighted mean of the components that have data.

Rolling sums depend in their last bits on where they begin. So days are computed in *blocks*, calendar years, each
from a slice that begins exactly `reach` rows before it: whoever computes a day, alone, in a chunk or among all, in
whichever process, computes the same bits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import pairwise

from gapless.core.index.components import COMPONENTS, REACH
from gapless.core.index.preset import BANDS, Preset
from gapless.core.index.universe import together
from gapless.core.index.windows import standard
from gapless.core.lazily import pl
from gapless.core.span import Instant

#: Days of the calendar that are sure to hold so many trading days: 10 in 7 leave room for holidays.
STRETCH = 1.55


def calendar_days(reach: int, *, daily: bool) -> int:
    """Days of the calendar in which so many rows lie, on a market that trades every day or on one that rests."""
    return reach if daily else round(reach * STRETCH)


def fear_greed(inputs: pl.DataFrame, made: Preset) -> pl.DataFrame:
    """The index for every row of `inputs` (`time` ascending, one row a day), as one slice.

    A component counts from the row on that has all the rows before it that any component may need (`REACH`).

    Columns: `time`, `inputs` (see `fingerprint`), `score` (null where too few components have data), `band`,
    `components` (how many have data), and for each of the preset's its raw value and its score, null without data.
    """
    columns = {name for name in inputs.columns if inputs[name].dtype.is_numeric()}
    names = list(made.weights)
    has_past = pl.int_range(pl.len()) >= REACH - 1
    raws = [pl.when(has_past).then(_raw(name, columns)).alias(f"{name}_raw") for name in names]
    scored = inputs.select("time", *raws, inputs=fingerprint(made.reach)).with_columns(
        _score(f"{name}_raw", COMPONENTS[name].sign, made).alias(name) for name in names
    )
    total = pl.sum_horizontal(
        *(pl.when(pl.col(name).is_not_null()).then(made.weights[name]).otherwise(0.0) for name in names)
    )
    points = pl.sum_horizontal(*(pl.col(name).fill_null(0.0) * made.weights[name] for name in names))
    # A weight of a hair less than enough is enough: 0.2 four times is not quite 0.8.
    is_enough = total >= made.enough - 1e-9
    return scored.with_columns(
        score=pl.when(is_enough).then(points / total),
        components=pl.sum_horizontal(*(pl.col(name).is_not_null() for name in names)).cast(pl.Int64),
    ).with_columns(band=banded(pl.col("score")))


def _raw(name: str, columns: set[str]) -> pl.Expr:
    found = COMPONENTS[name].of(columns)
    value = pl.lit(None, dtype=pl.Float64) if found is None else found.cast(pl.Float64)
    return pl.when(value.is_finite()).then(value)


def _score(raw: str, sign: int, made: Preset) -> pl.Expr:
    distance = standard(pl.col(raw), made.window, made.least)
    return (50 + 25 * sign * distance).clip(0, 100)


def banded(score: pl.Expr) -> pl.Expr:
    """The names of scores; see `preset.band`."""
    return (
        pl.when(score < 25)
        .then(pl.lit(BANDS[0]))
        .when(score < 45)
        .then(pl.lit(BANDS[1]))
        .when(score <= 55)
        .then(pl.lit(BANDS[2]))
        .when(score <= 75)
        .then(pl.lit(BANDS[3]))
        .when(score.is_not_null())
        .then(pl.lit(BANDS[4]))
    )


def blocks(times: pl.Series, offset: timedelta) -> Iterator[tuple[int, int]]:
    """First and past-the-end row of each calendar year of `times`, in the zone that lies `offset` east of UTC."""
    years = (times + offset).dt.year()
    starts = [0, *(years != years.shift(1)).fill_null(value=False).arg_true().to_list(), len(times)]
    yield from ((first, past) for first, past in pairwise(starts) if first < past)


def in_blocks(
    inputs: pl.DataFrame,
    made: Preset,
    offset: timedelta,
    wanted: tuple[Instant, Instant] | None = None,
    members: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """The index for rows of `inputs` in `wanted`, block by block: the bits do not depend on which are asked for.

    `members` are the rows of a market's shares (see `universe.together`), of which two inputs are made.
    """

    def whole(part: pl.DataFrame) -> pl.DataFrame:
        return fear_greed(_joined(part, members), made)

    return by_block(inputs, made.reach, whole, offset, wanted)


def by_block(
    inputs: pl.DataFrame,
    reach: int,
    compute: Callable[[pl.DataFrame], pl.DataFrame],
    offset: timedelta,
    wanted: tuple[Instant, Instant] | None = None,
) -> pl.DataFrame:
    """What `compute` makes of each block with the `reach` - 1 rows before it, for the rows in `wanted`."""
    times = inputs["time"]
    parts = []
    for first, past in blocks(times, offset):
        asked = _within(times.slice(first, past - first), wanted)
        if not asked.any():
            continue
        begin = max(0, first - (reach - 1))
        # A block is computed up to the last wanted row only: what follows has no say in it.
        last = int(asked.arg_true()[-1]) + 1
        part = compute(inputs.slice(begin, first - begin + last))
        parts.append(part.slice(first - begin).filter(asked.slice(0, last)))
    return pl.concat(parts) if parts else compute(inputs.clear())


def fingerprint(reach: int) -> pl.Expr:
    """A number of the last `reach` rows as a whole, all their columns: equal inputs, equal number (on one polars)."""
    total = pl.struct(pl.all()).hash(seed=7).cum_sum()
    return (total - total.shift(reach).fill_null(0)).cast(pl.String)


def _joined(part: pl.DataFrame, members: pl.DataFrame | None) -> pl.DataFrame:
    """A slice of the inputs with what the members say on exactly its days."""
    if members is None:
        return part
    inside = members.filter(pl.col("time").is_between(part["time"].min(), part["time"].max()))
    return part.join(together(inside), on="time", how="left", maintain_order="left")


def _within(times: pl.Series, wanted: tuple[Instant, Instant] | None) -> pl.Series:
    at = times.dt.epoch("us")
    if wanted is None:
        return at.is_not_null()
    return (at >= wanted[0]) & (at < wanted[1])
