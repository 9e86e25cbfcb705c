"""Derived datasets: what a series of theirs is made of, and by which arithmetic.

Days of all of them are days of the calendar, told as midnight UTC whichever zone their market lives in: 3 June 2024 of
Seoul is 2024-06-03T00:00Z.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from gapless.core.dataset import COMPUTED, Axis, Column, Conflict, Dataset, Type
from gapless.core.errors import UsageError
from gapless.core.grid import Steps
from gapless.core.index.components import COMPONENTS
from gapless.core.index.fear_greed import calendar_days, columns_of, fear_greed, fingerprint, within
from gapless.core.index.preset import VERSION, Preset, checked, preset, with_weights
from gapless.core.index.windows import RSI_MEMORY, moving_average, relative_strength
from gapless.core.lazily import pl
from gapless.core.span import DAY, HOUR, Instant

if TYPE_CHECKING:
    from gapless.core.index.sliding import Values

FEAR_GREED, AVERAGE, RSI = "index.fear_greed", "index.moving_average", "index.rsi"


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """Stored rows that a series is made of."""

    dataset: str
    series: str
    #: Our name for a column -> its name there.
    columns: Mapping[str, str]
    #: Only rows with this value in this column.
    where: tuple[str, str] | None = None
    #: A day has many rows, told apart by `code`; else one.
    is_members: bool = False
    #: Microseconds from midnight UTC to the midnight that begins its days: days of Seoul begin nine hours earlier.
    east: int = 0
    #: Without it nothing can be computed; else what is missing of it is a component without data.
    is_needed: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Formula:
    """How one derived series is made."""

    inputs: tuple[Input, ...]
    #: Days of the calendar before a day that its value may depend on.
    reach: int
    #: From the daily frame and that of the members, for days in `[start, end)`.
    compute: Callable[[pl.DataFrame, pl.DataFrame | None, tuple[Instant, Instant]], pl.DataFrame]


def _dataset(name: str, columns: Sequence[Column], example: str, pattern: str) -> Dataset:
    return Dataset(
        name=name,
        source=COMPUTED,
        grid=Steps(DAY),
        axis=Axis.DAY,
        columns=(
            *columns,
            Column(name="inputs", type=Type.TEXT, doc="a number of all the inputs that the value depends on"),
            Column(name="version", type=Type.INT, doc="of the arithmetic; values of two are not comparable"),
            Column(name="job", type=Type.INT, doc="that computed it"),
            Column(name="known_at", type=Type.TIME, doc="when"),
        ),
        conflict=Conflict.LAST,
        settle=timedelta(hours=10),
        example=example,
        pattern=pattern,
        period=timedelta(days=1),
    )


def _parts() -> list[Column]:
    told = []
    for name, one in COMPONENTS.items():
        told.append(Column(name=name, type=Type.FLOAT, nullable=True, doc=f"0-100: {one.doc}"))
        told.append(Column(name=f"{name}_raw", type=Type.FLOAT, nullable=True, doc=one.doc))
    return told


_INDEX = _dataset(
    FEAR_GREED,
    (
        Column(name="score", type=Type.FLOAT, doc="0 extreme fear … 100 extreme greed"),
        Column(name="band", type=Type.TEXT, doc="extreme fear, fear, neutral, greed, extreme greed"),
        Column(name="components", type=Type.INT, doc="how many have data on that day"),
        *_parts(),
    ),
    "KOSPI",
    r"[A-Z]+(/[0-9a-f]{8})?",
)
_VALUE = (Column(name="value", type=Type.FLOAT, doc="of the last closes, this day's included"),)
_OF = r"[a-z0-9._]+[0-9a-zA-Z]:\S+/\d{1,4}"
DATASETS = {
    one.name: one
    for one in (
        _INDEX,
        _dataset(AVERAGE, _VALUE, "upbit.candles.1d:KRW-BTC/20", _OF),
        _dataset(RSI, _VALUE, "upbit.candles.1d:KRW-BTC/14", _OF),
    )
}


# -- Fear & Greed


@dataclass(frozen=True, slots=True, kw_only=True)
class _Market:
    inputs: tuple[Input, ...]
    is_daily: bool = False


_KST = 9 * HOUR
_SHARES = {"code": "code", "close": "close", "volume": "volume"}
_KOSPI = _Market(
    inputs=(
        Input(
            dataset="krx.indices",
            series="KOSPI",
            columns={"close": "close", "value": "value"},
            where=("index", "코스피"),
            east=_KST,
        ),
        Input(dataset="krx.stocks", series="KOSPI", columns=_SHARES, is_members=True, east=_KST),
        Input(dataset="krx.etfs", series="ETF", columns={"bond": "close"}, where=("code", "148070"), east=_KST),
    )
)
#: Unless the wish names others.
UNIVERSE = ("KRW-BTC", "KRW-ETH", "KRW-XRP")


def _crypto(universe: Sequence[str]) -> _Market:
    first = Input(dataset="upbit.candles.1d", series=universe[0], columns={"close": "close", "value": "value"})
    columns = {"close": "close", "volume": "value"}
    members = tuple(Input(dataset="upbit.candles.1d", series=one, columns=columns, is_members=True) for one in universe)
    return _Market(inputs=(first, *members), is_daily=True)


#: The published inputs that a user imports for the US: our columns by the series' names.
PUBLISHED = ("close", "vix", "strength", "breadth", "put_call", "safe_haven", "junk_bond")


def _us() -> _Market:
    return _Market(
        inputs=tuple(
            Input(dataset="user.daily", series=f"US.{name}", columns={name: "value"}, is_needed=name == "close")
            for name in PUBLISHED
        )
    )


def market(params: Mapping[str, Any]) -> Preset:
    """The parameters of an index, checked; raises `UsageError`."""
    made = preset(str(params.get("market", "")))
    if params.get("weights"):
        made = with_weights(made, params["weights"])
    changes = {name: params[name] for name in ("window", "least", "enough") if params.get(name) is not None}
    return checked(replace(made, **changes))


def series_of(params: Mapping[str, Any]) -> str:
    """The series that parameters make: a market, with a digest of whatever is not the preset's."""
    name = preset(str(params.get("market", ""))).name
    market(params)
    own = {key: value for key, value in params.items() if key in _OWN and value is not None}
    if own.get("universe") == list(UNIVERSE):
        del own["universe"]
    if not own:
        return name
    digest = hashlib.sha256(json.dumps(own, sort_keys=True).encode()).hexdigest()[:8]
    return f"{name}/{digest}"


