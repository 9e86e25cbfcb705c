"""What can be seen and changed of the simulated KRX while it runs."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, ClassVar

import msgspec
from msgspec import UNSET, UnsetType

from gapless.sandbox.clock import Clock
from gapless.sandbox.control import Change, Common, Panel
from gapless.sandbox.stats import Counters

Count = Annotated[int, msgspec.Meta(ge=0)]


class Settings(Common, frozen=True, kw_only=True):
    """How the simulated KRX behaves."""

    LIMITING: ClassVar[frozenset[str]] = frozenset({"quota"})

    #: Calls of a key in a Korean day; 0 is no limit.
    quota: Count = 10_000
    #: The next days of trading that shall not be told yet, as `20240603`.
    late: tuple[str, ...] = ()


class Order(Change, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to change; what is not named stays."""

    quota: Count | UnsetType = UNSET
    late: tuple[str, ...] | UnsetType = UNSET


class Seen(msgspec.Struct, frozen=True):
    """A request and its answer."""

    path: str
    day: str | None
    #: 0 when the connection was cut instead.
    status: int


class Stats(Counters):
    """Requests by service."""

    def reset(self) -> None:
        super().reset()
        self._paths: Counter[str] = Counter()

    def count(self, monotonic: float, seen: Seen, *, whole: bool) -> None:
        """Add a request that came at `monotonic` seconds; `whole` when a complete body went out."""
        self.add(monotonic, seen.status, seen, whole=whole)
        self._paths[seen.path] += 1

    def shown(self, *, log: bool) -> dict[str, object]:
        return super().shown(log=log) | {"by_endpoint": self._paths}


class KrxPanel(Panel[Settings, Stats]):
    """Its panel. A change of the quota forgets what keys have used."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        super().__init__(settings, clock, Stats(), Order, {}, {})
        self.renew()

    def renew(self) -> None:
        self._used: Counter[tuple[str, str]] = Counter()

    def has_quota(self, key: str, day: str) -> bool:
        """Count a call of a key, unless its quota of that day is spent."""
        if self.settings.quota and self._used[key, day] >= self.settings.quota:
            return False
        self._used[key, day] += 1
        return True
