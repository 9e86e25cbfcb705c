"""list.json: what has been filed between two days, page by page.

A listing is sorted by day in the direction of the work. A page proves the days before the one it ends in: that one may
go on with the next page, so its lines are held until then. Days that are over take no more filings, and the frontier
keeps today out; should a listing change all the same (its total says so, or a receipt comes twice), what is not proven
of it is read anew.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from itertools import pairwise

import msgspec

from gapless.core.errors import BadReply, Shifted, SourceError, TryAgain
from gapless.core.page import Ask, Page, Row, Walk
from gapless.core.span import Instant, Span, instant, span
from gapless.sources.http import Reply
from gapless.sources.opendart.datasets import DAYS, EVERYBODY, KST
from gapless.sources.opendart.statuses import EMPTY, GOOD, Outcome, failure, no_answer

#: Lines of a page, the most there are.
LINES = 100
#: Days of a listing without a company: three months, the shortest ones.
WINDOW = 89
#: Where people read a filing; their rules for robots forbid to fetch it.
VIEWER = "https://dart.fss.or.kr/dsaf001/main.do?rcpNo="
_RECEIPT = re.compile(r"\d{14}")
_COMPANY = re.compile(r"\d{8}")


class _Entry(msgspec.Struct):
    """A line."""

    rcept_no: str
    rcept_dt: str
    corp_code: str
    corp_name: str
    report_nm: str
    flr_nm: str
    corp_cls: str
    stock_code: str | None = None
    rm: str | None = None


class _Counts(msgspec.Struct):
    """What a page says of itself and of the listing."""

    page_no: int
    page_count: int
    total_count: int
    total_page: int
    lines: list[msgspec.Raw] = msgspec.field(name="list")


def query(ask: Ask) -> list[tuple[str, str]]:
    """The parameters of a page."""
    asked, number = (ask.span, 1) if ask.walk is None else (ask.walk.asked, ask.walk.page)
    kind = ask.series.partition("/")[2]
    named = [
        ("corp_code", "" if ask.alias == EVERYBODY else ask.alias),
        ("pblntf_detail_ty" if len(kind) > 1 else "pblntf_ty", kind),
    ]
    return [
        *((name, text) for name, text in named if text),
        ("bgn_de", _day(asked.start)),
        ("end_de", _day(DAYS.add(asked.end, -1))),
        ("sort", "date"),
        ("sort_mth", "desc" if ask.is_backward else "asc"),
        ("page_no", str(number)),
        ("page_count", str(LINES)),
    ]


def read_listing(reply: Reply, ask: Ask) -> Page:
    """What a page proves, and how the listing goes on."""
    walk = ask.walk or Walk(asked=ask.span, is_backward=ask.is_backward, left=ask.span, page=1, total=-1, held=())
    counts = _counted(reply, walk, ask)
    if counts is None:
        return Page(rows=[], proven=walk.left, source_time=reply.source_time)
    new = _rows(counts, walk, ask)
    rows = sorted([*walk.held, *new])
    if any(one[1] == other[1] for one, other in pairwise(sorted(rows, key=lambda row: str(row[1])))):
        raise Shifted(f"{_listing(ask)}: a filing came twice", source="dart")
    if counts.page_no >= counts.total_page:
        return Page(rows=rows, proven=walk.left, source_time=reply.source_time)
    return _part(walk, rows, new[-1][0], counts, reply.source_time)


def _part(walk: Walk, rows: list[Row], last: Instant, counts: _Counts, source_time: Instant | None) -> Page:
    """A page with others behind it: the day that it ends in is held until the next one."""
    if walk.is_backward:
        border = DAYS.add(last, 1)
        proven, left = span(border, walk.left.end), Span(walk.left.start, border)
    else:
        proven, left = span(walk.left.start, last), Span(last, walk.left.end)
    following = Walk(
        asked=walk.asked,
        is_backward=walk.is_backward,
        left=left,
        page=walk.page + 1,
        total=counts.total_count,
        held=tuple(row for row in rows if row[0] == last),
    )
    return Page(rows=[row for row in rows if row[0] != last], proven=proven, source_time=source_time, walk=following)


def _counted(reply: Reply, walk: Walk, ask: Ask) -> _Counts | None:
    """The page, checked against what the listing has said before; None when there is nothing in it at all."""
    try:
        outcome = msgspec.json.decode(reply.body, type=Outcome)
    except msgspec.MsgspecError:
        raise no_answer(reply) from None
    if outcome.status == EMPTY and walk.page == 1:
        return None
    if outcome.status == EMPTY:
        raise Shifted(f"{_listing(ask)}: page {walk.page} is not there any more", source="dart")
    if outcome.status != GOOD:
        raise failure(outcome)
    try:
        counts = msgspec.json.decode(reply.body, type=_Counts, strict=False)
    except msgspec.MsgspecError as error:
        raise BadReply(f"{_listing(ask)}: the page cannot be read: {error}", source="dart") from None
    if counts.page_no != walk.page or counts.page_count < 1:
        raise BadReply(f"{_listing(ask)}: page {walk.page} calls itself {counts.page_no}", source="dart")
    if walk.total not in (-1, counts.total_count):
        raise Shifted(f"{_listing(ask)}: had {walk.total} filings, now {counts.total_count}", source="dart")
    told = min(counts.page_count, counts.total_count - (counts.page_no - 1) * counts.page_count)
    if len(counts.lines) != told or counts.total_page != -(-counts.total_count // counts.page_count):
        raise TryAgain(f"{_listing(ask)}: {len(counts.lines)} lines on a page of {told}", source="dart")
    return counts


def _rows(counts: _Counts, walk: Walk, ask: Ask) -> list[Row]:
    """The lines in the order of the listing, none of them twice; raises `BadReply` with the day that is spoilt."""
    rows: list[Row] = []
    last = DAYS.add(walk.left.end, -1) if walk.is_backward else walk.left.start
    for line in counts.lines:
        try:
            row = _row(line, ask)
        except ValueError as error:
            raise _bad(f"a line cannot be read: {error}", ask, _day_of(line) or last) from None
        is_before = row[0] > last if walk.is_backward else row[0] < last
        if is_before or not walk.left.start <= row[0] < walk.left.end:
            raise _bad(f"{row[1]} of {row[2]} is out of place", ask, last)
        last = row[0]
        rows.append(row)
    return list(dict.fromkeys(rows))


def _row(line: msgspec.Raw, ask: Ask) -> Row:
    one = msgspec.json.decode(line, type=_Entry)
    if not _RECEIPT.fullmatch(one.rcept_no):
        raise ValueError(f"rcept_no is {one.rcept_no!r}")
    if not _COMPANY.fullmatch(one.corp_code) or ask.alias not in (EVERYBODY, one.corp_code):
        raise ValueError(f"corp_code is {one.corp_code!r}")
    day = _start(one.rcept_dt)
    return (
        day,
        one.rcept_no,
        f"{one.rcept_dt[:4]}-{one.rcept_dt[4:6]}-{one.rcept_dt[6:]}",
        one.corp_code,
        one.corp_name.strip(),
        (one.stock_code or "").strip(),
        one.corp_cls.strip(),
        one.report_nm.strip(),
        one.flr_nm.strip(),
        (one.rm or "").strip(),
        VIEWER + one.rcept_no,
    )


def _start(text: str) -> Instant:
    """Midnight in Seoul; raises `ValueError`."""
    if not re.fullmatch(r"\d{8}", text):
        raise ValueError(f"rcept_dt is {text!r}")
    return instant(datetime.strptime(text, "%Y%m%d").replace(tzinfo=UTC)) - KST


def _day(start: Instant) -> str:
    return datetime.fromtimestamp((start + KST) // 1_000_000, UTC).strftime("%Y%m%d")


def _day_of(line: msgspec.Raw) -> Instant | None:
    """The day of a line of which other fields are spoilt."""
    try:
        return _start(str(msgspec.json.decode(line)["rcept_dt"]))
    except (ValueError, KeyError, TypeError):
        return None


def _listing(ask: Ask) -> str:
    return f"OpenDART's list of {ask.series}"


def _bad(why: str, ask: Ask, day: Instant) -> SourceError:
    return BadReply(f"{_listing(ask)}, {_day(day)}: {why}", source="dart", span=Span(day, DAYS.add(day, 1)))
