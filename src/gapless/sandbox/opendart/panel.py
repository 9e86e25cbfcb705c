"""What can be seen and changed of the simulated OpenDART while it runs."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, ClassVar

import msgspec
from msgspec import UNSET, UnsetType

from gapless.sandbox.clock import Clock, instant
from gapless.sandbox.control import Change, Common, NotNegative, Panel
from gapless.sandbox.opendart.keys import Keys
from gapless.sandbox.opendart.spoils import SPOILS
from gapless.sandbox.stats import Counters

Count = Annotated[int, msgspec.Meta(ge=0)]


class Closure(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"from_": "from"}):
    """Maintenance in `[from, to)` of the data's clock: status 800, or a page."""

    from_: str
    to: str
    html: bool = False

    def __post_init__(self) -> None:
        if instant(self.from_) >= instant(self.to):
            raise ValueError("maintenance ends after its start")

    def holds(self, now_us: int) -> bool:
        """Whether it is under way."""
        return instant(self.from_) <= now_us < instant(self.to)


class Settings(Common, frozen=True, kw_only=True):
    """How the simulated OpenDART behaves."""

    LIMITING: ClassVar[frozenset[str]] = frozenset({"quota", "per_minute", "block_s"})

    #: Requests of a key in a Korean day; 0 is no limit.
    quota: Count = 20_000
    #: Requests of a key within a minute before it is blocked; 0 is no limit.
    per_minute: Count = 1_000
    block_s: NotNegative = 60
    maintenance: tuple[Closure, ...] = ()


class Order(Change, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to change; what is not named stays."""

    quota: Count | UnsetType = UNSET
    per_minute: Count | UnsetType = UNSET
    block_s: NotNegative | UnsetType = UNSET
    maintenance: tuple[Closure, ...] | UnsetType = UNSET


class Seen(msgspec.Struct, frozen=True):
    """A request and its answer; what is not asked is None."""

    path: str
    corp_code: str | None
    #: bsns_year, or bgn_de..end_de.
    period: str | None
    #: reprt_code or page_no.
    detail: str | None
    #: The last digits of the key.
    key: str
    #: Of HTTP; 0 when the connection was cut instead.
    status: int
    #: Of the body: 000, 013 and so on; empty when it has none.
    code: str


class Stats(Counters):
    """Requests by endpoint, key and status of the body."""

    def reset(self) -> None:
        super().reset()
        self._paths: Counter[str] = Counter()
        self._keys: Counter[str] = Counter()
        self._codes: Counter[str] = Counter()

    def count(self, monotonic: float, seen: Seen, *, whole: bool) -> None:
        """Add a request that came at `monotonic` seconds; `whole` when a complete body went out."""
        self.add(monotonic, seen.status, seen, whole=whole)
        self._paths[seen.path] += 1
        self._keys[seen.key] += 1
        self._codes[seen.code] += 1

    def shown(self, *, log: bool) -> dict[str, object]:
        by = {"by_endpoint": self._paths, "by_key": self._keys, "by_code": self._codes}
        return super().shown(log=log) | by | {"refused_020": self._codes["020"]}


class DartPanel(Panel[Settings, Stats]):
    """Its panel. A change of limits forgets what keys have used."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        super().__init__(settings, clock, Stats(), Order, {}, SPOILS)
        self.renew()

    def renew(self) -> None:
        its = self.settings
        self.keys = Keys(its.quota, its.per_minute, its.block_s)

    def closure(self) -> Closure | None:
        """The maintenance that is under way."""
        now_us = self.clock.now_us()
        return next((one for one in self.settings.maintenance if one.holds(now_us)), None)


def closure_of(text: str) -> Closure:
    """`FROM..TO` or `FROM..TO,html`; raises `ValueError`."""
    span, _, rest = text.partition(",")
    start, dots, end = span.partition("..")
    if not dots or rest not in ("", "html"):
        raise ValueError(f"{text!r}: maintenance is told as FROM..TO or FROM..TO,html")
    return Closure(start, end, rest == "html")
