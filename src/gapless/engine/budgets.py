"""The gate in front of a budget: lets one slot after another leave at the instant it reserved."""

from __future__ import annotations

import random
import threading
from collections import defaultdict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from gapless.core import pacing
from gapless.core.clock import Clock
from gapless.core.pacing import PATIENCE, Budget, Departure, Grant, Lane, Later, Limit
from gapless.core.span import SECOND, Instant
from gapless.store import budgets
from gapless.store.database import Tx
from gapless.store.store import Store

#: Seconds for which departures without a rate are good: a block by others must be seen within one.
FRESH = 0.25
#: Seconds for which who shares a budget with many leaves its departures to the others.
AWAY = 0.25
#: Seconds between two looks at whether a probe has succeeded.
PROBE_LOOK = 0.1
#: Replies that tell how long one takes that nothing holds up: the fastest of the first ones; when there are enough to
#: know how much the source itself varies, nine in ten.
REPLIES, ENOUGH, USUAL = 64, 32, 0.9
#: Grants that tell how long the transaction of the next one will take.
GRANTS = 5


@dataclass(frozen=True, slots=True)
class Departed:
    """The request may leave now."""

    planned: Departure
    #: The planned instant on the monotonic clock, in seconds.
    began: float


@dataclass(slots=True)
class Sent:
    """A request that is out or has come back."""

    limit: Limit
    departed: Departed
    #: Seconds from the planned departure to the reply.
    took: float = 0.0
    #: How many were out when it came back, with itself.
    crowd: int = 1


class Stopped:
    """We were told to stop while waiting."""


@dataclass(frozen=True, slots=True)
class _Reserved:
    granted: Grant | Later
    #: The budget after it.
    budget: Budget
    #: When the clocks were read: the instant, and seconds on the monotonic clock.
    now: Instant
    read: float
    #: A departure had gone unused.
    is_idle: bool

    def until(self, at: Instant) -> float:
        """An instant on the monotonic clock."""
        return self.read + (at - self.now) / SECOND


