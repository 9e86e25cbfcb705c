"""Published indices of fear and greed as their makers would publish them of simulated markets.

The recipe is not ours: each part is ranked among its own past and the ranks are averaged, where our index measures
distances in standard deviations. So how far the two agree says something about indices, and nothing about the market.
alternative.me: the parts of its recipe that prices and volumes tell, volatility and momentum with volume, weighing the
same; social media, surveys, dominance and search trends are left out. CNN: its seven indicators as random walks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from math import exp, log
from random import Random
from statistics import fmean, pstdev

import msgspec

#: A trading day of a market: close, and value traded.
Quote = tuple[float, float]
_BANDS = ((25, "Extreme Fear"), (45, "Fear"), (56, "Neutral"), (76, "Greed"), (101, "Extreme Greed"))
#: Days among which a part is ranked.
CRYPTO_PAST, SHARES_PAST = 365, 504
#: Where each of CNN's indicators begins, how far it moves in a day, and whether a high one is fear.
_INDICATORS = {
    "market_momentum_sp500": (3_000.0, 0.011, False),
    "market_volatility_vix": (20.0, 0.06, True),
    "stock_price_strength": (1.0, 0.05, False),
    "stock_price_breadth": (500.0, 0.04, False),
    "put_call_options": (0.8, 0.02, True),
    "safe_haven_demand": (1.5, 0.05, False),
    "junk_bond_demand": (1.2, 0.02, True),
}


def alternative_me(days: Mapping[date, Quote]) -> bytes:
    """The whole history as JSON, newest first, from quotes by day in order."""
    dates, closes = list(days), [close for close, _ in days.values()]
    values = [value for _, value in days.values()]
    moves = [0.0, *(log(b / a) for a, b in pairwise(closes))]
    calm, rise = [], []
    for at in range(90, len(dates)):
        usual = fmean(pstdev(moves[k - 29 : k + 1]) for k in range(at - 60, at + 1, 10))
        fall = closes[at] / max(closes[at - 89 : at + 1]) - 1
        calm.append(fall - pstdev(moves[at - 29 : at + 1]) / usual)
        trend = closes[at] / closes[at - 30] - 1
        rise.append(trend * fmean(values[at - 29 : at + 1]) / fmean(values[at - 89 : at + 1]))
    ranks = zip(_ranked(calm, CRYPTO_PAST), _ranked(rise, CRYPTO_PAST), strict=True)
    scores = [None if a is None or b is None else round((a + b) / 2) for a, b in ranks]
    told = [
        {"value": str(score), "value_classification": _band(score), "timestamp": str(round(_midnight(day)))}
        for day, score in zip(dates[90:], scores, strict=True)
        if score is not None
    ]
    told.reverse()
    told[0]["time_until_update"] = "40000"
    return msgspec.json.encode({"name": "Fear and Greed Index", "data": told, "metadata": {"error": None}})


def cnn(first: date, last: date, seed: int = 7) -> bytes:
    """`graphdata` of weekdays as it was on the last of them: that one is there twice, at midnight and as it is now."""
    chance = Random(seed)
    dates = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    dates = [day for day in dates if day.weekday() < 5]
    walks = {name: _walk(chance, start, step, len(dates)) for name, (start, step, _) in _INDICATORS.items()}
    parts = {**walks, "market_momentum_sp500": _to_mean(walks["market_momentum_sp500"], 125)}
    parts["market_volatility_vix"] = _to_mean(walks["market_volatility_vix"], 50)
    ranks = [_ranked([-x if _INDICATORS[name][2] else x for x in part], SHARES_PAST) for name, part in parts.items()]
    scores = [None if None in day else fmean(x for x in day if x is not None) for day in zip(*ranks, strict=True)]
    now = datetime.combine(last, time(17, 30), UTC)
    blocks: dict[str, object] = {name: _block(dates, walk, now) for name, walk in walks.items()}
    published = _block(dates, scores, now)
    return msgspec.json.encode(
        {
            "fear_and_greed": {"score": scores[-1], "rating": "neutral", "timestamp": now.isoformat()},
            "fear_and_greed_historical": published,
            **blocks,
        }
    )


def _block(dates: Sequence[date], values: Sequence[float | None], now: datetime) -> dict[str, object]:
    points = [
        {"x": _midnight(day) * 1000, "y": value, "rating": _rating(value)}
        for day, value in zip(dates, values, strict=True)
    ]
    return {"timestamp": now.timestamp() * 1000, "data": [*points, {**points[-1], "x": now.timestamp() * 1000}]}


def _walk(chance: Random, start: float, step: float, days: int) -> list[float]:
    made = [start]
    while len(made) < days:
        # Drawn back to where it began, so that no indicator runs away.
        made.append(made[-1] * exp(chance.gauss(0, step) - 0.01 * log(made[-1] / start)))
    return made


def _to_mean(values: Sequence[float], days: int) -> list[float]:
    return [value / fmean(values[max(0, at - days + 1) : at + 1]) for at, value in enumerate(values)]


def _ranked(values: Sequence[float], past: int) -> list[float | None]:
    """Per cent of the last `past` values that are below each; None before there are as many."""
    return [
        None if at < past else 100 * sum(one < value for one in values[at - past : at]) / past
        for at, value in enumerate(values)
    ]


def _band(score: float) -> str:
    return next(name for end, name in _BANDS if score < end)


def _rating(value: float | None) -> str:
    """Of an indicator's own unit it means nothing, and is there all the same."""
    return _band(value).lower() if value is not None and 0 <= value <= 100 else "neutral"


def _midnight(day: date) -> float:
    return datetime.combine(day, time(), UTC).timestamp()
