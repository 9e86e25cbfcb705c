"""Filings by day: of the whole market in windows, of one company over any span, from both ends."""

from __future__ import annotations

import threading
from datetime import date
from typing import Any

import pytest

from gapless.app import Gapless
from gapless.core.errors import UsageError
from gapless.core.job import Direction, JobState
from gapless.sandbox.clock import instant
from gapless.sandbox.opendart import truth
from gapless.sandbox.opendart.companies import World
from gapless.sandbox.opendart.listings import PLANTED
from gapless.sandbox.process import SandboxProcess
from gapless.testing.dart import DISCLOSURES, MovedClock, calls, open_dart
from gapless.testing.history import until

#: The busiest weeks of the year lie in it: annual reports are due at the end of March.
FROM, TO = "2023-01-01", "2024-05-31"
VIEWER = "https://dart.fss.or.kr/dsaf001/main.do?rcpNo="


def stored(history: Gapless, series: str = "all", start: str = FROM, end: str = TO) -> list[dict[str, Any]]:
    """What is kept, as lines of list.json, oldest first."""
    frame = history.read(DISCLOSURES, series, start, end, fill=False)
    assert [f"{VIEWER}{one}" for one in frame["rcept_no"]] == frame["url"].to_list()
    # Midnight in Seoul is 15:00 UTC of the day before.
    assert all(
        (day - at.date()).days == 1 and at.hour == 15
        for at, day in zip(*(frame[c] for c in ("time", "rcept_dt")), strict=True)
    )
    return [{**row, "rcept_dt": f"{row['rcept_dt']:%Y%m%d}"} for row in frame.drop("time", "url").iter_rows(named=True)]


def filed(world: World, history: Gapless, code: str = "", start: str = FROM, end: str = TO) -> list[dict[str, Any]]:
    """What was filed, in the same shape."""
    return truth.filings(world, _number(start), _number(end), history.clock.now(), code)


def _number(day: str) -> int:
    return int(f"{date.fromisoformat(day):%Y%m%d}")


def assert_told(history: Gapless, world: World) -> None:
    """Everything is there once, and the ledger agrees."""
    want = filed(world, history)
    assert len(want) > 3_000
    assert stored(history) == want
    assert not history.verify(DISCLOSURES).findings


def test_a_market_is_told_completely_from_both_ends(history: Gapless, dart: SandboxProcess, world: World) -> None:
    """Days with several pages, windows of three months, both ways: nothing lost, nothing doubled."""
    running = history.backfill(DISCLOSURES, "all", FROM, TO)
    assert running.wait(timeout=60) is JobState.DONE, running.job.error
    assert_told(history, world)

    sent = calls(dart, "list.json")
    assert sent <= len(filed(world, history)) // 100 + 8, "pages are full"
    assert dart.stats()["by_code"].keys() <= {"000", "013"}
    assert history.backfill(DISCLOSURES, "all", FROM, TO).wait(timeout=60) is JobState.DONE
    assert calls(dart, "list.json") == sent
    assert calls(dart, "corpCode.xml") == 0, "nobody has to be looked up"


@pytest.mark.parametrize("direction", [Direction.FORWARD, Direction.BACKWARD])
def test_either_direction_tells_the_same(
    sqlite_url: str, dart: SandboxProcess, wall: MovedClock, world: World, direction: Direction
) -> None:
    with open_dart(sqlite_url, dart.url, wall) as history:
        assert history.backfill(DISCLOSURES, "all", FROM, TO, direction=direction).wait(timeout=60) is JobState.DONE
        assert_told(history, world)


