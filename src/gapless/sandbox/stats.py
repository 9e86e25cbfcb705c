"""What clients did: counters, the busiest second, and a bounded log."""

from __future__ import annotations

from collections import Counter, deque

import msgspec

LOG_ENTRIES = 100_000


class Seen(msgspec.Struct, frozen=True):
    """A request and its answer; the parameters as they were sent."""

    path: str
    market: str | None
    to: str | None
    count: int | str | None
    #: 0 when the connection was cut instead.
    status: int


class Counters:
    """Counts requests to a provider; those to the sandbox itself are none."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Begin anew."""
        self._statuses: Counter[int] = Counter()
        self._bodies = 0
        self._second: deque[float] = deque()
        self._busiest = 0
        self._log: deque[tuple[float, msgspec.Struct]] = deque(maxlen=LOG_ENTRIES)

    def add(self, monotonic: float, status: int, seen: msgspec.Struct, *, whole: bool) -> None:
        """Count a request that came at `monotonic` seconds; `whole` when a complete body went out."""
        self._statuses[status] += 1
        self._bodies += whole
        self._second.append(monotonic)
        while self._second[0] <= monotonic - 1:
            self._second.popleft()
        self._busiest = max(self._busiest, len(self._second))
        self._log.append((monotonic, seen))

    def shown(self, *, log: bool) -> dict[str, object]:
        """All counters; with `log` also the time and the fields of each request."""
        shown: dict[str, object] = {
            "requests": self._statuses.total(),
            "by_status": {str(status): count for status, count in self._statuses.items()},
            "bodies": self._bodies,
            "max_per_second": self._busiest,
        }
        if log:
            shown["log"] = [[at, *msgspec.structs.astuple(seen)] for at, seen in self._log]
        return shown


class Stats(Counters):
    """Those of a provider of markets that refuses with 429 and 418; the log tells the fields of `Seen`."""

    def reset(self) -> None:
        super().reset()
        self._markets: Counter[str] = Counter()

    def count(self, monotonic: float, seen: Seen, *, whole: bool) -> None:
        """Add a request that came at `monotonic` seconds; `whole` when a complete body went out."""
        self.add(monotonic, seen.status, seen, whole=whole)
        if seen.market is not None:
            self._markets[seen.market] += 1

    def shown(self, *, log: bool) -> dict[str, object]:
        refused = {"refused_429": self._statuses[429], "refused_418": self._statuses[418]}
        return super().shown(log=log) | {"by_market": self._markets} | refused
