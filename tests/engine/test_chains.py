"""Chains: when one job is done the next is made, once, whatever died in between."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

import gapless
from gapless.app import Gapless
from gapless.app.duties import Duties
from gapless.core.errors import NotAllowed, UsageError
from gapless.core.job import Job, JobState, Queue
from gapless.sandbox.process import SandboxProcess
from gapless.settings import Settings
from gapless.store import events, jobs
from gapless.store.chains import Step
from gapless.testing.history import MINUTES, settings_for, until

DAYS = {"start": "2024-06-01", "end": "2024-06-01"}


@pytest.fixture
def settings(tmp_path: Path, upbit: SandboxProcess, made_url: str) -> Settings:
    """A history on each database."""
    return replace(settings_for(tmp_path, upbit.url, slots=2), database_url=made_url)


@pytest.fixture
def history(settings: Settings) -> Iterator[Gapless]:
    """It."""
    with gapless.open(settings=settings) as opened:
        yield opened


def step(name: str = "", **more: object) -> Step:
    return Step(kind="collect", settings={"dataset": MINUTES, **({"series": [name]} if name else {}), **more})


def fill(history: Gapless, name: str = "KRW-BTC") -> Job:
    history.templates.save(name, "collect", {"dataset": MINUTES, "series": [name], **DAYS}, replace=True)
    return history.templates.run(name).job


def done(history: Gapless, job: Job) -> Job:
    assert history.run(job.id).wait(timeout=60) is JobState.DONE
    return job


def newest(history: Gapless) -> list[Job]:
    with history.store.read() as tx:
        return jobs.recent(tx)


def names(history: Gapless, job: Job) -> list[str]:
    with history.store.read() as tx:
        return [name for _, name in jobs.series_of(tx, job.id)]


def test_one_job_follows_the_other(history: Gapless) -> None:
    """Three steps: each is made when the one before is done, and waits for nothing else."""
    first = fill(history)
    history.chains.add(first.id, (step("KRW-ETH", **DAYS), step("KRW-XRP", **DAYS)))
    assert history.chains.tick() == []
    done(history, first)
    (second,) = history.chains.tick()
    assert names(history, second) == ["KRW-ETH"]
    assert history.chains.tick() == []
    done(history, second)
    (third,) = history.chains.tick()
    assert names(history, third) == ["KRW-XRP"]
    assert [one.id for one in newest(history)] == [third.id, second.id, first.id]
    assert [one.state for one in history.chains.every()] == ["started", "started"]
    with history.store.read() as tx:
        assert "chain.started" in [one.name for one in events.of_job(tx, first.id)]


def test_what_a_step_does_not_say_is_as_the_job_before_had_it(history: Gapless) -> None:
    """The same series and the same pinned span: what a validation after a fill goes over."""
    first = done(history, fill(history))
    history.chains.add(first.id, (Step(kind="collect", settings={"mode": "all"}),))
    (second,) = history.chains.tick()
    assert (second.dataset, second.span, second.mode) == (first.dataset, first.span, "all")
    assert names(history, second) == names(history, first)


def test_what_follows_a_scheduled_job_stays_on_its_queue(history: Gapless) -> None:
    """A night's collection and its validation must not wait behind somebody's backfill."""
    history.templates.save("check", "collect", {"mode": "all"})
    settings = {"dataset": MINUTES, "series": ["KRW-BTC"], **DAYS}
    history.templates.save("nightly", "collect", settings, then=("check",))
    history.schedules.add("nightly", "nightly", "0 3 * * *", "UTC")
    first = done(history, history.schedules.run_now("nightly").job)
    (second,) = history.chains.tick()
    assert (first.queue, second.queue, second.name) == (Queue.DAILY, Queue.DAILY, "check")


def test_a_job_that_is_not_done_is_not_followed(history: Gapless, upbit: SandboxProcess) -> None:
    """Nothing is computed from half of the data; after a retry it goes on."""
    first = fill(history)
    waits = history.chains.add(first.id, (step("KRW-ETH", **DAYS),))
    history.chains.add(first.id, (step("KRW-XRP", **DAYS),), after="ended")
    history.jobs.cancel(first.id)
    assert history.chains.tick() == []
    history.jobs.retry(first.id)
    upbit.control(faults=[{"kind": "status", "status": 500}])
    ended = history.run(first.id).wait(timeout=60)
    assert ended is JobState.FAILED
    assert [names(history, one) for one in history.chains.tick()] == [["KRW-XRP"]]
    upbit.control(faults=[])
    history.jobs.retry(first.id)
    done(history, first)
    assert [names(history, one) for one in history.chains.tick()] == [["KRW-ETH"]]
    with pytest.raises(NotAllowed):
        history.chains.remove(waits)


def test_all_who_look_make_one_job(history: Gapless, settings: Settings) -> None:
    """Every worker looks for links whose job has ended."""
    first = done(history, fill(history))
    history.chains.add(first.id, (step("KRW-ETH", **DAYS),))
    with gapless.open(settings=settings) as other, ThreadPoolExecutor(2) as pool:
        made = [job for listed in pool.map(lambda one: one.chains.tick(), (history, other)) for job in listed]
    assert len(made) == 1
    assert len(newest(history)) == 2


def test_the_same_steps_are_one_link(history: Gapless) -> None:
    """A template that is run twice while its job is under way is followed once."""
    history.templates.save("after", "collect", {"mode": "all"})
    settings = {"dataset": MINUTES, "series": ["KRW-BTC"], **DAYS}
    history.templates.save("first", "collect", settings, then=("after",))
    first, again = (history.templates.run("first") for _ in range(2))
    assert again.adopted
    assert len(history.chains.every(first.job.id)) == 1


def test_a_step_that_cannot_become_a_job_is_told(history: Gapless) -> None:
    """The template was good when the chain was made; the job before has other series."""
    first = done(history, fill(history))
    history.chains.add(first.id, (step(days=1),))
    history.chains.add(first.id, (Step(kind="collect", settings={"dataset": "dart.dividends"}),))
    made = history.chains.tick()
    assert len(made) == 1
    failed = next(one for one in history.chains.every(first.id) if one.state == "failed")
    assert "series" in failed.error
    with history.store.read() as tx:
        assert "chain.failed" in [one.name for one in events.of_job(tx, first.id)]
    assert history.chains.tick() == []


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        (Step(kind="collect", settings={"dataset": "no.such"}), "dataset"),
        (Step(kind="collect", settings={"colour": 1}), "colour"),
        (Step(kind="conquer", settings={}), "kind"),
    ],
)
def test_wrong_steps_are_refused(history: Gapless, wrong: Step, field: str) -> None:
    """Before the job has run for hours."""
    first = fill(history)
    with pytest.raises(UsageError) as told:
        history.chains.add(first.id, (wrong,))
    assert told.value.field == field
    with pytest.raises(UsageError, match="no job 99"):
        history.chains.add(99, (step("KRW-ETH", **DAYS),))
    with pytest.raises(UsageError, match="after"):
        history.chains.add(first.id, (step("KRW-ETH", **DAYS),), after="never")
    assert history.chains.every() == []


#: Ends a job with a link, and dies before anybody has looked at links: no clean-up, no reconciler.
DIES = """
    import os, signal
    import gapless

    history = gapless.open()
    history.run({job}).wait(timeout=60)
    assert history.jobs.get({job}).state == "done"
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_process_that_dies_between_the_end_and_the_next_job_loses_nothing(
    history: Gapless, settings: Settings
) -> None:
    """The link is in the database, and so is the end: whoever comes next makes the job, once."""
    first = fill(history)
    history.chains.add(first.id, (step("KRW-ETH", **DAYS),))
    env = {
        **os.environ,
        "GAPLESS_DATABASE_URL": settings.database_url,
        "GAPLESS_UPBIT_BASE_URL": settings.base_urls["upbit"],
        "GAPLESS_UPBIT_RATE": "0",
    }
    code = textwrap.dedent(DIES.format(job=first.id))
    died = subprocess.run([sys.executable, "-c", code], env=env, timeout=60, check=False)
    assert died.returncode == -signal.SIGKILL
    assert len(newest(history)) == 1
    duties = Duties(history)
    duties.start()
    try:
        until(lambda: len(newest(history)) == 2)
    finally:
        duties.stop()
    assert history.chains.tick() == []
    assert [one.next_job for one in history.chains.every(first.id)] == [newest(history)[0].id]
