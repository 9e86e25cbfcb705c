"""Forecasts of real jobs: what they rest on is in the store, and so is what became of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import gapless
from gapless.app import Gapless
from gapless.core.clock import ManualClock
from gapless.core.errors import UsageError
from gapless.core.job import Job, JobState
from gapless.core.pacing import SAFETY
from gapless.core.span import DAY, HOUR, SECOND
from gapless.sandbox.process import SandboxProcess
from gapless.store import budgets, claims, forecasts, jobs, segments
from gapless.store.database import Tx
from gapless.testing.factories import MORNING
from gapless.testing.history import MINUTES, settings_for

RATE = 10.0


@pytest.fixture
def clock() -> ManualClock:
    """A clock that stands."""
    return ManualClock(MORNING)


@pytest.fixture
def history(tmp_path: Path, made_url: str, clock: ManualClock) -> Iterator[Gapless]:
    """A history on each database, in which nothing works: tests play the worker."""
    settings = replace(settings_for(tmp_path, "http://127.0.0.1:9", rate=RATE), database_url=made_url)
    with gapless.open(settings=settings, clock=clock) as opened:
        yield opened


def make(history: Gapless, name: str = "KRW-BTC", days: int = 10) -> Job:
    return history.backfill(MINUTES, name, days=days, here=False).job


def begin(history: Gapless, job: Job) -> None:
    """A slot takes the next segment of its queue, which is one of this job's."""
    lease = history.store.write(lambda tx: claims.claim(tx, "backfill", "ghost", history.clock.now(), only=job.id))
    assert lease is not None
    assert lease.segment.job == job.id


def work(history: Gapless, job: Job, requests: int) -> None:
    """Its running segment has made so many requests more."""

    def write(tx: Tx) -> None:
        lease = next(one for one in claims.victims(tx, "backfill", job.id))
        held = segments.fence(tx, lease)
        assert held is not None
        segments.advance(tx, lease.segment.id, held, rows=0, requests=requests)

    history.store.write(write)


def finish(history: Gapless, job: Job, verb: str = "done") -> None:
    def write(tx: Tx) -> None:
        jobs.move(tx, job.id, verb, history.clock.now())
        segments.cancel(tx, job.id, history.clock.now())

    history.store.write(write)
    history.forecasts.tick()


def scored(history: Gapless, job: Job) -> list[forecasts.Forecasted]:
    with history.store.read() as tx:
        return list(reversed(forecasts.of_job(tx, job.id, 100)))


def key(history: Gapless) -> str:
    return history.catalogue.limit(history.dataset(MINUTES)).key


def test_a_first_forecast_rests_on_the_budget(history: Gapless) -> None:
    """14,400 minutes are 72 pages and one that closes each half; 9.5 may leave in a second."""
    job = make(history)
    told = history.forecasts.told(job.id)
    assert told is not None
    assert told.basis == "budget"
    left = history.progress(job.id).requests_left
    assert told.p50 == pytest.approx(left / (RATE * SAFETY), rel=0.1)
    assert told.p90 > told.p50
    (stored,) = scored(history, job)
    assert (stored.left, stored.requests, stored.outcome, stored.actual) == (left, 0, "", None)


def test_what_is_shown_was_stored_and_counts_down(history: Gapless, clock: ManualClock) -> None:
    """Looking often makes no rows: the newest forecast stands for a while."""
    job = make(history, days=100)
    begin(history, job)
    first = history.forecasts.told(job.id)
    clock.advance(1)
    second = history.forecasts.told(job.id)
    assert first is not None
    assert second is not None
    assert second.p50 == pytest.approx(first.p50 - 1)
    assert len(scored(history, job)) == 1
    clock.advance(10)
    history.forecasts.told(job.id)
    assert len(scored(history, job)) == 2


