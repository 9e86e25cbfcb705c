"""Taking the next segment of a queue, together with what it misses, in one transaction.

Segments in which nothing is missing (any more) end right there, many in one transaction: what is cached is passed over
at the speed of the database.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gapless.core.clock import Clock
from gapless.core.errors import LeaseLost, StoreError
from gapless.core.segment import Lease
from gapless.core.span import Instant
from gapless.engine.jobs import Jobs
from gapless.store import claims
from gapless.store.database import Tx
from gapless.store.store import Store
from gapless.work.base import Left, Work

#: Segments without a gap that are ended in one transaction.
PASSED = 64


@dataclass(frozen=True, slots=True)
class Ready:
    """A segment in the hands of a slot, its work, and what it missed when it was taken."""

    lease: Lease
    #: Or why this process cannot do it.
    work: Work | Exception
    left: Left | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Taker:
    """Takes segments of one queue (of job `only`) for one worker."""

    store: Store
    jobs: Jobs
    clock: Clock
    work: Callable[[Lease], Work]
    queue: str
    worker: str
    only: int | None = None

    def take(self) -> Ready | None:
        """The best claimable segment that misses something; None when nothing is claimable."""
        while True:
            ready, passed = self.store.write(self._first)
            if ready is not None or not passed:
                return ready

    def is_any(self) -> bool:
        """Whether a segment is claimable: a look that takes no lock."""
        with self.store.read() as tx:
            found = claims.peek(tx, self.queue, self.clock.now(), only=self.only)
            return found is not None and not claims.is_full(tx, self.queue)

    def next(self, tx: Tx) -> Ready | None:
        """The next segment inside a transaction that holds the lock of a job; waits for no other lock."""
        return self._take(tx, waits=False)[0]

    def _first(self, tx: Tx) -> tuple[Ready | None, int]:
        return self._take(tx, waits=True)

    def _take(self, tx: Tx, *, waits: bool) -> tuple[Ready | None, int]:
        """A segment, and how many complete ones were passed over.

        A claim takes segment before job, an end job before segment: so that the two never wait for each other, a
        complete segment whose job is locked just now is handed out, and its runner ends it.
        """
        now = self.clock.now()
        for passed in range(PASSED):
            lease = claims.claim(tx, self.queue, self.worker, now, only=self.only, waits=waits and not passed)
            if lease is None:
                return None, passed
            ready = self._look(tx, lease, now)
            if ready.left is None or ready.left.spans or not self.jobs.pass_over(tx, lease, now):
                return ready, passed
        return None, PASSED

    def _look(self, tx: Tx, lease: Lease, now: Instant) -> Ready:
        """The work on a segment. What cannot be done here must not spoil the transaction: everybody would meet it."""
        try:
            work = self.work(lease)
            return Ready(lease, work, work.look(tx, lease, now))
        except (StoreError, LeaseLost):
            raise
        except Exception as error:
            if self.store.database.explain(error) is not None:
                raise
            return Ready(lease, error, None)
