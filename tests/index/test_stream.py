"""A stream follows its inputs: what becomes ready is computed, what is not ready is not given up."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from datetime import UTC, date, datetime

import polars as pl
import pytest
from typer.testing import CliRunner

from gapless.app import Gapless
from gapless.app.stream import Stream
from gapless.cli import tree
from gapless.core.errors import UsageError
from gapless.core.job import JobState
from gapless.core.span import DAY, Span, instant
from gapless.store import jobs, pages, quarantine, series
from gapless.testing.history import until
from gapless.testing.krx import INDICES

MEAN = "index.moving_average"
SERIES = "krx.indices:KOSPI:코스피/20"
LAST = date(2013, 6, 12)


@pytest.fixture
def behind(history: Gapless) -> Gapless:
    """The inputs end with May, the index with nothing."""
    history.dataset(INDICES)
    history.dataset(MEAN)
    return history


def days(history: Gapless) -> list[date]:
    frame = history.read(MEAN, SERIES, "2013-04-01", "2013-06-13", fill=False)
    return frame.select(pl.col("time").dt.date()).to_series().to_list()


def stream(history: Gapless, say: Callable[[str], None] = lambda _: None, *, fill: bool = False) -> Stream:
    return Stream(history=history, dataset=MEAN, series=SERIES, start="2013-05-20", fill=fill, say=say)


def test_a_stream_computes_what_is_ready_and_ends_when_it_is_idle(behind: Gapless) -> None:
    """What is not covered (from Monday, 3 June) is neither computed nor given up; a second stream has nothing to do."""
    told: list[str] = []
    assert stream(behind, told.append).run(threading.Event(), until_idle=True) == 14
    assert (days(behind)[0], days(behind)[-1]) == (date(2013, 5, 20), date(2013, 5, 31))
    assert len(told) == 1
    assert "14 days up to 2013-06-02" in told[0]
    with behind.store.read() as tx:
        its = series.find(tx, MEAN, SERIES)
        assert its is not None
        assert not quarantine.of_series(tx, its)
    assert stream(behind, told.append).run(threading.Event(), until_idle=True) == 0
    assert len(told) == 1
    assert not behind.verify(MEAN).findings


def test_new_days_are_computed_as_soon_as_their_inputs_are_covered(behind: Gapless) -> None:
    """Whoever covers them: here a fill by hand, while the stream runs."""
    stop, told = threading.Event(), list[str]()
    streaming = threading.Thread(target=lambda: stream(behind, told.append).run(stop))
    streaming.start()
    try:
        until(lambda: bool(told), seconds=60)
        assert behind.backfill(INDICES, "KOSPI", "2013-06-03", "2013-06-12").wait() is JobState.DONE
        until(lambda: days(behind)[-1] == LAST, seconds=60)
    finally:
        stop.set()
        streaming.join()
    whole = behind.compute(MEAN, SERIES, "2013-05-20", "2013-06-12", params={}, overwrite=True)
    kept = behind.read(MEAN, SERIES, "2013-05-20", "2013-06-12", fill=False)["value"]
    assert whole.wait() is JobState.DONE
    assert behind.read(MEAN, SERIES, "2013-05-20", "2013-06-12", fill=False)["value"].equals(kept)


def test_a_fill_that_waits_keeps_a_stream_from_being_idle(behind: Gapless) -> None:
    """Idle means that nobody is about to cover an input; a paused fill is nobody."""
    wish = behind.wish(behind.dataset(INDICES), "KOSPI", "2013-06-03", "2013-06-12")
    made = behind.create(wish).job
    told, over = list[str](), threading.Event()

    def run() -> None:
        stream(behind, told.append).run(threading.Event(), until_idle=True)
        over.set()

    streaming = threading.Thread(target=run)
    streaming.start()
    until(lambda: bool(told), seconds=60)
    assert not over.is_set()
    assert behind.run(made.id).wait() is JobState.DONE
    streaming.join(60)
    assert over.is_set()
    assert days(behind)[-1] == LAST

    behind.create(behind.wish(behind.dataset(INDICES), "KOSPI", "2013-06-13", "2013-06-13"), hold=True)
    assert stream(behind).run(threading.Event(), until_idle=True) == 0


def test_a_hole_in_the_past_holds_only_what_it_spoils(behind: Gapless) -> None:
    """Days before the hole are computed; those after it when it is filled."""
    # 24 May in Seoul.
    start = instant(datetime(2013, 5, 23, 15, tzinfo=UTC))

    def lose(tx) -> None:
        its = series.find(tx, INDICES, "KOSPI")
        assert its is not None
        pages.withdraw(tx, behind.dataset(INDICES), its, Span(start, start + DAY))

    behind.store.write(lose)
    assert stream(behind).run(threading.Event(), until_idle=True) == 4
    assert days(behind)[-1] == date(2013, 5, 23)
    assert stream(behind, fill=True).run(threading.Event(), until_idle=True) == 8 + 12
    assert days(behind)[-1] == LAST


def test_ctrl_c_ends_a_stream_with_its_own_code(behind: Gapless) -> None:
    """130, and nothing is lost: the same command goes on."""
    over = threading.Event()

    def is_computed() -> bool:
        with behind.store.read() as tx:
            return over.is_set() or (len(days(behind)) == 10 and not jobs.at_work(tx, MEAN, SERIES))

    def interrupt() -> None:
        until(is_computed, seconds=60)
        if not over.is_set():
            os.kill(os.getpid(), signal.SIGINT)

    waiting = threading.Thread(target=interrupt)
    waiting.start()
    words = ["compute", MEAN, SERIES, "--from", "2013-05-20", "--no-fill", "--follow", "--database", behind.store.url]
    try:
        done = CliRunner().invoke(tree(), words)
    finally:
        over.set()
        waiting.join()
    assert done.exit_code == 130
    assert "14 days up to 2013-06-02" in done.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--follow", "--to", "2013-05-31"], "to: does not go with --follow"),
        (["--follow", "--strategy", "parallel"], "a stream computes day by day"),
        (["--until-idle", "--overwrite"], "overwrite: does not go with --follow"),
    ],
)
def test_what_does_not_go_with_a_stream_is_named(words: list[str], said: str) -> None:
    done = CliRunner().invoke(tree(), ["compute", MEAN, SERIES, "--from", "2013-05-20", *words])
    assert isinstance(done.exception, UsageError)
    assert said in str(done.exception)
