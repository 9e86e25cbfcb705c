"""Pause, resume, cancel, priority and rate: made in the database, by anybody, also when the worker is dead."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from gapless.app import Gapless
from gapless.core.errors import NotAllowed, UsageError
from gapless.core.job import JobState, Priority
from gapless.core.period import parse
from gapless.core.span import DAY, Span
from gapless.sandbox.process import SandboxProcess
from gapless.sandbox.upbit.market import World
from gapless.store import segments, workers
from gapless.testing.history import MINUTES, assert_complete, command, environment, open_history, run, until

START = parse("2024-06-01", field="from").start
SPAN = Span(START, START + 20 * DAY)


def started(history: Gapless, upbit: SandboxProcess, **how: object) -> object:
    """A job that is under way, slow enough to be steered."""
    upbit.control(latency_ms=50)
    running = history.backfill(MINUTES, "KRW-BTC", SPAN.start_time, SPAN.end_time, **how)
    until(lambda: running.progress().requests >= 3)
    return running


def test_a_pause_from_elsewhere_stops_the_requests_and_a_resume_goes_on(
    tmp_path: Path, history: Gapless, upbit: SandboxProcess, world: World
) -> None:
    """Another process, within a second, nothing lost."""
    running = started(history, upbit)
    with open_history(tmp_path, upbit.url) as other:
        other.jobs.pause(running.id)
        assert until(lambda: not segments_running(other, running.id)) < 1.0
        sent = upbit.stats()["requests"]
        assert running.wait(timeout=5) is JobState.PAUSED
        assert upbit.stats()["requests"] == sent
        upbit.control(latency_ms=0)
        other.jobs.resume(running.id)
    assert history.run(running.id).wait(timeout=60) is JobState.DONE
    assert_complete(history, world, MINUTES, ["KRW-BTC"], SPAN)


def test_a_pause_that_is_taken_back_at_once_leaves_no_trace(history: Gapless, upbit: SandboxProcess) -> None:
    """Two clicks in a row: slots that never stopped must not leave a job that is said to wait for ever."""
    running = started(history, upbit)
    history.jobs.pause(running.id)
    history.jobs.resume(running.id)
    until(lambda: running.job.state == JobState.RUNNING)
    running.cancel()


def segments_running(history: Gapless, job_id: int) -> int:
    with history.store.read() as tx:
        return segments.counts(tx, job_id)[0].get("running", 0)


def test_a_cancel_fences_off_what_is_under_way(history: Gapless, upbit: SandboxProcess) -> None:
    """No page is stored after the owner has cancelled."""
    running = started(history, upbit)
    running.cancel()
    rows = history.verify(MINUTES).rows

    assert running.wait(timeout=5) is JobState.CANCELLED
    assert history.verify(MINUTES).rows == rows


def test_verbs_that_a_state_does_not_allow_are_refused_with_the_way_on(history: Gapless, upbit: SandboxProcess) -> None:
    """The answer names what can be done instead."""
    running = history.backfill(MINUTES, "KRW-BTC", SPAN.start_time, days=None, end=SPAN.end_time)
    running.cancel()
    running.leave()
    with pytest.raises(NotAllowed, match="retry"):
        history.jobs.pause(running.id)


def test_a_cancelled_job_can_be_retried(history: Gapless, upbit: SandboxProcess, world: World) -> None:
    """From every final state there is a way on."""
    running = started(history, upbit)
    running.cancel()
    running.wait(timeout=5)
    upbit.control(latency_ms=0)

    history.jobs.retry(running.id)

    assert history.run(running.id).wait(timeout=60) is JobState.DONE
    assert_complete(history, world, MINUTES, ["KRW-BTC"], SPAN)


def test_control_takes_effect_although_the_worker_is_dead(tmp_path: Path, upbit: SandboxProcess) -> None:
    """The control plane changes the database, it does not ask the worker."""
    upbit.control(latency_ms=50)
    env = environment(tmp_path, upbit.url)
    process = command("fill", MINUTES, "KRW-BTC", "--from", "2024-06-01", "--to", "2024-06-20", env=env)
    until(lambda: upbit.stats()["requests"] > 5)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()

    paused = run("jobs", "pause", "1", env=env)

    assert paused.returncode == 0, paused.stderr
    with open_history(tmp_path, upbit.url) as history:
        assert history.jobs.get(1).state == JobState.PAUSED
        assert segments_running(history, 1) == 0
        with history.store.read() as tx:
            assert workers.every(tx) == []


def test_ctrl_c_leaves_a_paused_job_and_says_how_to_go_on(tmp_path: Path, upbit: SandboxProcess, world: World) -> None:
    """Nothing is lost, exit code 130; the same command goes on where it was."""
    upbit.control(latency_ms=50)
    env = environment(tmp_path, upbit.url)
    words = ("fill", MINUTES, "KRW-BTC", "--from", "2024-06-01", "--to", "2024-06-10")
    process = command(*words, env=env)
    until(lambda: upbit.stats()["requests"] > 5)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=10)
    assert process.returncode == 130
    assert "gapless jobs resume 1" in err

    upbit.control(latency_ms=0)
    again = run(*words, env=env)

    assert again.returncode == 0, again.stderr
    assert "going on with job 1" in again.stderr
    with open_history(tmp_path, upbit.url) as history:
        assert_complete(history, world, MINUTES, ["KRW-BTC"], Span(START, START + 10 * DAY))


def test_a_higher_class_takes_the_slot_between_two_pages(tmp_path: Path, upbit: SandboxProcess) -> None:
    """HIGH work does not wait for a long backfill to end."""
    upbit.control(latency_ms=30)
    with open_history(tmp_path, upbit.url, slots=1) as history:
        found = history.dataset(MINUTES)
        long = history.jobs.create(history.wish(found, "KRW-BTC", SPAN.start_time, SPAN.end_time)).job
        engine = history.engine({_queue("backfill"): 1})
        until(lambda: history.progress(long.id).requests > 2)
        urgent = history.wish(found, "KRW-ETH", "2024-06-01", "2024-06-01")
        high = history.jobs.create(urgent, priority=Priority.HIGH).job
        until(lambda: history.jobs.get(high.id).state == JobState.DONE)
        assert history.jobs.get(long.id).state == JobState.RUNNING
        history.release(engine)


def _queue(name: str) -> object:
    from gapless.core.job import Queue

    return Queue(name)


@pytest.mark.parametrize("rate", [float("nan"), float("inf"), 0.0, -1.0, 1e-320])
def test_a_rate_that_nobody_can_keep_is_refused(history: Gapless, rate: float) -> None:
    """Wherever it comes from: it would fail every segment of the job, or mean no limit at all."""
    wish = history.wish(history.dataset(MINUTES), "KRW-BTC", "2024-01-01", "2024-01-01")
    with pytest.raises(UsageError, match="rate: "):
        history.create(wish, rate=rate)
    job = history.create(wish, hold=True).job
    with pytest.raises(UsageError, match="rate: "):
        history.jobs.set_rate(job.id, rate)
    assert history.jobs.get(job.id).rate is None


def test_a_rate_of_its_own_slows_a_running_job_down(history: Gapless, upbit: SandboxProcess) -> None:
    """Changed while it runs, from anywhere."""
    running = started(history, upbit)
    upbit.control(latency_ms=0)

    history.jobs.set_rate(running.id, 2)

    def next_three() -> float:
        sent = upbit.stats()["requests"]
        return until(lambda: upbit.stats()["requests"] >= sent + 3)

    assert until(lambda: next_three() > 1.0) < 5.0
    running.cancel()
    running.leave()


def test_steps_do_a_few_requests_in_the_caller(history: Gapless, upbit: SandboxProcess) -> None:
    """For embedding in somebody's own loop."""
    found = history.dataset(MINUTES)
    job = history.jobs.create(history.wish(found, "KRW-BTC", SPAN.start_time, SPAN.end_time)).job

    assert history.step(job.id, 7) == 7

    assert upbit.stats()["requests"] == 7
    assert segments_running(history, job.id) == 0
    assert history.verify(MINUTES).rows == 1400
