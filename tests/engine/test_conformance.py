"""What both engines promise: the embedded one on a SQLite file, the cluster on PostgreSQL. One suite, real processes.

`held` below means: the simulated provider does not answer until the test lets go, so that slots are busy for as long
as a promise is looked at, however fast or slow the machine is.
"""

from __future__ import annotations

import itertools
import os
import random
import shutil
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
import pytest

from gapless.app import Gapless
from gapless.core.clock import ManualClock, SystemClock
from gapless.core.job import AGEING, JobState, Priority, Queue
from gapless.core.period import parse
from gapless.core.span import DAY, HOUR, Span, iso
from gapless.engine.reasons import reasons
from gapless.engine.worker import Range, Worker
from gapless.sandbox.process import SandboxProcess
from gapless.sandbox.upbit.market import World
from gapless.testing.databases import fresh_database
from gapless.testing.fleet import Command, Fleet, done, eventually, happened, held, living, make, parts, running, state
from gapless.testing.history import MINUTES, assert_complete

pytestmark = pytest.mark.xdist_group("fleet")

DAY_ONE = parse("2024-06-01", field="from").start
#: One page of a dense series.
PAGE = ("2024-06-01T00:00Z", "2024-06-01T03:20Z")
WORKER = ("--queue", "backfill", "--slots", "2")


@pytest.fixture(params=["embedded-sqlite", "cluster-postgresql"])
def fleet(request: pytest.FixtureRequest, tmp_path: Path, upbit: SandboxProcess) -> Iterator[Fleet]:
    """An empty history of either engine, and whoever works on it."""
    with _empty(request, tmp_path) as url, Fleet(url, upbit.url, tmp_path) as made:
        yield made


@contextmanager
def _empty(request: pytest.FixtureRequest, folder: Path) -> Iterator[str]:
    if request.param == "embedded-sqlite":
        yield f"sqlite:///{shutil.copy(request.getfixturevalue('sqlite_made'), folder)}"
        return
    made, server = request.getfixturevalue("postgresql_made"), request.getfixturevalue("postgres")
    with fresh_database(server, like=made) as url:
        yield url


@pytest.fixture
def history(fleet: Fleet) -> Iterator[Gapless]:
    """The test's own look at it."""
    with fleet.open() as opened:
        yield opened


@contextmanager
def serving(history: Gapless, least: int, most: int = 0, *queues: Queue) -> Iterator[Worker]:
    """A worker inside this process."""
    worker = history.worker(queues or [Queue.BACKFILL], Range(least, most or least))
    try:
        yield worker
    finally:
        history.release(worker)


def hold(upbit: SandboxProcess, *markets: str) -> None:
    """From now on the provider takes requests for these markets (or all) and does not answer."""
    upbit.control(faults=[{"kind": "latency", "latency_ms": 90_000, "market": one} for one in markets or (None,)])


def let_go(upbit: SandboxProcess) -> None:
    """Cut what is held, and answer at once from now on."""
    upbit.control(faults=[], latency_ms=0, down=True)
    upbit.control(down=False)


def asked(upbit: SandboxProcess) -> list[str]:
    """The markets in the order in which the provider was asked for them."""
    return [str(one[2]) for one in upbit.stats(log=True)["log"]]


def sent(upbit: SandboxProcess, market: str = "") -> int:
    """How many requests the provider has seen, of all or for one market."""
    stats = upbit.stats()
    return int(stats["by_market"].get(market, 0) if market else stats["requests"])


def span(days: int, start: int = DAY_ONE) -> Span:
    """So many days from the first of June 2024 on."""
    return Span(start, start + days * DAY)


# -- order


def test_segments_are_claimed_high_normal_low_then_first_come(
    fleet: Fleet, history: Gapless, upbit: SandboxProcess
) -> None:
    """An owner who says HIGH must not wait for what others asked before; among equals nobody jumps the queue."""
    wished = {"KRW-XRP": 2, "KRW-BTC": 1, "KRW-HALT": 0, "KRW-ETH": 1, "KRW-SOL": 0, "USDT-BTC": 2}
    jobs = [make(history, one, *PAGE, priority=Priority(its)) for one, its in wished.items()]

    with serving(history, 1):
        eventually(lambda: done(history, *jobs), "six jobs done")

    first_asked = list(dict.fromkeys(asked(upbit)))
    assert first_asked == ["KRW-HALT", "KRW-SOL", "KRW-BTC", "KRW-ETH", "KRW-XRP", "USDT-BTC"]


