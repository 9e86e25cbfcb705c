"""Compute jobs: the same rows whoever computes them, resumed in the middle, honest about what is missing, undone."""

from __future__ import annotations

import math
import os
import signal
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from gapless.app import Gapless
from gapless.core.errors import NotAllowed, UsageError
from gapless.core.index.fear_greed import fear_greed
from gapless.core.index.preset import preset
from gapless.core.job import JobState
from gapless.sandbox.krx.api import KEY
from gapless.sandbox.process import SandboxProcess
from gapless.store import quarantine
from gapless.testing.history import command, until
from gapless.testing.krx import ETFS, INDICES, STOCKS

INDEX = "index.fear_greed"
#: The first day has its 252 + 252 rows in January 2012.
FROM, TO = "2012-01-01", "2013-05-31"
KST = timedelta(hours=9)
#: Who computed a row, and when, differs.
WHO = ["job", "known_at"]


def index(history: Gapless, series: str = "KOSPI") -> pl.DataFrame:
    return history.read(INDEX, series, "2010-01-01", TO, fill=False).drop(WHO)


def one_pass(history: Gapless) -> pl.DataFrame:
    """The index from the rows as they are stored, by the arithmetic alone."""

    def told(dataset: str, series: str) -> pl.DataFrame:
        frame = history.read(dataset, series, "2010-01-04", TO, fill=False)
        return frame.with_columns(pl.col("time") + KST)

    bond = told(ETFS, "ETF").filter(pl.col("code") == "148070").select("time", bond="close")
    level = told(INDICES, "KOSPI").select("time", "close", pl.col("value").cast(pl.Float64))
    members = told(STOCKS, "KOSPI").select("time", "code", "close", pl.col("volume").cast(pl.Float64))
    days = level.join(bond, on="time", how="left", maintain_order="left")
    found = fear_greed(days, preset("KOSPI"), members)
    return found.filter((pl.col("time") >= datetime(2012, 1, 1, tzinfo=UTC)) & pl.col("score").is_not_null())


@pytest.mark.parametrize("strategy", ["chunked", "stream", "parallel"])
def test_every_strategy_stores_the_bits_of_one_pass(history: Gapless, strategy: str) -> None:
    params = {"market": "KOSPI", "strategy": strategy, "chunk": 90}
    start = "2013-04-01" if strategy == "stream" else FROM
    assert history.compute(INDEX, "", start, TO, params=params).wait() is JobState.DONE
    have, want = index(history), one_pass(history).filter(pl.col("time") >= datetime.fromisoformat(start + "T00:00Z"))
    assert have.height == want.height > 30
    names = [name for name in want.columns if name in have.columns]
    assert [name for name in names if not have[name].equals(want[name])] == []
    assert set(have["components"]) <= {4, 5}


def test_days_without_a_value_are_answered_and_a_second_run_does_nothing(history: Gapless) -> None:
    """Holidays and the years in which the history was too short are empty, not missing."""
    assert history.compute(INDEX, "", "2010-01-01", TO, params={"market": "kospi"}).wait() is JobState.DONE
    gaps = history.gaps(INDEX, "KOSPI", "2010-01-01", TO)
    assert set(gaps["word"]) == {"empty"}
    assert index(history)["time"].min() > datetime(2012, 1, 1, tzinfo=UTC)
    again = history.compute(INDEX, "", "2010-01-01", TO, params={"market": "KOSPI"})
    assert again.wait() is JobState.DONE
    assert again.job.requests == 0
    assert not history.verify(INDEX).findings


def test_days_with_incomplete_inputs_are_listed_and_retried(history: Gapless, krx: SandboxProcess) -> None:
    """A hole in an input spoils the days whose years reach back to it, and no others are lied about."""

    def lose(tx) -> None:
        from gapless.core.span import Span
        from gapless.sandbox.clock import instant
        from gapless.store import pages, series

        its = series.find(tx, STOCKS, "KOSPI")
        lost = Span(instant("2013-03-04T15:00:00Z"), instant("2013-03-06T15:00:00Z"))
        pages.withdraw(tx, history.dataset(STOCKS), its, lost)

    history.dataset(STOCKS)
    history.store.write(lose)
    running = history.compute(INDEX, "", FROM, TO, params={"market": "KOSPI"}, fill=False)
    assert running.wait() is JobState.INCOMPLETE
    assert index(history)["time"].max() < datetime(2013, 3, 5, tzinfo=UTC)
    with history.store.read() as tx:
        listed = [one.reason for _, one in quarantine.of_job(tx, running.id)]
    assert listed
    assert all("krx.stocks KOSPI misses" in one for one in listed)
    # With its inputs filled first, the same wish comes to its end.
    assert history.compute(INDEX, "", FROM, TO, params={"market": "KOSPI"}).wait() is JobState.DONE
    assert index(history)["score"].equals(one_pass(history)["score"])


