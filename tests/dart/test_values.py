"""Every value of a whole market, with all oddities, against what companies really pay."""

from __future__ import annotations

from typing import Any

from gapless.app import Gapless
from gapless.core.job import JobState
from gapless.sandbox.opendart import truth
from gapless.sandbox.opendart.api import served
from gapless.sandbox.opendart.companies import Company, World
from gapless.sandbox.opendart.dates import ANNUAL, latest_receipt, today
from gapless.sandbox.opendart.dividends import Share
from gapless.sandbox.opendart.query import Matter
from gapless.testing.dart import DIVIDENDS

#: What is kept out of the number, by the oddity that makes it so. All others are read.
SET_ASIDE = {"total_won": "total_for_dps", "negative": "negative"}
KINDS: dict[str, Share] = {"common": "common", "preferred": "preferred", "common.large": "large"}
YEARS = range(2013, 2024)
#: Tables without any share kind are read by their order: the second line stands for itself.
NAMELESS = {"kind_missing", "kind_dash"}


def holders(world: World, now: int) -> list[Company]:
    """Companies that can be asked for by a stock code of today."""
    day = today(now)
    return [one for one in world.companies if one.stock_on(day)]


def told(world: World, one: Company, row: dict[str, Any]) -> truth.Statement:
    """What the report of a stored row really says of its year and share."""
    found = truth.statements(world, one.code, row["time"].year + 1, ANNUAL, KINDS[row["share_kind"]])
    (statement,) = [it for it in found if it.rcept_no == row["rcept_no"] and it.rank == row["rank"]]
    return statement


def test_every_value_of_a_market_is_what_its_report_tells_or_is_flagged(history: Gapless, world: World) -> None:
    """A wrong dividend is worse than none: what cannot be read stands aside, by name."""
    now = history.clock.now()
    every = holders(world, now)
    running = history.backfill(DIVIDENDS, [one.stock for one in every], "2013", "2023")
    assert running.wait(timeout=240) is JobState.DONE

    checked = 0
    for one in every:
        odd = {name for year in YEARS for name in one.odd(year)}
        allowed = {SET_ASIDE[name] for name in odd & set(SET_ASIDE)}
        years = set()
        for row in history.read(DIVIDENDS, one.stock, "2013", "2023", fill=False).iter_rows(named=True):
            years.add(row["time"].year + 1)
            if row["share_kind"] not in KINDS:
                assert odd & NAMELESS, row
                continue
            if row["dps"] is None:
                assert set(row["flags"].split(",")) & allowed, row
                assert row["note"]
                continue
            if row["share_kind"] == "preferred" and not one.preferred:
                assert row["dps"] == 0
                continue
            assert row["dps"] == told(world, one, row).amount, row
            checked += 1
        # Whoever has filed a report of a year has a row of it.
        filed = {y for y in YEARS if served(world, Matter(one.code, y, ANNUAL), latest_receipt(now))}
        assert filed <= years, one.name

    assert checked > 3_000
    assert not history.verify(DIVIDENDS).findings