def test_six_hours_of_waiting_lift_a_job_by_one_class(fleet: Fleet, history: Gapless, upbit: SandboxProcess) -> None:
    """Else a LOW job would never run where NORMAL ones keep coming."""
    now = SystemClock().now()
    wished = [
        ("KRW-BTC", 0, Priority.HIGH),
        ("KRW-ETH", 0, Priority.NORMAL),
        ("KRW-XRP", 2 * AGEING + HOUR, Priority.LOW),
        ("KRW-SOL", AGEING + HOUR, Priority.LOW),
        ("KRW-HALT", AGEING - HOUR, Priority.LOW),
    ]
    jobs = []
    for market, age, priority in wished:
        with fleet.open(clock=ManualClock(now - age)) as earlier:
            jobs.append(make(earlier, market, *PAGE, priority=priority))

    with serving(history, 1):
        eventually(lambda: done(history, *jobs), "five jobs done")

    assert list(dict.fromkeys(asked(upbit))) == ["KRW-XRP", "KRW-BTC", "KRW-SOL", "KRW-ETH", "KRW-HALT"]


def test_a_higher_class_takes_a_slot_between_two_pages_and_the_rest_goes_on_after_it(
    fleet: Fleet, history: Gapless, upbit: SandboxProcess, world: World
) -> None:
    """A backfill of weeks must not make an urgent hour wait for its end; its own place is kept."""
    upbit.control(latency_ms=30)
    long = make(history, "KRW-BTC", "2024-06-01", "2024-06-04")
    with serving(history, 1):
        eventually(lambda: sent(upbit) > 2, "the long one is under way")
        urgent = make(history, "KRW-ETH", *PAGE, priority=Priority.HIGH)
        eventually(lambda: done(history, urgent), "the urgent one is done")
        assert not done(history, long)
        upbit.control(latency_ms=0)
        eventually(lambda: done(history, long), "the long one is done")

    assert all(one.segment.attempts == 0 for one in parts(history, long))
    assert_complete(history, world, MINUTES, ["KRW-BTC"], span(4))


# -- occupancy


def test_each_slot_holds_one_segment_and_the_next_stock_waits_behind(
    fleet: Fleet, history: Gapless, upbit: SandboxProcess, world: World
) -> None:
    """A pool of two: the halves of stock A run, those of stock B are queued, and B can say behind whom it waits."""
    hold(upbit)
    first = make(history, "KRW-BTC", "2024-06-01", "2024-06-02")
    second = make(history, "KRW-ETH", "2024-06-01", "2024-06-02")
    with serving(history, 2):
        eventually(lambda: sent(upbit) == 2, "both slots ask")
        for _ in range(20):
            assert len(held(history, first)) == 2
            assert [one.segment.state for one in parts(history, second)] == ["waiting", "waiting"]
            assert state(history, second) is JobState.PENDING
            time.sleep(0.02)
        with history.store.read() as tx:
            assert reasons(tx, history.jobs.get(second.id), history.clock.now()) == [f"it is behind job {first.id}"]
        assert asked(upbit) == ["KRW-BTC", "KRW-BTC"]
        let_go(upbit)
        eventually(lambda: done(history, first, second), "both done")

    assert_complete(history, world, MINUTES, ["KRW-BTC", "KRW-ETH"], span(2))


