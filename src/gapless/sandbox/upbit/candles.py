"""Candle units: their periods, what is in them, and the truth that a client should end up with."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from datetime import UTC, date, datetime

import msgspec

from gapless.sandbox.clock import SECOND
from gapless.sandbox.upbit.market import (
    DAY_S,
    HOUR_S,
    MINUTE_S,
    NONE,
    Candles,
    Market,
    Row,
    World,
    day_row,
    merged,
    minutes,
    seconds,
    values,
)

_EPOCH = date(1970, 1, 1).toordinal()


class Unit(msgspec.Struct, frozen=True):
    """A length of candle."""

    name: str
    #: Below `/v1/candles/`.
    path: str
    #: Seconds; 0 where the calendar decides.
    step: int = 0


MINUTE_UNITS = (1, 3, 5, 10, 15, 30, 60, 240)
_ALL = (
    Unit("1s", "seconds", 1),
    *(Unit(f"{n}m", f"minutes/{n}", n * MINUTE_S) for n in MINUTE_UNITS),
    Unit("1d", "days", DAY_S),
    Unit("1w", "weeks"),
    Unit("1M", "months"),
    Unit("1y", "years"),
)
UNITS = {unit.name: unit for unit in _ALL}
BY_PATH = {unit.path: unit for unit in _ALL}


class Candle(msgspec.Struct, frozen=True):
    """A candle as a client should know it."""

    #: Start, microseconds UTC.
    time_us: int
    open: float
    high: float
    low: float
    close: float
    value: float
    volume: float


def period(unit: Unit, at: int) -> tuple[int, int]:
    """Start and end of the candle that holds the second `at`."""
    if unit.step:
        start = at - at % unit.step
        return start, start + unit.step
    day = datetime.fromtimestamp(at, UTC).date()
    if unit.name == "1w":
        monday = at // DAY_S - day.weekday()
        return monday * DAY_S, (monday + 7) * DAY_S
    if unit.name == "1M":
        return _midnight(day.year, day.month), _midnight(day.year + day.month // 12, day.month % 12 + 1)
    return _midnight(day.year, 1), _midnight(day.year + 1, 1)


def block(unit: Unit, at: int) -> tuple[int, int]:
    """Start and end of what is made in one go: an hour of seconds, a day of minutes, else one candle."""
    if unit.step == 1:
        return at - at % HOUR_S, at - at % HOUR_S + HOUR_S
    if 0 < unit.step < DAY_S:
        return at - at % DAY_S, at - at % DAY_S + DAY_S
    return period(unit, at)


def candles(world: World, market: Market, unit: Unit, start: int, end: int) -> Candles:
    """All candles of the block `[start, end)`, as they are once it is over."""
    if unit.step == 1:
        return seconds(world.seed, market, start)
    if unit.step == MINUTE_S:
        return minutes(world.seed, market, start)
    if 0 < unit.step < DAY_S:
        return _folded(minutes(world.seed, market, start), unit.step)
    return _whole(_columns(_days(world, market, start, end)), start)


def unfinished(world: World, market: Market, unit: Unit, now_us: int) -> Candles:
    """The candle that holds this moment, as far as it has come; nothing before its first trade."""
    now = now_us // SECOND
    start, _ = period(unit, now)
    if unit.step == 1:
        return _so_far(market, seconds(world.seed, market, now - now % HOUR_S), start, 1, now_us)
    today = now - now % DAY_S
    traded = _so_far(market, minutes(world.seed, market, today), max(start, today), MINUTE_S, now_us)
    if start < today:
        days = _days(world, market, start, today)
        traded = _columns([*days, *map(Row._make, zip(*_whole(traded, today), strict=True))])
    return _whole(traded, start)


def retained_from(unit: Unit, market: Market, now_us: int) -> int:
    """Where history starts: at the listing, for seconds three months ago at most."""
    start, _ = period(unit, market.listed)
    if unit.step != 1:
        return start
    now = datetime.fromtimestamp(now_us // SECOND, UTC)
    months = now.year * 12 + now.month - 1 - 3
    first = _midnight(months // 12, months % 12 + 1)
    length = period(UNITS["1M"], first)[1] - first
    return max(start, first + min((now.day - 1) * DAY_S, length - DAY_S) + now_us // SECOND % DAY_S)


def truth(world: World, market: str, unit: str, start_us: int, end_us: int, now_us: int) -> list[Candle]:
    """Every candle that starts in `[start_us, end_us)`, ascending, as the server shows it at `now_us`.

    The unfinished candle is among them: end at the start of a period that is not over to leave it out.
    """
    its, length = world.markets[market], UNITS[unit]
    open_start, _ = period(length, now_us // SECOND)
    start = max(-(-start_us // SECOND), retained_from(length, its, now_us))
    end = -(-end_us // SECOND)
    found: list[Candle] = []
    at, _ = block(length, start)
    while at < min(end, open_start):
        _, after = block(length, at)
        found += _shown(its, candles(world, its, length, at, after), start, min(end, open_start))
        at = after
    return found + _shown(its, unfinished(world, its, length, now_us), start, end)


def price(market: Market, ticks: int) -> float:
    """A price in quote currency."""
    return ticks * market.tick[0] / market.tick[1]


def _shown(market: Market, columns: Candles, start: int, end: int) -> list[Candle]:
    span = slice(bisect_left(columns.time, start), bisect_left(columns.time, end))
    rows = map(Row._make, zip(*(column[span] for column in columns), strict=True))
    unit_of_value = 10**market.places
    return [
        Candle(
            time_us=row.time * SECOND,
            open=price(market, row.open),
            high=price(market, row.high),
            low=price(market, row.low),
            close=price(market, row.close),
            value=row.value / unit_of_value,
            volume=row.volume / 10**8,
        )
        for row in rows
    ]


def _so_far(market: Market, columns: Candles, start: int, step: int, now_us: int) -> Candles:
    """The candles from `start` to now, the last one unfinished if it is."""
    i, j = bisect_left(columns.time, start), bisect_left(columns.time, -(-now_us // SECOND))
    if i == j:
        return NONE
    last = Row._make(column[j - 1] for column in columns)
    if now_us < (last.time + step) * SECOND:
        last = _grown(market, last, step, now_us)
    return Candles(*([*column[i : j - 1], cell] for column, cell in zip(columns, last, strict=True)))


def _grown(market: Market, row: Row, step: int, now_us: int) -> Row:
    """A candle after one, two, three or four fifths of its volume: open, then high, then low, then close."""
    stage = (now_us - row.time * SECOND) * 4 // (step * SECOND)
    volume = max(1, row.volume * (stage + 1) // 5)
    return Row(
        time=row.time,
        open=row.open,
        high=row.high if stage >= 1 else row.open,
        low=row.low if stage >= 2 else row.open,
        close=(row.open, row.high, row.low, row.close)[stage],
        volume=volume,
        value=values(market, [row.open], [volume])[0],
        stamp=now_us // 1_000,
    )


def _folded(columns: Candles, step: int) -> Candles:
    rows: list[Row] = []
    i = 0
    while i < len(columns.time):
        start = columns.time[i] - columns.time[i] % step
        j = bisect_left(columns.time, start + step, i)
        rows.append(merged(columns, start, i, j))
        i = j
    return _columns(rows)


def _whole(columns: Candles, start: int) -> Candles:
    """All of it as one candle."""
    return _columns([merged(columns, start, 0, len(columns.time))]) if columns.time else NONE


def _days(world: World, market: Market, start: int, end: int) -> list[Row]:
    rows = (day_row(world.seed, market, day) for day in range(start, end, DAY_S))
    return [row for row in rows if row]


def _columns(rows: Sequence[Row]) -> Candles:
    return Candles(*zip(*rows, strict=True)) if rows else NONE


def _midnight(year: int, month: int) -> int:
    return (date(year, month, 1).toordinal() - _EPOCH) * DAY_S
