"""Candles as the JSON text that Upbit sends: compact, fields in its order, numbers by their shortest repr."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache

import msgspec

from gapless.sandbox.clock import SECOND
from gapless.sandbox.upbit.candles import UNITS, Unit, price, unfinished
from gapless.sandbox.upbit.market import DAY_S, HOUR_S, MINUTE_S, Candles, Market, World, day_row

KST_S = 9 * HOUR_S


def encoded(world: World, market: Market, unit: Unit, columns: Candles) -> list[str]:
    """One JSON object for each candle, in their order."""
    if not columns.time:
        return []
    ticks = list(set().union(*columns[1:5]))
    prices = dict(zip(ticks, _numbers([price(market, tick) for tick in ticks]), strict=True))
    volumes = _numbers([volume / 10**8 for volume in columns.volume])
    unit_of_value = 10**market.places
    values = _numbers([value / unit_of_value for value in columns.value])
    head = f'{{"market":"{market.name}","candle_date_time_utc":"'
    tails = _tails(world, market, unit, columns)
    return [
        f'{head}{moment(time)}","candle_date_time_kst":"{moment(time + KST_S)}",'
        f'"opening_price":{prices[first]},"high_price":{prices[high]},"low_price":{prices[low]},'
        f'"trade_price":{prices[close]},"timestamp":{stamp},"candle_acc_trade_price":{value},'
        f'"candle_acc_trade_volume":{volume}{tail}}}'
        for time, first, high, low, close, volume, value, stamp, tail in zip(
            *columns[:5], volumes, values, columns.stamp, tails, strict=True
        )
    ]


def _numbers(floats: list[float]) -> list[str]:
    """Their shortest decimal texts; msgspec takes a seventh of the time of repr, and writes 1e-8 for 1e-08."""
    return msgspec.json.encode(floats).decode()[1:-1].replace("e-", "e-0").split(",")


def _tails(world: World, market: Market, unit: Unit, columns: Candles) -> list[str]:
    """The fields that only some units have."""
    if unit.name == "1d":
        return [_change(world, market, day, close) for day, close in zip(columns.time, columns.close, strict=True)]
    if not unit.step:
        return [f',"first_day_of_period":"{moment(time)[:10]}"' for time in columns.time]
    return [f',"unit":{unit.step // MINUTE_S}' if unit.step > 1 else ""] * len(columns.time)


def with_won(world: World, market: Market, rows: list[tuple[int, bytes]], now_us: int) -> list[tuple[int, bytes]]:
    """Day rows with their price in won as well; markets in won stay as they are."""
    quote = market.name.partition("-")[0]
    if quote == "KRW":
        return rows
    won = world.markets.get(f"KRW-{quote}")
    closes = [(_close(world, won, at, now_us) if won else None) for at, _ in rows]
    return [
        (at, b'%b,"converted_trade_price":%b}' % (row[:-1], _product(row, close)))
        for (at, row), close in zip(rows, closes, strict=True)
    ]


def _close(world: World, won: Market, day: int, now_us: int) -> float | None:
    if day + DAY_S <= now_us // SECOND:
        row = day_row(world.seed, won, day)
        return price(won, row.close) if row else None
    today = unfinished(world, won, UNITS["1d"], now_us)
    return price(won, today.close[0]) if today.time else None


def _product(row: bytes, close: float | None) -> bytes:
    if close is None:
        return b"null"
    return repr(round(msgspec.json.decode(row)["trade_price"] * close, 8)).encode()


def moment(at: int) -> str:
    """`2026-08-03T10:45:00`."""
    return _date(at // DAY_S) + _time(at % DAY_S)


def _change(world: World, market: Market, day: int, close: int) -> str:
    """How a day's close differs from that of the traded day before."""
    before = day - DAY_S
    while before > market.listed - DAY_S and not day_row(world.seed, market, before):
        before -= DAY_S
    row = day_row(world.seed, market, before)
    if not row:
        return ',"prev_closing_price":null,"change_price":null,"change_rate":null'
    change, rate = price(market, close - row.close), round((close - row.close) / row.close, 10)
    return f',"prev_closing_price":{price(market, row.close)},"change_price":{change},"change_rate":{rate}'


@lru_cache(maxsize=8_192)
def _date(day: int) -> str:
    return datetime.fromtimestamp(day * DAY_S, UTC).strftime("%Y-%m-%dT")


@lru_cache(maxsize=DAY_S)
def _time(second: int) -> str:
    return f"{second // HOUR_S:02}:{second // MINUTE_S % 60:02}:{second % 60:02}"