def test_a_limit_holds_over_all_processes_and_can_be_lifted_while_they_run(
    fleet: Fleet, history: Gapless, upbit: SandboxProcess, world: World
) -> None:
    """Three workers of two slots each, two segments at a time: however many machines there are."""
    limited = fleet.start("workers", "--limit", "backfill=2", "--json")
    upbit.control(latency_ms=5)
    markets = ["KRW-BTC", "KRW-ETH", "KRW-XRP", "KRW-SOL"]
    with serving(history, 2):
        fleet.workers(history, WORKER, WORKER)
        assert limited.wait() == 0, limited.err
        jobs = [make(history, one, f"2024-06-0{day}", f"2024-06-0{day}") for day in (1, 2, 3) for one in markets]
        most = 0
        while not done(history, *jobs):
            now_running = running(history)
            assert now_running <= 2
            most = max(most, now_running)
        assert most == 2
        # By which workers, the processor decides; that more than one took part, the events of nobody tell.
        hold(upbit)
        history.set_limit(Queue.BACKFILL, None)
        more = make(history, markets, "2024-06-05", "2024-06-05")
        eventually(lambda: running(history) == 6, "every slot is busy without a limit")
        let_go(upbit)
        eventually(lambda: done(history, more), "the rest is done")

    assert_complete(history, world, MINUTES, markets, span(3))


def test_slots_that_a_limit_keeps_idle_cut_nothing(fleet: Fleet, history: Gapless, upbit: SandboxProcess) -> None:
    """A cut is for a slot that takes the piece; else a segment would be crumbled by slots that may not run."""
    upbit.control(latency_ms=20)
    history.set_limit(Queue.BACKFILL, 1)
    job = make(history, "KRW-BTC", "2024-06-01", "2024-06-06")
    made = len(parts(history, job))
    with serving(history, 4):
        eventually(lambda: sent(upbit) >= 30, "thirty pages")
        found = len(parts(history, job))
        history.jobs.cancel(job.id)

    assert found == made


def test_a_limit_does_not_make_the_urgent_wait_for_the_end_of_a_long_one(
    fleet: Fleet, history: Gapless, upbit: SandboxProcess
) -> None:
    """The last place of a limited queue is given way between two pages, too: HIGH comes before LOW, limit or not."""
    upbit.control(latency_ms=20)
    history.set_limit(Queue.BACKFILL, 1)
    long = make(history, "KRW-BTC", "2024-01-01", "2024-12-31", priority=Priority.LOW)
    with serving(history, 1):
        eventually(lambda: sent(upbit) > 2, "the long one is under way")
        urgent = make(history, "KRW-ETH", *PAGE, priority=Priority.HIGH)
        eventually(lambda: done(history, urgent), "the urgent one is done", 15)
        assert not done(history, long)
        history.jobs.cancel(long.id)


# -- isolation


def test_a_live_job_starts_at_once_while_every_backfill_slot_is_busy_and_hundreds_wait(
    fleet: Fleet, history: Gapless, upbit: SandboxProcess, world: World
) -> None:
    """Queues have slots of their own: the backfill is not asked to move, not even by a page."""
    hold(upbit, "KRW-BTC")
    busy = make(history, "KRW-BTC", "2024-06-01", "2024-06-02")
    with serving(history, 2, 2, Queue.LIVE, Queue.BACKFILL):
        eventually(lambda: sent(upbit) == 2, "both backfill slots ask")
        queued = make(history, [f"KRW-Q{i}" for i in range(250)], "2024-06-01", "2024-06-02")
        live = make(history, "KRW-ETH", *PAGE, queue=Queue.LIVE, priority=Priority.HIGH)
        eventually(lambda: done(history, live), "the live job is done")

        counted = Counter(asked(upbit))
        assert (counted["KRW-BTC"], len(counted)) == (2, 2)
        assert len(held(history, busy)) == 2
        assert {one.segment.state for one in parts(history, queued)} == {"waiting"}
        history.jobs.cancel(queued.id)
        let_go(upbit)
        eventually(lambda: done(history, busy), "the backfill goes on")

    assert_complete(history, world, MINUTES, ["KRW-ETH"], Span(DAY_ONE, DAY_ONE + 200 * 60_000_000))


