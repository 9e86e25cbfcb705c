"""Fear & Greed from daily inputs: the index of a day is a function of the days up to it, and of nothing later.

A component's score is 50 + 25 × its distance from its own mean of the last `window` days in standard deviations,
turned so that greed is high, and cut to 0 … 100. The index is the weighted mean of the components that have data.

A day depends on its last `reach` rows and on nothing else, to the last bit (see `sliding`): whoever computes it, alone,
in a chunk or among all, in whichever process, computes the same bits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gapless.core.index.components import COMPONENTS, REACH, Columns
from gapless.core.index.preset import BANDS, Preset
from gapless.core.index.universe import together
from gapless.core.index.windows import standard
from gapless.core.lazily import np, pl
from gapless.core.span import Instant

if TYPE_CHECKING:
    from gapless.core.index.sliding import Values

#: Days of the calendar by days of trading: 10 in 7 leave room for holidays, 11 in 10 for a market that never rests.
STRETCH, RESTLESS = 1.55, 1.1


def calendar_days(reach: int, *, daily: bool) -> int:
    """Days of the calendar in which so many rows lie, on a market that trades every day or on one that rests."""
    return round(reach * (RESTLESS if daily else STRETCH)) + 10


def fear_greed(inputs: pl.DataFrame, made: Preset, members: pl.DataFrame | None = None) -> pl.DataFrame:
    """The index for every row of `inputs` (`time` ascending, one row a day).

    A row is right when the `reach` - 1 rows before it are there, or all that there are. A component counts from the row
    on that has all the rows before it that any component may need (`REACH`). `members` are the rows of a market's
    shares (see `universe.together`), of which two inputs are made.

    Columns: `time`, `inputs` (see `fingerprint`), `score` (null where too few components have data), `band`,
    `components` (how many have data), and for each of the preset's its raw value and its score, null without data.
    """
    columns, given = columns_of(inputs), inputs
    if members is not None:
        made_of = together(inputs["time"], members)
        columns |= columns_of(made_of.drop("members"))
        # What they make reaches back for itself: of the members only the day's own rows are part of its inputs.
        given = inputs.hstack(made_of.select("members"))
    with np.errstate(all="ignore"):
        raws = {name: _raw(name, columns, inputs.height) for name in made.weights}
        scores = {name: _score(raw, COMPONENTS[name].sign, made) for name, raw in raws.items()}
        score, counted = _together(scores, made, inputs.height)
    values = {"score": score} | {f"{name}_raw": raw for name, raw in raws.items()} | scores
    told = [pl.Series(name, one, nan_to_null=True) for name, one in values.items()]
    listed = [inputs["time"], *told, pl.Series("components", counted.astype(np.int64))]
    numbered = given.select(fingerprint(made.reach).alias("inputs"))
    return pl.DataFrame(listed).hstack(numbered).with_columns(band=banded(pl.col("score")))


def columns_of(days: pl.DataFrame) -> dict[str, Values]:
    """The numbers of the days by name, NaN where there is none."""
    named = [name for name, kind in days.schema.items() if kind.is_numeric()]
    return {name: days[name].cast(pl.Float64).to_numpy() for name in named}


def _raw(name: str, columns: Columns, rows: int) -> Values:
    found = COMPONENTS[name].of(columns)
    if found is None:
        return np.full(rows, np.nan)
    return np.where(np.isfinite(found) & (np.arange(rows) >= REACH - 1), found, np.nan)


def _score(raw: Values, sign: int, made: Preset) -> Values:
    clipped: Values = np.clip(50 + 25 * sign * standard(raw, made.window, made.least), 0, 100)
    return clipped


def _together(scores: dict[str, Values], made: Preset, rows: int) -> tuple[Values, Values]:
    """The weighted mean of the components that have data, and how many they are."""
    weight, points, counted = np.zeros(rows), np.zeros(rows), np.zeros(rows)
    for name, one in scores.items():
        is_there = ~np.isnan(one)
        weight += is_there * made.weights[name]
        points += np.where(is_there, one, 0.0) * made.weights[name]
        counted += is_there
    # A weight of a hair less than enough is enough: 0.2 four times is not quite 0.8.
    return np.where(weight >= made.enough - 1e-9, points / weight, np.nan), counted


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


def within(days: pl.DataFrame, wanted: tuple[Instant, Instant] | None) -> pl.DataFrame:
    """The rows whose `time` lies in `wanted`: all, where that is None."""
    if wanted is None:
        return days
    first, past = (days["time"].dt.epoch("us").search_sorted(one) for one in wanted)
    return days.slice(first, past - first)


def fingerprint(reach: int) -> pl.Expr:
    """A number of the last `reach` rows as a whole, all their columns: equal inputs, equal number (on one polars)."""
    total = pl.struct(pl.all()).hash(seed=7).cum_sum()
    return (total - total.shift(reach).fill_null(0)).cast(pl.String)
