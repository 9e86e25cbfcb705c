"""Requests to GDELT and the replies to them.

Chosen, because the notes are silent: the words of the errors; what is seen later than now is not told; `sort` orders
the whole list and the cap cuts its end, so that the oldest are left out of `datedesc`; a query finds what its first
phrase or its words without operators are about, in Korean articles or, without `sourcelang:korean`, in twice as many.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from urllib.parse import parse_qsl

import msgspec

from gapless.sandbox.clock import SECOND, Clock
from gapless.sandbox.control import PREFIX
from gapless.sandbox.gdelt.panel import TEXT, GdeltPanel, Seen, Settings
from gapless.sandbox.gdelt.world import Article, World, normal
from gapless.sandbox.http import Reply, Request

PATH = "/api/v2/doc/doc"
#: Articles in a list, whatever is asked for.
CAP = 250
JSON = {"content-type": "application/json; charset=utf-8"}
SLOWER = (
    b"Please limit requests to one every 5 seconds or contact the GDELT Project for larger queries. "
    b"Consider our bulk data instead."
)
SHORT = "The specified phrase is too short."
_STAMP = re.compile(r"\d{14}")
_FILTER = re.compile(r"\b(?:sourcelang|sourcecountry|domain|domainis|theme):\S+")


class NotUnderstood(Exception):
    """Answered with a line of text at HTTP status 200."""


class Gdelt:
    """Plays the list of articles; `answer` is all a server needs."""

    def __init__(self, world: World, settings: Settings | None = None, clock: Clock | None = None) -> None:
        self.world = world
        self.panel = GdeltPanel(settings or Settings(), clock or Clock())

    def answer(self, request: Request) -> Reply:
        """Answer one request, to the provider or to the sandbox itself."""
        if request.path.startswith(PREFIX):
            return self.panel.answer(request)
        monotonic = self.panel.clock.monotonic()
        asked = dict(parse_qsl(request.query, keep_blank_values=True))
        reply, told = (Reply(manner="reset"), -1) if self.panel.settings.down else self._replied(request, asked)
        reply = self.panel.faults.spoil(reply, asked.get("query"), [], 0, request.path)
        seen = Seen(
            asked.get("query", ""),
            asked.get("startdatetime", ""),
            asked.get("enddatetime", ""),
            told,
            0 if reply.manner == "reset" else reply.status,
        )
        self.panel.stats.add(monotonic, seen.status, seen, whole=reply.manner in ("whole", "slow"))
        return reply

    def _replied(self, request: Request, asked: dict[str, str]) -> tuple[Reply, int]:
        """The reply, and how many articles it tells."""
        its, told = self.panel.settings, -1
        status, headers = 200, TEXT
        if not self.panel.throttle.admits(self.panel.clock.monotonic()):
            status, body = 200 if its.soft else 429, SLOWER
        elif request.path != PATH or request.method != "GET":
            status, body = 404, b"<html><body>404 Not Found</body></html>"
        else:
            try:
                found = self._found(asked)
                told, body, headers = len(found), _listed(found), JSON
            except NotUnderstood as error:
                body = str(error).encode()
        date = datetime.fromtimestamp(self.panel.date_us() // SECOND, UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
        return Reply(status=status, body=body, headers=headers | {"date": date}, delay_s=its.latency_ms / 1_000), told

    def _found(self, asked: dict[str, str]) -> list[Article]:
        if asked.get("mode", "").lower() != "artlist" or asked.get("format", "").lower() != "json":
            raise NotUnderstood("Invalid mode.")
        start, end = (_instant(asked.get(name, "")) for name in ("startdatetime", "enddatetime"))
        now = self.panel.clock.now_us()
        found = self._about(asked.get("query", ""), start, min(end + SECOND, now))
        if asked.get("sort", "").lower() != "dateasc":
            found.reverse()
        most = asked.get("maxrecords", "75")
        return found[: min(int(most) if most.isdecimal() else 75, CAP)]

    def _about(self, query: str, start: int, end: int) -> list[Article]:
        """The articles that a query finds, oldest first."""
        phrase = phrase_of(query)
        if not phrase.isascii():
            # The index is the English translation: other words find nothing, and nobody is told.
            return []
        found = self.world.between(normal(phrase), start, end) if start < end else []
        if "sourcelang:korean" in query.lower():
            return found
        others = [
            msgspec.structs.replace(one, url=one.url.replace("/article/", "/en/article/"), title=f"{phrase} news")
            for one in found
        ]
        return sorted([*found, *others], key=lambda one: one.seen_us)


def phrase_of(query: str) -> str:
    """What a query is about; raises `NotUnderstood`."""
    quoted = re.search(r'"([^"]+)"', query)
    words = quoted[1] if quoted else _FILTER.sub("", query).strip(" ()")
    if len(words.replace(" ", "")) < 3:
        raise NotUnderstood(SHORT)
    if query.count("(") != query.count(")") or (" OR " in query and "(" not in query):
        raise NotUnderstood("Queries containing OR'd terms must be surrounded by ().")
    return words


def _instant(text: str) -> int:
    try:
        if _STAMP.fullmatch(text):
            return round(datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=UTC).timestamp()) * SECOND
    except ValueError:
        pass
    raise NotUnderstood("Invalid/Unsupported date.")


def _listed(found: list[Article]) -> bytes:
    if not found:
        return b"{}"
    return msgspec.json.encode(
        {
            "articles": [
                {
                    "url": one.url,
                    "url_mobile": "",
                    "title": one.title,
                    "seendate": datetime.fromtimestamp(one.seen_us // SECOND, UTC).strftime("%Y%m%dT%H%M%SZ"),
                    "socialimage": "",
                    "domain": one.domain,
                    "language": "Korean",
                    "sourcecountry": "South Korea",
                }
                for one in found
            ]
        }
    )
