"""History that knows when it was known: a backtest must never see the future."""

from __future__ import annotations

import polars as pl
import pytest

from gapless.app import Gapless
from gapless.core.errors import UsageError
from gapless.sandbox.opendart import truth
from gapless.sandbox.opendart.companies import World
from gapless.sandbox.opendart.listings import PLANTED
from gapless.sandbox.process import SandboxProcess
from gapless.store import payloads, series
from gapless.testing.dart import DIVIDENDS, MovedClock, calls


def of_year(frame: pl.DataFrame, year: int) -> dict[str, object]:
    """The only row of the common share in a fiscal year."""
    years = frame["time"].dt.convert_time_zone("Asia/Seoul").dt.year()
    (row,) = frame.filter((years == year) & (pl.col("share_kind") == "common")).iter_rows(named=True)
    return row


def test_as_of_shows_what_was_known_and_unknown_where_only_later_reports_are_held(
    history: Gapless, dart: SandboxProcess
) -> None:
    """2018 and 2019 were fetched from the report of 2020, received in March 2021."""
    now = history.read(DIVIDENDS, "005930", "2018", "2020")
    sent = dart.stats()["requests"]
    before = history.read(DIVIDENDS, "005930", "2018", "2020", as_of="2021-02-28")
    after = history.read(DIVIDENDS, "005930", "2018", "2020", as_of="2021-12")

    assert of_year(now, 2018)["dps"] == 1416
    assert of_year(before, 2018)["dps"] is None
    assert of_year(before, 2018)["known_at"] is None
    assert after.equals(now)
    assert dart.stats()["requests"] == sent


def test_a_correction_is_kept_beside_what_it_corrects(
    history: Gapless, dart: SandboxProcess, wall: MovedClock, world: World
) -> None:
    """The default read tells the latest; the past stays as it was known."""
    one = PLANTED["corrected"]
    first, second = truth.statements(world, one.code, 2020)[:2]
    early = f"{str(first.day)[:4]}-04-20T03:00:00Z"
    wall.move(early)
    dart.control(now=early)
    history.read(DIVIDENDS, one.stock, "2020", "2020")
    wall.move("2021-08-20T03:00:00Z")
    dart.control(now="2021-08-20T03:00:00Z")
    latest = history.read(DIVIDENDS, one.stock, "2020", "2020", recheck=1)
    then = history.read(DIVIDENDS, one.stock, "2020", "2020", as_of="2021-05-01", fill=False)

    assert (first.amount, second.amount) == (of_year(then, 2020)["dps"], of_year(latest, 2020)["dps"])
    assert first.amount != second.amount
    assert of_year(latest, 2020)["rcept_no"] == second.rcept_no
    assert not history.verify(DIVIDENDS).findings


def test_the_reports_own_year_counts_before_later_ones(history: Gapless, world: World) -> None:
    """A later report may tell a drifted value in its prior-year columns."""
    one = PLANTED["drifts"]
    history.read(DIVIDENDS, one.stock, "2018", "2020")
    later = of_year(history.read(DIVIDENDS, one.stock, "2018", "2018", fill=False), 2018)
    history.backfill(DIVIDENDS, one.stock, "2018", "2018", mode="all").wait(timeout=60)
    own = of_year(history.read(DIVIDENDS, one.stock, "2018", "2018", fill=False), 2018)

    assert (later["rank"], own["rank"]) == (2, 0)
    known = truth.dividend(world, one.code, 2018, history.clock.now())
    assert known is not None
    assert own["dps"] == known.amount != later["dps"]


def test_recheck_asks_the_last_years_again(history: Gapless, dart: SandboxProcess) -> None:
    history.read(DIVIDENDS, "005930", "2015", "2023")
    before = calls(dart)
    history.read(DIVIDENDS, "005930", "2015", "2023", recheck=2)

    assert calls(dart) == before + 1


