"""Templates and schedules: each time leads to one job, whoever looks, however often, after whatever night."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

import gapless
from gapless.app import Gapless
from gapless.app.parts import owner
from gapless.core.actor import Actor, Via
from gapless.core.clock import ManualClock
from gapless.core.errors import NotAllowed, UsageError
from gapless.core.job import Job, JobState, Queue
from gapless.core.span import DAY, HOUR, SECOND, instant, iso
from gapless.store import audit, events, jobs, schedules
from gapless.testing.history import MINUTES, settings_for

#: A Sunday noon in New York, whose clock had jumped that morning.
NOON = instant(datetime(2026, 3, 8, 16, 0, tzinfo=UTC))
NOBODY = "http://127.0.0.1:9"


@pytest.fixture
def clock() -> ManualClock:
    """Noon."""
    return ManualClock(NOON)


@pytest.fixture
def opened(tmp_path: Path, made_url: str, clock: ManualClock) -> Iterator[Callable[[], Gapless]]:
    """Opens the same history again and again, as several processes would; nothing of it works."""
    settings = replace(settings_for(tmp_path, NOBODY), database_url=made_url)
    made: list[Gapless] = []

    def open_again() -> Gapless:
        made.append(gapless.open(settings=settings, clock=clock))
        return made[-1]

    yield open_again
    for one in made:
        one.close()


@pytest.fixture
def history(opened: Callable[[], Gapless]) -> Gapless:
    """One with a template for the last day."""
    made = opened()
    made.templates.save("yesterday", "collect", {"dataset": MINUTES, "series": ["KRW-BTC"], "days": 1})
    return made


def every_job(history: Gapless) -> list[Job]:
    with history.store.read() as tx:
        return list(reversed(jobs.recent(tx)))


def end(history: Gapless, job: Job) -> None:
    history.jobs.cancel(job.id)


def happened(history: Gapless, job: Job) -> list[str]:
    with history.store.read() as tx:
        return [one.name for one in events.of_job(tx, job.id)]


# -- templates


def test_a_template_runs_as_it_was_said(history: Gapless, clock: ManualClock) -> None:
    """`days: 1` is the last day of the run, not of the day it was saved."""
    first = history.acting(Actor(name="someone", via=Via.TOKEN)).templates.run("yesterday").job
    end(history, first)
    clock.advance(DAY / SECOND)
    second = history.acting(Actor(name="someone", via=Via.TOKEN)).templates.run("yesterday").job
    assert (first.name, first.owner, first.queue) == ("yesterday", "someone", Queue.BACKFILL)
    assert second.start - first.start == DAY
    assert history.acting(Actor(name="someone", via=Via.LOCAL)).templates.run("yesterday").adopted
    assert not history.templates.run("yesterday").adopted


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"dataset": "upbit.candles.1x", "series": ["KRW-BTC"], "days": 1}, "dataset"),
        ({"dataset": MINUTES, "series": ["bitcoin!"], "days": 1}, "series"),
        ({"dataset": MINUTES, "series": ["KRW-BTC"], "days": -1}, "days"),
        ({"dataset": MINUTES, "series": ["KRW-BTC"], "days": "many"}, "days"),
        ({"dataset": MINUTES, "series": ["KRW-BTC"], "start": "soon"}, "from"),
        ({"dataset": MINUTES, "series": ["KRW-BTC"], "days": 1, "mode": "some"}, "mode"),
        ({"dataset": MINUTES, "series": ["KRW-BTC"], "days": 1, "priority": "urgent"}, "priority"),
        ({"dataset": MINUTES, "series": ["KRW-BTC"], "days": 1, "rate": 0}, "rate"),
        ({"dataset": MINUTES, "series": ["KRW-BTC"], "days": 1, "colour": "red"}, "colour"),
        ({"dataset": MINUTES, "series": "KRW-BTC", "days": 1}, "series"),
    ],
)
def test_settings_that_cannot_run_are_not_saved(history: Gapless, settings: dict[str, object], field: str) -> None:
    """A template is made once and runs at night."""
    with pytest.raises(UsageError) as told:
        history.templates.save("odd", "collect", settings)
    assert told.value.field == field
    assert [one.name for one in history.templates.every()] == ["yesterday"]


def test_a_name_is_taken_until_it_is_given_up(history: Gapless) -> None:
    """Two people must not overwrite each other unasked; what a schedule runs is not taken from under it."""
    settings = {"dataset": MINUTES, "series": ["KRW-ETH"], "days": 2}
    with pytest.raises(UsageError, match="there is a template yesterday"):
        history.templates.save("yesterday", "collect", settings)
    changed = history.templates.save("yesterday", "collect", settings, replace=True)
    assert (changed.settings, changed.owner) == (settings, owner())
    history.schedules.add("nightly", "yesterday", "0 3 * * *", "UTC")
    with pytest.raises(NotAllowed, match="nightly"):
        history.templates.remove("yesterday")
    history.schedules.remove("nightly")
    history.templates.remove("yesterday")
    assert history.templates.every() == []
    with pytest.raises(UsageError, match="there is no template"):
        history.templates.run("yesterday")


def test_a_kind_that_nobody_can_do_is_refused(history: Gapless) -> None:
    """Work appears with the part that does it."""
    with pytest.raises(UsageError, match="give one of: collect") as told:
        history.templates.save("odd", "conquer", {"dataset": MINUTES})
    assert told.value.field == "kind"


# -- schedules


def test_a_schedule_runs_when_its_time_comes_and_not_before(history: Gapless, clock: ManualClock) -> None:
    """On the queue of its own, so that no backfill is in its way."""
    made = history.schedules.add("daily", "yesterday", "30 2 * * *", "America/New_York")
    assert iso(made.next_at) == "2026-03-09T06:30:00Z"
    clock.advance((made.next_at - NOON) / SECOND - 1)
    assert history.schedules.tick() == []
    clock.advance(1)
    (job,) = history.schedules.tick()
    assert (job.queue, job.name, job.owner, job.state) == (Queue.DAILY, "yesterday", owner(), JobState.PENDING)
    assert history.schedules.tick() == []
    after = history.schedules.get("daily")
    assert (after.runs, after.missed, after.refused, after.last_job) == (1, 0, 0, job.id)
    assert (after.last_at, after.next_at) == (made.next_at, made.next_at + DAY)
    assert "schedule.ran" in happened(history, job)
    with history.store.read() as tx:
        listed = audit.newest(tx, 10, below=2**62, subject=f"job/{job.id}")
    (entry,) = (one for one in listed if one.action == "job.made")
    assert (entry.actor, entry.via, entry.reason) == (owner(), "schedule", "schedule daily")


def test_what_was_missed_is_caught_up_by_one_run(history: Gapless, clock: ManualClock) -> None:
    """A machine that was off for a week makes one job, not 168."""
    history.schedules.add("hourly", "yesterday", "0 * * * *", "UTC")
    clock.advance(7 * DAY / SECOND + 600)
    (job,) = history.schedules.tick()
    after = history.schedules.get("hourly")
    assert (after.runs, after.missed) == (1, 167)
    assert after.next_at == NOON + 7 * DAY + HOUR
    assert history.schedules.tick() == []
    assert every_job(history) == [job]


def test_a_run_is_refused_while_the_one_before_is_not_over(history: Gapless, clock: ManualClock) -> None:
    """A collection that takes longer than its period must not pile up; the refusal is told."""
    history.schedules.add("hourly", "yesterday", "0 * * * *", "UTC")
    clock.advance(HOUR / SECOND)
    (job,) = history.schedules.tick()
    clock.advance(HOUR / SECOND)
    assert history.schedules.tick() == []
    after = history.schedules.get("hourly")
    assert (after.runs, after.refused, after.error) == (1, 1, f"job {job.id} was pending")
    assert happened(history, job).count("schedule.refused") == 1
    with pytest.raises(NotAllowed, match=f"job {job.id}"):
        history.schedules.run_now("hourly")
    end(history, job)
    clock.advance(HOUR / SECOND)
    (second,) = history.schedules.tick()
    assert second.id != job.id
    assert history.schedules.get("hourly").error == ""


def test_a_job_of_the_same_wish_is_not_made_twice(history: Gapless, clock: ManualClock) -> None:
    """Somebody has just started by hand what the schedule is about to run."""
    by_hand = history.templates.run("yesterday").job
    history.schedules.add("hourly", "yesterday", "0 * * * *", "UTC")
    clock.advance(HOUR / SECOND)
    assert history.schedules.tick() == []
    assert history.schedules.get("hourly").refused == 1
    assert [one.id for one in every_job(history)] == [by_hand.id]


def test_a_disabled_schedule_sleeps_and_forgets(history: Gapless, clock: ManualClock) -> None:
    """What would have run meanwhile was not wanted."""
    history.schedules.add("hourly", "yesterday", "0 * * * *", "UTC")
    history.schedules.enable("hourly", enabled=False)
    clock.advance(5 * HOUR / SECOND)
    assert history.schedules.tick() == []
    history.schedules.enable("hourly", enabled=True)
    assert history.schedules.tick() == []
    clock.advance(HOUR / SECOND)
    assert len(history.schedules.tick()) == 1


def test_run_now_does_not_move_the_next_time(history: Gapless) -> None:
    """A try by hand is no reason to leave out the run of the night."""
    before = history.schedules.add("daily", "yesterday", "0 3 * * *", "UTC")
    made = history.schedules.run_now("daily")
    after = history.schedules.get("daily")
    assert (made.job.queue, after.last_job) == (Queue.DAILY, made.job.id)
    assert (after.next_at, after.runs) == (before.next_at, 1)


def test_processes_that_look_at_the_same_moment_make_one_job(
    history: Gapless, opened: Callable[[], Gapless], clock: ManualClock
) -> None:
    """Every worker looks; the row decides. Ten times over, with a way in between for everybody."""
    others = [history, opened(), opened()]
    history.schedules.add("hourly", "yesterday", "0 * * * *", "UTC")
    for _ in range(5):
        clock.advance(HOUR / SECOND)
        together = threading.Barrier(len(others))

        def look(one: Gapless, together: threading.Barrier = together) -> list[Job]:
            together.wait()
            return one.schedules.tick()

        with ThreadPoolExecutor(len(others)) as pool:
            made = [job for listed in pool.map(look, others) for job in listed]
        assert len(made) == 1
        end(history, made[0])
    assert len(every_job(history)) == 5
    assert history.schedules.get("hourly").runs == 5


def test_a_template_that_became_wrong_is_told_and_does_not_stop_the_clock(history: Gapless, clock: ManualClock) -> None:
    """Settings that were good when they were saved may not be any more."""
    history.schedules.add("hourly", "yesterday", "0 * * * *", "UTC")
    history.templates.save("yesterday", "collect", {"dataset": MINUTES, "series": ["KRW-BTC"]}, replace=True)
    clock.advance(HOUR / SECOND)
    assert history.schedules.tick() == []
    after = history.schedules.get("hourly")
    assert "no span is given" in after.error
    assert (after.refused, after.next_at) == (1, NOON + 2 * HOUR)


def test_trouble_on_the_way_is_tried_again(tmp_path: Path, sqlite_made_url: str) -> None:
    """OpenDART's directory cannot be fetched just now: the run is not lost, and the next try is a minute away."""
    away = replace(
        settings_for(tmp_path, NOBODY),
        database_url=sqlite_made_url,
        base_urls={"dart": NOBODY},
        api_keys={"dart": "a" * 40},
        max_retries=0,
    )
    settings = {"dataset": "dart.dividends", "series": ["005930/11011"], "start": "2020"}
    with gapless.open(settings=away) as history:
        history.templates.save("dividends", "collect", settings)
        history.schedules.add("yearly", "dividends", "0 0 1 1 *", "Asia/Seoul")
        past = history.clock.now() - HOUR
        history.store.write(lambda tx: schedules.enable(tx, "yearly", enabled=True, next_at=past))
        assert history.schedules.tick() == []
        after = history.schedules.get("yearly")
        assert "dart cannot be reached" in after.error
        assert after.next_at == past
        assert after.retry_at > history.clock.now()
        assert history.schedules.tick() == []
        assert [one.name for one in every_job(history)] == ["read"]


@pytest.mark.parametrize(
    ("name", "template", "cron", "zone", "field"),
    [
        ("x", "nothing", "0 3 * * *", "UTC", "template"),
        ("x", "yesterday", "0 3 * *", "UTC", "cron"),
        ("x", "yesterday", "0 3 * * *", "Seoul", "zone"),
        (" ", "yesterday", "0 3 * * *", "UTC", "name"),
        ("daily", "yesterday", "0 3 * * *", "UTC", "name"),
        ("x", "step", "0 3 * * *", "UTC", "dataset"),
    ],
)
def test_a_wrong_schedule_is_refused_by_field(
    history: Gapless, name: str, template: str, cron: str, zone: str, field: str
) -> None:
    """Before it is stored; a step that needs a job before it cannot run by itself."""
    history.templates.save("step", "collect", {})
    history.schedules.add("daily", "yesterday", "0 3 * * *", "UTC")
    with pytest.raises(UsageError) as told:
        history.schedules.add(name, template, cron, zone)
    assert told.value.field == field
    assert [one.name for one in history.schedules.every()] == ["daily"]
