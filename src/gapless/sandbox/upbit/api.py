"""Requests to Upbit's quotation API and the replies to them, given a clock."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from random import Random
from urllib.parse import parse_qsl

import msgspec

from gapless.sandbox.clock import SECOND, Clock
from gapless.sandbox.control import PREFIX, Control, Settings, replied
from gapless.sandbox.faults import error_body
from gapless.sandbox.http import Reply, Request
from gapless.sandbox.limits import Limits, Sliding, Verdict, Window
from gapless.sandbox.stats import Seen
from gapless.sandbox.upbit.candles import UNITS, period
from gapless.sandbox.upbit.encoding import with_won
from gapless.sandbox.upbit.listings import catalogue, seconds_of
from gapless.sandbox.upbit.market import Market, World
from gapless.sandbox.upbit.pages import REPLY_BYTES, Page, Pages, Shelf
from gapless.sandbox.upbit.query import CANDLES, Query, Wrong, details_of, query_of
from gapless.sandbox.upbit.spoils import EDITS

#: Origin is the group of whoever sends that header: one request in ten seconds.
ORIGIN_S = 10.0


class Warming(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"from_": "from"}):
    """Candles to make before they are asked for."""

    market: str
    unit: str
    from_: str
    to: str


class Upbit:
    """Plays the exchange; `answer` is all a server needs."""

    def __init__(self, world: World, settings: Settings | None = None, clock: Clock | None = None) -> None:
        self.world = world
        self.control = Control(settings or Settings(), clock or Clock(), world.seed, _limits, EDITS)
        self._pages = Pages(world)
        self._bodies: Shelf[bytes] = Shelf(REPLY_BYTES)

    def answer(self, request: Request) -> Reply:
        """Answer one request, to the provider or to the sandbox itself."""
        if request.path == PREFIX + "warm":
            return self._warm(request)
        if request.path.startswith(PREFIX):
            return self.control.answer(request)
        monotonic = self.control.clock.monotonic()
        asked = dict(parse_qsl(request.query, keep_blank_values=True))
        reply = Reply(manner="reset") if self.control.settings.down else self._judged(request, asked, monotonic)
        count = asked.get("count")
        seen = Seen(
            path=request.path,
            market=asked.get("market"),
            to=asked.get("to"),
            count=int(count) if count and count.isascii() and count.isdigit() else count,
            status=0 if reply.manner == "reset" else reply.status,
        )
        self.control.stats.count(monotonic, seen, whole=reply.manner in ("whole", "slow"))
        return reply

    def _judged(self, request: Request, asked: dict[str, str], monotonic: float) -> Reply:
        """The reply, or the refusal of one request too many."""
        group = _group(request)
        verdict = self.control.limits.ask(group, monotonic, self.control.clock.wall())
        headers = {
            "date": _http_date(self.control.date_us() // SECOND),
            "content-type": "application/json;charset=UTF-8",
        }
        if not verdict.blocked_s:
            headers["remaining-req"] = f"group={group}; min=600; sec={verdict.left}"
        blank = Reply(headers=headers, delay_s=self.control.settings.latency_ms / 1_000)
        if verdict.status != 200:
            return _with(blank, _refusal(verdict), verdict.status)
        try:
            return self._quoted(request, asked, blank)
        except Wrong as wrong:
            return _with(blank, error_body(wrong.status, wrong.message), wrong.status)

    def _quoted(self, request: Request, asked: dict[str, str], blank: Reply) -> Reply:
        if request.method != "GET":
            raise Wrong(405, "Method not allowed")
        now_us = self.control.clock.now_us()
        if request.path == "/v1/market/all":
            listed = catalogue(self.world, now_us // SECOND, details=details_of(asked))
            return self.control.faults.spoil(_with(blank, listed), None, [], 0)
        if not request.path.startswith(CANDLES):
            raise Wrong(404, "Not found")
        return self._candles(query_of(request.path, asked), blank, now_us)

    def _candles(self, query: Query, blank: Reply, now_us: int) -> Reply:
        market = self.world.markets.get(query.market)
        if market is None or market.listed * SECOND > now_us:
            raise Wrong(404, "Code not found")
        if not (len(self.control.faults) or query.won):
            return _with(blank, self._body(market, query, now_us))
        rows = self._page(market, query, now_us).rows()
        if query.won:
            rows = with_won(self.world, market, rows, now_us)
        body = b"[" + b",".join(row for _, row in rows) + b"]"
        open_from, _ = period(query.unit, now_us // SECOND)
        return self.control.faults.spoil(_with(blank, body), market.name, rows, open_from)

    def _body(self, market: Market, query: Query, now_us: int) -> bytes:
        """A page without faults; kept when all its candles are closed and no retention moves."""
        closed = query.unit.step != 1 and query.before <= period(query.unit, now_us // SECOND)[0]
        body = self._bodies.get(query) if closed else None
        if body is None:
            body = self._page(market, query, now_us).body()
            if closed:
                self._bodies.put(query, body, 400 + len(body))
        return body

    def _page(self, market: Market, query: Query, now_us: int) -> Page:
        return self._pages.page(market, query.unit, query.before, query.count, now_us)

    def _warm(self, request: Request) -> Reply:
        try:
            what = msgspec.json.decode(request.body, type=Warming)
            market, unit = self.world.markets[what.market], UNITS[what.unit]
            blocks, rows = self._pages.warm(market, unit, seconds_of(what.from_), seconds_of(what.to))
        except (msgspec.MsgspecError, ValueError, KeyError) as error:
            return replied({"error": str(error)}, status=400)
        return replied({"blocks": blocks, "rows": rows})


def _limits(new_window: Callable[[], Window]) -> Limits:
    """All candle units share one window; market/all has its own."""
    origin = Sliding(1, 0.0, Random(0), ORIGIN_S)
    return Limits({"candles": new_window(), "market": new_window(), "origin": origin})


def _group(request: Request) -> str:
    if "origin" in request.headers:
        return "origin"
    return "candles" if request.path.startswith(CANDLES) else "market"


def _refusal(verdict: Verdict) -> bytes:
    if verdict.status == 429:
        return error_body("too_many_requests", "Too many API requests.")
    return error_body(418, f"Too many API requests. This address is blocked for {verdict.blocked_s} seconds.")


def _with(blank: Reply, body: bytes, status: int = 200) -> Reply:
    return Reply(status=status, body=body, headers=blank.headers, delay_s=blank.delay_s)


@lru_cache(maxsize=4)
def _http_date(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
