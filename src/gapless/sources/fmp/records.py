"""The records of Financial Modeling Prep as they come; fields that nobody reads are not named."""

from __future__ import annotations

from typing import Any

import msgspec


class Price(msgspec.Struct):
    """A day of `historical-price-eod/non-split-adjusted`; the field is called adjusted, the price is as it was paid."""

    date: str
    close: float = msgspec.field(name="adjClose")


class Split(msgspec.Struct):
    """One share became `numerator / denominator`."""

    date: str
    numerator: float
    denominator: float


class _Filed(msgspec.Struct, kw_only=True):
    #: The last day of the quarter.
    date: str
    filing_date: str | None = msgspec.field(name="filingDate")
    #: When the regulator took it in, in New York.
    accepted_date: str | None = msgspec.field(name="acceptedDate")


class Income(_Filed, kw_only=True):
    """A quarter."""

    revenue: float | None
    net_income: float | None = msgspec.field(name="netIncome")
    ebitda: float | None
    shares: float | None = msgspec.field(name="weightedAverageShsOutDil")


class Balance(_Filed, kw_only=True):
    """The end of a quarter."""

    equity: float | None = msgspec.field(name="totalStockholdersEquity")
    debt: float | None = msgspec.field(name="totalDebt")
    cash: float | None = msgspec.field(name="cashAndShortTermInvestments")


class Earnings(msgspec.Struct):
    """An earnings report, past or to come."""

    date: str
    actual: float | None = msgspec.field(name="epsActual")
    estimated: float | None = msgspec.field(name="epsEstimated")


class Target(msgspec.Struct):
    """A price target as it was published; in shares of that day."""

    published: str = msgspec.field(name="publishedDate")
    firm: str | None = msgspec.field(name="analystCompany")
    price: float | None = msgspec.field(name="priceTarget")


class Grade(msgspec.Struct):
    """A rating by one firm."""

    date: str
    firm: str = msgspec.field(name="gradingCompany")
    grade: str = msgspec.field(name="newGrade")
    action: str


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """One question about a company."""

    name: str
    path: str
    record: Any
    #: What is always asked.
    query: tuple[tuple[str, str], ...] = ()
    #: Records in one answer before the rest is on another page.
    cap: int
    #: Pages by number; else by the day before the oldest record of the page (None: there is only one).
    pages: str | None = None


_QUARTERS = (("period", "quarter"), ("limit", "400"))
ENDPOINTS = (
    Endpoint(name="prices", path="historical-price-eod/non-split-adjusted", record=Price, cap=5_000, pages="by day"),
    Endpoint(name="splits", path="splits", record=Split, query=(("limit", "1000"),), cap=1_000),
    Endpoint(name="income", path="income-statement", record=Income, query=_QUARTERS, cap=400),
    Endpoint(name="balance", path="balance-sheet-statement", record=Balance, query=_QUARTERS, cap=400),
    Endpoint(name="earnings", path="earnings", record=Earnings, query=(("limit", "1000"),), cap=1_000),
    Endpoint(
        name="targets", path="price-target-news", record=Target, query=(("limit", "100"),), cap=100, pages="by number"
    ),
    Endpoint(name="grades", path="grades", record=Grade, cap=10_000),
)