def test_other_weights_stand_beside_the_preset(history: Gapless) -> None:
    params = {"market": "KOSPI", "weights": {"momentum": 50, "volatility": 50}}
    assert history.compute(INDEX, "", "2013-01-01", TO, params=params).wait() is JobState.DONE
    assert history.compute(INDEX, "", "2013-01-01", TO, params={"market": "KOSPI"}).wait() is JobState.DONE
    names = history.series(history.dataset(INDEX))
    assert len(names) == 2
    other = next(name for name in names if name != "KOSPI")
    mine = index(history, other)
    for row in mine.iter_rows(named=True):
        assert math.isclose(row["score"], (row["momentum"] + row["volatility"]) / 2, abs_tol=1e-9)
        assert row["safe_haven"] is None
    assert not mine["score"].equals(index(history)["score"])


def test_a_job_is_undone_with_its_ledger_and_nothing_else(history: Gapless) -> None:
    first = history.compute(INDEX, "", "2013-01-01", "2013-02-28", params={"market": "KOSPI"})
    first.wait()
    second = history.compute(INDEX, "", "2012-06-01", TO, params={"market": "KOSPI"})
    second.wait()
    before = index(history)
    assert (
        history.undo(second.id, "2013-04-01").rows
        == before.filter(pl.col("time") >= datetime(2013, 4, 1, tzinfo=UTC)).height
    )
    assert history.undo(second.id).rows > 100
    left = index(history)
    assert left["time"].dt.date().min() == datetime(2013, 1, 2, tzinfo=UTC).date()
    assert left["time"].dt.date().max() == datetime(2013, 2, 28, tzinfo=UTC).date()
    assert not history.verify(INDEX).findings
    assert history.compute(INDEX, "", "2012-06-01", TO, params={"market": "KOSPI"}).wait() is JobState.DONE
    assert index(history).equals(before)
    with pytest.raises(NotAllowed, match="only compute jobs"):
        history.undo(history.backfill(INDICES, "KOSPI", "2013-01-01", "2013-01-31").id)


def test_a_killed_computation_goes_on_where_it_was(
    reopen: Callable[[], Gapless], krx: SandboxProcess, tmp_path: Path
) -> None:
    """kill -9 in the middle: what is stored is whole days with their ledger, and the rest is computed once."""
    whole, history = reopen(), reopen()
    whole.compute(INDEX, "", FROM, TO, params={"market": "KOSPI"}).wait()
    env = {key: text for key, text in os.environ.items() if not key.startswith("GAPLESS_")} | {
        "GAPLESS_DATABASE_URL": history.store.url,
        "GAPLESS_KRX_BASE_URL": krx.url,
        "GAPLESS_KRX_API_KEY": KEY,
    }
    words = ["compute", INDEX, "--market", "KOSPI", "--from", FROM, "--to", TO, "--strategy", "stream", "--no-fill"]
    child = command(*words, env=env)
    history.dataset(INDEX)
    until(lambda: index(history).height >= 3, seconds=60)
    os.killpg(child.pid, signal.SIGKILL)
    child.communicate()
    left = index(history)
    assert 3 <= left.height < index(whole).height
    assert not history.verify(INDEX).findings
    assert history.compute(INDEX, "", FROM, TO, params={"market": "KOSPI"}, fill=False).wait() is JobState.DONE
    assert index(history).equals(index(whole))


def test_averages_are_derived_series_too(history: Gapless) -> None:
    """Many in one job, each in chunks of its own."""
    for dataset, lengths in (("index.moving_average", (20, 60)), ("index.rsi", (14,))):
        series = [f"krx.indices:KOSPI:코스피/{rows}" for rows in lengths]
        running = history.compute(dataset, series, "2012-01-01", TO, params={"chunk": 100})
        assert running.wait() is JobState.DONE
        assert running.job.series_count == len(series)
        for name in series:
            assert history.read(dataset, name, "2012-01-01", TO, fill=False).height > 300
    close = history.read(INDICES, "KOSPI", "2010-01-04", TO, fill=False)["close"]
    mean = history.read("index.moving_average", "krx.indices:KOSPI:코스피/20", "2012-01-01", TO, fill=False)
    assert math.isclose(mean["value"][-1], close.tail(20).mean(), rel_tol=1e-12)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("dataset", "series", "params", "said"),
    [
        (INDEX, "", {}, "market: none is given"),
        (INDEX, "", {"market": "MOON"}, "no preset"),
        (INDEX, ["KOSPI", "US"], {}, "for one market"),
        (INDEX, "", {"market": "KOSPI", "weights": {"momentum": 0.7}}, "sum to 0.7"),
        (INDEX, "", {"market": "KOSPI", "window": 3}, "window: 3 days"),
        (INDEX, "", {"market": "KOSPI", "strategy": "magic"}, "strategy"),
        (INDEX, "", {"market": "KOSPI", "chunk": 0}, "chunk"),
        ("index.rsi", "KRW-BTC", {}, "names no input"),
        ("index.rsi", "upbit.candles.1x:KRW-BTC/14", {}, "there is no upbit.candles.1x"),
        ("index.rsi", "upbit.candles.1m:KRW-BTC/14", {}, "not told by the day"),
        (INDICES, "KOSPI", {}, "is not computed"),
    ],
)
def test_wrong_words_are_named(history: Gapless, dataset: str, series: str, params: dict, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        history.compute(dataset, series, FROM, TO, params=params)
    assert not history.series(history.dataset(INDEX))
