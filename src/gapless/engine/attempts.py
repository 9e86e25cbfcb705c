"""Limited attempts: whoever is wrong too often has to wait, whichever server they ask, and whether it was started anew.

An attempt counts before it is looked at, so a hundred at the same moment are no way around the limit; one that was
right is taken back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gapless.core.clock import Clock
from gapless.core.span import SECOND
from gapless.store import attempts
from gapless.store.database import Tx
from gapless.store.store import Store

#: Microseconds for which a wrong one counts.
WINDOW = 300 * SECOND


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt that counts: its keys, with the numbers under which they were counted."""

    counted: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class TooMany:
    """An attempt that is not even looked at."""

    #: Seconds to wait.
    seconds: int


class Attempts:
    """Counts them."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def begin(self, keys: Sequence[tuple[str, int]]) -> Attempt | TooMany:
        """Count an attempt under some keys, each with how many wrong ones it may have."""

        def write(tx: Tx) -> Attempt | TooMany:
            now = self._clock.now()
            attempts.prune(tx, now - WINDOW)
            for key, _ in sorted(keys):
                attempts.hold(tx, key)
            for key, most in keys:
                seen = attempts.seen(tx, key, now - WINDOW)
                if len(seen) >= most:
                    return TooMany(-(-(seen[-most] + WINDOW - now) // SECOND))
            return Attempt(tuple((key, attempts.add(tx, key, now)) for key, _ in keys))

        return self._store.write(write, urgent=True, isolated=True)

    def succeed(self, one: Attempt) -> None:
        """It was right: its first key begins anew, for the others it was none."""

        def write(tx: Tx) -> None:
            attempts.forget(tx, one.counted[0][0])
            for _, number in one.counted[1:]:
                attempts.take_back(tx, number)

        self._store.write(write, urgent=True)
