"""What can be seen and changed of a sandbox while it runs: `/_sandbox/control` and `/_sandbox/stats`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from random import Random
from typing import Annotated, ClassVar, Generic, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from gapless.sandbox.clock import Clock, instant, iso
from gapless.sandbox.faults import Edit, Fault, Faults, Spoil
from gapless.sandbox.http import Reply, Request
from gapless.sandbox.limits import Kind, Limits, Window, window
from gapless.sandbox.stats import Counters, Stats

PREFIX = "/_sandbox/"
_JSON = {"content-type": "application/json"}
NotNegative = Annotated[float, msgspec.Meta(ge=0)]


class Common(msgspec.Struct, frozen=True, kw_only=True):
    """How any provider behaves."""

    #: The settings whose change begins all counting anew.
    LIMITING: ClassVar[frozenset[str]] = frozenset()

    #: How late every reply comes.
    latency_ms: NotNegative = 0
    #: Cut every connection that asks for anything but the sandbox itself.
    down: bool = False
    #: How far the `Date` header is ahead of the clock.
    date_skew_ms: float = 0


class Settings(Common, frozen=True, kw_only=True):
    """How a provider with limits a second behaves."""

    LIMITING: ClassVar[frozenset[str]] = frozenset({"rate", "window", "jitter_ms"})

    #: Requests a second and group; 0 is no limit.
    rate: Annotated[int, msgspec.Meta(ge=0)] = 10
    window: Kind = "clock"
    #: The most by which a window is stretched.
    jitter_ms: Annotated[float, msgspec.Meta(ge=0, le=50)] = 20


class Change(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to change of any provider; what is not named stays."""

    latency_ms: NotNegative | UnsetType = UNSET
    down: bool | UnsetType = UNSET
    date_skew_ms: float | UnsetType = UNSET
    #: The moment it shall be; null is the real present.
    now: str | UnsetType | None = UNSET
    freeze: bool | UnsetType = UNSET
    advance_ms: float = 0
    reset_stats: bool = False
    #: All faults from now on.
    faults: list[Fault] | UnsetType = UNSET


class Order(Change, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to change of a provider with limits a second."""

    rate: Annotated[int, msgspec.Meta(ge=0)] | UnsetType = UNSET
    window: Kind | UnsetType = UNSET
    jitter_ms: Annotated[float, msgspec.Meta(ge=0, le=50)] | UnsetType = UNSET


S = TypeVar("S", bound=Common)
C = TypeVar("C", bound=Counters)


class Panel(ABC, Generic[S, C]):
    """The state of a sandbox beside its data. A change of limits begins all counting anew."""

    def __init__(
        self,
        settings: S,
        clock: Clock,
        stats: C,
        order: type[Change],
        edits: Mapping[str, Edit],
        spoils: Mapping[str, Spoil],
    ) -> None:
        self.settings = settings
        self.clock = clock
        self.stats = stats
        self._order = order
        self._edits = edits
        self._spoils = spoils
        self.faults = Faults([], edits, spoils)

    def answer(self, request: Request) -> Reply:
        """Answer a request to the sandbox itself."""
        route = request.path.removeprefix(PREFIX)
        if (request.method, route) == ("GET", "stats"):
            return replied(self.stats.shown(log="log=1" in request.query.split("&")))
        if (request.method, route) != ("POST", "control"):
            return replied({"error": "there is GET stats, POST control and POST warm"}, status=404)
        try:
            order = msgspec.json.decode(request.body, type=self._order)
            self.obey(order)
        except (msgspec.MsgspecError, ValueError) as error:
            return replied({"error": str(error)}, status=400)
        return msgspec.structs.replace(replied(self.shown()), alone=order.down is True)

    def obey(self, order: Change) -> None:
        """Change what the order names; raises `ValueError` before anything is changed."""
        now = instant(order.now) if isinstance(order.now, str) else None
        if order.faults is not UNSET:
            self.faults = Faults(order.faults, self._edits, self._spoils)
        if order.freeze is not UNSET:
            self.clock.freeze(order.freeze)
        if order.now is not UNSET:
            self.clock.set(now)
        self.clock.advance(round(order.advance_ms * 1_000))
        if order.reset_stats:
            self.stats.reset()
        named = {name: getattr(order, name) for name in self.settings.__struct_fields__}
        changed = {name: value for name, value in named.items() if value is not UNSET}
        self.settings = msgspec.structs.replace(self.settings, **changed)
        if changed.keys() & self.settings.LIMITING:
            self.renew()

    @abstractmethod
    def renew(self) -> None:
        """Begin all counting anew, by the settings in force."""

    def shown(self) -> dict[str, object]:
        """The settings in force."""
        now = iso(self.clock.now_us())
        return {"now": now, "faults": len(self.faults), **msgspec.structs.asdict(self.settings)}

    def date_us(self) -> int:
        """What the `Date` header tells."""
        return self.clock.now_us() + round(self.settings.date_skew_ms * 1_000)


class Control(Panel[Settings, Stats]):
    """The panel of a provider with limits a second. A change of limits begins new windows and lifts bans."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        seed: int,
        limits: Callable[[Callable[[], Window]], Limits],
        edits: Mapping[str, Edit],
    ) -> None:
        super().__init__(settings, clock, Stats(), Order, edits, {})
        self._rng = Random(seed)
        self._new_limits = limits
        self.renew()

    def renew(self) -> None:
        its = self.settings
        self.limits = self._new_limits(lambda: window(its.window, its.rate, its.jitter_ms / 1_000, self._rng))


def replied(value: object, *, status: int = 200) -> Reply:
    """A JSON reply."""
    return Reply(status=status, body=msgspec.json.encode(value), headers=_JSON)
