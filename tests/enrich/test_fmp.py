"""Financial Modeling Prep: pages that a row cap forces, and errors in all the forms they come in."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from gapless.core.errors import (
    BadReply,
    HoldJob,
    NotCovered,
    Refused,
    SourceError,
    TryAgain,
    Unauthorized,
    UsageError,
)
from gapless.sandbox.fmp.api import KEY
from gapless.sandbox.fmp.world import World
from gapless.sources.fmp import Fmp
from gapless.sources.fmp.records import ENDPOINTS, Endpoint
from gapless.sources.fmp.source import Part
from gapless.sources.http import Http

BY_NAME = {one.name: one for one in ENDPOINTS}
LONG_AGO = date(1980, 1, 1)
LAST = date(2026, 3, 20)


@pytest.fixture
def source(fmp):
    made = Fmp(Http("fmp", fmp.url, timedelta(seconds=10), KEY))
    yield made
    made.close()


def every(source: Fmp, endpoint: Endpoint, symbol: str) -> list[Part]:
    parts = [source.ask(endpoint, symbol, LONG_AGO)]
    while parts[-1].after:
        parts.append(source.ask(endpoint, symbol, LONG_AGO, parts[-1].after))
    return parts


def refusal(source: Fmp, kind: type[SourceError], name: str = "prices", symbol: str = "AAPL") -> SourceError:
    with pytest.raises(kind) as caught:
        source.ask(BY_NAME[name], symbol, LONG_AGO)
    assert type(caught.value) is kind
    assert KEY not in str(caught.value)
    return caught.value


def old_company() -> str:
    """One with more than 5,000 days of prices."""
    world = World(last=LAST)
    for number in range(100):
        company = world.company(f"OLD{number}")
        if company is not None and len(company.prices) > 8_000:
            return f"OLD{number}"
    raise AssertionError("no old company")


def test_prices_beyond_the_row_cap_are_asked_for_again(source, fmp):
    """The newest 5,000 come first; what is cut off is the old end."""
    symbol = old_company()
    parts = every(source, BY_NAME["prices"], symbol)
    company = World(last=LAST).company(symbol)
    assert company is not None
    got = sorted((one.date, one.close) for part in parts for one in part.records)
    assert got == [(day.isoformat(), close) for day, close in company.prices]
    assert len(parts) == -(-len(company.prices) // 5_000)


def test_targets_are_read_page_by_page_until_one_is_short(source):
    """There is no total; each target comes once."""
    world = World(last=LAST)
    symbol = next(f"T{n}" for n in range(200) if len(world.company(f"T{n}").targets) > 150)  # type: ignore[union-attr]
    parts = every(source, BY_NAME["targets"], symbol)
    got = [(one.published, one.firm, one.price) for part in parts for one in part.records]
    told = world.company(symbol).targets  # type: ignore[union-attr]
    assert sorted(got) == sorted((t["publishedDate"], t["analystCompany"], t["priceTarget"]) for t in told)


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=[one.name for one in ENDPOINTS])
def test_an_unknown_company_has_no_records(source, endpoint):
    """An empty list is an answer."""
    assert source.ask(endpoint, "NONE", LONG_AGO).records == []


def test_the_key_goes_in_a_header(source, fmp):
    """In an address it would end up in logs."""
    source.ask(BY_NAME["grades"], "AAPL", LONG_AGO)
    assert KEY not in str(fmp.stats(log=True))


def test_a_plan_that_does_not_cover_a_company_says_so_in_plain_text(source, fmp):
    """402 is of one company or question: the others can be asked."""
    assert "Premium Query Parameter" in str(refusal(source, NotCovered, symbol="005930.KS"))
    fmp.control(uncovered=["grades"])
    assert "Restricted" in str(refusal(source, NotCovered, "grades"))
    fmp.control(uncovered=[], plan="basic")
    assert "limit" in str(refusal(source, NotCovered, "income"))


def test_who_asks_too_often_waits(source, fmp):
    """Without a hint how long."""
    fmp.control(unlimited=False, plan="basic")
    for _ in range(250):
        source.ask(BY_NAME["grades"], "AAPL", LONG_AGO)
    assert refusal(source, Refused).seconds == 60


def test_an_error_at_status_200_is_an_error(source, fmp):
    """An object where a list belongs."""
    fmp.control(broken=["AAPL"])
    refusal(source, TryAgain)


def test_a_wrong_key_holds_the_job(fmp):
    """With the name of the setting."""
    made = Fmp(Http("fmp", fmp.url, timedelta(seconds=5), "badkey123"))
    with pytest.raises(Unauthorized, match="GAPLESS_FMP_API_KEY"):
        made.ask(BY_NAME["grades"], "AAPL", LONG_AGO)
    made.close()
    with pytest.raises(UsageError, match="GAPLESS_FMP_API_KEY"):
        Fmp(Http("fmp", fmp.url)).check()


def test_a_closed_address_holds_the_job(source):
    """403: the old interface."""
    old = Endpoint(name="old", path="../api/v3/quote", record=BY_NAME["grades"].record, cap=1)
    with pytest.raises(HoldJob):
        source.ask(old, "AAPL", LONG_AGO)


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ({"kind": "status", "status": 503}, TryAgain),
        ({"kind": "html", "status": 200}, TryAgain),
        ({"kind": "truncate"}, TryAgain),
        ({"kind": "missing_field"}, BadReply),
    ],
)
def test_failures_are_sorted_by_what_to_do_next(source, fmp, fault, kind):
    """Again later, or this company only."""
    fmp.control(faults=[fault])
    refusal(source, kind)
