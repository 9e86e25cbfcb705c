"""The candle units of Upbit: datasets, and the records as they come."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import msgspec

from gapless.core.dataset import Axis, Column, Dataset, Type
from gapless.core.grid import WEEKS, Grid, Months, Steps
from gapless.core.page import Row
from gapless.core.span import DAY, MINUTE, SECOND, Instant

_CANDLE = (
    Column(name="open", type=Type.FLOAT, doc="first trade, quote currency"),
    Column(name="high", type=Type.FLOAT, doc="highest trade"),
    Column(name="low", type=Type.FLOAT, doc="lowest trade"),
    Column(name="close", type=Type.FLOAT, doc="last trade"),
    Column(name="volume", type=Type.FLOAT, doc="traded, base currency"),
    Column(name="value", type=Type.FLOAT, doc="traded, quote currency"),
    Column(name="last_tick_at", type=Type.TIME, doc="when the last trade was stored; may lie just past the end"),
)
_DAILY = (
    Column(name="prev_close", type=Type.FLOAT, nullable=True, doc="close of the day before"),
    Column(name="change", type=Type.FLOAT, nullable=True, doc="close - prev_close"),
    Column(name="change_rate", type=Type.FLOAT, nullable=True, doc="change / prev_close"),
)


class Candle(msgspec.Struct, gc=False):
    market: str
    candle_date_time_utc: str
    opening_price: float
    high_price: float
    low_price: float
    trade_price: float
    timestamp: int
    candle_acc_trade_price: float
    candle_acc_trade_volume: float

    @staticmethod
    def rows(times: Sequence[Instant], candles: Sequence[Any]) -> list[Row]:
        """All of a page at once: a call for each candle would take as long as the rest."""
        return [
            (
                time,
                one.opening_price,
                one.high_price,
                one.low_price,
                one.trade_price,
                one.candle_acc_trade_volume,
                one.candle_acc_trade_price,
                one.timestamp * 1_000,
            )
            for time, one in zip(times, candles, strict=True)
        ]


class DayCandle(Candle, gc=False):
    prev_closing_price: float | None
    change_price: float | None
    change_rate: float | None

    @staticmethod
    def rows(times: Sequence[Instant], candles: Sequence[Any]) -> list[Row]:
        return [
            (*row, one.prev_closing_price, one.change_price, one.change_rate)
            for row, one in zip(Candle.rows(times, candles), candles, strict=True)
        ]


class Unit(msgspec.Struct, frozen=True):
    path: str
    dataset: Dataset
    kind: type[Candle]
    decoder: msgspec.json.Decoder[Any]


def _unit(unit: str, path: str, grid: Grid, axis: Axis, period: int, retention: timedelta | None = None) -> Unit:
    daily = unit == "1d"
    dataset = Dataset(
        name=f"upbit.candles.{unit}",
        source="upbit",
        grid=grid,
        axis=axis,
        columns=_CANDLE + _DAILY if daily else _CANDLE,
        retention=retention,
        period=timedelta(microseconds=period),
        # A second may be forgotten; minutes make what is no longer than a day, days the rest.
        parts="" if period <= MINUTE else "upbit.candles.1m" if period <= DAY else "upbit.candles.1d",
        example="KRW-BTC",
        pattern=r"[A-Z0-9]{2,10}-[A-Z0-9.]{1,20}",
    )
    kind = DayCandle if daily else Candle
    return Unit(f"/v1/candles/{path}", dataset, kind, msgspec.json.Decoder(list[kind]))  # type: ignore[valid-type]


def units() -> dict[str, Unit]:
    # Three months are at least 89 days; the margin keeps us off an edge that moves while we ask.
    made = [_unit("1s", "seconds", Steps(SECOND), Axis.STEP, SECOND, timedelta(days=89))]
    for minutes in (1, 3, 5, 10, 15, 30, 60, 240):
        step = minutes * MINUTE
        made.append(_unit(f"{minutes}m", f"minutes/{minutes}", Steps(step), Axis.STEP, step))
    made.append(_unit("1d", "days", Steps(DAY), Axis.DAY, DAY))
    made.append(_unit("1w", "weeks", WEEKS, Axis.STEP, 7 * DAY))
    made.append(_unit("1M", "months", Months(1), Axis.MONTH, 30 * DAY))
    made.append(_unit("1y", "years", Months(12), Axis.MONTH, 365 * DAY))
    return {one.dataset.name: one for one in made}
