"""The embedded bell: rings in this process, and hears the commits of other processes on the same SQLite file."""

from __future__ import annotations

import threading
from collections.abc import Mapping

from gapless.store.store import Store


class EmbeddedBell:
    """Wakes all idle slots of this process; which of them finds work, the claim decides."""

    idle = 0.25

    def __init__(self, store: Store) -> None:
        self._store = store
        self._condition = threading.Condition()
        self._rings = 0
        self._version = 0
        self._is_closed = False

    def open(self, queues: Mapping[str, int]) -> None:
        """Nothing has to be opened."""

    def heard(self) -> int:
        """How often it has rung."""
        return self._rings

    def wait(self, queue: str, heard: int, seconds: float) -> None:  # noqa: ARG002  one ring for all queues
        """Sleep until a ring, at most so long."""
        with self._condition:
            if self._rings == heard and not self._is_closed:
                self._condition.wait(seconds)

    def leave(self) -> None:
        """Nobody keeps account of who hears."""

    def ring(self) -> None:
        """Wake the idle slots."""
        with self._condition:
            self._rings += 1
            self._condition.notify_all()

    def listen(self) -> None:
        """Ring when another process has committed to the file."""
        version = self._store.database.changed()
        if version != self._version:
            self._version = version
            self.ring()

    def reconcile(self) -> None:
        """Nothing gets lost on the way: slots look for themselves."""

    def close(self) -> None:
        """Nobody waits any more."""
        self._is_closed = True
        self.ring()
