"""Dividends: database first, three fiscal years a call, every value as the reports tell it."""

from __future__ import annotations

import polars as pl

from gapless.app import Gapless
from gapless.core.job import JobState
from gapless.sandbox.opendart import truth
from gapless.sandbox.opendart.companies import World
from gapless.sandbox.opendart.dates import ANNUAL
from gapless.sandbox.opendart.listings import PLANTED
from gapless.sandbox.process import SandboxProcess
from gapless.testing.dart import DIVIDENDS, calls, holders


def dps(frame: pl.DataFrame, kind: str = "common") -> dict[int, float | None]:
    """Dividend by fiscal year."""
    its = frame.filter(pl.col("share_kind") == kind)
    years = its["time"].dt.convert_time_zone("Asia/Seoul").dt.year()
    return {year: None if won is None else float(won) for year, won in zip(years, its["dps"], strict=True)}


def test_six_years_of_an_annual_report_cost_two_calls(history: Gapless, dart: SandboxProcess) -> None:
    """An annual report tells three fiscal years; a key has 20,000 calls a day."""
    frame = history.read(DIVIDENDS, "005930", "2018", "2023")

    assert dps(frame) == {2018: 1416, 2019: 1416, 2020: 2994, 2021: 1444, 2022: 1444, 2023: 1444}
    assert calls(dart) == 2
    assert calls(dart, "corpCode.xml") == 1


def test_a_second_read_calls_nothing(history: Gapless, dart: SandboxProcess) -> None:
    first = history.read(DIVIDENDS, "005930", "2015", "2023")
    sent = dart.stats()["requests"]

    assert history.read(DIVIDENDS, "005930", "2015", "2023").equals(first)
    assert history.read(DIVIDENDS, "005930/11011", 2016, 2020).height
    assert dart.stats()["requests"] == sent


def test_a_stock_is_named_alike_everywhere(history: Gapless) -> None:
    """What a read finds under a bare number its coverage shows under that number."""
    history.read(DIVIDENDS, "005930", "2021", "2023")
    (years,) = history.coverage(DIVIDENDS, "005930").to_dicts()
    assert (years["cells"], years["present"]) == (3, 3)
    assert years["rows"] > 3, "two kinds of shares"
    assert history.coverage(DIVIDENDS, "005930").equals(history.coverage(DIVIDENDS, "005930/11011"))


def test_a_prefetch_of_many_ends_done(history: Gapless, dart: SandboxProcess) -> None:
    """Stocks in one job."""
    running = history.backfill(DIVIDENDS, ["005930", "308880"], "2015", "2023")

    assert running.wait(timeout=60) is JobState.DONE
    assert calls(dart) == 6


def test_a_year_without_a_report_of_its_own_is_told_by_the_next_years(
    history: Gapless, dart: SandboxProcess, world: World
) -> None:
    """Who went public in 2021 has told of 2020 and 2019, too, though never in a report of those years."""
    now = history.clock.now()
    young = next(
        one
        for one in holders(world, now)
        if one.listed // 10_000 == 2021
        and not one.oddities
        and truth.answer(world, one.code, 2021, ANNUAL, now)
        and not truth.answer(world, one.code, 2020, ANNUAL, now)
        and truth.dividend(world, one.code, 2020, now)
    )
    frame = history.get_dps_series(young.stock, 2018, 2020)

    right = {year: truth.dividend(world, young.code, year, now) for year in (2018, 2019, 2020)}
    assert dict(zip(frame["fiscal_year"], frame["dps"], strict=True)) == {
        year: one.amount for year, one in right.items() if one
    }
    assert set(frame["rank"]) == {1, 2}
    assert calls(dart) == 3, "2020, 2021 and 2018"
    history.get_dps_series(young.stock, 2018, 2021)
    assert calls(dart) == 3
    assert not history.verify(DIVIDENDS).findings


def test_nobody_asks_for_the_next_years_report_where_it_is_told_already_or_not_due(
    history: Gapless, dart: SandboxProcess, world: World
) -> None:
    """The last year of a market is told by nothing else; a year in its midst by what was asked before."""
    silent = PLANTED["spac"].stock
    history.get_dps_series(silent, 2022, 2023)
    assert calls(dart) == 2
    history.get_dps_series(silent, 2020, 2021)
    assert calls(dart) == 4
    history.get_dps_series(silent, 2015, 2017)
    assert calls(dart) == 8, "2017, 2018, 2016 and 2015"
