"""Rate limits as providers count them: windows per group, refusals, and bans for those who go on."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from random import Random
from typing import Literal, Protocol

import msgspec

Kind = Literal["clock", "sliding"]
#: What is said to be left where nothing is limited.
PLENTY = 1_000_000
#: This many refusals within STRIKE_S seconds are forgiven; the next one bans.
STRIKES = 3
STRIKE_S = 5.0
BAN_S = 5.0


class Window(Protocol):
    """Counts the requests of one group."""

    def take(self, monotonic: float, wall: float) -> int | None:
        """Requests left after this one; None refuses it, and a refused request is not counted."""
        ...


class Unlimited:
    """No limit at all."""

    def take(self, monotonic: float, wall: float) -> int | None:  # noqa: ARG002
        return PLENTY


class ClockSecond:
    """`rate` requests in each second of the wall clock; every edge comes up to `jitter_s` late."""

    def __init__(self, rate: int, jitter_s: float, rng: Random) -> None:
        self._rate, self._jitter_s, self._rng = rate, jitter_s, rng
        self._edge = -math.inf
        self._used = 0

    def take(self, monotonic: float, wall: float) -> int | None:  # noqa: ARG002
        # An edge far ahead means that the wall clock was set back.
        if wall >= self._edge or wall < self._edge - 2:
            self._edge = math.floor(wall) + 1 + self._rng.uniform(0, self._jitter_s)
            self._used = 0
        if self._used >= self._rate:
            return None
        self._used += 1
        return self._rate - self._used


class Sliding:
    """`rate` requests in any `span_s` seconds, stretched by up to `jitter_s` anew for each request."""

    def __init__(self, rate: int, jitter_s: float, rng: Random, span_s: float = 1.0) -> None:
        self._rate, self._jitter_s, self._rng, self._span_s = rate, jitter_s, rng, span_s
        self._taken: deque[float] = deque()

    def take(self, monotonic: float, wall: float) -> int | None:  # noqa: ARG002
        oldest = monotonic - self._span_s - self._rng.uniform(0, self._jitter_s)
        while self._taken and self._taken[0] <= oldest:
            self._taken.popleft()
        if len(self._taken) >= self._rate:
            return None
        self._taken.append(monotonic)
        return self._rate - len(self._taken)


class Verdict(msgspec.Struct, frozen=True):
    """What becomes of a request."""

    status: Literal[200, 418, 429]
    #: Requests left in the window.
    left: int = 0
    #: Whole seconds until a ban ends.
    blocked_s: int = 0


class Limits:
    """All windows of one address, and its bans: each one twice as long as the one before."""

    def __init__(self, windows: Mapping[str, Window]) -> None:
        self._windows = windows
        self._strikes: deque[float] = deque()
        self._banned_until = -math.inf
        self._ban_s = BAN_S

    def ask(self, group: str, monotonic: float, wall: float) -> Verdict:
        """Count a request of `group` and judge it; `monotonic` and `wall` are in seconds."""
        if monotonic < self._banned_until:
            return self._blocked(monotonic)
        left = self._windows[group].take(monotonic, wall)
        if left is not None:
            return Verdict(200, left)
        return self._refuse(monotonic)

    def _refuse(self, monotonic: float) -> Verdict:
        self._strikes.append(monotonic)
        while self._strikes[0] <= monotonic - STRIKE_S:
            self._strikes.popleft()
        if len(self._strikes) <= STRIKES:
            return Verdict(429)
        self._strikes.clear()
        self._banned_until = monotonic + self._ban_s
        self._ban_s *= 2
        return self._blocked(monotonic)

    def _blocked(self, monotonic: float) -> Verdict:
        return Verdict(418, blocked_s=math.ceil(self._banned_until - monotonic))


def window(kind: Kind, rate: int, jitter_s: float, rng: Random) -> Window:
    """A window of one second; rate 0 is no limit."""
    if not rate:
        return Unlimited()
    return ClockSecond(rate, jitter_s, rng) if kind == "clock" else Sliding(rate, jitter_s, rng)