class Gate:
    """One lane of one budget in this process. Slots queue here, processes in the database."""

    def __init__(self, store: Store, clock: Clock, key: str, lane: Lane = Lane.BACKFILL) -> None:
        self._store = store
        self._clock = clock
        self._key = key
        self._lane = lane
        self._turn = threading.Lock()
        self._pool: deque[Departed] = deque()
        #: How many departures to ask for at once, when some were granted last, and how many of those were forfeited.
        self._most = 1
        self._granted = 0.0
        self._forfeited = 0
        #: Seconds from the reading of the clock to the end of the last transactions that granted something.
        self._commits: deque[float] = deque([0.0], maxlen=GRANTS)
        self._chance = random.Random()
        #: Requests of the budget when departures were granted last, and how many gates seem to share it.
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
            planned, wait = taken.planned, taken.began - self._clock.monotonic()
            if wait > pacing.early(planned.step) and self._clock.wait(stop, wait):
                break
            late = self._clock.monotonic() - taken.began
            if planned.probe or late <= (pacing.guard(planned.step) if planned.step else FRESH):
                return taken
            self._forfeited += 1
        return Stopped()

    def _take(self, stop: threading.Event) -> Departed | Later | Stopped:
        waited = 0.0
        while not stop.is_set():
            if self._pool:
                return self._pool.popleft()
            reserved = self._store.write(self._reserve, urgent=True)
            granted = reserved.granted
            if isinstance(granted, Grant):
                self._commits.append(self._clock.monotonic() - reserved.read)
                self._learn(granted, reserved)
                self._pool.extend(Departed(one, reserved.until(one.at)) for one in granted.departures())
                continue
            wait = reserved.until(granted.at) - self._delay() - self._clock.monotonic()
            if granted.reason == "probe" and waited < PATIENCE:
                # The one that probes comes back soon, and its success frees us at once.
                wait = min(wait, PROBE_LOOK)
                waited += wait
            elif wait > PATIENCE or granted.reason != "budget":
                return granted
            else:
                wait += self._turn_out(reserved.budget)
            self._clock.wait(stop, max(0.001, wait))
        return Stopped()

    def _learn(self, granted: Grant, reserved: _Reserved) -> None:
        """Learn how many departures are used in the time of a batch, and how many others share the budget."""
        is_quick = reserved.read - self._granted < pacing.BATCH / SECOND
        self._most = max(1, granted.count - 2 * self._forfeited + (is_quick and not self._forfeited))
        self._granted, self._forfeited = reserved.read, 0
        if reserved.is_idle:
            # Too few tried: those who shared it may have gone.
            self._sharers = 1.0
        elif self._counted is not None and granted.count:
            turns = (reserved.budget.requests - self._counted) / granted.count
            self._sharers = 0.5 * self._sharers + 0.5 * max(1.0, turns)
        self._counted = reserved.budget.requests

    def _turn_out(self, budget: Budget) -> float:
        """Seconds to stay away beyond the next departure: not all who wait may try for each one.

        When six of those who share the budget try for a departure, it goes unused once in four hundred times (e⁻⁶), and
        the others do not take its lock in vain. But nobody stays away for longer than `AWAY`: the others may have gone.
        """
        turn = budget.step * self._most / SECOND
        turns = min(int(self._sharers / 6), round(AWAY / turn)) if turn else 1
        return self._chance.randrange(turns) * turn if turns > 1 else 0.0

    def _reserve(self, tx: Tx) -> _Reserved:
        def by(before: Budget) -> tuple[Budget, _Reserved]:
            # Read under the lock of the row: waiting for it must not age the reservation. What the transaction takes
            # from here on is added, or a slow database would forfeit every departure.
            now, read = self._clock.now(), self._clock.monotonic()
            known = now + round(self._delay() * SECOND)
            after, granted = pacing.reserve(before, known, self._lane, self._most)
            return after, _Reserved(granted, after, now, read, before.tat < known)

        return budgets.change(tx, self._key, by)

    def _delay(self) -> float:
        """Seconds that the transaction of a grant takes: the middle of the last, so that one stall counts for none."""
        return sorted(self._commits)[len(self._commits) // 2]


class Gates:
    """The gates of a process, made when first needed."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._gates: dict[tuple[str, Lane], Gate] = {}
        self._took: defaultdict[str, deque[float]] = defaultdict(lambda: deque(maxlen=REPLIES))
        self._out: defaultdict[str, int] = defaultdict(int)
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

    @contextmanager
    def sending(self, limit: Limit, departed: Departed) -> Iterator[Sent]:
        """Around a request: how long it takes, and how many are out at once."""
        key, sent = limit.key, Sent(limit, departed)
        with self._making:
            self._out[key] += 1
        try:
            yield sent
        finally:
            sent.took = self._clock.monotonic() - departed.began
            with self._making:
                sent.crowd = self._out[key]
                self._out[key] -= 1

    def answered(self, sent: Sent, *, remaining: int | None = None) -> None:
        """Tell the budget of a good reply; costs a transaction only where the reply can change anything."""
        planned, late = sent.departed.planned, 0
        if sent.limit.by_second and pacing.minds_late(planned.step):
            late = self._late(sent)
        if planned.probe or late > pacing.LATE or (remaining is not None and remaining <= 3):
            self._tell(sent, remaining, late)

    def failed(self, sent: Sent) -> None:
        """A request has failed, without a refusal: when it was a probe, others may go."""
        if sent.departed.planned.probe:
            self._tell(sent)

    def _tell(self, sent: Sent, remaining: int | None = None, late: int = 0) -> None:
        key, planned = sent.limit.key, sent.departed.planned

        def change(budget: Budget) -> tuple[Budget, None]:
            now = self._clock.now()
            return pacing.answered(budget, now, planned, remaining=remaining, late=late, crowd=sent.crowd), None

        with self._store.read() as tx:
            before = budgets.load(tx, key)
        if before is not None and change(before)[0] != before:
            self._store.write(lambda tx: budgets.change(tx, key, change), urgent=True)

    def _late(self, sent: Sent) -> int:
        """Microseconds by which a reply came later than is usual; the first one is late as a whole.

        Where the time was lost cannot be known: a new connection, a busy machine, the source. It may have been before
        the source counted the request.
        """
        with self._making:
            known = self._took[sent.limit.key]
            ordered = sorted(known) or [0.0]
            known.append(sent.took)
        usual = ordered[int(USUAL * len(ordered))] if len(ordered) >= ENOUGH else ordered[0]
        return round((sent.took - usual) * SECOND)
