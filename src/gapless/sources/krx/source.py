"""KRX Open API (data-dbg.krx.co.kr, with a key): every record of a market on one day a call.

What a reply to `basDd=D` proves; all is cut at the frontier, which stands at 10:00 of the next weekday in Seoul:

| reply | proves |
|---|---|
| 200 with records of day D | day D of that market, with the weekend after a Friday |
| 200 with an empty `OutBlock_1` | day D: nothing was traded. Of the last two weeks only for a day: it may come late |
| 200 with records of another day, or with one that cannot be true | nothing: the reply is bad |
| 200 without `OutBlock_1`, or with records that miss a field | nothing: the answer has changed; the job is held |
| 401, 403 | nothing: the key is refused, or the service is not approved for it; the job is held |
| 429 | nothing; everybody waits |
| 408, 500 and above, a page, a cut body | nothing; again later |
| another status | nothing; the job is held |

Nothing before 4 January 2010 is served. Limits: 10,000 calls a day and key; no number a second is published, 5 is ours.
Paths, header, day parameter and quota are from the project's notes on KRX; the names of the fields and the wording of
errors follow the exchange's specification as we remember it: reading is strict, so where they differ nothing is stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from gapless.core.dataset import Dataset
from gapless.core.errors import (
    BadReply,
    HoldJob,
    Refused,
    SchemaChanged,
    SourceError,
    TryAgain,
    Unauthorized,
    UsageError,
)
from gapless.core.pacing import Limit
from gapless.core.page import Ask, Page, Raw, Row, Shape
from gapless.core.span import DAY, HOUR, SECOND, Instant, Span
from gapless.sources.http import Http, Reply
from gapless.sources.krx.datasets import DAYS, FIRST, KST, Service, services

SETTING = "GAPLESS_KRX_API_KEY"
RATE = 5.0
DAILY = 10_000
#: A day without records is asked for again daily while it is younger than this.
YOUNG = 14 * DAY
WAIT_S = 60.0


class _Failure(msgspec.Struct, rename={"message": "respMsg", "code": "respCode"}):
    """How an error says it."""

    message: str = ""
    code: str = ""


class _Envelope(msgspec.Struct, rename={"records": "OutBlock_1"}):
    records: list[dict[str, Any]]


class Krx:
    """The exchange's Open API, or whatever stands in for it."""

    name = "krx"
    default_url = "https://data-dbg.krx.co.kr"
    services: Mapping[str, Service] = services()
    datasets: Mapping[str, Dataset] = {name: one.dataset for name, one in services.items()}

    def __init__(self, http: Http) -> None:
        self._http = http

    @property
    def base_url(self) -> str:
        """Scheme, host and port."""
        return self._http.base_url

    def check(self) -> None:
        """Nothing can be asked without a key."""
        if not self._http.key:
            raise UsageError(f"{SETTING}: is not set", field=SETTING, hint="openapi.krx.co.kr gives one to everybody")

    def shape(self, dataset: Dataset, series: str) -> Shape:  # noqa: ARG002  all services answer for one day
        """One day a call."""
        return Shape(rows=1, jumps_back=False)

    def limit(self, dataset: Dataset) -> Limit:  # noqa: ARG002  all services share one budget
        """A pace, and a quota for the Korean day."""
        return Limit(key="krx/api", rate=RATE, daily=DAILY, reset_offset=9 * HOUR)

    def fetch(self, dataset: Dataset, ask: Ask, now: Instant) -> Page:
        """All records of one day; see the table above for what it proves."""
        service = self.services[dataset.name]
        day = DAYS.add(ask.span.end, -1)
        named = _day(day)
        reply = self._get(service.paths[ask.series], named)
        rows = _rows(service, reply, ask, day, named)
        raw = None
        if not rows and now - day < YOUNG:
            raw = Raw(name=named, version="empty", body=reply.body, again_at=now + DAY)
        return Page(rows=rows, proven=Span(day, ask.span.end), source_time=reply.source_time, raw=raw)

    def _get(self, path: str, day: str) -> Reply:
        if not self._http.key:
            raise Unauthorized(
                "KRX wants a key and none is set", source="krx", hint=f"set {SETTING}, then `gapless jobs retry`"
            )
        reply = self._http.get(path, [("basDd", day)], [("AUTH_KEY", self._http.key)])
        if reply.status != 200:
            raise failure(reply)
        return reply

    def catalogue(self) -> list[tuple[str, str]]:
        """Markets and the datasets that have them; the first day is asked for, to see whether the key is good."""
        self._get(self.services["krx.indices"].paths["KOSPI"], _day(FIRST))
        return [(series, name) for name, one in self.services.items() for series in one.paths]

    def close(self) -> None:
        """Drop the connections."""
        self._http.close()


