"""The clocks of a sandbox: one for the data, which may be set, and two real ones for rate limits."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

SECOND = 1_000_000


def instant(text: str) -> int:
    """Microseconds UTC of an ISO date or date-time; without an offset it is UTC."""
    at = datetime.fromisoformat(text)
    at = at.replace(tzinfo=UTC) if at.tzinfo is None else at
    return round(at.timestamp()) * SECOND + at.microsecond


def iso(at_us: int) -> str:
    """`2026-01-01T00:00:00.000000Z`."""
    at = datetime.fromtimestamp(at_us // SECOND, UTC).replace(microsecond=at_us % SECOND)
    return at.isoformat(timespec="microseconds").replace("+00:00", "Z")


class Clock:
    """The present of the data. It runs in real time, shifted or not, unless it is frozen."""

    def __init__(
        self,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.wall = wall
        self.monotonic = monotonic
        self._shift_us = 0
        self._held_us: int | None = None

    def now_us(self) -> int:
        """Microseconds UTC."""
        return self._real_us() + self._shift_us if self._held_us is None else self._held_us

    def set(self, at_us: int | None) -> None:
        """Make it `at_us` now; None is the real present."""
        self._shift_us = 0 if at_us is None else at_us - self._real_us()
        if self._held_us is not None:
            self._held_us = self._real_us() if at_us is None else at_us

    def freeze(self, held: bool) -> None:
        """Stop the clock, or let it run on from where it stands."""
        now = self.now_us()
        self._shift_us = now - self._real_us()
        self._held_us = now if held else None

    def advance(self, by_us: int) -> None:
        """Move the clock; backwards with a negative number."""
        self._shift_us += by_us
        if self._held_us is not None:
            self._held_us += by_us

    def _real_us(self) -> int:
        return round(self.wall() * SECOND)
