"""A simulated exchange: shares, funds and an index, the same for a seed whatever is asked first.

Planted: a share that is listed late, one that is delisted, one that is suspended for a month, a bond fund that is only
listed in 2012, and a market that crashes and recovers in March 2020, so that an index of fear has something to show.
"""

from __future__ import annotations

import math
from datetime import date
from functools import cached_property
from random import Random

import msgspec

from gapless.sandbox.krx.holidays import sessions

SEED = 20_100_104
STOCKS = 12
FEWEST = 4
#: The bond fund, and the day of its listing.
BOND, BOND_FROM = "148070", date(2012, 1, 20)
INDEX = "코스피"
#: Days of panic and what they take from every share, and of relief.
_PANIC = (date(2020, 2, 24), date(2020, 3, 19), -0.018)
_RELIEF = (date(2020, 3, 20), date(2020, 6, 30), 0.006)


class Quote(msgspec.Struct, frozen=True, kw_only=True):
    """One share, fund or index on one day; a share that did not trade has a close and nothing else."""

    code: str
    name: str
    open: float
    high: float
    low: float
    close: float
    volume: int
    value: int
    shares: int

    @property
    def cap(self) -> int:
        """Market capitalisation."""
        return round(self.close) * self.shares


class World:
    """All quotes of all days."""

    def __init__(self, seed: int = SEED, stocks: int = STOCKS) -> None:
        if stocks < FEWEST:
            raise ValueError(f"there are at least {FEWEST} stocks")
        self.seed = seed
        self.days = sessions()
        self._count = stocks
        self._moods = _moods(seed, self.days)

    @cached_property
    def kospi(self) -> dict[date, list[Quote]]:
        """Shares of the main market by day."""
        return self._market("KOSPI", self._count)

    @cached_property
    def kosdaq(self) -> dict[date, list[Quote]]:
        """Shares of the other market by day: a quarter as many."""
        return self._market("KOSDAQ", max(FEWEST, self._count // 4))

    @cached_property
    def funds(self) -> dict[date, list[Quote]]:
        """Funds by day."""
        listed = (_bond, _fund)
        return _by_day([one(self.seed, self.days, self._moods) for one in listed])

    @cached_property
    def index(self) -> dict[date, Quote]:
        """The index of the main market by day."""
        return {day: _index(self.kospi[day]) for day in self.days}

    def _market(self, market: str, count: int) -> dict[date, list[Quote]]:
        return _by_day([_share(self.seed, number, market, self.days, self._moods) for number in range(count)])


def _by_day(listed: list[dict[date, Quote]]) -> dict[date, list[Quote]]:
    found: dict[date, list[Quote]] = {}
    for one in listed:
        for day, quote in one.items():
            found.setdefault(day, []).append(quote)
    return found


def _moods(seed: int, days: list[date]) -> list[float]:
    """What a day does to every share."""
    chance, made, swing = Random(f"{seed}:market"), [], 0.008
    for day in days:
        swing = 0.95 * swing + 0.05 * 0.008 + 0.0006 * abs(chance.gauss(0, 1))
        drift = sum(part for start, end, part in (_PANIC, _RELIEF) if start <= day <= end)
        made.append(0.0001 + drift + chance.gauss(0, swing))
    return made


def _share(seed: int, number: int, market: str, days: list[date], moods: list[float]) -> dict[date, Quote]:
    chance = Random(f"{seed}:{market}:{number}")
    code = f"{(number + 1) * 10 + (300_000 if market == 'KOSDAQ' else 0):06}"
    shares = chance.randrange(5, 400) * 1_000_000
    price = float(chance.choice([2_000, 8_000, 25_000, 60_000, 140_000]))
    listed, delisted = date(2010, 1, 4), date(9999, 1, 1)
    if number == 2:
        listed = date(2014, 11, 14)
    if number == 3:
        delisted = date(2017, 2, 17)
    beta, made = chance.uniform(0.6, 1.4), {}
    for day, mood in zip(days, moods, strict=True):
        if not listed <= day < delisted:
            continue
        if number == 1 and (day.year, day.month) == (2018, 5):
            made[day] = _quote(code, f"{market} {number}", [price] * 4, 0, shares, is_idle=True)
            continue
        moves = [price * math.exp(beta * mood * part + chance.gauss(0, 0.007)) for part in (0.2, 0.6, 1.0)]
        prices = [max(100.0, round(one, -1)) for one in moves]
        price = prices[-1]
        busy = 1 + 12 * abs(beta * mood)
        made[day] = _quote(code, f"{market} {number}", prices, round(shares * 0.004 * busy), shares)
    return made


def _quote(
    code: str, name: str, prices: list[float], volume: int, shares: int, *, is_idle: bool = False, digits: int = 0
) -> Quote:
    first, last, high, low = prices[0], prices[-1], max(prices), min(prices)
    if is_idle:
        first = high = low = 0.0
    middle = (high + low) / 2
    value = min(max(round(volume * middle), math.ceil(volume * low)), math.floor(volume * high))
    return Quote(
        code=code,
        name=name,
        open=round(first, digits),
        high=round(high, digits),
        low=round(low, digits),
        close=round(last, digits),
        volume=volume,
        value=value,
        shares=shares,
    )


def _bond(seed: int, days: list[date], moods: list[float]) -> dict[date, Quote]:
    """Rises a little when shares fall."""
    chance, price, made = Random(f"{seed}:bond"), 100_000.0, {}
    for day, mood in zip(days, moods, strict=True):
        if day < BOND_FROM:
            continue
        prices = [round(price * math.exp(0.0001 - 0.08 * mood + chance.gauss(0, 0.001)), 0) for _ in range(3)]
        price = prices[-1]
        made[day] = _quote(BOND, "KOSEF 국고채10년", prices, 20_000, 3_000_000)
    return made


def _fund(seed: int, days: list[date], moods: list[float]) -> dict[date, Quote]:
    chance, price, made = Random(f"{seed}:fund"), 22_000.0, {}
    for day, mood in zip(days, moods, strict=True):
        prices = [round(price * math.exp(mood * part + chance.gauss(0, 0.001)), 0) for part in (0.2, 0.6, 1.0)]
        price = prices[-1]
        made[day] = _quote("069500", "KODEX 200", prices, 5_000_000, 150_000_000)
    return made


def _index(quotes: list[Quote]) -> Quote:
    """The geometric mean of all shares."""
    traded = [one for one in quotes if one.high]

    def level(of: str) -> float:
        prices = [math.log(getattr(one, of) if one.high else one.close) for one in quotes]
        return round(math.exp(sum(prices) / len(prices)) / 10, 2)

    prices = [level("open"), level("high"), level("low"), level("close")]
    volume, value = sum(one.volume for one in traded), sum(one.value for one in traded)
    return Quote(
        code=INDEX,
        name=INDEX,
        open=prices[0],
        high=max(prices),
        low=min(prices),
        close=prices[3],
        volume=volume,
        value=value,
        shares=0,
    )
