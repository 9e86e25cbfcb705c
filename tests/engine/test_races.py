"""What interleavings of steps have found: each of these orders once did harm."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ClassVar

import pytest

from gapless.core.clock import ManualClock
from gapless.core.errors import BadReply, NotAllowed
from gapless.core.job import Bounds, Direction, JobState, Mode, Priority
from gapless.core.pacing import Backoff, Limit
from gapless.core.page import Ask, Page, Shape
from gapless.core.segment import SegmentState
from gapless.core.span import MINUTE, SECOND, Span
from gapless.engine.catalogue import Catalogue
from gapless.engine.claims import Ready, Taker
from gapless.engine.jobs import Jobs
from gapless.engine.recovery import BEAT, LEASE, Identity, Watch
from gapless.engine.runner import Runner
from gapless.store import claims, events, jobs, pages, quarantine, queues, segments, series
from gapless.store.database import Tx
from gapless.testing.factories import CANDLES, MORNING, make_page, make_wish, minute, minutes, read, write
from gapless.testing.fleet import eventually
from gapless.work.collect import Collect

#: Series of a job with more waiting segments than are left to the others while one is kept from them.
MANY = tuple(f"KRW-{number:03}" for number in range(60))


class Source:
    """A source of the factories' candles that answers what a test says."""

    name = "test"
    base_url = "none"
    datasets: ClassVar = {CANDLES.name: CANDLES}

    def __init__(self, answer: Callable[[Ask], Page]) -> None:
        self._answer = answer

    def check(self) -> None:
        pass

    def shape(self, dataset, series) -> Shape:
        return Shape(rows=200)

    def limit(self, dataset) -> Limit:
        return Limit(key="test/candle", rate=None)

    def fetch(self, dataset, ask: Ask, now: int) -> Page:
        return self._answer(ask)

    def catalogue(self) -> list[tuple[str, str]]:
        return []

    def close(self) -> None:
        pass


