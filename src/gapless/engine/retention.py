"""What has ended is kept for a while: job history and audit for two years, log lines and deliveries for 90 days.

Pruned a few rows at a time, each batch a transaction of its own: a page that is being committed waits for one batch at
most, and a process that dies in the middle leaves nothing half done.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from gapless.core.actor import Actor
from gapless.core.clock import Clock
from gapless.core.errors import UsageError
from gapless.core.span import DAY, Instant
from gapless.store import audit, retention
from gapless.store.database import Tx
from gapless.store.store import Store

Drop = Callable[[Tx, Instant, int], int]


@dataclass(frozen=True, slots=True)
class Kept:
    """One kind of thing that is kept for a while."""

    days: int
    #: Rows (or jobs) in a transaction.
    batch: int
    drop: Drop


KEPT = {
    "jobs": Kept(730, 20, retention.drop_jobs),
    "logs": Kept(90, 1000, retention.drop_logs),
    "deliveries": Kept(90, 1000, retention.drop_deliveries),
    # Its chain of digests goes on from the last entry that was dropped.
    "audit": Kept(730, audit.BATCH, lambda tx, before, _: audit.prune(tx, before)),
}
#: What leaves an entry in the audit when it is taken away.
_NOTED = {"jobs": "that ended long ago", "audit": "entries that are older than they are kept"}
#: Seconds between two batches, in which the others have the database to themselves.
BREATH = 0.05


class Retention:
    """Says for how long things are kept, and takes away what is older."""

    def __init__(self, store: Store, clock: Clock, actor: Actor) -> None:
        self._store = store
        self._clock = clock
        self._actor = actor

    def days(self) -> dict[str, int]:
        """Days by what is kept."""
        with self._store.read() as tx:
            said = retention.settings(tx)
        return {what: said.get(what, kept.days) for what, kept in KEPT.items()}

    def set_days(self, what: str, days: int) -> None:
        """Keep something for so many days; raises `UsageError`."""
        if what not in KEPT:
            raise UsageError(f"keep: {what!r} is unknown", field="keep", hint=f"give one of: {', '.join(KEPT)}")
        if not 1 <= days <= 36_500:
            raise UsageError(f"{what}: {days} is not a number of days", field=what, hint="give 1 to 36500")
        before, now = self.days()[what], self._clock.now()

        def write(tx: Tx) -> None:
            retention.set_days(tx, what, days)
            audit.add(tx, now, self._actor, "retention.changed", what, before=str(before), after=str(days))

        self._store.write(write)

    def prune(self, *, batches: int | None = None, stop: threading.Event | None = None) -> dict[str, int]:
        """Take away what is too old: all of it, or so many batches of each; returns how many by what."""
        stop, days = stop or threading.Event(), self.days()
        return {what: self._prune(what, self._clock.now() - days[what] * DAY, batches, stop) for what in KEPT}

    def _prune(self, what: str, before: Instant, batches: int | None, stop: threading.Event) -> int:
        kept, dropped, done = KEPT[what], 0, 0

        def write(tx: Tx) -> int:
            gone = kept.drop(tx, before, kept.batch)
            if gone and what in _NOTED:
                audit.add(tx, self._clock.now(), self._actor, f"{what}.pruned", what, after=f"{gone} {_NOTED[what]}")
            return gone

        while not stop.is_set() and (batches is None or done < batches):
            batch = self._store.write(write, isolated=True)
            dropped, done = dropped + batch, done + 1
            if batch < kept.batch:
                break
            stop.wait(BREATH)
        return dropped
