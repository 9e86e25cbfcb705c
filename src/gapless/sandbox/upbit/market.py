"""Seeded markets: what was traded in an interval depends on seed, market and that interval alone.

In here prices are whole ticks, volumes whole 1e-8 of the base currency, values whole units of the quote currency's
last decimal, times whole seconds since 1970 (UTC). Candles are laid in pieces of 60: a day draws which shapes of its
market follow each other and how much was traded in each. So a dense day of minutes takes half a millisecond, and a
history of nine years can be summed while a client waits.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from functools import lru_cache
from itertools import accumulate, compress, repeat
from math import exp, pi, sin, sqrt
from operator import add, floordiv, mul
from random import Random
from typing import NamedTuple

import msgspec

MINUTE_S, HOUR_S, DAY_S = 60, 3_600, 86_400
#: A trade may be stored this many milliseconds after the end of its candle.
LATE_MS = 48
#: Share of seconds with a trade where every minute has one.
SECONDS_DENSITY = 0.4
#: Least `Market.price`: below, a walk by ticks could come to nothing.
FEWEST_TICKS = 100
#: Intervals of a shape, shapes of a market, and how many times its usual volume a piece may have.
PIECE, SHAPES, BUSIEST = 60, 128, 16
#: The slow curve of a price: period in days and swing in natural logarithm.
_WAVES = ((1_461, 0.5), (365, 0.25), (97, 0.12), (17, 0.05))


class Market(msgspec.Struct, frozen=True, kw_only=True):
    """One market and what its trades are made from."""

    name: str
    #: Start of the first traded minute, which is always traded.
    listed: int
    #: Share of minutes with a trade.
    density: float = 1.0
    #: Spans `[start, end)` without any trade.
    halts: tuple[tuple[int, int], ...] = ()
    #: Where the price curve has its middle, in ticks.
    price: int = 5_000
    #: A tick in quote currency, as numerator and denominator.
    tick: tuple[int, int] = (1, 1)
    #: A usual volume of a minute, in 1e-8.
    lot: int = 10**10
    korean: str = ""
    english: str = ""

    @property
    def places(self) -> int:
        """Decimals of a value: won have 5, other quote currencies 8."""
        return 5 if self.name.startswith("KRW-") else 8

    @property
    def worth(self) -> Fraction:
        """Value of 1e-8 traded at one tick, in units of the value's last decimal."""
        return Fraction(*self.tick) * 10**self.places / 10**8


class World(msgspec.Struct, frozen=True):
    """All markets under one seed."""

    seed: int
    markets: dict[str, Market]


class Candles(NamedTuple):
    """Candles as columns, ascending; only intervals with a trade."""

    time: Sequence[int]
    open: Sequence[int]
    high: Sequence[int]
    low: Sequence[int]
    close: Sequence[int]
    volume: Sequence[int]
    value: Sequence[int]
    #: When the last trade was stored, in milliseconds since 1970.
    stamp: Sequence[int]


NONE = Candles((), (), (), (), (), (), (), ())


@lru_cache(maxsize=24)
def minutes(seed: int, market: Market, day: int) -> Candles:
    """The minutes of the UTC day that starts at `day`."""
    return _candles(seed, market, range(day, day + DAY_S, MINUTE_S), market.density)


@lru_cache(maxsize=24)
def seconds(seed: int, market: Market, hour: int) -> Candles:
    """The seconds of the hour that starts at `hour`; they are no parts of its minutes."""
    return _candles(seed, market, range(hour, hour + HOUR_S), SECONDS_DENSITY * market.density)


def values(market: Market, prices: Iterable[int], volumes: Iterable[int]) -> list[int]:
    """What the volumes are worth at the prices, rounded up to the last decimal."""
    factor, divisor = market.worth.as_integer_ratio()
    products = map(mul, prices, volumes)
    if factor > 1:
        products = map(mul, products, repeat(factor))
    if divisor > 1:
        products = map(floordiv, map(add, products, repeat(divisor - 1)), repeat(divisor))
    return list(products)


