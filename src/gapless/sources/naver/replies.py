"""Reading Naver's replies: the older service and the HUB answer alike and fail in ways of their own."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from itertools import pairwise

import msgspec

from gapless.core.address import canonical, publisher
from gapless.core.errors import (
    BadReply,
    HoldJob,
    Refused,
    SchemaChanged,
    SourceError,
    TryAgain,
    Unauthorized,
    UnknownSeries,
)
from gapless.core.page import Ask, Row
from gapless.core.span import Instant, instant
from gapless.sources.articles import plain
from gapless.sources.http import Reply

SETTING = "GAPLESS_NAVER_API_KEY"
#: The quota counts by the day; a pace that is too fast is over sooner.
WAIT_S = 60.0
#: What Naver does not take about the words: query and encoding.
_QUERY_CODES = {"SE01", "SE06"}


class _Item(msgspec.Struct):
    title: str
    link: str
    originallink: str
    pub_date: str = msgspec.field(name="pubDate")


class _Found(msgspec.Struct):
    total: int
    start: int
    items: list[_Item]


class _Error(msgspec.Struct):
    error_code: int | str = msgspec.field(name="errorCode", default="")
    message: str = ""


class _Failed(msgspec.Struct):
    """`{"errorMessage": …, "errorCode": …}`, or the same inside `error`."""

    error_code: str = msgspec.field(name="errorCode", default="")
    error_message: str = msgspec.field(name="errorMessage", default="")
    error: _Error | None = None


_DECODER = msgspec.json.Decoder(_Found)


@dataclass(frozen=True, slots=True)
class Found:
    """A page of a list: articles and their times, newest first, and how long the list is."""

    items: list[_Item]
    times: list[Instant]
    total: int

    def ends(self, start: int) -> bool:
        """Whether the list ends on this page, which begins at place `start`."""
        return start + len(self.items) > self.total


def read_found(reply: Reply, ask: Ask) -> Found:
    """The articles in their order; raises `BadReply` or worse."""
    try:
        found = _DECODER.decode(reply.body)
    except msgspec.ValidationError as error:
        raise SchemaChanged(
            f"naver changed its list: {error}", source="naver", hint="look for a newer version of gapless"
        ) from None
    except msgspec.DecodeError:
        raise TryAgain(
            f"naver answered with {len(reply.body)} bytes that are no list",
            source="naver",
            hint="if this lasts, check GAPLESS_NAVER_BASE_URL",
        ) from None
    times = [_published(one, ask) for one in found.items]
    if any(one < other for one, other in pairwise(times)):
        raise _bad("the articles are not newest first", ask)
    if not times and found.start <= found.total:
        raise _bad(f"no articles from place {found.start} of {found.total}", ask)
    return Found(found.items, times, found.total)


def rows_of(found: Found, query: str, now: Instant) -> list[Row]:
    """Rows by time and address; a Naver address counts before the publisher's, for it carries a number."""
    rows: dict[tuple[Instant, str], Row] = {}
    for at, one in zip(found.times, found.items, strict=True):
        link = one.link if ".naver.com/" in one.link or not one.originallink else one.originallink
        address = canonical(link)
        site = publisher(one.originallink or one.link)
        rows.setdefault((at, address), (at, address, one.link, plain(one.title), site, "exact", now, query))
    return [rows[key] for key in sorted(rows)]


def _published(one: _Item, ask: Ask) -> Instant:
    """The instant of `Mon, 26 Sep 2016 07:50:00 +0900`."""
    try:
        at: datetime = parsedate_to_datetime(one.pub_date)
        if at.tzinfo is not None and (one.link or one.originallink):
            return instant(at)
    except (ValueError, TypeError):
        pass
    raise _bad(f"an article at {one.link!r} published {one.pub_date!r} is out of place", ask)


def _bad(why: str, ask: Ask) -> SourceError:
    return BadReply(f"naver: {ask.series} {ask.span}: {why}", source="naver")


def failure(reply: Reply, query: str) -> SourceError:
    """Sort an error by what to do next."""
    code, said = _told(reply.body)
    shown = f"{said or 'no message'} ({code or f'HTTP {reply.status}'})"
    if reply.status in (401, 403):
        return Unauthorized(
            f"Naver refused the key: {shown}",
            source="naver",
            hint=f"check {SETTING}, that the search is enabled for it, and that the address is its own",
        )
    if reply.status == 429:
        return Refused(f"Naver's quota is spent: {shown}", source="naver", seconds=WAIT_S, is_quota=True)
    if reply.status >= 500 or reply.status == 408 or code == "SE99":
        return TryAgain(f"naver has trouble: {shown}", source="naver")
    if code in _QUERY_CODES:
        return UnknownSeries(
            f"naver does not take the query {query!r}: {shown}", source="naver", hint="give another one as STOCK=QUERY"
        )
    if code:
        return HoldJob(
            f"naver did not understand our request: {shown}", source="naver", hint="this is ours to mend: please report"
        )
    return HoldJob(f"this is not naver: HTTP {reply.status}", source="naver", hint="check GAPLESS_NAVER_BASE_URL")


def _told(body: bytes) -> tuple[str, str]:
    """Code and message of an error; empty when it is none of Naver's."""
    try:
        failed = msgspec.json.decode(body, type=_Failed)
    except msgspec.MsgspecError:
        return "", ""
    if failed.error is not None:
        return str(failed.error.error_code), failed.error.message
    return failed.error_code, failed.error_message
