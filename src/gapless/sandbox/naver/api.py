"""Requests to Naver's news search and the replies to them.

Chosen, because the notes are silent: the key is looked at before the parameters; keys of 4 to 40 letters and digits are
registered, those that begin with `bad` are not, and `off` is a key for which the search is not enabled.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from urllib.parse import parse_qsl

import msgspec

from gapless.sandbox.clock import SECOND, Clock
from gapless.sandbox.control import PREFIX
from gapless.sandbox.http import Reply, Request
from gapless.sandbox.naver.panel import NaverPanel, Seen, Settings
from gapless.sandbox.naver.world import Article, World

OLD, HUB = "/v1/search/news.json", "/search/v1/news"
#: Keys that may ask, as `ID:SECRET`.
OLD_KEY = f"{'old' * 6}id:{'s' * 10}"
HUB_KEY = f"{'hub' * 3}0:{'5a' * 20}"
HEADERS = {
    OLD: ("x-naver-client-id", "x-naver-client-secret"),
    HUB: ("x-ncp-apigw-api-key-id", "x-ncp-apigw-api-key"),
}
SEOUL = timezone(timedelta(hours=9))


class Refused(Exception):
    """The request is answered with this status and body."""

    def __init__(self, status: int, body: object) -> None:
        super().__init__(status)
        self.status = status
        self.body = body


class Naver:
    """Plays the news search; `answer` is all a server needs."""

    def __init__(self, world: World, settings: Settings | None = None, clock: Clock | None = None) -> None:
        self.world = world
        self.panel = NaverPanel(settings or Settings(), clock or Clock())

    def answer(self, request: Request) -> Reply:
        """Answer one request, to the provider or to the sandbox itself."""
        if request.path.startswith(PREFIX):
            return self.panel.answer(request)
        monotonic, its = self.panel.clock.monotonic(), self.panel.settings
        self.panel.clock.advance(its.arrival_ms * 1_000)
        asked = dict(parse_qsl(request.query, keep_blank_values=True))
        reply, told = (Reply(manner="reset"), 0) if its.down else self._replied(request, asked)
        reply = self.panel.faults.spoil(reply, asked.get("query"), [], 0, request.path)
        status = 0 if reply.manner == "reset" else reply.status
        seen = Seen(request.path, asked.get("query", ""), asked.get("start", ""), told, status)
        self.panel.stats.add(monotonic, status, seen, whole=reply.manner in ("whole", "slow"))
        return reply

    def _replied(self, request: Request, asked: dict[str, str]) -> tuple[Reply, int]:
        """The reply, and how many items it tells."""
        told = 0
        body: object
        try:
            self._admit(request)
            body, told = self._list(asked)
            status = 200
        except Refused as refused:
            status, body = refused.status, refused.body
        date = datetime.fromtimestamp(self.panel.date_us() // SECOND, UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
        kind = "text/plain;charset=UTF-8" if request.path == HUB else "application/json;charset=UTF-8"
        reply = Reply(
            status=status,
            body=msgspec.json.encode(body),
            headers={"date": date, "content-type": kind},
            delay_s=self.panel.settings.latency_ms / 1_000,
        )
        return reply, told

    def _admit(self, request: Request) -> None:
        """Look at path and key and count the request."""
        names = HEADERS.get(request.path)
        if names is None or request.method != "GET":
            raise Refused(404, {"errorMessage": "Invalid search api", "errorCode": "SE05"})
        key, secret = (request.headers.get(name, "") for name in names)
        hub = request.path == HUB
        if key.startswith("off"):
            raise Refused(401, _hub(401, "Permission Denied") if hub else _old("024", "Scope Status Invalid"))
        if not key or key.startswith("bad") or len(secret) != (40 if hub else 10):
            said = "NID AUTH Result Invalid (1000) : Authentication failed. (인증에 실패했습니다.)"
            raise Refused(401, _hub("200", "Authentication Failed") if hub else _old("024", said))
        day = datetime.fromtimestamp(self.panel.clock.now_us() // SECOND, SEOUL).toordinal()
        if not self.panel.admits(key, day):
            raise Refused(429, _hub("400", "Quota Exceeded") if hub else _old("010", "Query limit exceeded"))

    def _list(self, asked: dict[str, str]) -> tuple[object, int]:
        query = asked.get("query", "").strip()
        if not query:
            raise Refused(400, _old("SE01", "Incorrect query request (잘못된 쿼리요청입니다.)"))
        display, start = (
            _number(asked, name, usual, most, code)
            for name, usual, most, code in (("display", 10, 100, "SE02"), ("start", 1, 1_000, "SE03"))
        )
        if asked.get("sort", "sim") not in ("sim", "date"):
            raise Refused(400, _old("SE04", "Invalid sort value (부적절한 sort 값입니다.)"))
        now, gone = self.panel.clock.now_us(), self.panel.settings.removed
        found = self.world.newest(query, now, gone + start - 1, display)
        at = datetime.fromtimestamp(now // SECOND, SEOUL)
        body = {
            "lastBuildDate": _rfc822(at),
            "total": max(0, self.world.total(query, now) - gone),
            "start": start,
            "display": len(found),
            "items": [_item(one) for one in found],
        }
        return body, len(found)


def _item(one: Article) -> dict[str, str]:
    at = datetime.fromtimestamp(one.published_us // SECOND, SEOUL)
    said = {"title": one.title, "originallink": one.original, "link": one.link}
    return said | {"description": "…", "pubDate": _rfc822(at)}


def _rfc822(at: datetime) -> str:
    return at.strftime("%a, %d %b %Y %H:%M:%S +0900")


def _number(asked: dict[str, str], name: str, usual: int, most: int, code: str) -> int:
    text = asked.get(name) or str(usual)
    if not text.isdecimal() or not 1 <= int(text) <= most:
        raise Refused(400, _old(code, f"Invalid {name} value (부적절한 {name} 값입니다.)"))
    return int(text)


def _old(code: str, message: str) -> dict[str, str]:
    return {"errorMessage": message, "errorCode": code}


def _hub(code: str | int, message: str) -> dict[str, object]:
    return {"error": {"errorCode": code, "message": message, "details": "Invalid authentication information."}}