def test_one_company_is_told_over_years_in_one_listing(history: Gapless, dart: SandboxProcess, world: World) -> None:
    """With a company any span will do; companies that are not listed go by their own code."""
    samsung = PLANTED["samsung"]
    for series in (samsung.stock, samsung.code):
        assert history.backfill(DISCLOSURES, series, "2014-01-01", TO).wait(timeout=60) is JobState.DONE
        assert stored(history, series, "2014-01-01") == filed(world, history, samsung.code, "2014-01-01")
    pages = -(-len(filed(world, history, samsung.code, "2014-01-01")) // 100)
    assert calls(dart, "list.json") == 2 * pages
    assert calls(dart, "corpCode.xml") == 1


def test_one_type_of_filings_is_a_series_of_its_own(history: Gapless, world: World) -> None:
    """Decisions on dividends stand among the disclosures of the exchange."""
    for series in ("all/I", "all/A001"):
        assert history.backfill(DISCLOSURES, series, "2024-02-01", "2024-03-31").wait(timeout=60) is JobState.DONE
    every = filed(world, history, start="2024-02-01", end="2024-03-31")
    decisions = [one for one in stored(history, "all/I", "2024-02-01", "2024-03-31") if "배당결정" in one["report_nm"]]
    assert decisions == [one for one in every if "배당결정" in one["report_nm"]] != []
    annual = stored(history, "all/A001", "2024-02-01", "2024-03-31")
    assert annual == [one for one in every if "사업보고서" in one["report_nm"]] != []


def test_a_listing_that_shifts_between_its_pages_is_read_anew(
    history: Gapless, dart: SandboxProcess, world: World
) -> None:
    """A filing that goes moves the others to the page before, which was read already: one would be lost."""
    day = "2024-03-29"
    assert len(filed(world, history, start=day, end=day)) > 100
    dart.control(faults=[{"kind": "shifted", "times": 2}])

    assert history.backfill(DISCLOSURES, "all", day, day).wait(timeout=60) is JobState.DONE
    assert stored(history, start=day, end=day) == filed(world, history, start=day, end=day)
    assert calls(dart, "list.json") == 4


def test_a_slot_that_loses_its_turn_in_the_middle_of_a_day_goes_on_there(
    sqlite_url: str, dart: SandboxProcess, wall: MovedClock, world: World
) -> None:
    """At a slow pace a segment is given back after each request: a day of several pages must still come to an end."""
    day = "2024-03-29"
    with open_dart(sqlite_url, dart.url, wall, slots=1) as history:
        running = history.backfill(DISCLOSURES, "all", day, day, rate=0.45)
        until(lambda: calls(dart, "list.json") == 1)
        history.jobs.set_rate(running.id, None)
        assert running.wait(timeout=60) is JobState.DONE
        assert stored(history, start=day, end=day) == filed(world, history, start=day, end=day)
    assert calls(dart, "list.json") == 2


def test_a_step_ends_between_two_days(sqlite_url: str, dart: SandboxProcess, wall: MovedClock, world: World) -> None:
    """Whoever steps one request at a time must get over a day of two pages, too."""
    with open_dart(sqlite_url, dart.url, wall) as history:
        wish = history.wish(history.dataset(DISCLOSURES), "all", "2024-03-28", "2024-04-01")
        job = history.create(wish).job.id
        steps = [history.step(job, 1) for _ in range(3)]
        assert history.jobs.get(job).state == JobState.DONE, steps
        assert stored(history, start="2024-03-28", end="2024-04-01") == filed(
            world, history, start="2024-03-28", end="2024-04-01"
        )


def test_a_line_that_cannot_be_read_costs_its_day_and_no_other(
    history: Gapless, dart: SandboxProcess, world: World
) -> None:
    """Strict reading: a filing without its number is not stored, and its day is not called complete."""
    dart.control(faults=[{"kind": "missing_field"}])
    running = history.backfill(DISCLOSURES, "all", "2024-05-02", "2024-05-10")
    assert running.wait(timeout=60) is JobState.INCOMPLETE
    dart.control(faults=[])

    history.jobs.retry(running.id)
    assert history.run(running.id).wait(timeout=60) is JobState.DONE
    span = {"start": "2024-05-02", "end": "2024-05-10"}
    assert stored(history, **span) == filed(world, history, **span) != []


def test_what_is_filed_today_comes_tomorrow(
    history: Gapless, dart: SandboxProcess, wall: MovedClock, world: World
) -> None:
    """Today still takes filings: it is neither stored nor covered before it is over."""
    with pytest.raises(UsageError, match="final"):
        history.plan(DISCLOSURES, "all", "2024-06-14", "2024-06-14")
    assert history.backfill(DISCLOSURES, "all", "2024-06-10", "2024-06-14").wait(timeout=60) is JobState.DONE
    assert {one["rcept_dt"] for one in stored(history, start="2024-06-10", end="2024-06-14")} <= {
        "20240610",
        "20240611",
        "20240612",
        "20240613",
    }

    for now in ("2024-06-14T15:30:00Z", "2024-06-14T16:00:30Z"):
        wall.move(now)
        dart.control(now=now)
        before = calls(dart, "list.json")
        history.read(DISCLOSURES, "all", "2024-06-10", "2024-06-14" if "16:" in now else "2024-06-13")
    assert calls(dart, "list.json") == before + 1
    assert stored(history, start="2024-06-14", end="2024-06-14") == filed(
        world, history, start="2024-06-14", end="2024-06-14"
    )


def test_a_correction_marks_what_it_corrects_when_it_is_looked_at_again(
    history: Gapless, dart: SandboxProcess, wall: MovedClock, world: World
) -> None:
    """Remarks of old filings change: `--recheck` finds that."""
    history.read(DISCLOSURES, "all", "2024-05-01", "2024-06-13")
    before = stored(history, start="2024-05-01", end="2024-06-13")
    wall.move("2025-09-14T03:00:00Z")
    dart.control(now="2025-09-14T03:00:00Z")
    history.read(DISCLOSURES, "all", "2024-05-01", "2024-06-13", recheck=60)

    after = stored(history, start="2024-05-01", end="2024-06-13")
    assert after == filed(world, history, start="2024-05-01", end="2024-06-13") != before


def test_following_goes_from_day_to_day(history: Gapless, dart: SandboxProcess, wall: MovedClock, world: World) -> None:
    """A standing job catches up with the days it has missed, then waits for midnight in Seoul."""
    history.read(DISCLOSURES, "all", "2024-06-01", "2024-06-07")
    said: list[str] = []
    stop = threading.Event()
    thread = threading.Thread(target=history.follow, args=(DISCLOSURES, ["all"], said.append, stop))
    thread.start()
    try:
        until(lambda: history.coverage_end(DISCLOSURES, "all") == instant("2024-06-13T15:00:00Z"))
    finally:
        stop.set()
        thread.join(20)
    assert stored(history, start="2024-06-01", end="2024-06-13") == filed(
        world, history, start="2024-06-01", end="2024-06-13"
    )


def test_a_plan_of_a_market_is_a_range_until_some_of_it_is_stored(history: Gapless, dart: SandboxProcess) -> None:
    """Nobody knows how much is filed in a month before having looked."""
    (before,) = history.plan(DISCLOSURES, "all", FROM, TO).series
    assert before.least < before.requests < before.most
    history.backfill(DISCLOSURES, "all", FROM, "2023-06-30").wait(timeout=60)
    sent = calls(dart, "list.json")

    plan = history.plan(DISCLOSURES, "all", "2023-07-01", "2023-12-31")
    history.backfill(DISCLOSURES, "all", "2023-07-01", "2023-12-31").wait(timeout=60)
    assert plan.series[0].least == plan.requests == plan.series[0].most
    assert abs(calls(dart, "list.json") - sent - plan.requests) <= 5


@pytest.mark.parametrize("series", ["all/Z", "00593", "005930/11011", "everything"])
def test_a_series_that_cannot_be_is_refused(
    sqlite_url: str, dart: SandboxProcess, wall: MovedClock, series: str
) -> None:
    with open_dart(sqlite_url, dart.url, wall) as history, pytest.raises(UsageError, match="series"):
        history.plan(DISCLOSURES, series, FROM, TO)
