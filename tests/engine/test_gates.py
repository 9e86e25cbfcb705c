"""Gates, on both databases: slow databases and slow slots cost no departures, late requests are made up for."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from typing import Any, cast

import pytest

from gapless.core.clock import ManualClock
from gapless.core.pacing import LATE, Limit, batch, guard, interval
from gapless.core.span import SECOND
from gapless.engine.budgets import Departed, Gates, Sent
from gapless.store import budgets
from gapless.store.database import Tx
from gapless.store.store import Store
from gapless.testing.factories import MORNING

TEN = Limit(key="b", rate=10, by_second=True)
FAST = Limit(key="b", rate=2000, by_second=True)
#: Nothing here waits for longer, by a clock that moves on by itself.
ENOUGH = 120.0


class Turning(ManualClock):
    """Moves on by itself, by what is waited for."""

    def wait(self, event: threading.Event, seconds: float) -> bool:
        if event.is_set() or self.now() > MORNING + ENOUGH * SECOND:
            event.set()
            return True
        self.advance(max(0.0, seconds))
        return False


class Slow:
    """A store whose commits take long; a look that grants nothing has nothing to commit."""

    def __init__(self, store: Store, clock: Turning, seconds: float) -> None:
        self._store, self._clock, self._seconds = store, clock, seconds

    def write(self, work: Callable[[Tx], Any], *, urgent: bool) -> Any:
        before = requests(self._store)
        result = self._store.write(work, urgent=urgent)
        if requests(self._store) > before:
            self._clock.advance(self._seconds)
        return result


def made(store: Store, limit: Limit) -> None:
    store.write(lambda tx: budgets.ensure(tx, limit, limit.rate))


def requests(store: Store) -> int:
    with store.read() as tx:
        found = budgets.load(tx, "b")
    assert found
    return found.requests


def depart(gates: Gates) -> Departed:
    departed = gates.gate("b").depart(threading.Event())
    assert isinstance(departed, Departed)
    return departed


def answered(gates: Gates, clock: Turning, departed: Departed, seconds: float, limit: Limit = TEN) -> Sent:
    with gates.sending(limit, departed) as sent:
        clock.advance(seconds)
    gates.answered(sent)
    return sent


@pytest.mark.parametrize(("rate", "slow"), [(10, 0.02), (10, 0.09), (10, 0.4), (30, 0.03), (50, 0.017)])
def test_a_slow_database_forfeits_few_departures(store: Store, rate: float, slow: float) -> None:
    """A departure that is known only when it is over is forfeited, and the next one too, for ever."""
    limit = Limit(key="b", rate=rate)
    made(store, limit)
    clock = Turning(MORNING)
    gates = Gates(cast("Store", Slow(store, clock, slow)), clock)
    for _ in range(20):
        departed = depart(gates)
        assert clock.monotonic() - departed.began <= guard(interval(rate)) + 1e-6
    assert requests(store) <= 40


def test_a_slot_that_uses_one_departure_in_a_while_takes_no_batch_of_them(store: Store) -> None:
    """Thirty-two processes with two slots each would forfeit most of a high rate."""
    made(store, FAST)
    clock = Turning(MORNING)
    gates = Gates(store, clock)
    for _ in range(100):
        depart(gates)
        clock.advance(0.05)
    assert requests(store) <= 150


def test_who_uses_them_all_gets_batches(store: Store) -> None:
    """A transaction for each of two thousand departures a second would be the bottleneck."""
    made(store, FAST)
    gates = Gates(store, Turning(MORNING))
    at = [depart(gates).planned.at for _ in range(2000)]
    assert at == sorted(at)
    assert at[-1] - at[0] == 1999 * interval(2000)
    assert requests(store) - 2000 < batch(interval(2000))
    grants = {requests(store)}
    for _ in range(100):
        depart(gates)
        grants.add(requests(store))
    assert len(grants) <= 5


def test_a_late_reply_puts_off_the_requests_of_other_processes(store: Store) -> None:
    """The source may have counted it late; ten more within the next second would be one too many."""
    made(store, TEN)
    clock = Turning(MORNING)
    ours, theirs = Gates(store, clock), Gates(store, clock)
    for gates in (ours, theirs):
        answered(gates, clock, depart(gates), 0.010)
    late = depart(ours)
    answered(ours, clock, late, 0.100)
    following = depart(theirs)
    assert following.planned.at - late.planned.at == pytest.approx(interval(10) + 90_000 - LATE, abs=2)
    answered(theirs, clock, following, 0.010 + 0.9 * LATE / SECOND)
    assert depart(ours).planned.at - following.planned.at == interval(10)


def test_one_late_reply_puts_the_others_off_by_one_request(store: Store) -> None:
    """However long it took: it takes the place of one. Of several that a stall held up each takes one."""
    made(store, TEN)
    clock = Turning(MORNING)
    gates = Gates(store, clock)
    answered(gates, clock, depart(gates), 0.010)
    alone, others = depart(gates), Gates(store, clock)
    with gates.sending(TEN, alone) as sent:
        last = [depart(others) for _ in range(14)][-1]
    gates.answered(sent)
    assert sent.took > 1
    assert depart(gates).planned.at - last.planned.at == 2 * interval(10)

    clock.advance(2.0)
    out = [depart(gates) for _ in range(4)]
    with gates.sending(TEN, out[1]), gates.sending(TEN, out[2]), gates.sending(TEN, out[3]):
        stalled = answered(gates, clock, out[0], 1.0)
    assert stalled.crowd == 4
    waits = depart(gates).planned.at - (out[3].planned.at + SECOND)
    assert 3 * interval(10) < waits <= 4 * interval(10)


def test_a_source_that_counts_no_seconds_may_be_as_late_as_it_likes(store: Store) -> None:
    """OpenDART counts days: a zip that takes two seconds to be read holds up nobody."""
    made(store, TEN)
    clock = Turning(MORNING)
    gates = Gates(store, clock)
    days = Limit(key="b", rate=10)
    for _ in range(5):
        departed = depart(gates)
        answered(gates, clock, departed, 0.090, days)
        assert depart(gates).planned.at - departed.planned.at == interval(10)


@pytest.mark.parametrize(("fastest", "slowest", "least"), [(0.06, 0.08, 0.99), (0.05, 0.15, 0.95), (0.05, 0.4, 0.9)])
def test_a_source_whose_replies_vary_is_asked_at_its_rate(
    store: Store, fastest: float, slowest: float, least: float
) -> None:
    """What is usual is not late: a source that thinks for a while would else be asked ever more slowly."""
    made(store, TEN)
    clock = Turning(MORNING)
    gates = Gates(store, clock)
    chance = random.Random(1)
    first = depart(gates).planned.at
    last, number = first, 400
    for _ in range(number):
        departed = depart(gates)
        last = departed.planned.at
        with gates.sending(TEN, departed) as sent:
            pass
        # Others are out meanwhile: the reply comes, and the clock goes on, without waiting for it.
        sent.took = chance.uniform(fastest, slowest)
        gates.answered(sent)
    assert number / ((last - first) / SECOND) >= least * SECOND / interval(10)


def test_a_probe_that_failed_does_not_count_as_fast(store: Store) -> None:
    """A refused connection is told within a millisecond; after it every good reply would look late."""
    made(store, TEN)
    clock = Turning(MORNING)
    gates = Gates(store, clock)
    answered(gates, clock, depart(gates), 0.080)
    gates.slowed("b", 1.0)
    clock.advance(1.0)
    probe = depart(gates)
    assert probe.planned.probe
    with gates.sending(TEN, probe) as sent:
        clock.advance(0.001)
    gates.failed(sent)
    for _ in range(3):
        departed = depart(gates)
        answered(gates, clock, departed, 0.080)
        assert depart(gates).planned.at - departed.planned.at == interval(10)
