"""Seeded markets: what was traded in an interval depends on seed, market and that interval alone.

In here prices are whole ticks, volumes whole 1e-8 of the base currency, values whole units of the quote currency's
last decimal, times whole seconds since 1970 (UTC). Candles are laid in pieces of 60: a day draws which shapes of its
market follow each other and how busy each one was. So a day of minutes takes half a millisecond, its sum a tenth of
that, and a history of nine years can be summed while a client waits.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from functools import lru_cache
from itertools import accumulate, compress, repeat
from math import exp, pi, sin, sqrt
from operator import add, mul, sub
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
#: Intervals of a shape, shapes of a market, and the most times its volume is traded.
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
        return Fraction(self.tick[0] * 10**self.places, self.tick[1] * 10**8)

    def trades(self, start: int, end: int) -> bool:
        """Whether all of `[start, end)` is after the listing and outside halts."""
        return self.listed <= start and all(end <= a or b <= start for a, b in self.halts)

    def as_usual(self, start: int, end: int) -> bool:
        """Whether neither the listing nor a halt changes what is traded in `[start, end)`."""
        return self.listed < start and self.trades(start, end)


class World(msgspec.Struct, frozen=True):
    """All markets under one seed."""

    seed: int
    markets: dict[str, Market]


class Row(NamedTuple):
    """One candle."""

    time: int
    open: int
    high: int
    low: int
    close: int
    volume: int
    value: int
    #: When the last trade was stored, in milliseconds since 1970.
    stamp: int


class Candles(NamedTuple):
    """Candles as columns, ascending; only intervals with a trade."""

    time: Sequence[int]
    open: Sequence[int]
    high: Sequence[int]
    low: Sequence[int]
    close: Sequence[int]
    volume: Sequence[int]
    value: Sequence[int]
    stamp: Sequence[int]


NONE = Candles((), (), (), (), (), (), (), ())


@lru_cache(maxsize=12)
def minutes(seed: int, market: Market, day: int) -> Candles:
    """The minutes of the UTC day that starts at `day`."""
    return _candles(seed, market, range(day, day + DAY_S, MINUTE_S))


@lru_cache(maxsize=12)
def seconds(seed: int, market: Market, hour: int) -> Candles:
    """The seconds of the hour that starts at `hour`; they are no parts of its minutes."""
    return _candles(seed, market, range(hour, hour + HOUR_S))


@lru_cache(maxsize=65_536)
def day_row(seed: int, market: Market, day: int) -> Row | None:
    """The sum of a day's minutes."""
    if not market.as_usual(day, day + DAY_S):
        candles = minutes(seed, market, day)
        return merged(candles, day, 0, len(candles.time)) if candles.time else None
    pieces = [piece for piece in _pieces(seed, market, range(day, day + DAY_S, MINUTE_S)) if piece.shape.time]
    if not pieces:
        return None
    first, last = pieces[0], pieces[-1]
    worth = sum(busy * (base * shape.total + shape.worth) for _, shape, base, busy in pieces)
    return Row(
        time=day,
        open=first.base + first.shape.open[0],
        high=max(base + shape.top for _, shape, base, _ in pieces),
        low=min(base + shape.bottom for _, shape, base, _ in pieces),
        close=last.base + last.shape.close[-1],
        volume=sum(busy * shape.total for _, shape, _, busy in pieces),
        value=values(market, [worth], [1])[0],
        stamp=last.start * 1_000 + last.shape.stamp[-1],
    )


def merged(candles: Candles, start: int, i: int, j: int) -> Row:
    """Rows `[i, j)` as the one candle that starts at `start`."""
    return Row(
        time=start,
        open=candles.open[i],
        high=max(candles.high[i:j]),
        low=min(candles.low[i:j]),
        close=candles.close[j - 1],
        volume=sum(candles.volume[i:j]),
        value=sum(candles.value[i:j]),
        stamp=candles.stamp[j - 1],
    )


