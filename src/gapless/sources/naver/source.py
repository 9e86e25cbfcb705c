"""Naver's news search (NAVER API HUB, or the older Developers Center; with a key).

There is no date range: a query has a list of all it ever found, newest first, of which the first 1,000 places can be
asked for, 100 at once. So this source keeps up with the present and cannot go back. What a reply to `(start=N,
display=100, sort=date)` proves, `oldest` being the second after that of its last article, whose second may go on:

| asked | reply | proves |
|---|---|---|
| from place 1 | 100 articles | `[oldest, frontier)` |
| from a later place | 100 articles, the first newer than the last of the page before | `[oldest, end of that page)` |
| | the first one older | nothing: articles went away while we read, it begins at place 1 again |
| any | the list ends on this page | all that was asked for: nothing is older |
| beyond place 1,000 | | nothing: out of reach, the series is held with what it has |
| anything | an error, a cut body | nothing |

New articles push the others to later places while we read: pages overlap, so none is missed, and what comes twice is
the same row. Key: `GAPLESS_NAVER_API_KEY=ID:SECRET`. A secret of 40 characters belongs to the HUB, a shorter one to the
Developers Center, which gives no keys since 31 July 2026 and ends on 30 June 2027; for that one set
`GAPLESS_NAVER_BASE_URL`. 25,000 requests a day of Seoul. Facts and their sources: the project's notes on news.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

from gapless.core.dataset import Axis, Conflict, Dataset
from gapless.core.errors import OutOfReach, TryAgain, Unauthorized, UnknownSeries, UsageError
from gapless.core.grid import EVENTS
from gapless.core.pacing import Limit
from gapless.core.page import Ask, Page, Shape
from gapless.core.span import HOUR, SECOND, Instant, iso, span
from gapless.sources import articles
from gapless.sources.http import Http, Reply
from gapless.sources.naver.replies import SETTING, Found, failure, read_found, rows_of

SHOWN = 100
#: The last place that a page may begin at.
DEEPEST = 1_000
#: Places that a page begins before the last second of the one before it: so many may go away meanwhile.
OVERLAP = 5
RATE = 10.0
DAILY = 25_000
#: One stretch, whatever its length: only what is newest can be asked for, so there is nothing to split.
UNDIVIDED = 10**12
HUB_SECRET = 40
OLD_URL = "https://openapi.naver.com"

NEWS = Dataset(
    name="naver.news",
    source="naver",
    grid=EVENTS,
    axis=Axis.EVENT,
    columns=articles.COLUMNS,
    key=articles.KEY,
    conflict=Conflict.FIRST,
    # Articles come into the index somewhat after their time.
    settle=timedelta(minutes=10),
    zone="Asia/Seoul",
    example="005930, 005930=삼성전자 or 삼성전자 반도체",
    # It has no `title:`: what a list leaves out would look like its end.
    pattern=articles.WORDS + r"(?!.* title:)[^\s\n](?:[^\n]{0,98}[^\s\n])?",
    directory=articles.names_in("corp_name"),
    period=timedelta(hours=1),
)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the list of a series goes on: `end` is what was asked down to, `last` the second of the last article."""

    end: Instant
    start: int
    last: Instant


