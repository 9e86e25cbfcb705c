"""A backtest asks what was known on a day: every year needs its own report, not only a later one that tells it, too."""

from __future__ import annotations

import pytest

from gapless.app import Gapless
from gapless.core.errors import UsageError
from gapless.core.job import JobState, Mode
from gapless.sandbox.opendart import truth
from gapless.sandbox.opendart.companies import World
from gapless.sandbox.opendart.dates import ANNUAL
from gapless.sandbox.opendart.listings import PLANTED
from gapless.sandbox.process import SandboxProcess
from gapless.testing.dart import DIVIDENDS, calls

STOCK = "005930"


def fill(history: Gapless, start: str = "2013", *, own: bool = True) -> int:
    """Fill to 2023; how many reports that took."""
    plan = history.plan(DIVIDENDS, STOCK, start, "2023", point_in_time=own)
    assert history.backfill(DIVIDENDS, STOCK, start, "2023", point_in_time=own).wait(timeout=60) is JobState.DONE
    return plan.requests


def test_every_year_is_known_from_the_day_of_its_own_report(
    history: Gapless, dart: SandboxProcess, world: World
) -> None:
    """Three years a call is cheaper, and leaves two of three years unknown on their day."""
    fill(history, own=False)
    assert calls(dart) == 4
    code = PLANTED["samsung"].code
    days = {
        year: f"{one.rcept_no[:4]}-{one.rcept_no[4:6]}-{one.rcept_no[6:8]}"
        for year in range(2015, 2024)
        for one in truth.statements(world, code, year, ANNUAL)[:1]
    }

    def known() -> dict[int, object]:
        found = {}
        for year, day in days.items():
            frame = history.get_dps_series(STOCK, year, year, as_of=day, fill=False)
            found[year] = frame["dps"].to_list()
        return found

    assert sum(one == [None] for one in known().values()) == 5
    fill(history)
    assert calls(dart) == 9, "one for each year from 2015 on, and nothing twice"
    assert known() == {year: [truth.statements(world, code, year, ANNUAL)[0].amount] for year in days}
    assert fill(history) == 0
    assert calls(dart) == 9
    assert not history.verify(DIVIDENDS).findings


@pytest.mark.parametrize(("start", "reports"), [("2013", 9), ("2014", 9), ("2018", 6), ("2023", 1)])
def test_a_plan_has_one_call_a_year_and_needs_no_more(
    history: Gapless, dart: SandboxProcess, start: str, reports: int
) -> None:
    """2013 and 2014 have no reports of their own: that of 2015 tells them, and is all there is."""
    planned = fill(history, start)

    assert calls(dart) == reports
    assert reports <= planned <= reports + 2


def test_many_stocks_at_once_are_not_passed_over_because_later_reports_cover_them(
    history: Gapless, dart: SandboxProcess
) -> None:
    """What is covered is ended in bulk; here coverage alone is not enough."""
    stocks = [STOCK, "308880", "300010", "300070"]
    history.backfill(DIVIDENDS, stocks, "2018", "2023").wait(timeout=60)
    before = calls(dart)
    running = history.backfill(DIVIDENDS, stocks, "2018", "2023", point_in_time=True)

    assert running.wait(timeout=60) is JobState.DONE
    assert calls(dart) - before == 4 * 4


def test_it_is_refused_where_it_means_nothing(history: Gapless) -> None:
    with pytest.raises(UsageError, match="point-in-time"):
        history.plan("dart.disclosures", "all", "2024-01", "2024-02", point_in_time=True)
    with pytest.raises(UsageError, match="point-in-time"):
        history.plan(DIVIDENDS, STOCK, "2018", "2023", mode=Mode.ALL, point_in_time=True)
