"""Seeded markets: what was traded in an interval depends on seed, market and that interval alone.

In here prices are whole ticks, volumes whole 1e-8 of the base currency, values whole units of the quote currency's
last decimal, times whole seconds since 1970 (UTC). A day of minutes takes half a millisecond to make: every column
is one pass of C loops over one draw of random bytes, so that whole histories can be summed while a client waits.
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

from gapless.sandbox.clock import SECOND, instant

MINUTE_S, HOUR_S, DAY_S = 60, 3_600, 86_400
#: A trade may be stored this many milliseconds after the end of its candle.
LATE_MS = 48
#: Path levels are ticks × 1,024, and stay below 2**30, where Python's integers are fastest.
_FINE = 10
MOST_TICKS = 300_000
#: Swings of the slow price curve: period in days, size in natural logarithm.
_WAVES = ((1_461, 0.5), (365, 0.25), (97, 0.12), (17, 0.05))


class Market(msgspec.Struct, frozen=True, kw_only=True):
    """One market and the rules by which its trades are made up."""

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


class Trades(NamedTuple):
    """Candles as columns, ascending; only intervals with a trade."""

    time: Sequence[int]
    open: Sequence[int]
    high: Sequence[int]
    low: Sequence[int]
    close: Sequence[int]
    volume: Sequence[int]
    value: Sequence[int]
    #: Milliseconds since 1970 of the last trade.
    stamp: Sequence[int]


NOTHING = Trades((), (), (), (), (), (), (), ())


@lru_cache(maxsize=24)
def minutes(seed: int, market: Market, day: int) -> Trades:
    """The minutes of the UTC day that starts at `day`."""
    return _trades(seed, market, day, DAY_S // MINUTE_S, MINUTE_S, market.density)


@lru_cache(maxsize=24)
def seconds(seed: int, market: Market, hour: int) -> Trades:
    """The seconds of the hour that starts at `hour`; they are not the parts of its minutes."""
    return _trades(seed, market, hour, HOUR_S, 1, 0.4 * market.density)


def value(market: Market, price: int, volume: int) -> int:
    """What `volume` is worth at `price`, rounded up to the last decimal."""
    return -(-price * volume * market.worth.numerator // market.worth.denominator)


def _trades(seed: int, market: Market, start: int, slots: int, step: int, density: float) -> Trades:
    end = start + slots * step
    if end <= market.listed or any(first <= start and end <= last for first, last in market.halts):
        return NOTHING
    rng = Random(f"{seed}/{market.name}/{step}/{start}")
    pace = market.lot * step // MINUTE_S
    drawn = memoryview(rng.randbytes(5 * slots))
    lots, lags = drawn[: 2 * slots].cast("H"), _below(60, drawn[2 * slots : 4 * slots], step)
    opens, highs, lows, closes = _path(seed, market, start, end, drawn[4 * slots :].tobytes())
    volumes = map(_sizes(pace).__getitem__, lots)
    stamps = map(add, range(start * 1_000, end * 1_000, step * 1_000), lags)
    columns = (range(start, end, step), opens, highs, lows, closes, volumes, stamps)
    traded = _traded(market, range(start, end, step), density, rng)
    time, open_, high, low, close, volume, stamp = (_pick(column, traded) for column in columns)
    return Trades(time, open_, high, low, close, volume, _values(market, open_, volume), stamp)
