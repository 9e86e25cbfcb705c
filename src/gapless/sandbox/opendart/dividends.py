"""What companies pay and earn: the truth behind every column of every dividend table.

Quarterly and half-year reports tell running totals of their own year. Amounts are drawn in today's shares; before a
split they are `ratio` times as many won. A `known` dividend replaces the drawn one.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache
from random import Random
from typing import Literal, NamedTuple

import msgspec

from gapless.sandbox.opendart.companies import Company
from gapless.sandbox.opendart.dates import FIRST, LAST, REPORTS

#: `common` is what the holder of a common share gets; where large and small holders get different amounts, a small one.
Share = Literal["common", "preferred", "large"]
#: Annual reports reach back two years before the first one.
OLDEST = FIRST - 2
#: What a large holder gets, in percent.
LARGE = 80
_CENT = Decimal("0.01")


class Payments(NamedTuple):
    """A fiscal year."""

    #: Won paid for each quarter on a common share.
    quarters: tuple[int, int, int, int]
    #: Won earned on a share, and what a share costs.
    earned: int
    price: int


class Figures(msgspec.Struct, frozen=True):
    """A column of the table; amounts in won, totals in million won, rates in percent."""

    face: int
    income: int
    own_income: int
    earned: int
    #: Only shares that exist; 0 is no dividend.
    dividends: Mapping[Share, Decimal]
    yields: Mapping[Share, Decimal]
    total: int
    #: None where nothing is paid or nothing earned.
    payout: Decimal | None


@lru_cache(maxsize=16_384)
def payments(seed: int, company: Company) -> dict[int, Payments]:
    """Every fiscal year, in today's shares."""
    rng = Random(f"{seed}/{company.code}/dividends")
    step = rng.choice((5, 10, 10, 25, 50))
    usual, share, rate = rng.randint(2, 40), rng.uniform(0.15, 0.6), rng.uniform(0.01, 0.06)
    known = dict(company.known)
    if known:
        usual = min(known.values()) // step
    found = {}
    for year in range(OLDEST, LAST + 1):
        usual = max(2, usual + rng.choice((-2, -1, 0, 0, 0, 1, 1, 2, 3)))
        level = known.get(year, usual * step)
        won = level if year in known else level * _pays(rng, company)
        earned = int(level / share * rng.uniform(0.8, 1.3)) * (-1 if rng.random() < 0.08 else 1)
        price = round(level / rate * rng.uniform(0.7, 1.4))
        found[year] = Payments(_spread(company, won, step), earned, price)
    return found


def figures(seed: int, company: Company, year: int, report: str, percent: int, *, old: bool) -> Figures:
    """The truth of a fiscal year up to the end of `report`; `old` tells it in the shares before a split."""
    quarters, earned, price = payments(seed, company)[year]
    parts = REPORTS.index(report) + 1
    won, ratio = sum(quarters[:parts]), company.split.ratio if company.split and old else 1
    odd = company.odd(year)
    if odd & {"loss_minus", "loss_brackets", "loss_triangle"}:
        earned = -abs(earned)
    dividends = _dividends(company, won * ratio, percent, half="decimal" in odd)
    if "two_amounts" in odd:
        dividends["large"] = dividends["common"] * LARGE // 100
    shares = 1_000 * (2_000 + company.index * 37 % 90_000) // ratio
    income = earned * parts * shares * ratio // (4 * 1_000_000)
    total = int(dividends["common"] * shares) // 1_000_000
    rates = {share: (paid * 100 / (price * ratio)).quantize(_CENT) for share, paid in dividends.items()}
    return Figures(
        face=company.face * ratio,
        income=income,
        own_income=income * 9 // 10,
        earned=earned * ratio * parts // 4,
        dividends=dividends,
        yields=rates,
        total=total,
        payout=(Decimal(total * 100) / income).quantize(_CENT) if total and income > 0 else None,
    )


def _dividends(company: Company, won: int, percent: int, *, half: bool) -> dict[Share, Decimal]:
    """What the shares get; preferred ones a won more."""
    paid = Decimal(won * percent // 100)
    if paid and half:
        paid += Decimal("0.5")
    found: dict[Share, Decimal] = {"common": paid}
    if company.preferred:
        found["preferred"] = paid + 1 if paid else paid
    return found


def _pays(rng: Random, company: Company) -> bool:
    """Whether anything is paid this year."""
    drawn = rng.random()
    if company.pays == "never":
        return False
    if company.pays == "sometimes":
        return drawn < 0.5
    return bool(company.oddities) or drawn < 0.95


def _spread(company: Company, won: int, step: int) -> tuple[int, int, int, int]:
    """A year's dividend over its quarters."""
    if company.pays == "quarterly":
        each = won // 4
        return each, each, each, won - 3 * each
    if company.pays == "interim":
        half = won // (2 * step) * step
        return 0, half, 0, won - half
    return 0, 0, 0, won
