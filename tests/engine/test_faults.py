"""A source that fails: what can be had is had, what cannot is named, and nothing unproven is called covered."""

from __future__ import annotations

import logging
import os
import sys
from contextlib import suppress
from pathlib import Path

import pytest
import structlog

from gapless.app import Gapless
from gapless.core.errors import StoreError
from gapless.core.job import JobState
from gapless.core.period import parse
from gapless.core.span import MINUTE, Span, iso
from gapless.engine.truth import Word
from gapless.logs import write_logs
from gapless.sandbox.process import SandboxProcess
from gapless.sandbox.upbit.market import World
from gapless.store import budgets, segments
from gapless.testing.history import MINUTES, assert_complete, assert_honest, open_history, until

START = parse("2024-06-01", field="from").start
SPAN = Span(START, START + 3000 * MINUTE)


def fault(upbit: SandboxProcess, kind: str, first: int = 1500, cells: int = 1, **more: object) -> None:
    at = START + first * MINUTE
    upbit.control(faults=[{"kind": kind, "from": iso(at), "to": iso(at + cells * MINUTE), **more}])


def fill(history: Gapless, **how: object) -> tuple[JobState, int]:
    running = history.backfill(MINUTES, "KRW-BTC", SPAN.start_time, SPAN.end_time, **how)
    return running.wait(timeout=60), running.id


@pytest.mark.parametrize("kind", ["status", "reset", "truncate", "html", "slow"])
def test_passing_trouble_is_tried_again(history: Gapless, upbit: SandboxProcess, world: World, kind: str) -> None:
    """Time-outs, 5xx, cut bodies and HTML pages prove nothing and pass."""
    fault(upbit, kind, times=2, status=500)

    state, _ = fill(history)

    assert state is JobState.DONE
    assert_complete(history, world, MINUTES, ["KRW-BTC"], SPAN)


def test_a_spoilt_record_is_isolated_and_retried_later(history: Gapless, upbit: SandboxProcess, world: World) -> None:
    """One bad row must cost one minute, not a day; and `retry` takes exactly that minute."""
    fault(upbit, "malformed_row")

    state, job_id = fill(history)

    assert state is JobState.INCOMPLETE
    parts = history.stretches(history.dataset(MINUTES), "KRW-BTC", SPAN.start_time, SPAN.end_time, None)
    bad = Span(START + 1500 * MINUTE, START + 1501 * MINUTE)
    assert [(one.word, one.span) for one in parts] == [(Word.QUARANTINED, bad)]
    assert_honest(history, world, MINUTES, "KRW-BTC")

    upbit.control(faults=[], reset_stats=True)
    history.jobs.retry(job_id)
    assert history.run(job_id).wait(timeout=60) is JobState.DONE
    assert upbit.stats()["requests"] == 1
    assert_complete(history, world, MINUTES, ["KRW-BTC"], SPAN)


def test_quarantined_spans_are_asked_again_only_when_wished(history: Gapless, upbit: SandboxProcess) -> None:
    """Mode missing leaves them, mode missing+failed takes them."""
    fault(upbit, "malformed_row")
    fill(history)
    upbit.control(faults=[], reset_stats=True)

    assert fill(history)[0] is JobState.INCOMPLETE or upbit.stats()["requests"] == 0
    assert upbit.stats()["requests"] == 0
    assert fill(history, mode="missing+failed")[0] is JobState.DONE
    assert upbit.stats()["requests"] == 1


def test_a_changed_schema_holds_the_job(history: Gapless, upbit: SandboxProcess) -> None:
    """When no record has the shape we know, asking on would only make noise."""
    upbit.control(faults=[{"kind": "missing_field"}])

    state, job_id = fill(history)

    assert state is JobState.FAILED
    assert "trade_price" in history.jobs.get(job_id).error
    assert upbit.stats()["requests"] <= 4


def test_a_source_that_is_down_fails_the_job_and_a_retry_completes_it(
    history: Gapless, upbit: SandboxProcess, world: World
) -> None:
    """Outage is not poison: nothing is quarantined."""
    upbit.control(down=True)
    state, job_id = fill(history)
    assert state is JobState.FAILED

    upbit.control(down=False)
    history.jobs.retry(job_id)
    assert history.run(job_id).wait(timeout=60) is JobState.DONE
    assert_complete(history, world, MINUTES, ["KRW-BTC"], SPAN)


def test_a_source_that_always_breaks_ends_the_job_in_bounded_attempts(history: Gapless, upbit: SandboxProcess) -> None:
    """A job always ends."""
    upbit.control(faults=[{"kind": "html"}])

    assert fill(history)[0] is JobState.FAILED
    assert upbit.stats()["requests"] <= 40


