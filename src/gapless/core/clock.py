"""Time as a value that is passed in: the wall for what is stored, the monotonic clock for waiting."""

from __future__ import annotations

import time
from threading import Condition, Event
from typing import Protocol

from gapless.core.span import SECOND, Instant


class Clock(Protocol):
    """What tells the time and waits."""

    def now(self) -> Instant:
        """Wall time, microseconds UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that only ever grow."""
        ...

    def wait(self, event: Event, seconds: float) -> bool:
        """Wait until the event is set or the time is over; True when it was set."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> Instant:
        return time.time_ns() // 1_000

    def monotonic(self) -> float:
        return time.monotonic()

    def wait(self, event: Event, seconds: float) -> bool:
        return event.wait(max(0.0, seconds))


class ManualClock:
    """A clock that stands still until it is moved; whoever waits on it wakes when its time has come."""

    def __init__(self, now: Instant) -> None:
        self._now = now
        self._moved = Condition()

    def now(self) -> Instant:
        return self._now

    def monotonic(self) -> float:
        return self._now / SECOND

    def advance(self, seconds: float) -> None:
        """Move on and wake all who wait."""
        with self._moved:
            self._now += round(seconds * SECOND)
            self._moved.notify_all()

    def wait(self, event: Event, seconds: float) -> bool:
        until = self._now + seconds * SECOND
        with self._moved:
            while not event.is_set() and self._now < until:
                # The event has no hook into our condition: look at it now and then.
                self._moved.wait(0.01)
        return event.is_set()