def test_raw_answers_are_kept_as_they_came(history: Gapless) -> None:
    """So that a better parser needs no request."""
    history.read(DIVIDENDS, "005930", "2018", "2023")
    with history.store.read() as tx:
        series_id = series.find(tx, DIVIDENDS, "005930/11011")
        assert series_id is not None
        kept = payloads.of_series(tx, series_id)

    assert [one.raw.name for one in kept] == ["2020", "2023"]
    assert all(one.parser == 1 and one.raw.body.startswith(b'{"status":"000"') for one in kept)
    assert all(one.fetched_at == one.updated_at > 0 for one in kept)
    assert kept[0].raw.version == "20210326000003" or kept[0].raw.version.startswith("2021")


def test_as_of_is_a_day(history: Gapless) -> None:
    with pytest.raises(UsageError, match="as_of"):
        history.read(DIVIDENDS, "005930", "2018", "2020", as_of="yesterday")


def test_quarterly_amounts_are_running_totals_and_the_quarter_is_derived(
    history: Gapless, dart: SandboxProcess
) -> None:
    """Adding up the reports of a year would count its first quarter three times."""
    half = history.get_dps_series("005930", 2022, 2023, "11012")
    first = history.get_dps_series("005930", 2022, 2023, "11013")
    year = history.get_dps_series("005930", 2022, 2023)

    assert half["is_running"].to_list() == [True, True]
    assert half["dps"].to_list() == [722, 722]
    assert half["dps_single"].to_list() == [361, 361]
    assert first["dps_single"].to_list() == [361, 361]
    assert year["dps"].to_list() == [1444, 1444]
    assert year["dps_single"].to_list() == [None, None]
    # A quarterly report tells its own year alone: two years are two calls.
    assert calls(dart) == 2 + 2 + 1


def test_preferred_shares_are_asked_for_by_name(history: Gapless) -> None:
    assert history.get_dps_series("005930", 2023, 2023, share_kind="preferred")["dps"].to_list() == [1445]


def test_a_quarter_is_final_when_its_report_is_due(history: Gapless, dart: SandboxProcess, wall: MovedClock) -> None:
    """On 14 June the first quarter has been told, the half-year has not."""
    assert history.get_dps_series("005930", 2024, 2024, "11013").height == 1
    with pytest.raises(UsageError, match="final"):
        history.get_dps_series("005930", 2024, 2024, "11012")
    with pytest.raises(UsageError, match="final"):
        history.read(DIVIDENDS, "005930", "2024", "2024")


def test_years_before_2015_come_from_the_report_of_2015(history: Gapless, dart: SandboxProcess) -> None:
    frame = history.read(DIVIDENDS, "300010", "2010", "2014")

    assert frame["fiscal_year"].to_list() == [2013, 2014]
    assert calls(dart) == 1
    words = [one.word.value for one in history.stretches(history.dataset(DIVIDENDS), "300010", "2010", "2014", None)]
    assert words == ["unavailable"]


def test_an_unknown_report_is_refused(history: Gapless) -> None:
    with pytest.raises(UsageError, match="11011 \\(annual\\)"):
        history.read(DIVIDENDS, "005930", "2018", "2020", report="11019")


def test_a_report_that_was_not_there_yet_is_asked_for_again_after_a_month(
    history: Gapless, dart: SandboxProcess, wall: MovedClock
) -> None:
    """A company whose year ends in March files in June: in April there is none, which must not be for ever."""
    stock = PLANTED["closes_march"].stock
    wall.move("2024-04-10T03:00:00Z")
    dart.control(now="2024-04-10T03:00:00Z")
    assert history.read(DIVIDENDS, stock, "2023", "2023").is_empty()
    assert history.read(DIVIDENDS, stock, "2023", "2023").is_empty()
    assert calls(dart) == 1

    wall.move("2024-07-10T03:00:00Z")
    dart.control(now="2024-07-10T03:00:00Z")
    assert history.read(DIVIDENDS, stock, "2023", "2023", fill=False).is_empty()
    frame = history.read(DIVIDENDS, stock, "2023", "2023")
    assert (frame["rank"].to_list(), calls(dart)) == ([0], 2)
    assert not history.verify(DIVIDENDS).findings
    history.read(DIVIDENDS, stock, "2023", "2023")
    assert calls(dart) == 2