def test_live_requests_go_first_where_both_wait_for_the_same_budget(
    fleet: Fleet, history: Gapless, upbit: SandboxProcess
) -> None:
    """Ten requests a second and a backfill that could use them all: the candle of this minute is not late for it."""
    fleet.rate = 10
    upbit.control(latency_ms=10)
    with fleet.open() as limited, serving(limited, 2, 2, Queue.LIVE, Queue.BACKFILL):
        backfill = make(limited, ["KRW-BTC", "KRW-XRP"], "2024-06-01", "2024-06-10")
        eventually(lambda: sent(upbit) > 3, "the backfill uses the budget")
        live = make(limited, "KRW-ETH", "2024-06-01", "2024-06-02", queue=Queue.LIVE, priority=Priority.HIGH)
        eventually(lambda: done(history, live), "the live job is done")
        history.jobs.cancel(backfill.id)

    order = asked(upbit)
    first, last = order.index("KRW-ETH"), len(order) - order[::-1].index("KRW-ETH")
    assert order[first:last].count("KRW-ETH") > 0.6 * (last - first)


# -- fencing and rescue


def freeze(fleet: Fleet, command: Command) -> None:
    """Stop a process as a container is stopped, at a moment when it holds no lock of the database."""
    for _ in range(50):
        command.send(signal.SIGSTOP)
        if not _is_locked(fleet.url):
            return
        command.send(signal.SIGCONT)
        time.sleep(0.03)
    raise AssertionError("it always holds a lock")


def _is_locked(url: str) -> bool:
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"), timeout=0.2, isolation_level=None)) as asking:
            try:
                asking.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                return True
            return False
    with psycopg.connect(url, autocommit=True) as looking:
        return _writes(looking) and _still(looking)


def _writes(looking: psycopg.Connection) -> bool:
    row = looking.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE backend_xid IS NOT NULL AND datname = current_database()"
    ).fetchone()
    return row is not None and row[0] > 0


def _still(looking: psycopg.Connection) -> bool:
    """Of those who live, a transaction is over soon."""
    return all(_writes(looking) for _ in range(20) if time.sleep(0.01) is None)


def test_a_worker_that_wakes_from_a_stop_stores_nothing_it_was_robbed_of(
    fleet: Fleet, history: Gapless, upbit: SandboxProcess, world: World
) -> None:
    """Its replies were read under a lease that ended: a page of them would go where somebody else is at work."""
    upbit.control(latency_ms=1_500)
    job = make(history, "KRW-BTC", "2024-06-01", "2024-06-02")
    (sleeper,) = fleet.workers(history, WORKER)
    eventually(lambda: sent(upbit) == 2, "its two slots ask")
    freeze(fleet, sleeper)
    # Of another queue: it looks after others, and takes nothing.
    with serving(history, 1, 1, Queue.LIVE):
        eventually(lambda: len(happened(history, job, "segment.rescued")) == 2, "the rescue")
        history.jobs.pause(job.id)
        upbit.control(latency_ms=0)
        sleeper.send(signal.SIGCONT)
        eventually(lambda: sleeper.err.count("lease.lost") == 2, "it meets the fence")
        assert history.verify(MINUTES).rows == 0
        assert len(history.coverage(MINUTES, "KRW-BTC")) == 0

        # And it is of use again, under a lease of its own.
        history.jobs.resume(job.id)
        eventually(lambda: done(history, job), "it does the work after all")
    assert [one.segment.attempts for one in parts(history, job)] == [0] * len(parts(history, job))
    assert_complete(history, world, MINUTES, ["KRW-BTC"], span(2))


def test_a_killed_worker_is_replaced_at_nobodys_charge(
    fleet: Fleet, history: Gapless, upbit: SandboxProcess, world: World
) -> None:
    """kill -9 of one of two: its segments go on with the other, no attempt is charged, every row is there once."""
    hold(upbit)
    job = make(history, "KRW-BTC", "2024-06-01", "2024-06-03")
    (victim,) = fleet.workers(history, WORKER)
    eventually(lambda: set(held(history, job).values()) == {victim.pid} and sent(upbit) == 2, "it holds both")
    with serving(history, 2):
        victim.end()
        eventually(lambda: set(held(history, job).values()) == {os.getpid()}, "the other holds them")
        assert len(happened(history, job, "segment.rescued")) == 2
        assert {one.segment.attempts for one in parts(history, job)} == {0}
        assert [one.pid for one in living(history)] == [os.getpid()]
        let_go(upbit)
        eventually(lambda: done(history, job), "the job is done")

    assert_complete(history, world, MINUTES, ["KRW-BTC"], span(3))


