"""Requests to the KRX Open API and the replies to them, given a clock.

Chosen, because the notes are silent: an unknown key gets 401 with `respCode` and `respMsg`, a spent quota 429, a day
that is no day 400; a day is told on the next weekday at 08:00 in Seoul, and a day without trading is an empty list.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from urllib.parse import parse_qsl

import msgspec

from gapless.sandbox.clock import SECOND, Clock
from gapless.sandbox.control import PREFIX
from gapless.sandbox.http import Reply, Request
from gapless.sandbox.krx.panel import KrxPanel, Seen, Settings
from gapless.sandbox.krx.world import Quote, World

#: A key that may ask.
KEY = "7C" * 20
JSON = "application/json;charset=UTF-8"
TOLD_S = 8 * 3_600
KST_S = 9 * 3_600


class Krx:
    """Plays the exchange; `answer` is all a server needs."""

    def __init__(self, world: World, settings: Settings | None = None, clock: Clock | None = None) -> None:
        self.world = world
        self.panel = KrxPanel(settings or Settings(), clock or Clock())
        self._services: dict[str, Callable[[date], list[dict[str, str]]]] = {
            "/svc/apis/sto/stk_bydd_trd": lambda day: [stock(day, one) for one in world.kospi.get(day, [])],
            "/svc/apis/sto/ksq_bydd_trd": lambda day: [stock(day, one) for one in world.kosdaq.get(day, [])],
            "/svc/apis/etp/etf_bydd_trd": lambda day: [fund(day, one) for one in world.funds.get(day, [])],
            "/svc/apis/idx/kospi_dd_trd": lambda day: [index(day, world.index[day])] if day in world.index else [],
        }

    def answer(self, request: Request) -> Reply:
        """Answer one request, to the provider or to the sandbox itself."""
        if request.path.startswith(PREFIX):
            return self.panel.answer(request)
        monotonic = self.panel.clock.monotonic()
        asked = dict(parse_qsl(request.query, keep_blank_values=True))
        reply = Reply(manner="reset") if self.panel.settings.down else self._replied(request, asked)
        seen = Seen(request.path, asked.get("basDd"), 0 if reply.manner == "reset" else reply.status)
        self.panel.stats.count(monotonic, seen, whole=reply.manner in ("whole", "slow"))
        return reply

    def _replied(self, request: Request, asked: dict[str, str]) -> Reply:
        status, body = self._answered(request, asked)
        headers = {"date": _http_date(self.panel.date_us() // SECOND), "content-type": JSON}
        reply = Reply(status=status, body=body, headers=headers, delay_s=self.panel.settings.latency_ms / 1_000)
        if not len(self.panel.faults):
            return reply
        return self.panel.faults.spoil(reply, None, [], 0, request.path)

    def _answered(self, request: Request, asked: dict[str, str]) -> tuple[int, bytes]:
        now_s = self.panel.clock.now_us() // SECOND
        if request.headers.get("auth_key") != KEY:
            return 401, _error("401", "Unauthorized Key")
        service = self._services.get(request.path)
        if service is None or request.method != "GET":
            return 404, _error("404", "Not Found")
        if not self.panel.has_quota(KEY, f"{datetime.fromtimestamp(now_s + KST_S, UTC):%Y%m%d}"):
            return 429, _error("429", "Too Many Requests")
        named = asked.get("basDd", "")
        try:
            day = datetime.strptime(named, "%Y%m%d").replace(tzinfo=UTC).date()
        except ValueError:
            return 400, _error("400", "Bad Request")
        is_told = told_at(day) <= now_s and named not in self.panel.settings.late
        return 200, msgspec.json.encode({"OutBlock_1": service(day) if is_told else []})


def told_at(day: date) -> int:
    """The second from which a day is told."""
    after = day + timedelta(days=1)
    while after.weekday() > 4:
        after += timedelta(days=1)
    return round(datetime(after.year, after.month, after.day, tzinfo=UTC).timestamp()) - KST_S + TOLD_S


def _error(code: str, message: str) -> bytes:
    return msgspec.json.encode({"respMsg": message, "respCode": code})


def _whole(value: float) -> str:
    return str(round(value))


def stock(day: date, one: Quote) -> dict[str, str]:
    """The record of a share."""
    return {
        "BAS_DD": f"{day:%Y%m%d}",
        "ISU_CD": one.code,
        "ISU_NM": one.name,
        "MKT_NM": one.name.split()[0],
        "SECT_TP_NM": "",
        "TDD_CLSPRC": _whole(one.close),
        "CMPPREVDD_PRC": "0",
        "FLUC_RT": "0.00",
        "TDD_OPNPRC": _whole(one.open),
        "TDD_HGPRC": _whole(one.high),
        "TDD_LWPRC": _whole(one.low),
        "ACC_TRDVOL": _whole(one.volume),
        "ACC_TRDVAL": _whole(one.value),
        "MKTCAP": _whole(one.cap),
        "LIST_SHRS": _whole(one.shares),
    }


def fund(day: date, one: Quote) -> dict[str, str]:
    """The record of a fund."""
    return stock(day, one) | {"NAV": f"{one.close:.2f}"}


def index(day: date, one: Quote) -> dict[str, str]:
    """The record of an index, its numbers with commas."""
    return {
        "BAS_DD": f"{day:%Y%m%d}",
        "IDX_CLSS": "KOSPI",
        "IDX_NM": one.code,
        "CLSPRC_IDX": f"{one.close:,.2f}",
        "CMPPREVDD_IDX": "0",
        "FLUC_RT": "0.00",
        "OPNPRC_IDX": f"{one.open:,.2f}",
        "HGPRC_IDX": f"{one.high:,.2f}",
        "LWPRC_IDX": f"{one.low:,.2f}",
        "ACC_TRDVOL": f"{one.volume:,}",
        "ACC_TRDVAL": f"{one.value:,}",
        "MKTCAP": "-",
    }


@lru_cache(maxsize=4)
def _http_date(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