def test_a_refusal_silences_all_lanes_and_charges_nobody(tmp_path: Path, upbit: SandboxProcess, world: World) -> None:
    """Somebody else used our address: we are refused, wait as told, one lane probes, and all go on."""
    upbit.control(faults=[{"kind": "status", "status": 429, "every": 5, "times": 2}])
    with open_history(tmp_path, upbit.url, rate=1000) as history:
        state, job_id = fill(history)
        assert state is JobState.DONE
        assert_complete(history, world, MINUTES, ["KRW-BTC"], SPAN)
        with history.store.read() as tx:
            assert budgets.every(tx)[0].refusals == 2
            assert {one.segment.attempts for one in segments.of_job(tx, job_id)} == {0}


def test_a_full_disk_stops_the_work_and_loses_nothing(history: Gapless, upbit: SandboxProcess, world: World) -> None:
    """The error says what to do; with space again the same job goes on where it was."""
    upbit.control(latency_ms=20)
    running = history.backfill(MINUTES, "KRW-BTC", SPAN.start_time, SPAN.end_time)
    until(lambda: running.progress().requests >= 3)
    history.store.write(lambda tx: tx.cursor.execute("PRAGMA max_page_count = 1"))
    with pytest.raises(StoreError, match="full"):
        running.wait(timeout=30)
    history.store.write(lambda tx: tx.cursor.execute("PRAGMA max_page_count = 1000000000"))
    assert_honest(history, world, MINUTES, "KRW-BTC")

    until(lambda: not running.trouble)
    assert running.wait(timeout=60) is JobState.DONE
    assert_complete(history, world, MINUTES, ["KRW-BTC"], SPAN)


def test_remaining_req_slows_us_down_before_we_are_refused(tmp_path: Path, upbit: SandboxProcess) -> None:
    """A budget set far too high meets a limit of 30: the header tells us in time."""
    upbit.control(rate=30)
    with open_history(tmp_path, upbit.url, rate=1000) as history:
        assert fill(history)[0] is JobState.DONE
    stats = upbit.stats()
    assert stats["refused_429"] <= 1
    assert stats["refused_418"] == 0


def test_our_own_pace_is_never_refused(tmp_path: Path, upbit: SandboxProcess) -> None:
    """At the documented limit, in sliding windows, with jitter."""
    upbit.control(rate=10, window="sliding", jitter_ms=20)
    with open_history(tmp_path, upbit.url, rate=10) as history:
        assert fill(history)[0] is JobState.DONE
    stats = upbit.stats()
    assert stats["refused_429"] == 0
    assert stats["requests"] == 15


def test_the_unfinished_candle_is_never_stored(history: Gapless, upbit: SandboxProcess) -> None:
    """It would be wrong a second later, and covered for ever."""
    upbit.control(faults=[{"kind": "revision"}])
    running = history.backfill(MINUTES, "KRW-BTC", days=0.02)
    assert running.wait(timeout=60) is JobState.DONE
    frame = history.read(MINUTES, "KRW-BTC", days=0.02, fill=False)
    assert frame["time"].max() < running.job.span.end_time


def test_a_source_clock_that_is_late_makes_the_last_candle_wait(history: Gapless, upbit: SandboxProcess) -> None:
    """The frontier is the earlier of both clocks'."""
    upbit.control(date_skew_ms=-3_600_000)
    running = history.backfill(MINUTES, "KRW-BTC", days=0.01)

    state = running.wait(timeout=1.5)

    assert state in (JobState.RUNNING, JobState.PENDING)
    assert history.coverage(MINUTES, "KRW-BTC").is_empty()
    assert "may still change" in running.progress().trouble
    running.cancel()
    running.leave()


def test_a_log_that_nobody_reads_any_more_stops_no_slot(
    history: Gapless, upbit: SandboxProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`gapless serve 2>&1 | tee log`, and `tee` dies: what cannot be said is not said, and work goes on."""
    reader, writer = os.pipe()
    os.close(reader)
    with suppress(BrokenPipeError), os.fdopen(writer, "w") as nobody:
        monkeypatch.setattr(sys, "stderr", nobody)
        write_logs(logging.ERROR)
        unknown = history.backfill(MINUTES, "KRW-NOPE", "2024-05-01", "2024-05-01")
        assert unknown.wait(timeout=60) == JobState.FAILED
        structlog.get_logger("gapless").error("slot.crashed")
        assert history.backfill(MINUTES, "KRW-BTC", "2024-05-01", "2024-05-01").wait(timeout=60) == JobState.DONE
    monkeypatch.undo()
    write_logs(logging.ERROR)