# -- orders


def test_orders_are_obeyed_by_a_worker_at_work(
    fleet: Fleet, history: Gapless, upbit: SandboxProcess, world: World
) -> None:
    """Pause, resume, rate, priority, cancel: rows in the database, given by anybody, heard between two pages."""
    upbit.control(latency_ms=20)
    job = make(history, "KRW-BTC", "2024-06-01", "2024-06-10")
    other = make(history, "KRW-ETH", "2024-06-01", "2024-06-04")
    with fleet.open() as elsewhere, serving(elsewhere, 2):
        eventually(lambda: sent(upbit) > 3, "under way")
        history.jobs.pause(job.id)
        eventually(lambda: not held(history, job), "a pause gives the slots back")
        at_pause = sent(upbit, "KRW-BTC")
        eventually(lambda: done(history, other), "the slots are of use to others")
        assert sent(upbit, "KRW-BTC") == at_pause
        assert state(history, job) is JobState.PAUSED

        history.jobs.set_rate(job.id, 2)
        history.jobs.resume(job.id)
        eventually(lambda: sent(upbit, "KRW-BTC") > at_pause, "it goes on")
        upbit.control(latency_ms=0)
        slow = _gaps(upbit, "KRW-BTC", 4)
        assert min(slow) > 0.3, "two a second"
        history.jobs.set_rate(job.id, None)
        eventually(lambda: sent(upbit, "KRW-BTC") > at_pause + 20, "and fast again")

        history.jobs.cancel(job.id)
        rows = history.verify(MINUTES).rows
        eventually(lambda: elsewhere.jobs.get(job.id).is_final and not held(history, job), "cancelled")
        urgent = make(history, "KRW-XRP", *PAGE)
        eventually(lambda: done(history, urgent), "the worker is there for others")
        assert history.verify(MINUTES).rows == rows + 200
        history.jobs.retry(job.id)
        eventually(lambda: done(history, job), "and takes up what is left")

    assert_complete(history, world, MINUTES, ["KRW-BTC"], span(10))


def _gaps(upbit: SandboxProcess, market: str, count: int) -> list[float]:
    """Seconds between the next `count` requests for a market."""
    known = sent(upbit, market)
    # The first may have left before the rate was heard of.
    eventually(lambda: sent(upbit, market) > known + count + 1, "more requests")
    times = [float(one[0]) for one in upbit.stats(log=True)["log"] if one[2] == market][known + 1 :]
    return [later - sooner for sooner, later in itertools.pairwise(times[: count + 1])]


def test_orders_take_effect_although_the_worker_is_dead(
    fleet: Fleet, history: Gapless, upbit: SandboxProcess, world: World
) -> None:
    """The control plane writes to the database and asks no worker: there may be none, and nobody has noticed yet."""
    hold(upbit)
    jobs = [make(history, one, "2024-06-01", "2024-06-01") for one in ("KRW-BTC", "KRW-ETH", "KRW-XRP")]
    (dead,) = fleet.workers(history, ("--queue", "backfill", "--slots", "6"))
    eventually(lambda: sent(upbit) == 6, "every segment runs")
    dead.end()

    paused, cancelled, changed = jobs
    assert history.jobs.pause(paused.id).state == JobState.PAUSED
    assert history.jobs.resume(paused.id).state == JobState.PENDING
    assert history.jobs.pause(paused.id).state == JobState.PAUSED
    assert history.jobs.cancel(cancelled.id).state == JobState.CANCELLED
    assert history.jobs.set_priority(changed.id, Priority.HIGH).priority == Priority.HIGH
    assert history.jobs.set_rate(changed.id, 1000).rate == 1000
    assert not held(history, cancelled)

    let_go(upbit)
    with serving(history, 2):
        eventually(lambda: done(history, changed), "what may run goes on elsewhere")
        assert state(history, paused) is JobState.PAUSED
        assert state(history, cancelled) is JobState.CANCELLED
        history.jobs.resume(paused.id)
        history.jobs.retry(cancelled.id)
        eventually(lambda: done(history, *jobs), "all are done")

    assert_complete(history, world, MINUTES, ["KRW-BTC", "KRW-ETH", "KRW-XRP"], span(1))


