"""Stock codes and companies: the map of today, at most one request a day."""

from __future__ import annotations

from gapless.app import Gapless
from gapless.core.job import JobState
from gapless.sandbox.opendart import truth
from gapless.sandbox.opendart.companies import World
from gapless.sandbox.opendart.listings import PLANTED
from gapless.sandbox.process import SandboxProcess
from gapless.testing.dart import DIVIDENDS, MovedClock, calls, open_dart


def test_the_directory_is_fetched_once_a_day_also_across_restarts(
    database_url: str, dart: SandboxProcess, wall: MovedClock
) -> None:
    """It is the dearest request of all."""
    for stock in ("005930", "308880"):
        with open_dart(database_url, dart.url, wall) as history:
            history.read(DIVIDENDS, stock, "2018", "2020")
    assert calls(dart, "corpCode.xml") == 1

    wall.move("2024-06-15T03:00:00Z")
    dart.control(now="2024-06-15T03:00:00Z")
    with open_dart(database_url, dart.url, wall) as history:
        history.read(DIVIDENDS, "300010", "2018", "2020")
    assert calls(dart, "corpCode.xml") == 2


def test_every_company_is_listed_as_it_stands(history: Gapless, world: World) -> None:
    frame = history.read("dart.companies", "all", "1980", "2024-06-14")
    told = truth.companies(world, history.clock.now())

    have = {row["corp_code"]: (row["corp_name"], row["stock_code"]) for row in frame.iter_rows(named=True)}
    assert have == {one.corp_code: (one.corp_name, one.stock_code) for one in told}


def test_names_and_codes_are_never_mixed_up(history: Gapless, world: World) -> None:
    """Two companies of one name; a code with letters; a code that a newer company has taken over."""
    lettered = next(one for one in world.companies if one.stock[4:5].isalpha() and one.listed < 20_240_601)
    for one in (PLANTED["twin_listed"], PLANTED["heir"], lettered):
        frame = history.read(DIVIDENDS, one.stock, "2022", "2023")
        assert set(frame["corp_code"]) == {one.code}


def test_an_older_directory_will_do_where_none_can_be_fetched(
    history: Gapless, dart: SandboxProcess, wall: MovedClock
) -> None:
    """Yesterday's map knows nearly every stock of today."""
    history.read(DIVIDENDS, "005930", "2018", "2020")
    wall.move("2024-06-15T03:00:00Z")
    dart.control(now="2024-06-15T03:00:00Z", faults=[{"kind": "status", "status": 500, "path": "/api/corpCode.xml"}])

    assert history.backfill(DIVIDENDS, "308880", "2018", "2020").wait(timeout=60) is JobState.DONE
