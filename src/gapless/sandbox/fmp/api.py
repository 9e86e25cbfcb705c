"""Requests to Financial Modeling Prep and the replies to them, given a clock.

Chosen, because the notes are silent: the path is looked at before the key, the key before the limit, the limit before
the plan; a refused request counts for no limit; days are those of UTC, minutes those of real time. Keys that begin
with `bad` are unknown.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from functools import lru_cache
from random import Random
from typing import Annotated, ClassVar, Literal
from urllib.parse import parse_qsl

import msgspec
from msgspec import UNSET, UnsetType

from gapless.sandbox.clock import SECOND, Clock
from gapless.sandbox.control import PREFIX, Change, Common, Panel
from gapless.sandbox.faults import Fault, Spoil
from gapless.sandbox.fmp.world import Company, World
from gapless.sandbox.http import Reply, Request
from gapless.sandbox.limits import Sliding
from gapless.sandbox.stats import Counters

KEY = "5a" * 16
JSON, TEXT = {"content-type": "application/json"}, {"content-type": "text/plain; charset=utf-8"}
ROWS = 5_000
Count = Annotated[int, msgspec.Meta(ge=0)]
PlanName = Literal["basic", "starter", "premium", "ultimate"]
LIMIT = "Limit Reach . Please upgrade your plan or visit our documentation for more details"
_ERROR = '{{"Error Message":"{}"}}'


class Plan(msgspec.Struct, frozen=True):
    """What a plan covers."""

    per_minute: int
    daily: int
    #: Endings of symbols; empty is the United States.
    markets: tuple[str, ...]
    most: int


PLANS: dict[str, Plan] = {
    "basic": Plan(0, 250, ("",), 5),
    "starter": Plan(300, 0, ("",), 10_000),
    "premium": Plan(750, 0, ("", "L", "TO"), 10_000),
    "ultimate": Plan(3_000, 0, ("", "L", "TO", "KS", "KQ", "T"), 10_000),
}


class Settings(Common, frozen=True, kw_only=True):
    """How the simulated provider behaves."""

    LIMITING: ClassVar[frozenset[str]] = frozenset({"plan", "minute_s", "unlimited"})

    plan: PlanName = "premium"
    #: Real seconds that a minute of the limit takes: less plays a long run in a short time.
    minute_s: Annotated[float, msgspec.Meta(gt=0)] = 60.0
    unlimited: bool = False
    #: Questions and companies that the plan does not cover, as `path` or `path:SYMBOL` or `:SYMBOL`.
    uncovered: tuple[str, ...] = ()
    #: Companies whose answers are an error object at HTTP status 200.
    broken: tuple[str, ...] = ()


class Order(Change, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to change; what is not named stays."""

    plan: PlanName | UnsetType = UNSET
    minute_s: Annotated[float, msgspec.Meta(gt=0)] | UnsetType = UNSET
    unlimited: bool | UnsetType = UNSET
    uncovered: tuple[str, ...] | UnsetType = UNSET
    broken: tuple[str, ...] | UnsetType = UNSET


class Seen(msgspec.Struct, frozen=True):
    """A request and its answer."""

    path: str
    symbol: str
    #: `to` or `page`, where one was asked for.
    mark: str
    status: int


def _missing(reply: Reply, fault: Fault) -> Reply:  # noqa: ARG001  the form of a spoil
    """No record has a day."""
    return msgspec.structs.replace(reply, body=reply.body.replace(b'"date"', b'"day"'))


SPOILS: dict[str, Spoil] = {"missing_field": _missing}


class FmpPanel(Panel[Settings, Counters]):
    """Its panel. A change of limits forgets what was used."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        super().__init__(settings, clock, Counters(), Order, {}, SPOILS)
        self.renew()

    def renew(self) -> None:
        plan = PLANS[self.settings.plan]
        self._minute = Sliding(plan.per_minute, 0.0, Random(0), self.settings.minute_s)
        self._used = (0, 0)

    def admits(self) -> bool:
        """Count a request against minute and day."""
        plan, monotonic = PLANS[self.settings.plan], self.clock.monotonic()
        if self.settings.unlimited:
            return True
        day = self.clock.now_us() // (86_400 * SECOND)
        used = self._used[1] if self._used[0] == day else 0
        if plan.daily and used >= plan.daily:
            return False
        self._used = (day, used + 1)
        return not plan.per_minute or self._minute.take(monotonic, monotonic) is not None


class Refused(Exception):
    """Answered with this status and text."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(status)
        self.status = status
        self.text = text


