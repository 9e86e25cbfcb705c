"""What can be seen and changed of the simulated GDELT while it runs."""

from __future__ import annotations

from typing import ClassVar

import msgspec
from msgspec import UNSET, UnsetType

from gapless.sandbox.clock import Clock
from gapless.sandbox.control import Change, Common, NotNegative, Panel
from gapless.sandbox.faults import Fault, Spoil
from gapless.sandbox.http import PHRASES, Reply
from gapless.sandbox.stats import Counters

TEXT = {"content-type": "text/html; charset=utf-8"}


class Settings(Common, frozen=True, kw_only=True):
    """How the simulated GDELT behaves."""

    LIMITING: ClassVar[frozenset[str]] = frozenset({"interval_s", "sticky_s"})

    #: Seconds between requests of an address; 0 is no limit.
    interval_s: NotNegative = 5.0
    #: Who comes too early is refused for so long, anew with each request in it.
    sticky_s: NotNegative = 0.0
    #: Whether a refusal comes with HTTP status 200, as it sometimes does.
    soft: bool = False


class Order(Change, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to change; what is not named stays."""

    interval_s: NotNegative | UnsetType = UNSET
    sticky_s: NotNegative | UnsetType = UNSET
    soft: bool | UnsetType = UNSET


class Seen(msgspec.Struct, frozen=True):
    """A request and its answer."""

    query: str
    start: str
    end: str
    #: Articles told; -1 where it was no list.
    told: int
    #: Of HTTP; 0 when the connection was cut instead.
    status: int


class Throttle:
    """One address: a pause between requests, longer for those who do not keep it."""

    def __init__(self, interval_s: float, sticky_s: float) -> None:
        self._interval_s, self._sticky_s = interval_s, sticky_s
        self._open_at = float("-inf")

    def admits(self, monotonic: float) -> bool:
        """Count a request that came at `monotonic` seconds."""
        if monotonic < self._open_at:
            self._open_at = max(self._open_at, monotonic + self._sticky_s)
            return False
        self._open_at = monotonic + self._interval_s
        return True


def _status(reply: Reply, fault: Fault) -> Reply:
    status = fault.status or 500
    return msgspec.structs.replace(reply, status=status, body=PHRASES.get(status, "Error").encode(), headers=TEXT)


def _missing(reply: Reply, fault: Fault) -> Reply:  # noqa: ARG001  the form of a spoil
    """No article tells when it was seen."""
    return msgspec.structs.replace(reply, body=reply.body.replace(b'"seendate"', b'"date"'))


def _malformed(reply: Reply, fault: Fault) -> Reply:  # noqa: ARG001  the form of a spoil
    """Every article was seen on a day that there is not."""
    told = msgspec.json.decode(reply.body) if reply.body.startswith(b'{"articles"') else {"articles": []}
    for one in told["articles"]:
        one["seendate"] = "20260231T000000Z"
    return msgspec.structs.replace(reply, body=msgspec.json.encode(told) if told["articles"] else reply.body)


SPOILS: dict[str, Spoil] = {"status": _status, "missing_field": _missing, "malformed_row": _malformed}


class GdeltPanel(Panel[Settings, Counters]):
    """Its panel. A change of limits forgets who came too early."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        super().__init__(settings, clock, Counters(), Order, {}, SPOILS)
        self.renew()

    def renew(self) -> None:
        self.throttle = Throttle(self.settings.interval_s, self.settings.sticky_s)
