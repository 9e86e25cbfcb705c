"""OpenDART, the disclosure system of the Korean supervisor (opendart.fss.or.kr, with a key).

What a reply proves; everything is cut at the frontier, which stands at the filing deadline of the report:

| asked | reply | proves |
|---|---|---|
| alotMatter, annual report of year Y | 000 | fiscal years Y, Y-1 and Y-2: the table has a column for each |
| | 013 | year Y alone: there is no such report. What a later report tells of Y stays what it is, and where that of |
| | | Y + 1 is due and was not asked for, it is asked for before Y counts as told. Until March of Y + 2 the report |
| | | may still come (late, or of a year that ends later than December): it is asked for again a month later |
| annual report of 2015, the first that is served | 000 or 013 | 2013, 2014 and 2015: nothing else tells the first two |
| alotMatter, a quarterly or half-year report of Y | 000 or 013 | year Y alone: its other columns are whole years |
| list.json, the days `[start, end)` | a page, in the direction of | the days before the one that it ends in; the last |
| | the work | page: all of them |
| | 013 to the first page | all of them: nothing was filed |
| corpCode.xml | a zip | every company as of today: all days up to today |
| anything | another status, a page, a cut body | nothing; `statuses` says what follows |

A listing of all companies goes over 89 days at most, one of a company over any span.
Asking for 2013 or 2014 asks the report of 2015. A stock code means the company that has it today (`dart.companies`).
All endpoints share one budget a key: at most 10 a second, 20,000 a day that starts at midnight in Seoul.
Facts and their sources: the project's notes on OpenDART.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec

from gapless.core.dataset import Dataset
from gapless.core.errors import BadReply, SchemaChanged, Unauthorized, UsageError
from gapless.core.pacing import Limit
from gapless.core.page import Ask, Page, Raw, Row, Shape, Walk
from gapless.core.span import DAY, HOUR, Instant, Span
from gapless.sources.http import Http, Reply
from gapless.sources.opendart.companies import FIRST, read_companies
from gapless.sources.opendart.datasets import (
    ANNUAL,
    COMPANIES,
    DAYS,
    DISCLOSURES,
    DIVIDENDS,
    EVERYBODY,
    REACH,
    SERVED_FROM,
    YEARS,
    year_of,
    year_start,
)
from gapless.sources.opendart.disclosures import LINES, WINDOW, query, read_listing
from gapless.sources.opendart.statuses import EMPTY, GOOD, SETTING, Outcome, failure, no_answer
from gapless.sources.opendart.table import DPS, Line, Statement, is_spoilt, read_table

RATE = 10.0
DAILY = 20_000
#: More days than the directory will ever have: one reply tells them all.
EVERY_DAY = 1_000_000
#: A year that ends in November of the next one is told three months later; then nobody is late any more.
LATEST = 90 * DAY
#: How long "no such report" is believed before.
AGAIN = 30 * DAY
#: Filings a day, of all companies and of one, until it is known.
A_DAY, A_DAY_OF_ONE = 400.0, 0.2
_FACTS = [column.name for column in DIVIDENDS.columns if column.type == "decimal"]


class _Answer(msgspec.Struct):
    """A dividend table."""

    lines: list[Line] = msgspec.field(name="list")


class Dart:
    """The disclosure system, or whatever stands in for it."""

    name = "dart"
    default_url = "https://opendart.fss.or.kr"
    datasets: Mapping[str, Dataset] = {one.name: one for one in (COMPANIES, DIVIDENDS, DISCLOSURES)}

    def __init__(self, http: Http) -> None:
        self._http = http
        self._fetch: dict[str, Callable[[Ask, Instant], Page]] = {
            COMPANIES.name: self._companies,
            DIVIDENDS.name: self._dividends,
            DISCLOSURES.name: self._disclosures,
        }

    @property
    def base_url(self) -> str:
        """Scheme, host and port."""
        return self._http.base_url

    def check(self) -> None:
        """Nothing can be asked without a key."""
        if not self._http.key:
            raise UsageError(f"{SETTING}: is not set", field=SETTING, hint="opendart.fss.or.kr gives one to everybody")

    def shape(self, dataset: Dataset, series: str) -> Shape:
        """An annual report tells three years, another one its own; the directory tells every day at once.

        Filings are listed in pages. How many there may be is a guess until some are stored.
        """
        if dataset.name == COMPANIES.name:
            return Shape(rows=EVERY_DAY, jumps_back=False)
        if dataset.name == DISCLOSURES.name and series.partition("/")[0] == EVERYBODY:
            return Shape(rows=WINDOW, jumps_back=False, listed=LINES, guess=A_DAY)
        if dataset.name == DISCLOSURES.name:
            return Shape(rows=EVERY_DAY, jumps_back=False, listed=LINES, guess=A_DAY_OF_ONE)
        return Shape(rows=reach_of(series), jumps_back=False)

    def limit(self, dataset: Dataset) -> Limit:  # noqa: ARG002  all endpoints share one budget
        """A pace, and a quota for the Korean day."""
        return Limit(key="dart/api", rate=RATE, daily=DAILY, reset_offset=9 * HOUR)

    def fetch(self, dataset: Dataset, ask: Ask, now: Instant) -> Page:
        """One reply; see the table above for what it proves."""
        return self._fetch[dataset.name](ask, now)

    def reread(self, dataset: Dataset, series: str, raw: Raw) -> list[Row]:  # noqa: ARG002  one dataset keeps answers
        """The rows of a stored dividend table; "no such report" has none."""
        if raw.version == EMPTY:
            return []
        year = int(raw.name)
        try:
            return rows_of(read_lines(raw.body), year, series.rpartition("/")[2])
        except msgspec.MsgspecError as error:
            raise BadReply(
                f"the stored answer of {series}, {year} cannot be read: {error}",
                source=self.name,
                hint="`gapless fill --mode all` of that year asks for it again",
            ) from None

    def catalogue(self) -> list[tuple[str, str]]:
        """Companies with a stock code, from corpCode.xml."""
        rows = read_companies(self._get("/api/corpCode.xml"))
        return sorted((stock, name) for _, _, name, _, stock in rows if stock)

    def close(self) -> None:
        """Drop the connections."""
        self._http.close()

    def _get(self, path: str, *query: tuple[str, str]) -> Reply:
        if not self._http.key:
            raise Unauthorized(
                "OpenDART wants a key and none is set",
                source="dart",
                hint=f"set {SETTING}, then `gapless jobs retry`",
            )
        reply = self._http.get(path, [("crtfc_key", self._http.key), *query])
        if reply.status != 200:
            raise no_answer(reply)
        return reply

    def _companies(self, ask: Ask, now: Instant) -> Page:  # noqa: ARG002  the reply tells every day
        reply = self._get("/api/corpCode.xml")
        end = DAYS.add(DAYS.floor(now), 1)
        rows = [row for row in read_companies(reply) if row[0] < end]
        return Page(rows=rows, proven=Span(FIRST, end), source_time=reply.source_time)

    def _disclosures(self, ask: Ask, now: Instant) -> Page:  # noqa: ARG002  a day is over by the frontier
        return read_listing(self._get("/api/list.json", *query(ask)), ask)

    def _dividends(self, ask: Ask, now: Instant) -> Page:
        first = max(year_of(YEARS.add(ask.span.end, -1)), SERVED_FROM)
        # After "no such report" the one of the next year is asked for, which tells of this one, too.
        year = first if ask.walk is None else first + 1
        report, reach = ask.series.rpartition("/")[2], reach_of(ask.series)
        reply = self._get(
            "/api/alotMatter.json", ("corp_code", ask.alias), ("bsns_year", str(year)), ("reprt_code", report)
        )
        try:
            outcome = msgspec.json.decode(reply.body, type=Outcome)
        except msgspec.DecodeError:
            raise no_answer(reply) from None
        except msgspec.ValidationError as error:
            raise _changed(str(error)) from None
        if outcome.status == EMPTY:
            return _nothing(reply, ask, first, year, now)
        if outcome.status != GOOD:
            raise failure(outcome)
        lines = _lines(reply.body, ask, year)
        start = _oldest(first) if year > first else year_start(year - reach + 1)
        return Page(
            rows=rows_of(lines, year, report),
            proven=Span(min(start, year_start(year - reach + 1)), year_start(year + 1)),
            source_time=reply.source_time,
            raw=Raw(name=str(year), version=lines[0].rcept_no, body=reply.body),
        )


def _nothing(reply: Reply, ask: Ask, first: int, year: int, now: Instant) -> Page:
    """What "no such report" is worth: of its year a report of the next one may tell, where there may be one."""
    if ask.is_last and year == first and reach_of(ask.series) > 1:
        walk = Walk(asked=ask.span, is_backward=ask.is_backward, left=ask.span, page=2, total=0, held=())
        return Page(rows=[], proven=None, source_time=reply.source_time, walk=walk)
    raw = Raw(name=str(year), version=EMPTY, body=reply.body, again_at=_again(year, now))
    # Of the years before, other reports may tell something.
    proven = Span(_oldest(first) if reach_of(ask.series) > 1 else year_start(first), year_start(year + 1))
    return Page(rows=[], proven=proven, source_time=reply.source_time, raw=raw)


def _oldest(first: int) -> Instant:
    """From where on nothing but the report of `first` and later ones could tell: of the years before 2015 only that."""
    return year_start(first - REACH + 1 if first == SERVED_FROM else first)


def _again(year: int, now: Instant) -> Instant | None:
    """When to ask again for a report that is not there: it may be late, or of a year that ends as late as November."""
    return now + AGAIN if now < year_start(year + 2) + LATEST else None


def reach_of(series: str) -> int:
    """Fiscal years that one answer tells."""
    return REACH if series.endswith(f"/{ANNUAL}") else 1


def rows_of(lines: Sequence[Line], year: int, report: str) -> list[Row]:
    """The rows of a dividend table in the order of their key: also what a stored answer is read with again."""
    columns = REACH if report == ANNUAL else 1
    return sorted(_row(one, lines[0], year, report) for one in read_table(lines, year, columns))


def _row(one: Statement, line: Line, year: int, report: str) -> Row:
    receipt = line.rcept_no
    facts = [one.facts.get(name) for name in _FACTS]
    return (
        year_start(year - one.column),
        one.kind,
        receipt,
        year - one.column,
        *(None if value is None else str(value) for value in facts),
        one.period_end.isoformat() if one.period_end else None,
        f"{receipt[:4]}-{receipt[4:6]}-{receipt[6:8]}",
        one.column,
        report != ANNUAL,
        line.corp_code,
        ",".join(one.flags),
        "; ".join(one.notes)[:1000],
    )


def read_lines(body: bytes) -> list[Line]:
    """The lines of a good answer; raises `msgspec.MsgspecError`."""
    return msgspec.json.decode(body, type=_Answer).lines


def _lines(body: bytes, ask: Ask, year: int) -> list[Line]:
    """The lines of an answer, checked: of the company that was asked for, of one receipt, with numbers in them."""
    try:
        lines = read_lines(body)
    except msgspec.MsgspecError as error:
        raise _bad(f"a line cannot be read: {error}", ask, year) from None
    receipts = {line.rcept_no for line in lines}
    if len(receipts) != 1 or not all(len(one) == 14 and one.isdigit() for one in receipts):
        raise _bad(f"rcept_no is {', '.join(sorted(receipts)) or 'missing'}", ask, year)
    if {line.corp_code for line in lines} != {ask.alias}:
        raise _bad(f"corp_code is not {ask.alias}", ask, year)
    if is_spoilt(lines):
        raise _bad("a column has no number in it, only words", ask, year)
    return lines


def _bad(why: str, ask: Ask, year: int) -> BadReply:
    return BadReply(f"OpenDART's table of {ask.series}, {year}: {why}", source="dart")


def _changed(why: str) -> SchemaChanged:
    return SchemaChanged(
        f"OpenDART changed its answer: {why}", source="dart", hint="look for a newer version of gapless"
    )


__all__ = ["DPS", "Dart", "reach_of", "read_lines", "rows_of"]
