"""The gate in front of a budget: lets one slot after another leave at the instant it reserved."""

from __future__ import annotations

import random
import threading
from collections import deque
from dataclasses import dataclass

from gapless.core import pacing
from gapless.core.clock import Clock
from gapless.core.pacing import PATIENCE, Budget, Grant, Later
from gapless.core.span import SECOND, Instant
from gapless.store import budgets
from gapless.store.database import Tx
from gapless.store.store import Store

#: Seconds for which departures without a rate are good: a block by others must be seen within one.
FRESH = 0.25
#: Seconds between two looks at whether a probe has succeeded.
PROBE_LOOK = 0.1


@dataclass(frozen=True, slots=True)
class Departed:
    """The request may leave now."""

    probe: bool = False


class Stopped:
    """We were told to stop while waiting."""


@dataclass(frozen=True, slots=True)
class _Slot:
    #: Departure on the monotonic clock, in seconds.
    at: float
    step: int
    probe: bool


class Gate:
    """One lane of one budget in this process: live, daily or neither. Slots queue here, processes in the database."""

    def __init__(self, store: Store, clock: Clock, key: str, *, live: bool, daily: bool = False) -> None:
        self._store = store
        self._clock = clock
        self._key = key
        self._live = live
        self._daily = daily
        self._turn = threading.Lock()
        self._pool: deque[_Slot] = deque()
        self._chance = random.Random()
        #: Requests of the budget when this gate last got departures, and how many gates seem to share it.
        self._counted: int | None = None
        self._sharers = 1.0

    def depart(self, stop: threading.Event) -> Departed | Later | Stopped:
        """Wait for a departure; `Later` when that would take more than two seconds."""
        while not stop.is_set():
            with self._turn:
                taken = self._take(stop)
            if not isinstance(taken, _Slot):
                return taken
            # Outside the lock: while we wait for our instant, the next slot may already reserve its own.
            if self._clock.wait(stop, taken.at - self._clock.monotonic()):
                break
            late = self._clock.monotonic() - taken.at
            if taken.probe or late <= (pacing.guard(taken.step) if taken.step else FRESH):
                return Departed(taken.probe)
        return Stopped()

    def _take(self, stop: threading.Event) -> _Slot | Later | Stopped:
        waited = 0.0
        while not stop.is_set():
            if self._pool:
                return self._pool.popleft()
            granted, budget, now = self._store.write(self._reserve, urgent=True)
            if isinstance(granted, Grant):
                self._count(granted, budget)
                started = self._clock.monotonic() + (granted.at - now) / SECOND
                self._pool.extend(
                    _Slot(started + i * granted.step / SECOND, granted.step, granted.probe)
                    for i in range(granted.count)
                )
                continue
            wait = (granted.at - now) / SECOND
            if granted.reason == "probe" and waited < PATIENCE:
                # The one that probes comes back soon, and its success frees us at once.
                wait = min(wait, PROBE_LOOK)
                waited += wait
            elif wait > PATIENCE or granted.reason != "budget":
                return granted
            else:
                wait += self._turn_out(budget)
            self._clock.wait(stop, max(0.001, wait))
        return Stopped()

    def _count(self, granted: Grant, budget: Budget) -> None:
        """Learn from what others took between two of our turns how many they are."""
        if self._counted is not None and granted.count:
            turns = (budget.requests - self._counted) / granted.count
            self._sharers = 0.5 * self._sharers + 0.5 * max(1.0, turns)
        self._counted = budget.requests

    def _turn_out(self, budget: Budget) -> float:
        """Seconds to stay away beyond the next departure: not all who wait may try for each one.

        Six of those who share the budget try for a departure: it goes unused once in four hundred times (e⁻⁶), and the
        others do not take its lock in vain.
        """
        turns = int(self._sharers / 6)
        if turns < 2:
            return 0.0
        return self._chance.randrange(turns) * budget.step * pacing.batch(budget.step) / SECOND

    def _reserve(self, tx: Tx) -> tuple[Grant | Later, Budget, Instant]:
        # Read inside the transaction: waiting for the database must not age the reservation.
        now = self._clock.now()

        def by(before: Budget) -> tuple[Budget, tuple[Grant | Later, Budget]]:
            after, granted = pacing.reserve(before, now, live=self._live, daily=self._daily)
            return after, (granted, after)

        return *budgets.change(tx, self._key, by), now


class Gates:
    """The gates of a process, made when first needed."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._gates: dict[tuple[str, bool, bool], Gate] = {}
        self._making = threading.Lock()

    def gate(self, key: str, *, live: bool, daily: bool = False) -> Gate:
        """The gate of one lane of a budget."""
        with self._making:
            found = self._gates.get((key, live, daily))
            if found is None:
                found = self._gates[key, live, daily] = Gate(self._store, self._clock, key, live=live, daily=daily)
            return found

    def refused(self, key: str, seconds: float, *, is_quota: bool = False) -> Instant:
        """Silence everybody who shares the budget; returns until when."""

        def block(tx: Tx) -> Instant:
            def by(budget: pacing.Budget) -> tuple[pacing.Budget, Instant]:
                after = pacing.refuse(budget, self._clock.now(), seconds, is_quota=is_quota)
                return after, after.blocked_until

            return budgets.change(tx, key, by)

        return self._store.write(block, urgent=True)

    def slowed(self, key: str, seconds: float) -> None:
        """Keep everybody who shares the budget silent for a while, then let one go alone."""

        def by(budget: pacing.Budget) -> tuple[pacing.Budget, None]:
            return pacing.slow(budget, self._clock.now(), seconds), None

        self._store.write(lambda tx: budgets.change(tx, key, by), urgent=True)

    def answered(self, key: str, *, remaining: int | None, probe: bool, departed: Instant | None = None) -> None:
        """Tell the budget of a good reply; costs a transaction only where the reply can change anything."""
        if not probe and (remaining is None or remaining > 3):
            return
        with self._store.read() as tx:
            now = self._clock.now()
            before = budgets.load(tx, key)
        if (
            before is None
            or pacing.answered(before, now, remaining=remaining, probe=probe, departed=departed) == before
        ):
            return

        def change(budget: pacing.Budget) -> tuple[pacing.Budget, None]:
            return pacing.answered(budget, now, remaining=remaining, probe=probe, departed=departed), None

        self._store.write(lambda tx: budgets.change(tx, key, change), urgent=True)