class Naver:
    """The news search of Naver, or whatever stands in for it."""

    name = "naver"
    default_url = "https://naverapihub.apigw.ntruss.com"
    datasets: Mapping[str, Dataset] = {NEWS.name: NEWS}

    def __init__(self, http: Http) -> None:
        self._http = http
        self._id, _, self._secret = http.key.partition(":")
        self._is_hub = len(self._secret) == HUB_SECRET
        self._places: dict[str, _Place] = {}
        self._lock = threading.Lock()

    @property
    def base_url(self) -> str:
        """Scheme, host and port."""
        return self._http.base_url

    def check(self) -> None:
        """A key is needed, and the address that belongs to it."""
        if not self._http.key:
            raise UsageError(f"{SETTING}: is not set", field=SETTING, hint="give ID:SECRET of an application at Naver")
        if not self._is_hub and self.base_url == self.default_url:
            field = "GAPLESS_NAVER_BASE_URL"
            raise UsageError(
                f"{field}: this is a key of the Developers Center", field=field, hint=f"set {field}={OLD_URL}"
            )

    def shape(self, dataset: Dataset, series: str) -> Shape:  # noqa: ARG002  all series alike
        """Newest first, in one stretch."""
        return Shape(rows=UNDIVIDED, jumps_back=False)

    def limit(self, dataset: Dataset) -> Limit:  # noqa: ARG002  one budget
        """A pace, and a quota for the Korean day that all searches share."""
        return Limit(key="naver/search", rate=RATE, daily=DAILY, reset_offset=9 * HOUR)

    def fetch(self, dataset: Dataset, ask: Ask, now: Instant) -> Page:  # noqa: ARG002  there is one
        """The next page of a series' list; see the table above for what it proves."""
        query = articles.words_of(ask.series, ask.alias or ask.series).strip()
        if not query:
            raise UnknownSeries(f"naver: {ask.series} has no name to ask for", source=self.name, hint="STOCK=QUERY")
        place = self._place(ask)
        if place.start > DEEPEST:
            self._forget(ask.series)
            raise OutOfReach(
                f"naver tells the newest {DEEPEST:,} of {ask.series}: nothing before {iso(place.last)}",
                source=self.name,
                hint="collect more often, from then on",
            )
        reply = self._get(query, place.start)
        found = read_found(reply, ask)
        return replace(self._page(ask, place, found, query, now), source_time=reply.source_time)

    def _page(self, ask: Ask, place: _Place, found: Found, query: str, now: Instant) -> Page:
        rows = rows_of(found, query, now)
        if place.start > 1 and (not found.times or found.times[0] <= place.last):
            self._forget(ask.series)
            raise TryAgain(f"naver's list of {ask.series} has changed while it was read", source=self.name)
        if found.ends(place.start):
            self._forget(ask.series)
            return Page(rows=[row for row in rows if row[0] in ask.span], proven=ask.span)
        oldest = found.times[-1]
        ties = len(found.times) - found.times.index(oldest)
        step = len(found.times) - ties - OVERLAP
        if step < 1:
            raise OutOfReach(
                f"naver: {ties} articles of {ask.series} are of one second, {iso(oldest)}: no way past them",
                source=self.name,
            )
        proven = span(oldest + SECOND, ask.span.end)
        self._keep(ask.series, _Place(proven.start if proven else ask.span.end, place.start + step, oldest))
        kept = [row for row in rows if proven is not None and row[0] in proven]
        return Page(rows=kept, proven=proven)

    def _place(self, ask: Ask) -> _Place:
        """Where the list goes on, if this process has just read down to the end of what is asked; else its start."""
        with self._lock:
            known = self._places.get(ask.series)
        return known if known is not None and known.end == ask.span.end else _Place(ask.span.end, 1, 0)

    def _keep(self, series: str, place: _Place) -> None:
        with self._lock:
            self._places[series] = place

    def _forget(self, series: str) -> None:
        with self._lock:
            self._places.pop(series, None)

    def _get(self, query: str, start: int) -> Reply:
        if not self._http.key:
            raise Unauthorized("Naver wants a key and none is set", source=self.name, hint=f"set {SETTING}")
        names = (
            ("X-NCP-APIGW-API-KEY-ID", "X-NCP-APIGW-API-KEY")
            if self._is_hub
            else ("X-Naver-Client-Id", "X-Naver-Client-Secret")
        )
        asked = [("query", query), ("display", str(SHOWN)), ("start", str(start)), ("sort", "date")]
        reply = self._http.get(
            "/search/v1/news" if self._is_hub else "/v1/search/news.json",
            asked,
            list(zip(names, (self._id, self._secret), strict=True)),
        )
        if reply.status != 200:
            raise failure(reply, query)
        return reply

    def catalogue(self) -> list[tuple[str, str]]:
        """Any query will do: there is no list."""
        return []

    def close(self) -> None:
        """Drop the connections."""
        self._http.close()
