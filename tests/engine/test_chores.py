"""Work over stored rows: gone over exactly once, stretch by stretch, whatever is paused, cut or fails on the way.

The chore of these tests writes one event for each stretch: what it has gone over can be counted.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

import gapless
from gapless.app import Gapless
from gapless.core.dataset import Dataset
from gapless.core.errors import BadReply, LeaseLost
from gapless.core.job import Job, JobState, Kind, Queue
from gapless.core.pacing import Limit
from gapless.core.page import Shape
from gapless.core.paging import fresh
from gapless.core.segment import Lease
from gapless.core.span import Span, iso, union
from gapless.sandbox.process import SandboxProcess
from gapless.store import claims, events
from gapless.store.database import Tx
from gapless.store.store import Store
from gapless.testing.history import MINUTES, settings_for
from gapless.work.base import OWN
from gapless.work.stretches import Effect, Stretches

NAMES = ["KRW-BTC", "KRW-ETH"]
#: Minutes that a stretch goes over.
STRETCH = 60


@dataclass
class Walk:
    """A chore that notes each stretch it has gone over."""

    store: Store
    before: Callable[[Lease, Span], None] = lambda *_: None
    went: list[Span] = field(default_factory=list)

    def check(self) -> None:
        """Nothing is needed."""

    def shape(self, dataset: Dataset, series: str) -> Shape:
        """An hour at a time."""
        return Shape(rows=STRETCH, jumps_back=False)

    def limit(self, dataset: Dataset) -> Limit:
        """It asks nobody."""
        return OWN

    def work(self, lease: Lease, dataset: Dataset) -> Stretches:
        """A segment's."""
        shape = self.shape(dataset, lease.segment.name)
        return Stretches(store=self.store, dataset=dataset, shape=shape, lease=lease, go=self._go)

    def _go(self, lease: Lease, span: Span) -> Effect:
        self.before(lease, span)

        def effect(tx: Tx) -> int:
            events.add(tx, 1, "walked", f"{lease.segment.name} {span}", job=lease.segment.job)
            return 1

        self.went.append(span)
        return effect


@pytest.fixture
def history(tmp_path: Path, upbit: SandboxProcess, database_url: str) -> Iterator[Gapless]:
    """A history on each database."""
    settings = replace(settings_for(tmp_path, upbit.url, slots=2), database_url=database_url)
    with gapless.open(settings=settings) as opened:
        yield opened


@pytest.fixture
def walk(history: Gapless) -> Walk:
    """The chore, known to the history as one of its own."""
    made = Walk(history.store)
    history.catalogue.chores[Kind.VALIDATE] = lambda: made
    return made


def make(history: Gapless, *names: str, hours: int = 24) -> Job:
    wish = history.wish(
        history.dataset(MINUTES),
        names or NAMES,
        "2024-06-01T00:00Z",
        f"2024-06-0{1 + hours // 24}T{hours % 24:02}:00Z",
        kind=Kind.VALIDATE,
        params={"level": "basic"},
    )
    return history.create(wish).job


def walked(history: Gapless, job: Job) -> list[str]:
    with history.store.read() as tx:
        return sorted(one.message for one in events.of_job(tx, job.id) if one.name == "walked")


def every(*names: str, hours: int = 24) -> list[str]:
    start = 1_717_200_000_000_000
    hour = 3_600_000_000
    return sorted(f"{name} {Span(start + i * hour, start + (i + 1) * hour)}" for name in names for i in range(hours))


def test_every_stretch_is_gone_over_exactly_once(history: Gapless, walk: Walk) -> None:
    job = make(history)
    assert (job.queue, job.params) == (Queue.COMPUTE, '{"level":"basic"}')
    assert history.run(job.id).wait() is JobState.DONE
    assert walked(history, job) == every(*NAMES)
    progress = history.progress(job.id)
    assert progress.processed == progress.total == 2 * 24 * 60
    # It has nothing to do with what is fetched: nothing was covered by it.
    assert history.coverage(MINUTES, "KRW-BTC").is_empty()