def test_a_running_job_is_forecast_at_every_quarter_of_its_age(history: Gapless, clock: ManualClock) -> None:
    """Some dozens in a long run, whoever looks; a pending one is not forecast until somebody asks."""
    job = make(history, days=100)
    history.forecasts.tick()
    assert scored(history, job) == []
    begin(history, job)
    for _ in range(600):
        history.forecasts.tick()
        clock.advance(1)
    ages = [(one.at - MORNING) // SECOND for one in scored(history, job)]
    assert ages[:3] == [0, 2, 4]
    assert 15 <= len(ages) <= 40
    assert ages[-1] - ages[-2] > 60


def test_its_own_pages_are_believed_before_the_budget(history: Gapless, clock: ManualClock) -> None:
    """A request each two seconds, where ten a second are allowed."""
    job = make(history, days=100)
    begin(history, job)
    history.forecasts.take(job.id)
    for _ in range(4):
        clock.advance(100)
        work(history, job, 50)
        newest = history.forecasts.take(job.id)
    assert newest.basis == "own"
    assert newest.work == pytest.approx(newest.left / 0.5, rel=0.25)


def test_time_in_a_pause_is_neither_pace_nor_error(history: Gapless, clock: ManualClock) -> None:
    """The owner went for lunch; the forecast was right nevertheless."""
    job = make(history, days=100)
    begin(history, job)
    history.forecasts.take(job.id)
    clock.advance(100)
    work(history, job, 50)
    before = history.forecasts.take(job.id)
    history.jobs.pause(job.id)
    clock.advance(HOUR / SECOND)
    paused = history.forecasts.told(job.id)
    assert paused is not None
    assert paused.is_paused
    history.jobs.resume(job.id)
    after = history.forecasts.take(job.id)
    assert after.work == pytest.approx(before.work, rel=0.05)
    clock.advance(60)
    finish(history, job)
    assert [one.actual for one in scored(history, job)][:2] == [160, 60]


def test_a_spent_quota_and_a_block_are_waited_for(history: Gapless, clock: ManualClock) -> None:
    """The provider said until when."""
    job = make(history)
    free = history.forecasts.take(job.id)
    until = clock.now() + HOUR
    history.store.write(
        lambda tx: budgets.change(tx, key(history), lambda one: (replace(one, blocked_until=until), None))
    )
    blocked = history.forecasts.take(job.id)
    assert blocked.idle == pytest.approx(3600)
    assert blocked.p50 == pytest.approx(free.p50 + 3600, rel=0.01)

    def spend(one: budgets.Budget) -> tuple[budgets.Budget, None]:
        day = clock.now() // DAY
        return replace(one, blocked_until=0, daily=1000, used=980, day=day), None

    history.store.write(lambda tx: budgets.change(tx, key(history), spend))
    spent = history.forecasts.take(job.id)
    midnight = (DAY - MORNING % DAY) / SECOND
    assert spent.p50 == pytest.approx(midnight + free.p50, rel=0.01)


def test_share_and_queue_are_reckoned_with(history: Gapless) -> None:
    """Two jobs side by side have half each; a third waits for both."""
    first, second, third = (make(history, name) for name in ("KRW-BTC", "KRW-ETH", "KRW-XRP"))
    alone = history.forecasts.take(first.id)
    assert (alone.share, alone.ahead) == (1.0, 0)
    begin(history, first)
    begin(history, second)
    beside = history.forecasts.take(first.id)
    waiting = history.forecasts.take(third.id)
    assert beside.share == 0.5
    assert beside.work == pytest.approx(2 * alone.work, rel=0.01)
    assert waiting.ahead == beside.left + history.progress(second.id).requests_left
    assert waiting.work == pytest.approx(3 * alone.work, rel=0.05)


def test_every_forecast_is_scored_and_the_next_ones_learn(history: Gapless, clock: ManualClock) -> None:
    """Jobs that take three times as long as the budget says: the tenth one is told so."""
    guesses = []
    for number in range(30):
        job = make(history, days=10 + number)
        begin(history, job)
        made = history.forecasts.take(job.id)
        guesses.append(made.p50 / (made.left / (RATE * SAFETY)))
        clock.advance(3 * made.left / (RATE * SAFETY))
        finish(history, job)
        (one,) = scored(history, job)
        assert (one.outcome, one.actual) == ("done", pytest.approx(3 * made.left / (RATE * SAFETY)))
    assert guesses[0] == pytest.approx(1, abs=0.1)
    assert guesses[-1] == pytest.approx(3, abs=0.4)
    judged = history.forecasts.honesty()["all"]
    assert (judged.jobs, judged.forecasts) == (30, 30)
    assert judged.within_p90 >= 0.8


def test_jobs_that_did_not_run_to_their_end_say_nothing(history: Gapless, clock: ManualClock) -> None:
    """A cancelled job was not a wrong forecast."""
    job = make(history)
    begin(history, job)
    history.forecasts.take(job.id)
    history.jobs.cancel(job.id)
    history.forecasts.tick()
    assert [one.outcome for one in scored(history, job)] == ["cancelled"]
    assert history.forecasts.honesty() == {}
    assert history.forecasts.told(job.id) is None
    with pytest.raises(UsageError, match="days"):
        history.forecasts.honesty(0)


def test_a_real_job_is_forecast_while_it_runs(tmp_path: Path, upbit: SandboxProcess, sqlite_made_url: str) -> None:
    """From the first page to the score, against the simulator."""
    settings = replace(settings_for(tmp_path, upbit.url, rate=40), database_url=sqlite_made_url)
    with gapless.open(settings=settings) as history:
        job = history.backfill(MINUTES, "KRW-BTC", "2024-06-01", "2024-06-06", here=False).job
        history.forecasts.take(job.id)
        history.step(job.id, 20)
        middle = history.forecasts.take(job.id)
        assert middle.requests == 20
        assert history.run(job.id).wait(timeout=60) is JobState.DONE
        history.forecasts.tick()
        made = scored(history, job)
        assert [one.outcome for one in made] == ["done", "done"]
        assert all(one.actual is not None and one.actual > 0 for one in made)
        assert history.forecasts.honesty()["all"].jobs == 1