def values(market: Market, prices: Iterable[int], volumes: Iterable[int]) -> list[int]:
    """What the volumes are worth at the prices. Their sum is rounded up, and each is the growth of that sum."""
    factor, divisor = market.worth.as_integer_ratio()
    products = map(mul, prices, volumes if factor == 1 else map(mul, volumes, repeat(factor)))
    if divisor == 1:
        return list(products)
    sums = [-(-total // divisor) for total in accumulate(products)]
    return list(map(sub, sums, [0, *sums]))


def _candles(seed: int, market: Market, times: range) -> Candles:
    if times.stop <= market.listed or any(a <= times.start and times.stop <= b for a, b in market.halts):
        return NONE
    columns: list[list[int]] = [[] for _ in Row._fields]
    time, opens, highs, lows, closes, volumes, _, stamps = columns
    for start, shape, base, busy in _pieces(seed, market, times):
        time.extend(map(add, repeat(start), shape.time))
        opens.extend(map(add, repeat(base), shape.open))
        highs.extend(map(add, repeat(base), shape.high))
        lows.extend(map(add, repeat(base), shape.low))
        closes.extend(map(add, repeat(base), shape.close))
        volumes.extend(map(mul, repeat(busy), shape.volume))
        stamps.extend(map(add, repeat(start * 1_000), shape.stamp))
    columns[6] = values(market, opens, volumes)
    if not market.as_usual(times.start, times.stop):
        columns = _allowed(seed, market, times, columns)
    return Candles(*columns)


def _allowed(seed: int, market: Market, times: range, columns: list[list[int]]) -> list[list[int]]:
    """Only what was traded after the listing and outside halts, and what was traded at the listing."""
    kept = [market.trades(at, at + times.step) for at in columns[0]]
    columns = [list(compress(column, kept)) for column in columns]
    if times.start <= market.listed < times.stop and columns[0][:1] != [market.listed]:
        price, lot = _level(seed, market, market.listed), market.lot * times.step // MINUTE_S
        value = values(market, [price], [lot])[0]
        first = Row(market.listed, price, price, price, price, lot, value, market.listed * 1_000)
        columns = [[cell, *column] for cell, column in zip(first, columns, strict=True)]
    return columns


class _Shape(NamedTuple):
    """What is traded in 60 intervals: times and stamps from their start, prices from the first open."""

    time: list[int]
    open: list[int]
    high: list[int]
    low: list[int]
    close: list[int]
    volume: list[int]
    stamp: list[int]
    #: Where the price goes.
    end: int
    top: int
    bottom: int
    #: Sums of volume, and of open × volume.
    total: int
    worth: int


class _Piece(NamedTuple):
    """A shape in its place."""

    start: int
    shape: _Shape
    #: Added to prices.
    base: int
    #: Multiplies volumes.
    busy: int


def _pieces(seed: int, market: Market, times: range) -> list[_Piece]:
    """Shapes laid end to end, from where the slow curve is to where it goes."""
    rng = Random(f"{seed}/{market.name}/{times.step}/{times.start}")
    shapes, starts = _shapes(seed, market, times.step), times[::PIECE]
    chosen = [shapes[b % SHAPES] for b in rng.randbytes(len(starts))]
    busy = [1 + b % BUSIEST for b in rng.randbytes(len(starts))]
    levels = list(accumulate((shape.end for shape in chosen), initial=_level(seed, market, times.start)))
    missed = _level(seed, market, times.stop) - levels.pop()
    bases = [level + missed * i // len(starts) for i, level in enumerate(levels)]
    return list(map(_Piece, starts, chosen, bases, busy))


@lru_cache(maxsize=32)
def _shapes(seed: int, market: Market, step: int) -> list[_Shape]:
    """All shapes of a market; the density holds exactly over them."""
    rng = Random(f"{seed}/{market.name}/{step}/shapes")
    density = market.density * (SECONDS_DENSITY if step == 1 else 1)
    slots = range(SHAPES * PIECE)
    traded = set(rng.sample(slots, max(1, round(density * len(slots)))))
    return [_shape(rng, market, step, [at for at in range(PIECE) if i + at in traded]) for i in slots[::PIECE]]


def _shape(rng: Random, market: Market, step: int, traded: list[int]) -> _Shape:
    pace, wick = 0.0006 * market.price * sqrt(step / MINUTE_S), 0.0005 * market.price
    path = [round(at) for at in accumulate((rng.gauss(0, pace) for _ in range(PIECE)), initial=0.0)]
    opens, closes = [path[at] for at in traded], [path[at + 1] for at in traded]
    highs = [top + round(wick * rng.random() ** 4) for top in map(max, opens, closes)]
    lows = [bottom - round(wick * rng.random() ** 4) for bottom in map(min, opens, closes)]
    usual = market.lot * step / MINUTE_S / BUSIEST
    # One volume in a hundred is tiny.
    volumes = [1 + (rng.random() > 0.01) * int(usual * exp(rng.gauss(0, 1.2))) for _ in traded]
    return _Shape(
        time=[at * step for at in traded],
        open=opens,
        high=highs,
        low=lows,
        close=closes,
        volume=volumes,
        stamp=[at * step * 1_000 + rng.randint(0, step * 1_000 + LATE_MS) for at in traded],
        end=path[-1],
        top=max(highs, default=0),
        bottom=min(lows, default=0),
        total=sum(volumes),
        worth=sum(map(mul, opens, volumes)),
    )


@lru_cache(maxsize=4_096)
def _level(seed: int, market: Market, at: int) -> int:
    """The slow curve of the price at a moment, in ticks."""
    rng = Random(f"{seed}/{market.name}")
    days = at / DAY_S
    swing = sum(size * sin(2 * pi * (days / period + rng.random())) for period, size in _WAVES)
    return round(market.price * exp(swing))
