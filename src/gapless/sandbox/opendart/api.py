"""Requests to OpenDART and the replies to them, given a clock.

Chosen, because the notes are silent: maintenance comes before the key, the key before the parameters; what does not
exist, or is asked with anything but GET, is 101; an unknown company is 013, and so is a year before 2015.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache
from urllib.parse import parse_qsl

from gapless.sandbox.clock import SECOND, Clock
from gapless.sandbox.control import PREFIX
from gapless.sandbox.http import Reply, Request
from gapless.sandbox.opendart import files, search
from gapless.sandbox.opendart.companies import World
from gapless.sandbox.opendart.dates import latest_receipt, today
from gapless.sandbox.opendart.filings import Filing, versions
from gapless.sandbox.opendart.panel import DartPanel, Seen, Settings
from gapless.sandbox.opendart.query import Matter, company_of, matter_of, page_of, receipt_of, search_of
from gapless.sandbox.opendart.spoils import HTML, JSON, XML
from gapless.sandbox.opendart.statuses import Refused, error_body
from gapless.sandbox.opendart.table import body, shows_table

#: Endpoints that send a file, and an error as XML.
FILES = ("/api/corpCode.xml", "/api/document.xml")
ZIP = "application/zip"
CLOSED = "<!DOCTYPE html><html><body><h1>시스템 점검 중입니다.</h1></body></html>".encode()
_STATUS = re.compile(rb'"status":"(\d+)"|<status>(\d+)|^(PK)')


class OpenDart:
    """Plays the disclosure system; `answer` is all a server needs."""

    def __init__(self, world: World, settings: Settings | None = None, clock: Clock | None = None) -> None:
        self.world = world
        self.panel = DartPanel(settings or Settings(), clock or Clock())

    def answer(self, request: Request) -> Reply:
        """Answer one request, to the provider or to the sandbox itself."""
        if request.path.startswith(PREFIX):
            return self.panel.answer(request)
        monotonic = self.panel.clock.monotonic()
        asked = dict(parse_qsl(request.query, keep_blank_values=True))
        if self.panel.settings.down:
            reply = Reply(manner="reset")
        else:
            reply = self._replied(request, asked, monotonic)
        whole = reply.manner in ("whole", "slow")
        self.panel.stats.count(monotonic, _seen(request.path, asked, reply), whole=whole)
        return reply

    def _replied(self, request: Request, asked: dict[str, str], monotonic: float) -> Reply:
        xml = request.path in FILES
        try:
            text, kind = self._answered(request, asked, monotonic)
        except Refused as refused:
            text, kind = error_body(refused.status, refused.message, xml=xml), XML if xml else JSON
        reply = Reply(
            body=text,
            headers={"date": _http_date(self.panel.date_us() // SECOND), "content-type": kind},
            delay_s=self.panel.settings.latency_ms / 1_000,
        )
        if not len(self.panel.faults):
            return reply
        return self.panel.faults.spoil(reply, asked.get("corp_code"), [], 0, request.path)

    def _answered(self, request: Request, asked: dict[str, str], monotonic: float) -> tuple[bytes, str]:
        """Body and content type."""
        now_us = self.panel.clock.now_us()
        closure = self.panel.closure() if self.panel.settings.maintenance else None
        if closure and closure.html:
            return CLOSED, HTML
        if closure:
            raise Refused("800")
        day = today(now_us)
        self.panel.keys.admit(asked.get("crtfc_key"), day, monotonic)
        match request.path if request.method == "GET" else "":
            case "/api/alotMatter.json":
                return self._dividends(matter_of(asked), latest_receipt(now_us)), JSON
            case "/api/list.json":
                its, (page, count) = search_of(asked, day), page_of(asked)
                return search.page(self.world, its, page, count, latest_receipt(now_us)), JSON
            case "/api/company.json":
                return files.profile(self.world, company_of(asked), day), JSON
            case "/api/corpCode.xml":
                return files.corp_code_zip(self.world, day), ZIP
            case "/api/document.xml":
                return files.document_zip(self.world, receipt_of(asked), latest_receipt(now_us)), ZIP
            case _:
                raise Refused("101")

    def _dividends(self, matter: Matter, latest: int) -> bytes:
        filing = served(self.world, matter, latest)
        if filing is None:
            raise Refused("013")
        return body(self.world.seed, filing)


def served(world: World, matter: Matter, latest: int) -> Filing | None:
    """The filing whose table is served when receipts up to `latest` are public: the newest version."""
    company = world.by_code.get(matter.company)
    if company is None:
        return None
    found = versions(world.seed, company, matter.year, matter.report)
    filed = [one for one in found if one.receipt <= latest and shows_table(one)]
    return filed[-1] if filed else None


def _seen(path: str, asked: dict[str, str], reply: Reply) -> Seen:
    window = f"{asked.get('bgn_de', '')}..{asked.get('end_de', '')}" if path == "/api/list.json" else None
    cut = reply.manner == "reset"
    said = _STATUS.search(reply.body, 0, 200)
    return Seen(
        path=path,
        corp_code=asked.get("corp_code"),
        period=asked.get("bsns_year", window),
        detail=asked.get("reprt_code", asked.get("page_no")),
        key=asked.get("crtfc_key", "")[-6:],
        status=0 if cut else reply.status,
        code="" if cut or said is None else (said[1] or said[2] or b"000").decode(),
    )


@lru_cache(maxsize=4)
def _http_date(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
