"""KRX's markets: every row of the table of what a reply proves, over real HTTP."""

from __future__ import annotations

from datetime import date

import pytest

from gapless.app import Gapless
from gapless.core.errors import UsageError
from gapless.core.job import JobState
from gapless.sandbox.krx.world import World
from gapless.sandbox.process import SandboxProcess
from gapless.testing.dart import MovedClock
from gapless.testing.krx import INDICES, STOCKS, open_krx


def test_every_day_of_a_market_is_stored_as_it_was_told(history: Gapless, krx: SandboxProcess, world: World) -> None:
    """One request a weekday; holidays are empty, weekends are no days at all; a second run asks nothing."""
    assert history.backfill(STOCKS, "KOSPI", "2018-05-01", "2018-05-31").wait(timeout=60) is JobState.DONE

    frame = history.read(STOCKS, "KOSPI", "2018-05-01", "2018-05-31", fill=False)
    told = [
        (day, one.code, one.open or None, one.high or None, one.low or None, one.close, one.volume, one.value, one.cap)
        for day in world.days
        if (day.year, day.month) == (2018, 5)
        for one in sorted(world.kospi[day], key=lambda one: one.code)
    ]
    days = frame.with_columns(frame["time"].dt.convert_time_zone("Asia/Seoul").dt.date().alias("day"))
    assert days.select("day", "code", "open", "high", "low", "close", "volume", "value", "cap").rows() == told
    assert krx.stats()["requests"] == 23
    gaps = history.gaps(STOCKS, "KOSPI", "2018-05-01", "2018-05-31")
    assert gaps["word"].to_list() == ["empty"] * 3, "1, 7 and 22 May"

    assert history.backfill(STOCKS, "KOSPI", "2018-05-01", "2018-05-31").wait(timeout=60) is JobState.DONE
    assert krx.stats()["requests"] == 23
    assert not history.verify(STOCKS).findings


def test_numbers_with_commas_are_numbers(history: Gapless, world: World) -> None:
    frame = history.read(INDICES, "KOSPI", "2020-03-19", "2020-03-19")
    assert frame["close"].to_list() == [world.index[date(2020, 3, 19)].close]
    assert frame["value"].to_list() == [world.index[date(2020, 3, 19)].value]


def test_a_day_is_final_on_the_next_weekday(history: Gapless, wall: MovedClock) -> None:
    """Friday 14 June is told on Monday at eight; before that nothing of it may count as empty."""
    with pytest.raises(UsageError, match="nothing of this span is final yet"):
        history.read(INDICES, "KOSPI", "2024-06-14", "2024-06-14")
    wall.move("2024-06-17T00:59:00Z")
    assert history.read(INDICES, "KOSPI", "2024-06-13").height == 1


def test_a_day_that_is_told_late_is_asked_for_again_a_day_later(
    database_url: str, krx: SandboxProcess, wall: MovedClock
) -> None:
    """An empty answer of a young day is believed for a day only."""
    krx.control(late=["20240612"])
    with open_krx(database_url, krx.url, wall) as history:
        assert history.read(INDICES, "KOSPI", "2024-06-10", "2024-06-12").height == 2
        assert history.read(INDICES, "KOSPI", "2024-06-10", "2024-06-12").height == 2
        assert krx.stats()["requests"] == 3
        krx.control(late=[], now="2024-06-15T04:00:00Z")
        wall.move("2024-06-15T04:00:00Z")
        assert history.read(INDICES, "KOSPI", "2024-06-10", "2024-06-12").height == 3
        assert krx.stats()["requests"] == 4


def test_nothing_before_2010_is_asked_for(history: Gapless, krx: SandboxProcess) -> None:
    history.read(INDICES, "KOSPI", "2009-01-01", "2010-01-05")
    assert krx.stats()["requests"] == 2


def test_a_refused_key_holds_the_job_and_is_never_shown(
    database_url: str, krx: SandboxProcess, wall: MovedClock
) -> None:
    wrong = "0F" * 20
    with open_krx(database_url, krx.url, wall, wrong) as history:
        job = history.backfill(INDICES, "KOSPI", "2024-06-03", "2024-06-07")
        assert job.wait(timeout=60) is JobState.FAILED
        assert "GAPLESS_KRX_API_KEY" in job.job.error
        assert wrong not in job.job.error
    with open_krx(database_url, krx.url, wall, "") as history, pytest.raises(UsageError, match="is not set"):
        history.backfill(INDICES, "KOSPI", "2024-06-03", "2024-06-07")


@pytest.mark.parametrize("kind", ["html", "truncate", "reset", "status"])
def test_passing_trouble_costs_nothing_but_time(database_url: str, krx: SandboxProcess, wall: MovedClock, kind: str):
    krx.control(faults=[{"kind": kind, "every": 2, "times": 2}])
    with open_krx(database_url, krx.url, wall) as history:
        assert history.read(INDICES, "KOSPI", "2024-06-03", "2024-06-07").height == 4
