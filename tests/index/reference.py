"""Fear & Greed once more, a few lines per component, in plain Python: slow, and written from the documentation."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import fmean, stdev

Series = Sequence[float | None]
Value = float | None


def _mean(values: Series, t: int, n: int) -> Value:
    part = values[t - n + 1 : t + 1] if t >= n - 1 else []
    return fmean(part) if part and None not in part else None  # type: ignore[arg-type, type-var]


def momentum(day: dict[str, Series], t: int) -> Value:
    mean = _mean(day["close"], t, 125)
    return None if mean is None else day["close"][t] / mean - 1


def strength(day: dict[str, Series], t: int) -> Value:
    return day["net_highs"][t]


def breadth(day: dict[str, Series], t: int) -> Value:
    def faded(n: int) -> float:
        alpha = 2 / (n + 1)
        weights = [alpha * (1 - alpha) ** k for k in range(250)]
        flows = [day["net_volume"][t - k] for k in range(250)]
        return math.fsum(w * x for w, x in zip(weights, flows, strict=True)) / math.fsum(weights)

    if t < 250 or None in day["net_volume"][t - 249 : t + 1]:
        return None
    return 20 * faded(39) - 10 * faded(19) + faded(19) - faded(39)


def volatility(day: dict[str, Series], t: int) -> Value:
    if "vix" in day:
        mean = _mean(day["vix"], t, 50)
        return None if mean is None else day["vix"][t] / mean
    close = day["close"]
    swings = [
        stdev([math.log(close[s - k] / close[s - k - 1]) for k in range(20)]) if s >= 20 else None
        for s in range(t - 49, t + 1)
    ]
    return None if None in swings else swings[-1] / fmean(swings)


def safe_haven(day: dict[str, Series], t: int) -> Value:
    bond, close = day.get("bond"), day["close"]
    if t < 20 or bond is None or bond[t] is None or bond[t - 20] is None:
        return None
    return close[t] / close[t - 20] - bond[t] / bond[t - 20]


def volume(day: dict[str, Series], t: int) -> Value:
    fast, slow = _mean(day["value"], t, 20), _mean(day["value"], t, 90)
    return None if slow is None or fast is None else fast / slow * (day["close"][t] / day["close"][t - 20] - 1)


def drawdown(day: dict[str, Series], t: int) -> Value:
    return None if t < 89 else day["close"][t] / max(day["close"][t - 89 : t + 1]) - 1


def put_call(day: dict[str, Series], t: int) -> Value:
    return day["put_call"][t] if "put_call" in day else None


def junk_bond(day: dict[str, Series], t: int) -> Value:
    return day["junk_bond"][t] if "junk_bond" in day else None


RAW: dict[str, Callable[[dict[str, Series], int], Value]] = {
    one.__name__: one
    for one in (momentum, strength, breadth, volatility, safe_haven, volume, drawdown, put_call, junk_bond)
}
FEARFUL = {"volatility", "put_call", "junk_bond"}


def net(members: dict[str, list[tuple[float, float] | None]], t: int) -> tuple[Value, Value]:
    """`net_highs` and `net_volume` of a day: members by code, (close, volume) or None by day."""
    edges = rising = volume = old = 0.0
    for days in members.values():
        told = [one for one in days[: t + 1] if one is not None]
        if days[t] is None:
            continue
        close, traded = days[t]
        volume += traded
        if len(told) > 1:
            rising += traded * ((close > told[-2][0]) - (close < told[-2][0]))
        if len(told) >= 252:
            year = [one[0] for one in told[-252:]]
            old += 1
            edges += (close == max(year)) - (close == min(year)) if max(year) > min(year) else 0
    return (edges / old if old else None, rising / volume if volume else None)


def index(day: dict[str, Series], weights: dict[str, float], enough: float = 0.8) -> list[tuple[Value, int]]:
    """Score and number of components for every day."""
    count = len(day["close"])
    raws = {name: [RAW[name](day, t) if t >= 251 else None for t in range(count)] for name in weights}
    made: list[tuple[Value, int]] = []
    for t in range(count):
        scores = {}
        for name, raw in raws.items():
            past = [one for one in raw[max(0, t - 503) : t + 1] if one is not None]
            if raw[t] is None or len(past) < 252:
                continue
            spread = stdev(past)
            z = 0.0 if spread <= 1e-12 * abs(raw[t]) else (raw[t] - fmean(past)) / spread
            scores[name] = min(100.0, max(0.0, 50 + 25 * z * (-1 if name in FEARFUL else 1)))
        total = math.fsum(weights[name] for name in scores)
        points = math.fsum(weights[name] * score for name, score in scores.items())
        made.append((points / total if total >= enough - 1e-9 else None, len(scores)))
    return made
