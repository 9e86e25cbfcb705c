"""Gates, on both databases: slow databases and slow slots cost no departures, late requests are made up for."""

from __future__ import annotations

import threading

import pytest

from gapless.core.clock import ManualClock
from gapless.core.pacing import LATE, Limit, batch, guard, interval
from gapless.core.span import SECOND, Instant
from gapless.engine.budgets import Departed, Gates
from gapless.store import budgets
from gapless.store.store import Store
from gapless.testing.factories import MORNING

NEVER = threading.Event()


class Turning(ManualClock):
    """Moves on by itself: by what is waited for, and by what a transaction takes after it has read the clocks."""

    def __init__(self, now: Instant, transaction: float = 0.0) -> None:
        super().__init__(now)
        self._transaction = transaction
        self._is_read = False

    def now(self) -> Instant:
        self._is_read = True
        return super().now()

    def monotonic(self) -> float:
        seconds = super().monotonic()
        if self._is_read:
            self._is_read = False
            self.advance(self._transaction)
        return seconds

    def wait(self, event: threading.Event, seconds: float) -> bool:
        self.advance(max(0.0, seconds))
        return event.is_set()


def made(store: Store, rate: float) -> None:
    store.write(lambda tx: budgets.ensure(tx, Limit(key="b", rate=rate), rate))


def requests(store: Store) -> int:
    with store.read() as tx:
        found = budgets.load(tx, "b")
    assert found
    return found.requests


def depart(gates: Gates) -> Departed:
    departed = gates.gate("b").depart(NEVER)
    assert isinstance(departed, Departed)
    return departed


@pytest.mark.parametrize("transaction", [0.0, 0.02, 0.1, 0.4])
def test_a_slow_database_forfeits_few_departures(store: Store, transaction: float) -> None:
    """A departure that is known only when it is over would be forfeited, and the next one too, for ever."""
    made(store, 10)
    clock = Turning(MORNING, transaction)
    gates = Gates(store, clock)
    for _ in range(20):
        departed = depart(gates)
        assert clock.monotonic() - departed.began <= guard(interval(10)) + 1e-6
    assert requests(store) <= 40


def test_a_slot_that_uses_one_departure_in_a_while_takes_no_batch_of_them(store: Store) -> None:
    """Thirty-two processes with two slots each would forfeit most of a high rate."""
    made(store, 2000)
    clock = Turning(MORNING)
    gates = Gates(store, clock)
    for _ in range(100):
        depart(gates)
        clock.advance(0.05)
    assert requests(store) <= 150


def test_who_uses_them_all_gets_batches(store: Store) -> None:
    """A transaction for each of two thousand departures a second would be the bottleneck."""
    made(store, 2000)
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
    made(store, 10)
    clock = Turning(MORNING)
    ours, theirs = Gates(store, clock), Gates(store, clock)
    for gates in (ours, theirs):
        departed = depart(gates)
        clock.advance(0.010)
        gates.answered("b", departed)
    late = depart(ours)
    clock.advance(0.210)
    ours.answered("b", late)
    following = depart(theirs)
    assert following.planned.at - late.planned.at >= 200_000 - LATE + interval(10)
    assert following.planned.at - late.planned.at < SECOND
    quick = depart(theirs)
    clock.advance(0.010 + 0.9 * LATE / SECOND)
    theirs.answered("b", quick)
    assert depart(ours).planned.at - quick.planned.at == interval(10)
