"""Reading GDELT's replies: JSON, or at HTTP status 200 a line of text that says what is wrong."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import msgspec

from gapless.core.address import canonical, publisher
from gapless.core.errors import BadReply, HoldJob, Refused, SchemaChanged, SourceError, TooMuch, TryAgain, UnknownSeries
from gapless.core.page import Ask, Row
from gapless.core.span import Instant, instant
from gapless.sources.articles import plain
from gapless.sources.http import Reply

#: A refusal is followed by minutes of throttling; repeated ones double it.
WAIT_S = 60.0
_SLOWER = re.compile(r"limit requests|slow down|too many requests|one every \d+ seconds", re.IGNORECASE)
_QUERY = re.compile(
    r"\b(?:query|quer(?:ies)|phrase|keyword|search term|operator|parenthes[ei]s|sourcelang|sourcecountry)\b",
    re.IGNORECASE,
)
_DATES = re.compile(r"\b(?:date|datetime|timespan)\b", re.IGNORECASE)
_SEEN = re.compile(r"\d{8}T\d{6}Z")


class _Article(msgspec.Struct):
    url: str
    title: str
    seendate: str
    domain: str


class _Articles(msgspec.Struct):
    #: `{}` where nothing was found.
    articles: list[_Article] | msgspec.UnsetType = msgspec.UNSET


_DECODER = msgspec.json.Decoder(_Articles)


def read_rows(reply: Reply, ask: Ask, *, query: str, most: int, now: Instant) -> list[Row]:
    """Rows by time and address, each address once; raises `TooMuch` where some may be left out, or worse."""
    try:
        told = _DECODER.decode(reply.body).articles
    except msgspec.ValidationError as error:
        raise _changed(str(error)) from None
    except msgspec.DecodeError:
        raise failure(reply, ask) from None
    if told is msgspec.UNSET:
        if reply.body.strip() != b"{}":
            raise _changed("it has no articles")
        return []
    if len(told) >= most:
        raise TooMuch(f"gdelt: {ask.series} {ask.span}: {len(told)} articles, and maybe more", source="gdelt")
    rows: dict[tuple[Instant, str], Row] = {}
    for one in told:
        at, address = _seen(one, ask), canonical(one.url)
        site = one.domain.lower() or publisher(one.url)
        rows.setdefault((at, address), (at, address, one.url, plain(one.title), site, "seen", now, query))
    return [rows[key] for key in sorted(rows)]


def _seen(one: _Article, ask: Ask) -> Instant:
    """When it was seen; raises `BadReply` where that cannot be, or was not asked for."""
    at = None
    if _SEEN.fullmatch(one.seendate):
        try:
            at = instant(datetime.strptime(one.seendate, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC))
        except ValueError:
            at = None
    if at is None or at not in ask.span or not one.url:
        why = f"an article at {one.url!r} seen {one.seendate!r} is out of place"
        raise BadReply(f"gdelt: {ask.series} {ask.span}: {why}", source="gdelt")
    return at


def failure(reply: Reply, ask: Ask) -> SourceError:
    """Sort what is no list of articles by what to do next."""
    said = _said(reply.body)
    if reply.status == 429 or _SLOWER.search(said):
        return Refused(f"gdelt told us to slow down (HTTP {reply.status})", source="gdelt", seconds=WAIT_S)
    if reply.status >= 500 or reply.status == 408:
        return TryAgain(f"gdelt has trouble (HTTP {reply.status})", source="gdelt")
    if reply.status == 200 and _QUERY.search(said):
        return UnknownSeries(
            f"gdelt does not take the query of {ask.series}: {said}",
            source="gdelt",
            hint='give another one as STOCK=QUERY or QUERY, in English: "Samsung Electronics"',
        )
    if reply.status == 200 and _DATES.search(said):
        return HoldJob(
            f"gdelt did not understand our dates: {said}", source="gdelt", hint="this is ours to mend: please report it"
        )
    if 400 <= reply.status < 500:
        return HoldJob(f"this is not gdelt: HTTP {reply.status}", source="gdelt", hint="check GAPLESS_GDELT_BASE_URL")
    return TryAgain(
        f"gdelt answered without a list of articles: {said or 'nothing'}",
        source="gdelt",
        hint="if this lasts, check GAPLESS_GDELT_BASE_URL",
    )


def _said(body: bytes) -> str:
    """The line of an error, without markup."""
    text = re.sub(r"<[^>]*>", " ", body[:2_000].decode(errors="replace"))
    return " ".join(text.split())[:200]


def _changed(why: str) -> SourceError:
    return SchemaChanged(f"gdelt changed its list: {why}", source="gdelt", hint="look for a newer version of gapless")