class Fmp:
    """Plays the provider; `answer` is all a server needs."""

    def __init__(self, world: World, settings: Settings | None = None, clock: Clock | None = None) -> None:
        self.world = world
        self.panel = FmpPanel(settings or Settings(), clock or Clock())
        self._body = lru_cache(maxsize=1_024)(self._made)

    def answer(self, request: Request) -> Reply:
        """Answer one request, to the provider or to the sandbox itself."""
        if request.path.startswith(PREFIX):
            return self.panel.answer(request)
        monotonic, its = self.panel.clock.monotonic(), self.panel.settings
        asked = dict(parse_qsl(request.query, keep_blank_values=True))
        symbol = asked.get("symbol", "")
        reply = Reply(manner="reset") if its.down else self._replied(request, asked)
        if len(self.panel.faults):
            reply = self.panel.faults.spoil(reply, symbol, [], 0, request.path)
        status = 0 if reply.manner == "reset" else reply.status
        seen = Seen(request.path, symbol, asked.get("to", asked.get("page", "")), status)
        self.panel.stats.add(monotonic, status, seen, whole=reply.manner in ("whole", "slow"))
        return reply

    def _replied(self, request: Request, asked: dict[str, str]) -> Reply:
        try:
            status, body, headers = 200, self._answered(request, asked), JSON
        except Refused as refused:
            plain = refused.status == 402
            text = refused.text if plain else _ERROR.format(refused.text)
            status, body, headers = refused.status, text.encode(), TEXT if plain else JSON
        date_us = self.panel.date_us()
        said = datetime.fromtimestamp(date_us // SECOND, UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
        late = self.panel.settings.latency_ms / 1_000
        return Reply(status=status, body=body, headers=headers | {"date": said}, delay_s=late)

    def _answered(self, request: Request, asked: dict[str, str]) -> bytes:
        if re.match(r"/api/v[34]/", request.path):
            raise Refused(403, "Legacy Endpoint : Due to Legacy endpoints being no longer supported.")
        path = request.path.removeprefix("/stable/")
        if path not in TELLS or request.method != "GET":
            raise Refused(404, "Not Found")
        key = request.headers.get("apikey") or asked.get("apikey", "")
        if not key or key.startswith("bad"):
            raise Refused(401, "Invalid API KEY. Feel free to create a Free API Key or visit our documentation.")
        if not self.panel.admits():
            raise Refused(429, LIMIT)
        symbol = asked.get("symbol", "")
        self._cover(path, symbol, asked)
        if symbol in self.panel.settings.broken:
            return _ERROR.format("Error: something went wrong on our side.").encode()
        today = datetime.fromtimestamp(self.panel.clock.now_us() // SECOND, UTC).date()
        said = tuple(asked.get(name, "") for name in ("from", "to", "page", "limit"))
        return self._body(path, symbol, said, today)

    def _cover(self, path: str, symbol: str, asked: dict[str, str]) -> None:
        its = self.panel.settings
        plan = PLANS[its.plan]
        if {path, f"{path}:{symbol}", f":{symbol}"} & set(its.uncovered):
            raise Refused(402, "Restricted Endpoint: This endpoint is not available under your current subscription.")
        if symbol.partition(".")[2] not in plan.markets:
            raise Refused(402, "Premium Query Parameter: 'symbol' is not available under your current subscription.")
        if int(asked.get("limit", "1")) > plan.most:
            raise Refused(402, "Premium Query Parameter: 'limit' must be between 0 and 5.")

    def _made(self, path: str, symbol: str, said: tuple[str, ...], today: date) -> bytes:
        company = self.world.company(symbol)
        if company is None:
            return b"[]"
        start, end, page, limit = said
        if path.startswith("historical-price-eod"):
            first, last = start or "1900-01-01", min(end or "9999", today.isoformat())
            told = [
                {"symbol": symbol, "date": at, "adjOpen": close, "adjClose": close, "volume": 1_000}
                for at, close in ((day.isoformat(), close) for day, close in company.prices)
                if first <= at <= last
            ]
            return msgspec.json.encode(told[::-1][:ROWS])
        name, published = TELLS[path]
        found = [one for one in name(company) if str(one[published])[:10] <= today.isoformat()]
        found.reverse()
        size = int(limit or "100")
        skip = int(page or "0") * size if path.endswith("-news") else 0
        return msgspec.json.encode(found[skip : skip + size] if limit else found)


Told = tuple[Callable[[Company], list[dict[str, object]]], str]


def _splits(company: Company) -> list[dict[str, object]]:
    return [{"date": at.isoformat(), "numerator": factor, "denominator": 1} for at, factor in company.splits]


#: What each path tells, and the field with the day from which it is told.
TELLS: dict[str, Told] = {
    "historical-price-eod/non-split-adjusted": (lambda one: [], "date"),  # noqa: ARG005  told by itself
    "splits": (_splits, "date"),
    "income-statement": (lambda one: one.quarters, "filingDate"),
    "balance-sheet-statement": (lambda one: one.quarters, "filingDate"),
    "earnings": (lambda one: one.earnings, "date"),
    "price-target-news": (lambda one: one.targets, "publishedDate"),
    "grades": (lambda one: one.grades, "date"),
}
