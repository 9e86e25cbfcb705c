"""GDELT DOC 2.0, the list of articles (api.gdeltproject.org, no key).

What a reply to `(startdatetime=S, enddatetime=E - 1 s, maxrecords=250)` proves; both of its bounds are included:

| reply | proves |
|---|---|
| fewer than 250 articles | `[S, E)`: there is no page after it, so these are all; also those that `title:` leaves out |
| 250 articles | nothing: which ones are left out is not told. The span is halved |
| 250 articles of a single quarter of an hour | nothing; that quarter cannot be told apart and is quarantined |
| `{}` | `[S, E)` is empty |
| 429, or HTTP 200 with words that ask to slow down | nothing; everybody waits, minutes at first |
| HTTP 200 with one line about the query | the series' query is wrong: the series is held |
| anything else | nothing |

`time` is when GDELT saw an article, on a grid of 15 minutes: publication was minutes to days before. Queries are
English (GDELT searches translations), so a Korean name is refused here, where GDELT would find nothing without a word.
Rate: one request in 5 seconds and address; who keeps to it exactly is throttled for longer, so we send one in 6.8.
Facts and their sources: the project's notes on news.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from gapless.core.dataset import Axis, Conflict, Dataset
from gapless.core.errors import UnknownSeries
from gapless.core.grid import Steps
from gapless.core.pacing import Limit
from gapless.core.page import Ask, Page, Shape
from gapless.core.span import DAY, MINUTE, SECOND, Instant, instant, moment
from gapless.sources import articles
from gapless.sources.gdelt.query import query_of
from gapless.sources.gdelt.replies import failure, read_rows
from gapless.sources.http import Http

MOST = 250
QUARTER = 15 * MINUTE
#: Requests a second: the notes say 6.5 to 8 seconds apart.
RATE = 1 / 6.5
CELLS_A_DAY = DAY // QUARTER

ARTICLES = Dataset(
    name="gdelt.articles",
    source="gdelt",
    grid=Steps(QUARTER),
    axis=Axis.EVENT,
    columns=articles.COLUMNS,
    key=articles.KEY,
    # `first_seen` stays what it was.
    conflict=Conflict.FIRST,
    # Translations come in late.
    settle=timedelta(hours=1),
    earliest=instant(datetime(2017, 1, 1, tzinfo=UTC)),
    example='005930, 005930="Samsung Electronics" or "Samsung Electronics" title:삼성전자',
    # The query is printable ASCII: other words find nothing. Titles are Korean.
    pattern=articles.WORDS + r"(?! )(?:(?! title:)[ -~]){1,200}(?<! )(?: title:[^\s|]+(?:[ |][^\s|]+){0,9})?",
    directory=articles.names_in("corp_eng_name", articles.TITLE),
    period=timedelta(minutes=15),
)
#: Where a row has its title.
_TITLE = 1 + [column.name for column in ARTICLES.columns].index("title")


class Gdelt:
    """The list of articles of GDELT DOC 2.0, or whatever stands in for it."""

    name = "gdelt"
    default_url = "https://api.gdeltproject.org"
    datasets: Mapping[str, Dataset] = {ARTICLES.name: ARTICLES}

    def __init__(self, http: Http) -> None:
        self._http = http

    @property
    def base_url(self) -> str:
        """Scheme, host and port."""
        return self._http.base_url

    def check(self) -> None:
        """Nobody needs a key."""

    def shape(self, dataset: Dataset, series: str) -> Shape:  # noqa: ARG002  one dataset, all series alike
        """A day at first, halved until it fits, up to 64 days where little is written."""
        return Shape(rows=CELLS_A_DAY, jumps_back=False, cap=MOST, widest=64 * CELLS_A_DAY)

    def limit(self, dataset: Dataset) -> Limit:  # noqa: ARG002  one budget
        """One budget per address."""
        return Limit(key="gdelt/doc", rate=RATE)

    def fetch(self, dataset: Dataset, ask: Ask, now: Instant) -> Page:  # noqa: ARG002  there is one
        """All articles of a span; see the table above for what a reply proves."""
        query = query_of(articles.words_of(ask.series, ask.alias or ask.series))
        if not query:
            raise UnknownSeries(
                f"gdelt: {ask.series} has no English name to ask for",
                source=self.name,
                hint=f'give one: {ask.series}="English name"',
            )
        reply = self._http.get(
            "/api/v2/doc/doc",
            [
                ("query", query),
                ("mode", "artlist"),
                ("format", "json"),
                ("maxrecords", str(MOST)),
                ("sort", "datedesc"),
                ("startdatetime", _stamp(ask.span.start)),
                ("enddatetime", _stamp(ask.span.end - SECOND)),
            ],
        )
        if reply.status != 200:
            raise failure(reply, ask)
        told = read_rows(reply, ask, query=query, most=MOST, now=now)
        names = articles.titled(ask.series)
        rows = [row for row in told if articles.is_titled(row[_TITLE], names)]
        left_out = tuple(row[0] for row in told if not articles.is_titled(row[_TITLE], names))
        return Page(rows=rows, proven=ask.span, source_time=reply.source_time, left_out=left_out)

    def catalogue(self) -> list[tuple[str, str]]:
        """Any query will do: there is no list."""
        return []

    def close(self) -> None:
        """Drop the connections."""
        self._http.close()


def _stamp(at: Instant) -> str:
    return f"{moment(at):%Y%m%d%H%M%S}"
