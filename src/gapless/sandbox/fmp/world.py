"""Simulated companies: prices, splits, statements, earnings, price targets and grades, by symbol.

Chosen: every symbol has a company but those that begin with NONE; its history begins between 1985 and 2015. Prices are
a random walk over the weekdays; statements come 25 to 80 days after their quarter, at a time of day in New York; one
company in five has split. Nothing here is worth anything outside a test.
"""

from __future__ import annotations

import hashlib
import math
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from random import Random

import msgspec

SEED = 47
FIRMS = ("Apple Street", "Birch & Co", "Cedar", "Dune Capital", "Elm Partners", "Fjord", "Glacier", "Harbour")
GRADES = ("Strong Buy", "Buy", "Hold", "Sell", "Strong Sell")
_DAY = timedelta(days=1)


class Company(msgspec.Struct, frozen=True):
    """All that is told of a symbol, oldest first; dates as the provider writes them."""

    first: date
    #: (day, close as it was paid).
    prices: list[tuple[date, float]]
    splits: list[tuple[date, int]]
    quarters: list[dict[str, object]]
    earnings: list[dict[str, object]]
    targets: list[dict[str, object]]
    grades: list[dict[str, object]]


class World:
    """All companies of a seed, up to a last day."""

    def __init__(self, seed: int = SEED, last: date = date(2026, 12, 31), years: int | None = None) -> None:
        self.seed = seed
        self.last = last
        #: Shorter histories for benchmarks.
        self.years = years
        self.company = lru_cache(maxsize=512)(self._company)

    def _company(self, symbol: str) -> Company | None:
        if symbol.startswith("NONE"):
            return None
        rng = Random(int.from_bytes(hashlib.blake2b(f"{self.seed}/{symbol}".encode(), digest_size=8).digest()))
        first = date(rng.randint(1985, 2015), rng.randint(1, 12), rng.randint(1, 28))
        if self.years is not None:
            first = self.last - timedelta(days=365 * self.years)
        splits = self._splits(rng, first)
        prices = self._prices(rng, first, dict(splits))
        quarters = self._quarters(rng, first, symbol, splits)
        return Company(
            first,
            prices,
            splits,
            quarters,
            self._earnings(rng, quarters),
            self._targets(rng, symbol, prices),
            self._grades(rng, symbol, first),
        )

    def _splits(self, rng: Random, first: date) -> list[tuple[date, int]]:
        if rng.random() > 0.2:
            return []
        span = (self.last - first).days
        return sorted(
            {first + timedelta(days=rng.randrange(400, span)): rng.choice((2, 3, 4)) for _ in range(2)}.items()
        )

    def _prices(self, rng: Random, first: date, splits: dict[date, int]) -> list[tuple[date, float]]:
        day, close, made = first, rng.uniform(20, 200), []
        while day <= self.last:
            close /= splits.get(day, 1)
            if day.weekday() < 5:
                close = min(5_000.0, max(1.0, close * math.exp(rng.gauss(0.0002, 0.02))))
                made.append((day, round(close, 2)))
            day += _DAY
        return made

    def _quarters(
        self, rng: Random, first: date, symbol: str, splits: list[tuple[date, int]]
    ) -> list[dict[str, object]]:
        made: list[dict[str, object]] = []
        revenue, shares = rng.uniform(1e8, 5e10), rng.uniform(1e7, 5e9)
        margin = rng.uniform(-0.05, 0.25)
        year, quarter = first.year, (first.month - 1) // 3 + 1
        while True:
            end = _quarter_end(year, quarter)
            filed = end + timedelta(days=rng.randint(25, 80))
            if filed > self.last:
                return made
            revenue *= math.exp(rng.gauss(0.01, 0.05))
            ratio = math.prod(factor for at, factor in splits if at <= filed)
            net = revenue * (margin + rng.gauss(0, 0.03))
            equity = revenue * rng.uniform(1.5, 2.5)
            accepted = f"{filed.isoformat()} {rng.choice(('06:45:10', '16:31:02', '17:05:59'))}"
            made.append(
                {
                    "date": end.isoformat(),
                    "symbol": symbol,
                    "reportedCurrency": "USD",
                    "filingDate": filed.isoformat(),
                    "acceptedDate": accepted,
                    "fiscalYear": str(year),
                    "period": f"Q{quarter}",
                    "revenue": round(revenue),
                    "netIncome": round(net),
                    "ebitda": round(net + revenue * 0.08),
                    "weightedAverageShsOutDil": round(shares * ratio),
                    "eps": round(net / (shares * ratio), 2),
                    "totalStockholdersEquity": round(equity),
                    "totalDebt": round(equity * rng.uniform(0, 1.2)),
                    "cashAndShortTermInvestments": round(equity * rng.uniform(0.05, 0.4)),
                }
            )
            year, quarter = (year, quarter + 1) if quarter < 4 else (year + 1, 1)

    def _earnings(self, rng: Random, quarters: list[dict[str, object]]) -> list[dict[str, object]]:
        made: list[dict[str, object]] = []
        for one in quarters:
            eps = float(str(one["eps"]))
            made.append(
                {
                    "symbol": one["symbol"],
                    "date": one["filingDate"],
                    "epsActual": eps,
                    "epsEstimated": None if rng.random() < 0.05 else round(eps * rng.uniform(0.85, 1.1), 2),
                    "revenueActual": one["revenue"],
                    "revenueEstimated": None,
                    "lastUpdated": one["filingDate"],
                }
            )
        return made

    def _targets(self, rng: Random, symbol: str, prices: list[tuple[date, float]]) -> list[dict[str, object]]:
        made = []
        for _ in range(rng.randrange(0, 260)):
            day, close = prices[rng.randrange(len(prices) // 2, len(prices))]
            at = datetime(day.year, day.month, day.day, rng.randrange(24), rng.randrange(60), tzinfo=UTC)
            made.append(
                {
                    "symbol": symbol,
                    "publishedDate": f"{at:%Y-%m-%dT%H:%M:%S}.000Z",
                    "newsTitle": "…",
                    "analystName": "",
                    "priceTarget": round(close * rng.uniform(0.8, 1.5), 1),
                    "adjPriceTarget": round(close, 1),
                    "analystCompany": rng.choice(FIRMS),
                }
            )
        return sorted(made, key=lambda one: str(one["publishedDate"]))

    def _grades(self, rng: Random, symbol: str, first: date) -> list[dict[str, object]]:
        days = sorted(rng.randrange((self.last - first).days) for _ in range(rng.randrange(0, 120)))
        held: dict[str, str] = {}
        made: list[dict[str, object]] = []
        for day in days:
            firm, grade = rng.choice(FIRMS), rng.choice(GRADES)
            before = held.get(firm, "")
            step = GRADES.index(before) - GRADES.index(grade) if before else 0
            action = "initialise" if not before else "upgrade" if step > 0 else "downgrade" if step < 0 else "maintain"
            made.append(
                {
                    "symbol": symbol,
                    "date": (first + timedelta(days=day)).isoformat(),
                    "gradingCompany": firm,
                    "previousGrade": before,
                    "newGrade": grade,
                    "action": action,
                }
            )
            held[firm] = grade
        return made


def _quarter_end(year: int, quarter: int) -> date:
    after = date(year + 1, 1, 1) if quarter == 4 else date(year, quarter * 3 + 1, 1)
    return after - _DAY
