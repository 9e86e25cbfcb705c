"""What can be seen and changed of the simulated Naver while it runs."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, ClassVar

import msgspec
from msgspec import UNSET, UnsetType

from gapless.sandbox.clock import Clock
from gapless.sandbox.control import Change, Common, Panel
from gapless.sandbox.faults import Fault, Spoil
from gapless.sandbox.http import Reply
from gapless.sandbox.stats import Counters

Count = Annotated[int, msgspec.Meta(ge=0)]


class Settings(Common, frozen=True, kw_only=True):
    """How the simulated Naver behaves."""

    LIMITING: ClassVar[frozenset[str]] = frozenset({"quota"})

    #: Requests of a key in a Korean day; 0 is no limit.
    quota: Count = 25_000
    #: So many milliseconds pass on the clock with each request: articles arrive while a list is read.
    arrival_ms: Count = 0
    #: So many of the newest articles have been taken away.
    removed: Count = 0


class Order(Change, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to change; what is not named stays."""

    quota: Count | UnsetType = UNSET
    arrival_ms: Count | UnsetType = UNSET
    removed: Count | UnsetType = UNSET


class Seen(msgspec.Struct, frozen=True):
    """A request and its answer."""

    path: str
    query: str
    start: str
    told: int
    #: Of HTTP; 0 when the connection was cut instead.
    status: int


def _missing(reply: Reply, fault: Fault) -> Reply:  # noqa: ARG001  the form of a spoil
    """No item tells when it was published."""
    return msgspec.structs.replace(reply, body=reply.body.replace(b'"pubDate"', b'"date"'))


def _malformed(reply: Reply, fault: Fault) -> Reply:  # noqa: ARG001  the form of a spoil
    """Every item was published at a time that is none."""
    return msgspec.structs.replace(reply, body=reply.body.replace(b" +0900", b" soon"))


SPOILS: dict[str, Spoil] = {"missing_field": _missing, "malformed_row": _malformed}


class NaverPanel(Panel[Settings, Counters]):
    """Its panel. A change of limits forgets what keys have used."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        super().__init__(settings, clock, Counters(), Order, {}, SPOILS)
        self.renew()

    def renew(self) -> None:
        self._used: Counter[tuple[str, int]] = Counter()

    def admits(self, key: str, day: int) -> bool:
        """Count a request of a key on a Korean day."""
        self._used[key, day] += 1
        return not self.settings.quota or self._used[key, day] <= self.settings.quota