# -- many at once


def test_each_job_is_finished_exactly_once(fleet: Fleet, history: Gapless, upbit: SandboxProcess) -> None:
    """Its last two segments end in the same instant on two workers: one finishes it, neither leaves it unfinished."""
    pairs = ["KRW-BTC", "KRW-ETH"]
    fleet.workers(history, WORKER, WORKER)
    days = [f"2024-{month:02}-{day:02}" for month in (3, 4) for day in range(1, 31)]
    jobs = [make(history, pairs, f"{day}T00:00Z", f"{day}T03:20Z") for day in days]
    eventually(lambda: done(history, *jobs), "sixty jobs done")

    for one in jobs:
        assert len(happened(history, one, "job.done")) == 1
        assert [part.segment.state for part in parts(history, one)] == ["done", "done"]
    assert sent(upbit) == 120
    assert {history.jobs.get(one.id).rows for one in jobs} == {400}


def test_collectors_that_see_the_same_gap_fetch_it_once(
    fleet: Fleet, history: Gapless, upbit: SandboxProcess, world: World
) -> None:
    """Three people, three commands, one moment: nobody fails, and the provider is asked for each page once."""
    upbit.control(latency_ms=20)
    markets = ("KRW-BTC", "KRW-ETH")
    # Wishes of one owner that overlap, but are not the same.
    fills = [
        fleet.start("fill", MINUTES, *markets, "--from", "2024-06-01", "--to", f"2024-06-0{end}", "--here")
        for end in (3, 4, 4)
    ]
    for one in fills:
        assert one.wait(100) == 0, one.err

    assert_complete(history, world, MINUTES, markets, span(4))
    pages = len(markets) * -(-4 * 1440 // 200)
    # A cut leaves a part of a page here and there; a stretch fetched twice would be seven more.
    assert pages <= sent(upbit) <= pages + 8


def test_all_processes_share_one_budget(fleet: Fleet, history: Gapless, upbit: SandboxProcess) -> None:
    """Ten requests a second for everybody together: a limit of the provider does not grow with our machines."""
    upbit.control(rate=10, window="sliding", jitter_ms=0)
    fleet.rate = 10
    with fleet.open() as limited, serving(limited, 2):
        fleet.workers(history, WORKER, WORKER)
        job = make(limited, ["KRW-BTC", "KRW-ETH", "KRW-XRP"], "2024-06-01", "2024-06-01")
        eventually(lambda: done(history, job), "done at ten a second")

    stats = upbit.stats()
    assert stats["requests"] >= 24
    assert stats["refused_429"] == 0
    assert stats["max_per_second"] <= 10


def test_a_refusal_seen_by_one_silences_all(fleet: Fleet, history: Gapless, upbit: SandboxProcess) -> None:
    """Else each process would run into the same wall, and the provider ban us all."""
    fleet.rate = 50
    upbit.control(latency_ms=150)
    with fleet.open() as mine, serving(mine, 2):
        fleet.workers(history, WORKER)
        job = make(mine, ["KRW-BTC", "KRW-ETH", "KRW-XRP"], "2024-06-01", "2024-06-08")
        eventually(lambda: len(set(held(history, job).values())) == 2, "both processes are at work")
        upbit.control(faults=[{"kind": "status", "status": 429, "times": 1}])
        eventually(lambda: happened(history, job, "budget.blocked"), "the refusal")
        known = sent(upbit)
        eventually(lambda: sent(upbit) > known + 20, "they go on")
        history.jobs.cancel(job.id)

    times = _since_refusal(upbit, 429)
    silence = next(i for i, (sooner, later) in enumerate(itertools.pairwise(times)) if later - sooner > 0.6)
    # What had left before the refusal was known: no slot sends twice.
    assert silence <= 4
    # One goes ahead, and the others only after its answer.
    assert times[silence + 2] - times[silence + 1] > 0.14
    assert {one.segment.attempts for one in parts(history, job)} == {0}
    assert upbit.stats()["refused_429"] == 1


def test_a_ban_silences_all_within_a_second_where_no_rate_holds_us_back(
    fleet: Fleet, history: Gapless, upbit: SandboxProcess
) -> None:
    """Departures that were handed out before the ban must not be used after it."""
    upbit.control(latency_ms=100)
    job = make(history, ["KRW-BTC", "KRW-ETH", "KRW-XRP"], "2024-06-01", "2024-06-20")
    with serving(history, 2):
        fleet.workers(history, WORKER)
        eventually(lambda: len(set(held(history, job).values())) == 2, "both processes are at work")
        upbit.control(faults=[{"kind": "status", "status": 418, "times": 1}])
        eventually(lambda: happened(history, job, "budget.blocked"), "the ban")
        eventually(lambda: not held(history, job), "every segment waits for its end")
        assert state(history, job) is JobState.RUNNING
        history.jobs.cancel(job.id)

    times = _since_refusal(upbit, 418)
    assert times[-1] - times[0] < 1.2


def _since_refusal(upbit: SandboxProcess, status: int) -> list[float]:
    """When the provider was asked, from its refusal on."""
    log = upbit.stats(log=True)["log"]
    refused = next(i for i, one in enumerate(log) if one[5] == status)
    return [float(one[0]) for one in log[refused:]]


# -- coming and going


def test_a_terminated_worker_finishes_its_pages_and_gives_its_segments_back(
    fleet: Fleet, history: Gapless, upbit: SandboxProcess, world: World
) -> None:
    """What an update or a smaller cluster does all day: exit code 0, nothing asked in vain, nobody charged."""
    upbit.control(latency_ms=400)
    job = make(history, "KRW-BTC", "2024-06-01", "2024-06-02")
    (worker,) = fleet.workers(history, WORKER)
    eventually(lambda: sent(upbit) >= 2, "under way")
    assert worker.end(signal.SIGTERM) == 0, worker.err

    assert {(one.segment.state, one.segment.attempts, one.worker, one.retry_at) for one in parts(history, job)} == {
        ("waiting", 0, None, 0)
    }
    assert living(history) == []
    assert history.verify(MINUTES).rows == 200 * sent(upbit)
    assert not happened(history, job, "segment.rescued")

    upbit.control(latency_ms=0)
    with serving(history, 2):
        eventually(lambda: done(history, job), "it goes on elsewhere")
    assert_complete(history, world, MINUTES, ["KRW-BTC"], span(2))
    # Nothing was asked twice; each half may end in a part of a page.
    assert sent(upbit) <= 15 + 4


def test_two_living_workers_never_share_a_name_and_a_dead_ones_name_is_free(fleet: Fleet, history: Gapless) -> None:
    """Who is who in `gapless workers`; a pod that starts anew under its own name must not be kept out by its ghost."""
    (first,) = fleet.workers(history, (*WORKER, "--name", "night"))
    second = fleet.start("worker", *WORKER, "--name", "night")
    assert second.wait() == 2
    assert second.err.count("\n") == 1, second.err
    assert "night" in second.err
    assert "another name" in second.err

    first.end()
    (again,) = fleet.workers(history, (*WORKER, "--name", "night"))
    assert [(one.name, one.pid) for one in living(history)] == [("night", again.pid)]


def _loop(times: int, what: Callable[[int], None]) -> None:
    for i in range(times):
        what(i)


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_workers_that_die_all_the_time_lose_and_double_nothing(
    fleet: Fleet, history: Gapless, upbit: SandboxProcess, world: World
) -> None:
    """The long version of rescue: sixty kills, drains and stops, three at work all the time."""
    markets = ["KRW-BTC", "KRW-ETH", "KRW-XRP", "KRW-THIN"]
    upbit.control(latency_ms=25)
    crew = fleet.workers(history, WORKER, WORKER, WORKER)
    jobs = [make(history, one, "2024-05-01", "2024-06-30") for one in markets]

    def strike(i: int) -> None:
        victim = crew.pop(0)
        if i % 3 == 2:
            freeze(fleet, victim)
            eventually(lambda: victim.pid not in {one.pid for one in living(history)}, "it is given up")
            victim.send(signal.SIGCONT)
            crew.append(victim)
        else:
            victim.end(signal.SIGTERM if i % 3 else signal.SIGKILL)
            crew.extend(fleet.workers(history, WORKER))

    _loop(60, strike)
    upbit.control(latency_ms=0)
    eventually(lambda: done(history, *jobs), "all done", 600)
    for one in jobs:
        assert len(happened(history, one, "job.done")) == 1
        assert {part.segment.attempts for part in parts(history, one)} == {0}
    start = parse("2024-05-01", field="from").start
    assert_complete(history, world, MINUTES, markets, Span(start, start + 61 * DAY))


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_a_thousand_kills_of_workers_lose_and_double_nothing(
    fleet: Fleet, history: Gapless, upbit: SandboxProcess, world: World
) -> None:
    """Three at work all the time, killed after a few requests more, whatever they are doing then."""
    markets, chance, kills = ["KRW-BTC", "KRW-ETH", "KRW-XRP", "KRW-THIN"], random.Random(11), 1_000
    upbit.control(latency_ms=25, reset_stats=True)
    crew = fleet.workers(history, WORKER, WORKER, WORKER)
    began, days, struck, rounds = parse("2024-02-01", field="from").start, 10, 0, 0
    while struck < kills:
        start = began + rounds * days * DAY
        jobs = [make(history, one, iso(start), iso(start + days * DAY)) for one in markets]
        while struck < kills and not done(history, *jobs):
            further = sent(upbit) + chance.randrange(8)
            eventually(lambda: sent(upbit) > further or done(history, *jobs), "it goes on")  # noqa: B023
            crew.pop(chance.randrange(len(crew))).end(signal.SIGKILL)
            crew.append(fleet.start("worker", *WORKER))
            struck += 1
        eventually(lambda: done(history, *jobs), "all done", 120)  # noqa: B023
        rounds += 1
        for one in jobs:
            assert len(happened(history, one, "job.done")) == 1
            assert {part.segment.attempts for part in parts(history, one)} == {0}
        assert_complete(history, world, MINUTES, markets, Span(start, start + days * DAY))
    # A request under way in each slot may be repeated, and each half of a span may end in a part of a page.
    least = sum(-(-history.verify(MINUTES, [one]).rows // 200) for one in markets)
    assert sent(upbit) <= least + 2 * struck + rounds * len(markets) * 4


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_ten_thousand_jobs_end_exactly_once_while_workers_die(
    fleet: Fleet, history: Gapless, upbit: SandboxProcess, world: World
) -> None:
    """A queue as long as a server allows: an hour of a market each, twenty kills on the way."""
    markets, hours, kills = ["KRW-BTC", "KRW-ETH", "KRW-XRP", "KRW-THIN"], 2_500, 20
    began = parse("2024-02-01", field="from").start
    starts = [began + hour * HOUR for hour in range(hours)]
    jobs = [make(history, market, iso(at), iso(at + HOUR)) for at in starts for market in markets]
    upbit.control(reset_stats=True)
    crew = fleet.workers(history, WORKER, WORKER, WORKER)

    def strike(i: int) -> None:
        eventually(lambda: state(history, jobs[(i + 1) * len(jobs) // (kills + 2)]) is JobState.DONE, "further on", 600)
        crew.pop(0).end(signal.SIGKILL)
        crew.extend(fleet.workers(history, WORKER))

    _loop(kills, strike)
    eventually(lambda: done(history, *jobs), "all done", 600)
    for one in jobs:
        assert len(happened(history, one, "job.done")) == 1
    assert_complete(history, world, MINUTES, markets, Span(began, began + hours * HOUR))
    # A request a job, and again what was under way in a slot when it was killed.
    assert sent(upbit) <= len(jobs) + 2 * kills