def _day(start: Instant) -> str:
    return datetime.fromtimestamp((start + KST) // SECOND, UTC).strftime("%Y%m%d")


def _rows(service: Service, reply: Reply, ask: Ask, day: Instant, named: str) -> list[Row]:
    """Rows in the order of their key, each one checked."""
    records = _records(reply)
    try:
        read = msgspec.convert(records, list[service.kind])  # type: ignore[name-defined]
    except msgspec.ValidationError as error:
        raise SchemaChanged(
            f"KRX changed its answer: {error}", source="krx", hint="look for a newer version of gapless"
        ) from None
    rows: list[Row] = []
    for one in read:
        if named != one.BAS_DD:
            raise _bad(f"a record of day {one.BAS_DD}", ask, named)
        try:
            rows.append(service.row(day, one))
        except ValueError as error:
            raise _bad(f"{getattr(one, service.key)}: {error}", ask, named) from None
    if len({row[1] for row in rows}) != len(rows):
        raise _bad(f"{service.key} is there twice", ask, named)
    return sorted(rows, key=lambda row: str(row[1]))


def _records(reply: Reply) -> list[dict[str, Any]]:
    try:
        return msgspec.json.decode(reply.body, type=_Envelope).records
    except msgspec.ValidationError:
        said = _said(reply.body)
        if said.code:
            raise _sorted(int(said.code) if said.code.isdigit() else 0, said) from None
        raise SchemaChanged(
            "KRX changed its answer: OutBlock_1 is not there", source="krx", hint="look for a newer version of gapless"
        ) from None
    except msgspec.DecodeError:
        raise _no_answer(reply) from None


def _bad(why: str, ask: Ask, named: str) -> BadReply:
    return BadReply(f"KRX's answer for {ask.series} on {named}: {why}", source="krx")


def _said(body: bytes) -> _Failure:
    try:
        return msgspec.json.decode(body, type=_Failure)
    except msgspec.MsgspecError:
        return _Failure()


def _no_answer(reply: Reply) -> TryAgain:
    looks = "a page" if reply.body[:200].lstrip().startswith(b"<") else f"{len(reply.body)} bytes that cannot be read"
    return TryAgain(
        f"KRX answered with {looks} (HTTP {reply.status})",
        source="krx",
        hint="if this lasts, check GAPLESS_KRX_BASE_URL",
    )


def failure(reply: Reply) -> SourceError:
    """Sort a status by what to do next."""
    said = _said(reply.body)
    if reply.status >= 500 or reply.status == 408:
        return _no_answer(reply)
    return _sorted(reply.status, said, reply.retry_after)


def _sorted(status: int, said: _Failure, retry_after: str | None = None) -> SourceError:
    words = said.message or "no message"
    if status in (401, 403):
        return Unauthorized(
            f"KRX refused the key: {words} (HTTP {status})",
            source="krx",
            hint=f"check {SETTING} and that its service is approved at openapi.krx.co.kr, then `gapless jobs retry`",
        )
    if status == 429:
        seconds = float(retry_after) if retry_after and retry_after.isdigit() else WAIT_S
        return Refused(f"KRX told us to wait: {words}", source="krx", seconds=seconds, is_quota=True)
    return HoldJob(
        f"KRX did not understand our request: {words} (HTTP {status})",
        source="krx",
        hint="check GAPLESS_KRX_BASE_URL; if it is right, this is ours to mend: please report it",
    )
