"""Dividends: database first, three fiscal years a call, every value as the reports tell it."""

from __future__ import annotations

import polars as pl

from gapless.app import Gapless
from gapless.core.job import JobState
from gapless.sandbox.process import SandboxProcess
from gapless.testing.dart import DIVIDENDS, calls


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
    assert history.read(DIVIDENDS, "005930/11011", "2016", "2020").height
    assert dart.stats()["requests"] == sent


def test_a_prefetch_of_many_ends_done(history: Gapless, dart: SandboxProcess) -> None:
    """Stocks in one job."""
    running = history.backfill(DIVIDENDS, ["005930", "308880"], "2015", "2023")

    assert running.wait(timeout=60) is JobState.DONE
    assert calls(dart) == 6
