"""The gate in front of a budget: lets one slot after another leave at the instant it reserved."""

from __future__ import annotations

import random
import threading
from collections import defaultdict, deque
from dataclasses import dataclass

from gapless.core import pacing
from gapless.core.clock import Clock
from gapless.core.pacing import PATIENCE, Budget, Departure, Grant, Lane, Later
from gapless.core.span import SECOND, Instant
from gapless.store import budgets
from gapless.store.database import Tx
from gapless.store.store import Store

#: Seconds for which departures without a rate are good: a block by others must be seen within one.
FRESH = 0.25
#: Seconds between two looks at whether a probe has succeeded.
PROBE_LOOK = 0.1


#: Replies among which the fastest tells how long an answer takes that nothing holds up.
FASTEST_OF = 64


@dataclass(frozen=True, slots=True)
class Departed:
    """The request may leave now."""

    planned: Departure
    #: The planned instant on the monotonic clock, in seconds.
    began: float


class Stopped:
    """We were told to stop while waiting."""


class Gate:
    """One lane of one budget in this process. Slots queue here, processes in the database."""

    def __init__(self, store: Store, clock: Clock, key: str, lane: Lane = Lane.BACKFILL) -> None:
        self._store = store
        self._clock = clock
        self._key = key
        self._lane = lane
        self._turn = threading.Lock()
        self._pool: deque[Departed] = deque()
        self._chance = random.Random()
        #: Requests of the budget when this gate last got departures, and how many gates seem to share it.
        self._counted: int | None = None
        self._sharers = 1.0

    def depart(self, stop: threading.Event) -> Departed | Later | Stopped:
        """Wait for a departure; `Later` when that would take more than two seconds."""
        while not stop.is_set():
            with self._turn:
                taken = self._take(stop)
            if not isinstance(taken, Departed):
                return taken
            # Outside the lock: while we wait for our instant, the next slot may already reserve its own.
            if self._clock.wait(stop, taken.began - self._clock.monotonic()):
                break
            late = self._clock.monotonic() - taken.began
            planned = taken.planned
            if planned.probe or late <= (pacing.guard(planned.step) if planned.step else FRESH):
                return taken
        return Stopped()

    def _take(self, stop: threading.Event) -> Departed | Later | Stopped:
        waited = 0.0
        while not stop.is_set():
            if self._pool:
                return self._pool.popleft()
            granted, budget, now = self._store.write(self._reserve, urgent=True)
            if isinstance(granted, Grant):
                self._count(granted, budget)
                started = self._clock.monotonic() + (granted.at - now) / SECOND
                self._pool.extend(
                    Departed(one, started + (one.at - granted.at) / SECOND) for one in granted.departures()
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
            after, granted = pacing.reserve(before, now, self._lane)
            return after, (granted, after)

        return *budgets.change(tx, self._key, by), now


class Gates:
    """The gates of a process, made when first needed."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._gates: dict[tuple[str, Lane], Gate] = {}
        self._took: defaultdict[str, deque[float]] = defaultdict(lambda: deque(maxlen=FASTEST_OF))
        self._making = threading.Lock()

    def gate(self, key: str, lane: Lane = Lane.BACKFILL) -> Gate:
        """The gate of one lane of a budget."""
        with self._making:
            found = self._gates.get((key, lane))
            if found is None:
                found = self._gates[key, lane] = Gate(self._store, self._clock, key, lane)
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

    def answered(self, key: str, departed: Departed, *, remaining: int | None = None) -> None:
        """Tell the budget of a good reply; costs a transaction only where the reply can change anything."""
        planned, late = departed.planned, self._late(key, departed)
        if not planned.probe and (remaining is None or remaining > 3) and late <= pacing.LATE:
            return

        def change(budget: Budget) -> tuple[Budget, None]:
            return pacing.answered(budget, self._clock.now(), planned, remaining=remaining, late=late), None

        with self._store.read() as tx:
            before = budgets.load(tx, key)
        if before is not None and change(before)[0] != before:
            self._store.write(lambda tx: budgets.change(tx, key, change), urgent=True)

    def _late(self, key: str, departed: Departed) -> int:
        """Microseconds by which a reply came later than the fastest of late; the first one is late as a whole.

        Where the time was lost cannot be known: a new connection, a busy machine, the source. It may have been before
        the source counted the request.
        """
        took = self._clock.monotonic() - departed.began
        with self._making:
            known = self._took[key]
            fastest = min(known, default=0.0)
            known.append(took)
        return round((took - fastest) * SECOND)