_OWN = ("weights", "window", "least", "enough", "universe")


def _fear_greed(series: str, params: Mapping[str, Any]) -> Formula:
    given = {"market": series.partition("/")[0], **params}
    if series_of(given) != series:
        raise UsageError(
            f"series: {series} was made with other parameters", field="series", hint="name the market, and give them"
        )
    made = market(given)
    kinds: dict[str, Callable[[], _Market]] = {
        "KOSPI": lambda: _KOSPI,
        "CRYPTO": lambda: _crypto(list(given.get("universe") or UNIVERSE)),
        "US": _us,
    }
    its = kinds[made.name]()

    reach = calendar_days(made.reach, daily=its.is_daily)

    def compute(days: pl.DataFrame, members: pl.DataFrame | None, wanted: tuple[Instant, Instant]) -> pl.DataFrame:
        found = _near(fear_greed(days, made, members), made.reach, reach)
        found = within(found, wanted).filter(pl.col("score").is_not_null())
        absent = [name for one in COMPONENTS for name in (one, f"{one}_raw") if name not in found.columns]
        return found.with_columns(pl.lit(None, dtype=pl.Float64).alias(name) for name in absent)

    return Formula(inputs=its.inputs, reach=reach, compute=compute)


def _near(days: pl.DataFrame, rows: int, reach: int) -> pl.DataFrame:
    """Without days whose last `rows` rows do not lie within their reach: how many of them were read is chance."""
    past = pl.col("time") - pl.col("time").shift(rows - 1)
    return days.filter((past <= timedelta(days=reach)).fill_null(value=True))


# -- averages of one price


def _single(least: int, make: Callable[[Values, int], Values], series: str, params: Mapping[str, Any]) -> Formula:  # noqa: ARG001
    told = re.fullmatch(r"([^:]+):(.+)/(\d+)", series)
    if told is None:
        raise UsageError(f"series: {series!r} names no input", field="series", hint="upbit.candles.1d:KRW-BTC/20")
    dataset, name, rows = told[1], told[2], int(told[3])
    if rows < 2:
        raise UsageError(f"series: {rows} days make no average", field="series", hint="give 2 or more after the /")
    name, _, member = name.partition(":")
    key = "index" if dataset == "krx.indices" else "code"
    is_korean = dataset.startswith("krx.")
    one = Input(
        dataset=dataset,
        series=name,
        columns={"close": "close"},
        where=(key, member) if member else None,
        east=_KST if is_korean else 0,
    )
    needed = max(least, rows)
    reach = calendar_days(needed, daily=dataset.startswith("upbit."))

    def compute(days: pl.DataFrame, _: pl.DataFrame | None, wanted: tuple[Instant, Instant]) -> pl.DataFrame:
        value = pl.Series("value", make(columns_of(days)["close"], rows), nan_to_null=True)
        found = _near(days.select("time", value, inputs=fingerprint(needed)), needed, reach)
        return within(found, wanted).filter(pl.col("value").is_finite())

    return Formula(inputs=(one,), reach=reach, compute=compute)


FORMULAS: dict[str, Callable[[str, Mapping[str, Any]], Formula]] = {
    FEAR_GREED: _fear_greed,
    AVERAGE: partial(_single, 2, moving_average),
    RSI: partial(_single, RSI_MEMORY + 1, relative_strength),
}


def formula(dataset: str, series: str, params: Mapping[str, Any]) -> Formula:
    """How a series of a derived dataset is made; raises `UsageError`."""
    return FORMULAS[dataset](series, params)


__all__ = ["DATASETS", "VERSION", "Formula", "Input", "formula", "series_of"]