def full(ask: Ask) -> Page:
    """Every candle of what is asked."""
    return make_page(*((at - MORNING) // MINUTE for at in (ask.span.start, ask.span.end)))


class Engine:
    """The parts that work on a job."""

    def __init__(self, store, answer: Callable[[Ask], Page] = full) -> None:
        self.store = store
        self.clock = ManualClock(minute(2000))
        self.catalogue = Catalogue({"test": Source(answer)}, scopes={}, rates={})
        self.jobs = Jobs(store, self.catalogue, self.clock)
        store.prepare([CANDLES])

    def make(self, span: Span, **more) -> int:
        return self.jobs.create(make_wish(span=span, **more)).job.id

    def state(self, job: int) -> str:
        return self.jobs.get(job).state

    def claim(self, worker: str = "worker", job: int | None = None):
        return write(self.store, claims.claim, "backfill", worker, self.clock.now(), only=job)

    def commit(self, lease, page: Page, asked_at: int | None = None) -> None:
        """Store a page that was asked for at an instant (now, unless given)."""
        at = self.clock.now() if asked_at is None else asked_at
        write(self.store, pages.commit, CANDLES, page, lease, at, prove=lease.segment.mode == Mode.ALL)

    def left(self, job: int) -> int:
        with self.store.read() as tx:
            return sum(one.lacking for one in self.jobs.left(tx, self.jobs.get(job)))

    def run(self, lease, *, most: int | None = None) -> None:
        """Let the runner work on a segment until it gives it back or ends it, with so many requests at most."""
        backoff = Backoff(first=0.0, retries=0)
        collect = Collect(store=self.store, source=self.catalogue.sources["test"], dataset=CANDLES, series="KRW-BTC")
        left = read(self.store, collect.look, lease, self.clock.now())
        runner = Runner(self.store, self.catalogue, self.jobs, self.clock, backoff, seed=1)
        runner.run(Ready(lease, runner.work(lease), left), threading.Event(), most=most)

    def watch(self) -> Watch:
        """A worker without a lock file, as on another machine."""
        one = Watch(self.store, self.clock, Identity(None))
        one.enter(["backfill"], 1, None)
        return one

    def silence(self, *observers: Watch) -> None:
        """Only the observers beat, for longer than a lease lasts."""
        for _ in range(round(LEASE / BEAT) + 2):
            self.clock.advance(BEAT)
            for one in observers:
                one.beat(1)
                one.look()


def test_a_worker_that_claims_before_it_knows_that_it_was_buried_loses_that_segment_too(store):
    """It slept through its own rescue, took a segment on waking and died: nobody may wait for it for ever."""
    engine = Engine(store)
    engine.make(minutes(0, 100))
    sleeper, observer = engine.watch(), engine.watch()
    observer.look()
    engine.silence(observer)
    lease = engine.claim(sleeper.me.id)
    engine.silence(observer)
    assert read(store, segments.get, lease.segment.id).state == SegmentState.WAITING


def test_a_worker_that_enters_anew_has_its_whole_lease_before_it(store):
    """Silence of its former life counts for nobody: else every observer buries it once more."""
    engine = Engine(store)
    sleeper, first, second = engine.watch(), engine.watch(), engine.watch()
    engine.silence(first, second)
    assert not sleeper.beat(1)
    sleeper.enter(["backfill"], 1, None)
    engine.clock.advance(BEAT)
    for one in (first, second):
        one.beat(1)
        one.look()
    assert sleeper.beat(1), "buried half a second after it entered"


def test_a_late_reply_does_not_make_a_fact_older(store):
    """Mode all believes only what was said since it began: a slow reply of another must not take that back."""
    engine = Engine(store)
    other = engine.make(minutes(0, 100), owner="other")
    slow = engine.claim(job=other)
    asked_at = engine.clock.now()
    engine.clock.advance(60)
    job = engine.make(minutes(0, 100), mode=Mode.ALL)
    write(store, segments.release, slow)
    mine = engine.claim(job=job)
    nothing = Page(rows=[], proven=None, nothing_before=minute(100))
    engine.clock.advance(60)
    engine.commit(mine, nothing)
    assert read(store, series.since, mine.segment.series) == (minute(100), engine.clock.now())
    write(store, segments.release, mine)
    engine.commit(engine.claim(job=other), nothing, asked_at=asked_at)
    assert read(store, series.since, mine.segment.series) == (minute(100), engine.clock.now())


def test_what_becomes_missing_while_a_job_runs_is_asked_for_before_it_is_given_up(store):
    """The source has older rows than it said: the job goes for them instead of calling them hopeless unasked."""
    engine = Engine(store)
    first = engine.make(minutes(90, 100), owner="first")
    lease = engine.claim(job=first)
    engine.commit(lease, Page(rows=[], proven=None, nothing_before=minute(95)))
    job = engine.make(minutes(0, 100))
    assert engine.left(job) == 5
    engine.jobs.cancel(first)
    lease = engine.claim(job=job)
    engine.commit(lease, make_page(80, 100))
    assert engine.left(job) == 80
    engine.jobs.end(lease, SegmentState.DONE)
    assert read(store, quarantine.of_series, lease.segment.series) == []
    assert engine.state(job) == JobState.RUNNING


def test_a_runner_that_has_lost_its_lease_gives_nothing_up(store):
    """Quarantine is fenced like rows: a job that was taken up again must not find cells barred by a dead worker."""
    lost = []

    def answer(ask: Ask) -> Page:
        if not lost:
            lost.append(ask)
            engine.jobs.cancel(job)
            engine.jobs.retry(job)
        cell = Span(ask.span.end - MINUTE, ask.span.end)
        raise BadReply("odd", source="test", span=cell)

    engine = Engine(store, answer)
    job = engine.make(minutes(0, 100))
    lease = engine.claim()
    engine.run(lease)
    assert read(store, quarantine.of_series, lease.segment.series) == []


def test_a_job_is_not_taken_up_again_while_a_newer_one_wants_the_same(store):
    """Cancelled, asked for anew, and the old one retried: the owner hears which job does it, not of a constraint."""
    engine = Engine(store)
    old = engine.make(minutes(0, 100))
    engine.jobs.cancel(old)
    new = engine.make(minutes(0, 100))
    assert new != old
    with pytest.raises(NotAllowed, match=f"job {new}"):
        engine.jobs.retry(old)
    assert engine.state(old) == JobState.CANCELLED


def test_a_segment_that_turns_round_takes_nothing_from_another(store):
    """At most one live lease covers a cell, also where a historical half begins again at its other end."""
    engine = Engine(store)
    engine.make(minutes(0, 1000))
    engine.claim()
    history = engine.claim()
    assert history.segment.start == minute(0)
    engine.commit(history, make_page(0, 200))
    other = engine.claim(job=engine.make(minutes(0, 200), mode=Mode.ALL))
    thin = Page(rows=make_page(200, 210).rows, proven=minutes(200, 300))
    now = engine.clock.now()
    write(store, pages.commit, CANDLES, thin, history, now, prove=False, direction=Direction.BACKWARD.value)
    turned = read(store, segments.get, history.segment.id)
    assert turned.is_backward
    assert not Span(turned.start, turned.cursor).overlaps(other.segment.span)


def test_what_a_source_says_counts_although_the_clock_was_set_back(store):
    """The last word seems to come from the future: else the same empty page is asked for until the clock is there."""
    engine = Engine(store)
    first = engine.make(minutes(0, 50))
    engine.commit(engine.claim(job=first), Page(rows=[], proven=None, nothing_before=minute(20)))
    engine.jobs.cancel(first)
    engine.clock.advance(-600)
    job = engine.make(minutes(0, 100), direction=Direction.BACKWARD)
    engine.commit(engine.claim(job=job), Page(rows=[], proven=None, nothing_before=minute(100)))
    assert engine.left(job) == 0


def test_the_page_that_completes_a_segment_ends_it(store):
    """In its own transaction: a crash after it leaves nothing to be taken up again."""
    engine = Engine(store)
    job = engine.make(minutes(0, 100))
    engine.run(engine.claim(), most=1)
    assert engine.state(job) == JobState.DONE
    assert engine.claim() is None


@contextmanager
def held(store, lock: Callable[..., object], *what: object) -> Iterator[None]:
    """Somebody else holds a lock meanwhile."""
    taken, free = threading.Event(), threading.Event()

    def hold(tx) -> None:
        lock(tx, *what)
        taken.set()
        assert free.wait(60)

    other = threading.Thread(target=store.write, args=(hold,))
    other.start()
    try:
        assert taken.wait(60)
        yield
    finally:
        free.set()
        other.join()


def test_a_page_waits_for_nobody_who_holds_its_job(postgresql_store):
    """Who ends a segment takes the job before it: a page that did so after it could wait for ever."""
    store = postgresql_store
    engine = Engine(store)
    job = engine.make(minutes(0, 100))
    lease = engine.claim()
    with held(store, jobs.hold, job):
        engine.run(lease, most=1)
        assert engine.left(job) == 0
        assert engine.state(job) == JobState.RUNNING
    engine.run(engine.claim())
    assert engine.state(job) == JobState.DONE


def test_slots_that_end_segments_of_a_big_job_do_not_take_turns_at_its_row(postgresql_store):
    """Thousands of companies are one row on the page of jobs: a company is done whoever looks at that row."""
    store = postgresql_store
    engine = Engine(store)
    job = engine.make(minutes(0, 100), series=MANY)
    lease = engine.claim()
    with held(store, jobs.hold, job):
        engine.run(lease)
        assert read(store, segments.get, lease.segment.id).state == SegmentState.DONE
    finish(engine, job)


def test_a_job_is_not_over_before_a_slot_that_has_not_locked_it_is_done(postgresql_store):
    """Who ends a segment without the job's row keeps another one waiting: the last one sees what it has done."""
    store = postgresql_store
    engine = Engine(store)
    job = engine.make(minutes(0, 100), series=MANY)
    lease = engine.claim()

    def end(tx: Tx) -> None:
        assert segments.keep_waiting(tx, job)
        assert segments.end(tx, lease, SegmentState.DONE, engine.clock.now())

    with held(store, end):
        while other := engine.claim():
            engine.run(other)
        waits = read(store, segments.counts, job)[0]
        assert waits["waiting"] == 1
        assert engine.state(job) == JobState.RUNNING
    # What was ended by hand had stored nothing: the planner finds that out, so the last end has seen it.
    finish(engine, job)


@pytest.mark.parametrize("order", ["cancel", "priority", "time"])
def test_an_order_for_a_big_job_is_not_passed_by_slot_after_slot(order: str, postgresql_store):
    """Row locks that are shared are given past who waits for the row alone: it could wait until the job is over."""
    store = postgresql_store
    engine = Engine(store)
    job = engine.jobs.create(make_wish(span=minutes(0, 100), series=MANY), bounds=Bounds(max_runtime=5 * SECOND)).job.id
    lease = engine.claim()
    engine.clock.advance(10)
    give = {
        "cancel": lambda: engine.jobs.cancel(job),
        "priority": lambda: engine.jobs.set_priority(job, Priority.HIGH),
        "time": engine.jobs.expire,
    }[order]
    with held(store, segments.keep_waiting, job):
        giving = threading.Thread(target=give)
        giving.start()
        eventually(lambda: _waits_for_a_lock(store), "it waits")
        assert not write(store, segments.keep_waiting, job)
        # A slot whose page completes its segment goes on all the same.
        engine.run(lease, most=1)
    giving.join()
    assert engine.state(job) == {"cancel": "cancelled", "priority": "running", "time": "failed"}[order]
    assert engine.jobs.get(job).priority == (Priority.HIGH if order == "priority" else Priority.NORMAL)


def finish(engine: Engine, job: int) -> None:
    """Run what is left of a job; it ends once."""
    while lease := engine.claim():
        engine.run(lease)
    assert engine.state(job) == JobState.DONE
    assert engine.left(job) == 0
    told = read(engine.store, events.of_job, job)
    assert [one.name for one in told].count("job.done") == 1


def test_what_cannot_be_done_here_stands_in_nobodys_way(store):
    """A worker of an older version meets a kind it does not know: the page before is kept, the job behind goes on."""
    engine = Engine(store)
    span = minutes(0, 100)
    first, strange, last = (engine.make(span, series=(name,)) for name in ("KRW-BTC", "KRW-ETH", "KRW-XRP"))
    store.write(lambda tx: tx.cursor.execute(f"UPDATE job SET kind = 'validate' WHERE id = {strange}"))
    runner = Runner(store, engine.catalogue, engine.jobs, engine.clock, Backoff(first=0.0, retries=0), seed=1)
    parts = {"store": store, "jobs": engine.jobs, "clock": engine.clock, "work": runner.work}
    taker = Taker(**parts, queue="backfill", worker="worker")
    ready = taker.take()
    while ready is not None:
        ready = runner.run(ready, threading.Event(), then=taker.next).next or taker.take()
    assert [engine.state(job) for job in (first, strange, last)] == [JobState.DONE, JobState.RUNNING, JobState.DONE]
    (waits,) = read(store, segments.of_job, strange)
    assert (waits.segment.state, waits.segment.attempts) == ("waiting", 0)
    assert "bring all workers to one version" in waits.error
    assert waits.retry_at > engine.clock.now()


def test_what_is_cut_off_beside_a_cancel_is_cancelled_too(postgresql_store):
    """The order waits for the slot that cuts its victim, and does not see the new part at once."""
    store = postgresql_store
    engine = Engine(store)
    job = engine.make(minutes(0, 100))
    lease = engine.claim()

    with held(store, segments.steal, lease, minute(50), "test/candle"):
        cancelling = threading.Thread(target=engine.jobs.cancel, args=(job,))
        cancelling.start()
        eventually(lambda: _waits_for_a_lock(store), "it waits")
    cancelling.join()
    assert {one.segment.state for one in read(store, segments.of_job, job)} == {"cancelled"}


def _waits_for_a_lock(store) -> bool:
    with store.read() as tx:
        tx.cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return tx.cursor.fetchone()[0] > 0


def test_a_claim_that_may_not_wait_passes_a_queue_that_another_has_locked(postgresql_store):
    """It is made under other locks, for which the other one may wait."""
    store = postgresql_store
    engine = Engine(store)
    engine.make(minutes(0, 100))
    write(store, queues.set_limit, "backfill", 1)
    now = engine.clock.now()
    with held(store, queues.hold, "backfill"):
        assert write(store, claims.claim, "backfill", "worker", now, waits=False) is None
    assert write(store, claims.claim, "backfill", "worker", now, waits=False) is not None