def test_the_same_wish_over_again_goes_over_all_of_it_again(history: Gapless, walk: Walk) -> None:
    first, second = make(history, "KRW-BTC"), None
    assert history.run(first.id).wait() is JobState.DONE
    second = make(history, "KRW-BTC")
    assert second.id != first.id
    assert history.run(second.id).wait() is JobState.DONE
    assert walked(history, second) == every("KRW-BTC")
    assert len(walk.went) == 48


def test_one_that_was_left_goes_on_where_it_was(history: Gapless, walk: Walk) -> None:
    job = make(history, "KRW-BTC")
    assert history.step(job.id, 2) == 2
    assert len(walked(history, job)) == 2
    assert 0 < history.progress(job.id).percent < 100
    history.jobs.pause(job.id)
    assert history.step(job.id, 2) == 0
    assert history.run(job.id).wait() is JobState.DONE
    assert walked(history, job) == every("KRW-BTC")
    assert len(walk.went) == 24


def test_progress_over_many_series_is_what_was_proven_also_after_a_restart(history: Gapless, walk: Walk) -> None:
    """It is read in one look; series that were not begun, and those that were gone over, are counted together."""
    names = [f"KRW-S{number}" for number in range(20)]
    job = make(history, *names, hours=2)
    for steps in (1, 2, 8):
        assert history.step(job.id, steps) == steps
        seen = history.progress(job.id)
        assert (seen.processed, seen.total) == (60 * len(walk.went), 20 * 2 * 60)
        assert seen.requests_left == 40 - len(walk.went)
        assert sum(seen.bar) / len(seen.bar) == pytest.approx(seen.processed / seen.total)
    with gapless.open(settings=history.settings) as opened:
        again = opened.progress(job.id)
        assert (again.processed, again.bar, again.ends) == (seen.processed, seen.bar, seen.ends)


def test_a_lost_lease_leaves_nothing_behind(history: Gapless, walk: Walk) -> None:
    """Whoever comes back from the dead has its effect refused together with its proof."""
    job = make(history, "KRW-BTC")
    lease = history.store.write(lambda tx: claims.claim(tx, Queue.COMPUTE, "ghost", history.clock.now()))
    assert lease is not None
    work = walk.work(lease, history.dataset(MINUTES))
    with history.store.read() as tx:
        left = work.look(tx, lease, history.clock.now())
    asked = work.ask(left, "KRW-BTC", fresh(work.shape), history.clock.now())
    assert asked is not None
    page = work.fetch(asked)
    history.jobs.cancel(job.id)
    with pytest.raises(LeaseLost):
        work.keep(asked, page, lease, history.clock.now(), requests=1)
    assert walked(history, job) == []


def test_what_fails_is_said_and_retry_takes_exactly_the_rest(history: Gapless, walk: Walk) -> None:
    job = make(history)
    spoilt = True

    def fail(lease: Lease, span: Span) -> None:
        if spoilt and lease.segment.name == "KRW-ETH" and "12:00" in iso(span.start):
            raise BadReply("a stretch that cannot be gone over", source="test", span=span)

    walk.before = fail
    assert history.run(job.id).wait() is JobState.INCOMPLETE
    assert "cannot be gone over" in history.jobs.get(job.id).error
    done = walked(history, job)
    assert len(done) < 48
    spoilt = False
    history.jobs.retry(job.id)
    assert history.run(job.id).wait() is JobState.DONE
    assert walked(history, job) == every(*NAMES)
    # Its failures are no facts about the source.
    assert not history.plan(MINUTES, "KRW-ETH", "2024-06-01", "2024-06-01").series[0].quarantined


def test_it_is_in_the_way_of_nobody_who_fetches(history: Gapless, walk: Walk) -> None:
    """A validation of years must not make a live read wait."""
    job = make(history, "KRW-BTC")
    held = threading.Event()
    go = threading.Event()

    def hold(*_: object) -> None:
        held.set()
        assert go.wait(30)

    walk.before = hold
    running = history.run(job.id)
    try:
        assert held.wait(30)
        frame = history.read(MINUTES, "KRW-BTC", "2024-06-01T00:00Z", "2024-06-01T03:00Z")
        assert frame.height == 180
    finally:
        go.set()
    assert running.wait() is JobState.DONE
    assert union(walk.went)[0].end - union(walk.went)[0].start == 24 * 3_600_000_000