def _candles(seed: int, market: Market, times: range, density: float) -> Candles:
    if times.stop <= market.listed or any(a <= times.start and times.stop <= b for a, b in market.halts):
        return NONE
    rng = Random(f"{seed}/{market.name}/{times.step}/{times.start}")
    whole = _laid(seed, market, times, rng)
    traded = _traded(market, times, density, rng)
    kept = whole if traded is None else [list(compress(column, traded)) for column in whole]
    time, opens, highs, lows, closes, volumes, stamps = kept
    return Candles(time, opens, highs, lows, closes, volumes, values(market, opens, volumes), stamps)


def _laid(seed: int, market: Market, times: range, rng: Random) -> list[list[int]]:
    """Columns for every interval: shapes laid end to end, from where the slow curve is to where it goes."""
    shapes, pieces = _shapes(seed, market, times.step), len(times) // PIECE
    chosen = [shapes[b % SHAPES] for b in rng.randbytes(pieces)]
    busy = [1 + b % BUSIEST for b in rng.randbytes(pieces)]
    levels = list(accumulate((shape.end for shape in chosen), initial=_level(seed, market, times.start)))
    missed = _level(seed, market, times.stop) - levels[-1]
    columns: list[list[int]] = [list(times), [], [], [], [], [], []]
    for piece, (shape, level, times_busy) in enumerate(zip(chosen, levels, busy, strict=False)):
        base = level + missed * piece // pieces
        for column, relative in zip(columns[1:5], shape[:4], strict=True):
            column.extend(map(add, repeat(base), relative))
        columns[5].extend(map(mul, repeat(times_busy), shape.volume))
        start = times[piece * PIECE]
        columns[6].extend(map(add, repeat(start * 1_000), shape.stamp))
    return columns


class _Shape(NamedTuple):
    """Sixty candles, their prices relative to the first one's open, their stamps to its start."""

    open: list[int]
    high: list[int]
    low: list[int]
    close: list[int]
    volume: list[int]
    stamp: list[int]
    end: int


@lru_cache(maxsize=32)
def _shapes(seed: int, market: Market, step: int) -> list[_Shape]:
    rng = Random(f"{seed}/{market.name}/{step}/shapes")
    return [_shape(rng, market, step) for _ in range(SHAPES)]


def _shape(rng: Random, market: Market, step: int) -> _Shape:
    pace, wick = 0.0006 * market.price * sqrt(step / MINUTE_S), 0.0005 * market.price
    path = [round(at) for at in accumulate((rng.gauss(0, pace) for _ in range(PIECE)), initial=0.0)]
    opens, closes = path[:-1], path[1:]
    tops, bottoms = map(max, opens, closes), map(min, opens, closes)
    usual = market.lot * step / MINUTE_S / BUSIEST
    return _Shape(
        open=opens,
        high=[top + round(wick * rng.random() ** 4) for top in tops],
        low=[bottom - round(wick * rng.random() ** 4) for bottom in bottoms],
        close=closes,
        # One volume in a hundred is the least there is.
        volume=[1 + (rng.random() > 0.01) * int(usual * exp(rng.gauss(0, 1.2))) for _ in range(PIECE)],
        stamp=[i * step * 1_000 + rng.randint(0, step * 1_000 + LATE_MS) for i in range(PIECE)],
        end=path[-1],
    )


def _traded(market: Market, times: range, density: float, rng: Random) -> list[bool] | None:
    """Which intervals have a trade; None means all."""
    partly = [halt for halt in market.halts if halt[0] < times.stop and times.start < halt[1]]
    if density >= 1 and market.listed <= times.start and not partly:
        return None
    chances = memoryview(rng.randbytes(2 * len(times))).cast("H")
    traded = [chance < density * 65_536 for chance in chances]
    for start, end in [(0, market.listed), *partly]:
        for slot in range(_slot(times, start), _slot(times, end)):
            traded[slot] = False
    if times.start <= market.listed < times.stop:
        traded[_slot(times, market.listed)] = True
    return traded


def _slot(times: range, at: int) -> int:
    return max(0, min(len(times), -(-(at - times.start) // times.step)))


@lru_cache(maxsize=4_096)
def _level(seed: int, market: Market, at: int) -> int:
    """The slow curve of the price at a moment, in ticks."""
    rng = Random(f"{seed}/{market.name}")
    days = at / DAY_S
    return round(
        market.price * exp(sum(swing * sin(2 * pi * (days / period + rng.random())) for period, swing in _WAVES))
    )
