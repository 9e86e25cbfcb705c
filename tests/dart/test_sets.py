"""Sets of series: a whole market without a file of tickers."""

from __future__ import annotations

from pathlib import Path

import pytest

from gapless import prefetch
from gapless.app import Gapless
from gapless.app.sets import series_from
from gapless.core.errors import UsageError
from gapless.core.job import JobState
from gapless.sandbox.opendart import truth
from gapless.sandbox.opendart.companies import World
from gapless.sandbox.opendart.keys import KEY
from gapless.sandbox.process import SandboxProcess
from gapless.testing.dart import DISCLOSURES, DIVIDENDS, MovedClock, calls, dart_settings
from gapless.testing.history import run


def test_every_company_with_a_stock_code_is_a_set(history: Gapless, dart: SandboxProcess, world: World) -> None:
    """The directory is fetched for it, once."""
    now = history.clock.now()
    stocks = sorted(one.stock_code for one in truth.companies(world, now) if one.stock_code)
    for _ in range(2):
        assert series_from(history, history.dataset(DIVIDENDS), "dart.companies") == stocks
    assert len(stocks) > 200
    assert calls(dart, "corpCode.xml") == 1


@pytest.mark.parametrize(("market", "code"), [("KOSPI", "Y"), ("KOSDAQ", "K"), ("KONEX", "N")])
def test_a_market_is_told_by_the_newest_filings(history: Gapless, world: World, market: str, code: str) -> None:
    """The directory does not say where a stock is listed; its filings do."""
    dataset = history.dataset(DIVIDENDS)
    with pytest.raises(UsageError, match=r"dart\.disclosures all"):
        series_from(history, dataset, f"dart.companies:{market}")
    history.backfill(DISCLOSURES, "all", "2024-02-01", "2024-06-13").wait(timeout=60)

    found = series_from(history, dataset, f"dart.companies:{market}")
    now = history.clock.now()
    # Whoever was delisted after his newest filing still goes by it.
    newest = {one["stock_code"]: one["corp_cls"] for one in truth.filings(world, 20240201, 20240613, now)}
    listed = {one.stock_code for one in truth.companies(world, now)} - {""}
    assert found == sorted(stock for stock, its in newest.items() if its == code and stock in listed)
    assert len(found) > 2


def test_stored_series_are_a_set_for_another_dataset(history: Gapless) -> None:
    """Filings of those whose dividends are kept: reports are taken off, and listings of a market are nobody's."""
    history.backfill(DIVIDENDS, ["005930", "308880"], "2018", "2020").wait(timeout=60)
    history.backfill(DISCLOSURES, ["all", "300010"], "2024-06-01", "2024-06-07").wait(timeout=60)

    assert series_from(history, history.dataset(DISCLOSURES), DIVIDENDS) == ["005930", "308880"]
    assert series_from(history, history.dataset(DIVIDENDS), DISCLOSURES) == ["300010"]
    made = prefetch.create_job([], 2018, 2020, series_from=DIVIDENDS, history=history)
    assert history.jobs.get(made).series_count == 2
    assert history.jobs.get(made).state == JobState.DONE


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("dart.company", "did you mean dart.companies"),
        ("dart.companies:NYSE", "KOSPI, KOSDAQ, KONEX"),
        ("dart.dividends:KOSPI", "has no groups"),
        ("upbit.candles.1m", "is empty"),
    ],
)
def test_what_is_no_set_is_refused(history: Gapless, text: str, why: str) -> None:
    with pytest.raises(UsageError, match=why) as refused:
        series_from(history, history.dataset(DIVIDENDS), text)
    assert refused.value.field == "series-from"


def test_a_command_takes_a_set(dart: SandboxProcess, tmp_path: Path, wall: MovedClock) -> None:
    """A prefetch of the whole market in one line; here only its plan."""
    settings = dart_settings(f"sqlite:///{tmp_path / 'history.db'}", dart.url)
    env = {
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": ":".join(__import__("sys").path),
        "GAPLESS_DATABASE_URL": settings.database_url,
        "GAPLESS_DART_BASE_URL": dart.url,
        "GAPLESS_DART_API_KEY": KEY,
    }
    dart.control(now=None)
    done = run("plan", DIVIDENDS, "--series-from", "dart.companies", "--from", "2018", "--to", "2023", env=env)
    assert done.returncode == 0, done.stderr
    assert "005930/11011" in done.stdout
    assert run("plan", DIVIDENDS, "--series-from", "nothing", "--from", "2018", env=env).returncode == 2
